//! The disk watermark: instances are refused while the disk of the data folder is nearly full.
//!
//! A disk that is full stops the ledger, too, and with it everything else; so the node says A700 before (PS3.4
//! section B.2.3). The free space is looked up at most once a second.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::IntakeError;
use crate::clock::Millis;

/// How long a look at the disk is good for, milliseconds: what arrives meanwhile is small beside `keep_free`.
const FRESH: i64 = 1000;

#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    keep_free: u64,
    /// When the disk was looked at, and the bytes free then.
    seen: Mutex<Option<(Millis, u64)>>,
}

impl Room {
    pub(super) fn new(folder: PathBuf, keep_free: u64) -> Room {
        Room { folder, keep_free, seen: Mutex::new(None) }
    }

    /// Is there room for more? Blocking.
    pub(super) fn check(&self, now: Millis) -> Result<(), IntakeError> {
        if self.keep_free == 0 {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.filter(|(at, _)| (at.0..at.0 + FRESH).contains(&now.0));
        let free = match fresh {
            Some((_, free)) => free,
            None => match rustix::fs::statvfs(&self.folder) {
                Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
                // The folder itself is amiss: the spool says it better than a guess here.
                Err(_) => return Ok(()),
            },
        };
        *seen = Some(fresh.unwrap_or((now, free)));
        if free < self.keep_free {
            return Err(IntakeError::NoRoom { free, keep_free: self.keep_free });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn below_the_watermark_nothing_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let check = |keep_free| Room::new(folder.path().to_owned(), keep_free).check(Millis(5));
        assert!(check(1).is_ok() && check(0).is_ok());
        assert!(matches!(check(u64::MAX), Err(IntakeError::NoRoom { keep_free: u64::MAX, .. })));
    }

    #[test]
    fn the_disk_is_looked_at_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::new(folder.path().to_owned(), 1);
        *room.seen.lock().unwrap() = Some((Millis(1000), 0));
        assert!(room.check(Millis(1999)).is_err());
        assert!(room.check(Millis(2000)).is_ok());
    }
}
