//! How explanations lie in their columns: as they are when they are short, else compressed, for with hundreds of rules an
//! explanation is hundreds of kilobytes of much the same words. What is read back is the same text to the byte.
//!
//! A compressed one is a JSON string (base64 of zlib) where a plain one is an object, so that the columns hold JSON either way.

use std::borrow::Cow;
use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

/// Shorter texts gain nothing.
const SHORT: usize = 1000;

/// The text for a column.
pub(super) fn pack(text: &str) -> Cow<'_, str> {
    if text.len() < SHORT {
        return Cow::Borrowed(text);
    }
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(text.len() / 8), Compression::default());
    // writing to memory does not fail; if it did, the text as it is will do
    match encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(bytes) => Cow::Owned(format!("\"{}\"", STANDARD.encode(bytes))),
        Err(_) => Cow::Borrowed(text),
    }
}

/// A text that was packed, or never was.
pub(super) struct Unpacked(pub String);

impl FromSql for Unpacked {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Unpacked> {
        let text = value.as_str()?;
        let Some(packed) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Ok(Unpacked(text.to_owned()));
        };
        let bytes = STANDARD.decode(packed).map_err(FromSqlError::other)?;
        let mut text = String::new();
        ZlibDecoder::new(bytes.as_slice()).read_to_string(&mut text).map_err(FromSqlError::other)?;
        Ok(Unpacked(text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was() {
        let unpacked = |text: &str| Unpacked::column_result(ValueRef::Text(text.as_bytes())).unwrap().0;
        let short = r#"{"rules":[]}"#;
        assert_eq!((pack(short).as_ref(), unpacked(short).as_str()), (short, short));
        let rule = |n: usize| format!(r#"{{"name":"rule {n}","matches":false,"conditions":["Größe ≥ {n}"]}}"#);
        let long = format!(r#"{{"rules":[{}]}}"#, (0..200).map(rule).collect::<Vec<_>>().join(","));
        let packed = pack(&long);
        assert!(packed.len() * 5 < long.len(), "{} of {}", packed.len(), long.len());
        assert!(serde_json::from_str::<serde_json::Value>(&packed).unwrap().is_string());
        assert_eq!(unpacked(&packed), long);
        assert!(Unpacked::column_result(ValueRef::Text(b"\"no zlib\"")).is_err());
    }
}
