//! Who a peer says it is: the users of a called AE title (PS3.7 section D.3.3.7).
//!
//! A user has a name and, where one is set, a passcode, which comes from a file or an environment variable like
//! every secret. Only answers whether an identity is one of them; never logs a passcode.

use std::collections::BTreeMap;

use super::secret::{Secret, Surroundings, password};
use crate::rules::section::Entry;

/// Users by name; with none, nobody is asked who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, Option<Secret>>);

impl Users {
    /// Has nobody to say who they are?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is `name` one of the users, and `passcode` theirs, if they have one?
    #[must_use]
    pub fn know(&self, name: &[u8], passcode: &[u8]) -> bool {
        let user = self.0.iter().find(|(user, _)| user.as_bytes() == name);
        user.is_some_and(|(_, secret)| secret.as_ref().is_none_or(|secret| same(secret.reveal().as_bytes(), passcode)))
    }

    /// Reads a table `name = { password_file = "..." }`; `{}` asks for the name alone.
    pub(super) fn read(entry: &Entry<'_>, around: &Surroundings<'_>) -> Users {
        let entries = entry.section().map(|section| section.entries()).unwrap_or_default();
        let user = |(name, entry): &(&str, Entry<'_>)| {
            let section = entry.section()?;
            let secret = password(&section, around);
            section.finish();
            Some(((*name).to_owned(), secret?))
        };
        Users(entries.iter().filter_map(user).collect())
    }
}

/// Compares without telling by its time how much was right.
fn same(ours: &[u8], theirs: &[u8]) -> bool {
    let differences = ours.iter().zip(theirs).fold(0, |sum, (a, b)| sum | (a ^ b));
    ours.len() == theirs.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_enough_where_no_passcode_is_set() {
        let secret = Secret::new("open sesame".into());
        let users = Users([("amy".to_owned(), Some(secret)), ("bob".to_owned(), None)].into());
        let known = |name: &str, passcode: &str| users.know(name.as_bytes(), passcode.as_bytes());
        assert!(known("amy", "open sesame") && known("bob", "") && known("bob", "anything"));
        assert!(!known("amy", "") && !known("amy", "open sesamE") && !known("amy", "open sesame "));
        assert!(!known("eve", "open sesame") && !known("", ""));
        assert!(Users::default().is_empty() && !users.is_empty());
    }
}
