//! Checked identifiers: DICOM UIDs and application entity titles.
//!
//! A [`Uid`] is the only value from the network that may become part of a path (invariant 2).
//! PS3.5 section 9.1 (UID encoding) and annex B.2 (UUID-derived UIDs, `2.25.`).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A UID of 1 to 64 characters out of `[0-9.]`, without empty components at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(Box<str>);

/// Why a text is not a UID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    #[error("the UID is empty")]
    Empty,
    #[error("the UID has {0} characters, 64 are allowed")]
    TooLong(usize),
    #[error("the UID holds a character outside 0-9 and '.'")]
    BadCharacter,
    #[error("the UID has an empty component (two dots in a row, or a dot at an end)")]
    EmptyComponent,
}

impl Uid {
    /// Characters that a UID may have (PS3.5 section 9.1).
    pub const LONGEST: usize = 64;

    /// Checks `text`, whose trailing NUL or space padding is removed first.
    pub fn parse(text: &str) -> Result<Uid, UidError> {
        let text = text.trim_end_matches(['\0', ' ']);
        if text.is_empty() {
            return Err(UidError::Empty);
        }
        if text.len() > Uid::LONGEST {
            return Err(UidError::TooLong(text.len()));
        }
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(UidError::BadCharacter);
        }
        if text.split('.').any(str::is_empty) {
            return Err(UidError::EmptyComponent);
        }
        Ok(Uid(text.into()))
    }

    /// A UID that is the same for the same `parts`, on every machine: the first 128 bits of the
    /// SHA-256 of the length-prefixed parts, made an RFC 9562 version 8 UUID, as `2.25.<decimal>`.
    #[must_use]
    pub fn derived(parts: &[&str]) -> Uid {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Uid(format!("2.25.{}", u128::from_be_bytes(bytes)).into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Uid {
    type Error = UidError;
    fn try_from(text: String) -> Result<Uid, UidError> {
        Uid::parse(&text)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> String {
        uid.0.into()
    }
}

/// An application entity title: 1 to 16 printable ASCII characters, no backslash, not all spaces (PS3.5 VR AE).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(Box<str>);

/// Why a text is not an application entity title.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AeTitleError {
    #[error("the AE title is empty")]
    Empty,
    #[error("the AE title has {0} characters, 16 are allowed")]
    TooLong(usize),
    #[error("the AE title holds a control character, a backslash or a character outside ASCII")]
    BadCharacter,
}

impl AeTitle {
    /// Checks `text`; leading and trailing spaces are not significant and are removed.
    pub fn parse(text: &str) -> Result<AeTitle, AeTitleError> {
        let text = text.trim_matches([' ', '\0']);
        if text.is_empty() {
            return Err(AeTitleError::Empty);
        }
        if text.chars().count() > 16 {
            return Err(AeTitleError::TooLong(text.chars().count()));
        }
        if !text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\') {
            return Err(AeTitleError::BadCharacter);
        }
        Ok(AeTitle(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AeTitle {
    type Error = AeTitleError;
    fn try_from(text: String) -> Result<AeTitle, AeTitleError> {
        AeTitle::parse(&text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> String {
        title.0.into()
    }
}

/// A series within its study: what completion, rules and the spool go by (never the association).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    pub study: Uid,
    pub series: Uid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_checked() {
        let check = |text: &str, expected: Result<&str, UidError>| {
            assert_eq!(Uid::parse(text).as_ref().map(Uid::as_str), expected.as_ref().map(|s| *s), "{text:?}");
        };
        check("1.2.840.10008.1.1", Ok("1.2.840.10008.1.1"));
        check("1.2.3\0", Ok("1.2.3"));
        check("", Err(UidError::Empty));
        check("../../etc", Err(UidError::BadCharacter));
        check("..", Err(UidError::EmptyComponent));
        check("1..2", Err(UidError::EmptyComponent));
        check("1.2.", Err(UidError::EmptyComponent));
        check(&"1".repeat(65), Err(UidError::TooLong(65)));
    }

    #[test]
    fn derived_uids_depend_on_every_part_and_nothing_else() {
        let uid = Uid::derived(&["a", "bc"]);
        assert_eq!(uid, Uid::derived(&["a", "bc"]));
        assert_ne!(uid, Uid::derived(&["ab", "c"]));
        assert_eq!(Uid::parse(uid.as_str()), Ok(uid));
        assert_eq!(Uid::derived(&["sagittal", "implementation"]).as_str(), crate::dicom::IMPLEMENTATION_CLASS_UID);
        assert!(crate::dicom::IMPLEMENTATION_VERSION_NAME.len() <= 16);
    }

    #[test]
    fn ae_titles_are_trimmed_and_checked() {
        assert_eq!(AeTitle::parse(" ORTHANC ").map(|t| t.to_string()), Ok("ORTHANC".to_owned()));
        assert_eq!(AeTitle::parse("    "), Err(AeTitleError::Empty));
        assert_eq!(AeTitle::parse("A\\B"), Err(AeTitleError::BadCharacter));
        assert_eq!(AeTitle::parse("12345678901234567"), Err(AeTitleError::TooLong(17)));
    }
}
