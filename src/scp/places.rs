//! Places for associations: so many in total, so many for one address.
//!
//! One modality that opens a connection a slice must not keep the others out. Never waits: a peer without a
//! place is told "local limit exceeded" (PS3.8 section 9.3.4) and may try again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub struct Places {
    total: usize,
    per_peer: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One association's place, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    of: Arc<Places>,
    peer: IpAddr,
}

impl Places {
    #[must_use]
    pub fn new(total: usize, per_peer: usize) -> Places {
        Places { total, per_peer, taken: Mutex::default() }
    }

    /// A place for `peer`, `None` when it has all of its own or all are taken.
    pub fn take(self: &Arc<Places>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&peer).copied().unwrap_or(0);
        if own >= self.per_peer || taken.values().sum::<usize>() >= self.total {
            return None;
        }
        taken.insert(peer, own + 1);
        Some(Place { of: Arc::clone(self), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.peer) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.peer)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_peer_has_its_own_limit_and_all_have_one() {
        let places = Arc::new(Places::new(3, 2));
        let [a, mapped, b, c] = ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| ip.parse().unwrap());
        let first = places.take(a);
        let second = places.take(mapped);
        assert!(first.is_some() && second.is_some() && places.take(a).is_none());
        let third = places.take(b);
        assert!(third.is_some() && places.take(c).is_none(), "all are taken");
        drop(first);
        assert!(places.take(c).is_some() && places.take(a).is_some());
        drop((second, third));
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
