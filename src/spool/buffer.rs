//! Memory in which objects are put together: pieces of one size, used again and again.
//!
//! Direct writes want whole, aligned pages; and memory that is used again is memory the system need not fetch, which
//! on a virtual machine may cost more than receiving what is put there. Never does I/O.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::record::PAGE;

/// Bytes of a piece.
pub(super) const PIECE: usize = 64 * 1024;
/// Pieces kept for the next objects: 16 MiB.
const MOST_KEPT: usize = 256;

/// [`PIECE`] bytes that begin at a page.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    start: usize,
}

impl Piece {
    fn new() -> Piece {
        let bytes = vec![0; PIECE + PAGE as usize];
        let start = bytes.as_ptr().align_offset(PAGE as usize);
        Piece { bytes, start }
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..][..PIECE]
    }
}

impl DerefMut for Piece {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..PIECE]
    }
}

/// Pieces that nobody uses at present.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: Mutex<Vec<Piece>>,
}

impl Pool {
    /// A piece; what is in it is of no meaning.
    pub fn take(&self) -> Piece {
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(Piece::new)
    }

    pub fn give(&self, pieces: impl Iterator<Item = Piece>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(pieces);
        free.truncate(MOST_KEPT);
    }
}
