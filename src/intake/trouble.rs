//! What failed is told, left alone for a while, and keeps nothing else from its turn.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::IntakeError;
use crate::clock::Millis;

/// Before the same is tried again.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// What failed, and when it is tried again.
    until: Mutex<HashMap<String, Millis>>,
}

impl Trouble {
    /// Does `work` on `what`; `None` when it fails, or failed a moment ago.
    pub fn beside<T>(&self, what: &str, now: Millis, work: impl FnOnce() -> Result<T, IntakeError>) -> Option<T> {
        if self.until.lock().unwrap_or_else(PoisonError::into_inner).get(what).is_some_and(|until| now < *until) {
            return None;
        }
        let outcome = work();
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(done) => {
                until.remove(what);
                Some(done)
            }
            Err(error) => {
                tracing::error!("{what} cannot be decided, the next try is in {} s: {error}", PAUSE.as_secs());
                until.insert(what.to_owned(), now.plus(PAUSE));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_has_its_next_turn_later_and_nothing_else_waits() {
        let trouble = Trouble::default();
        let fails = || Err::<(), _>(IntakeError::Behind);
        assert_eq!(trouble.beside("a", Millis(0), fails), None);
        assert_eq!(trouble.beside("a", Millis(29_999), || Ok(1)), None);
        assert_eq!(trouble.beside("b", Millis(0), || Ok(2)), Some(2));
        assert_eq!(trouble.beside("a", Millis(30_000), || Ok(3)), Some(3));
        assert_eq!(trouble.beside("a", Millis(30_000), || Ok(4)), Some(4));
    }
}
