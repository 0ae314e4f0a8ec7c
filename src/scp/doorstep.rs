//! Connections without an association: still to ask for one, or told to go and not gone yet, each kind apart.
//!
//! There is room for so many; one more sends the oldest away, so that peers who say nothing (half-open
//! connections, a thousand attempts a second) never keep out those who do. A peer in earnest asks within
//! milliseconds and is never the oldest for long. The ARTIM timer bounds the rest (PS3.8 section 9.1.4).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub struct Doorstep {
    room: usize,
    numbers: AtomicU64,
    /// Oldest first.
    guests: Mutex<VecDeque<(u64, CancellationToken)>>,
}

/// One connection's stay; over when it is dropped.
#[derive(Debug)]
pub struct Guest {
    at: Arc<Doorstep>,
    number: u64,
    /// Cancelled when the connection is to be closed at once.
    pub sent_away: CancellationToken,
}

impl Doorstep {
    #[must_use]
    pub fn new(room: usize) -> Doorstep {
        Doorstep { room, numbers: AtomicU64::new(0), guests: Mutex::default() }
    }

    /// A stay for one more connection, at the cost of the oldest when there is no room.
    pub fn enter(self: &Arc<Doorstep>) -> Guest {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.len() >= self.room
            && let Some((_, oldest)) = guests.pop_front()
        {
            oldest.cancel();
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let sent_away = CancellationToken::new();
        guests.push_back((number, sent_away.clone()));
        Guest { at: Arc::clone(self), number, sent_away }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.at.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let doorstep = Arc::new(Doorstep::new(2));
        let [first, second] = [doorstep.enter(), doorstep.enter()];
        assert!(!first.sent_away.is_cancelled());
        let third = doorstep.enter();
        assert!(first.sent_away.is_cancelled() && !second.sent_away.is_cancelled());
        drop((first, second));
        assert_eq!(doorstep.guests.lock().unwrap().len(), 1, "who was sent away had no place any more");
        let fourth = doorstep.enter();
        assert!(!third.sent_away.is_cancelled());
        drop((third, fourth));
        assert!(doorstep.guests.lock().unwrap().is_empty());
    }
}
