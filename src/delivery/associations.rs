//! Associations kept open for a while after a delivery, so that the next one to the same peer needs no new one.
//!
//! Each is one delivery's at a time. What is not used within its time is released; a peer that ended one meanwhile is
//! simply called again. Nothing rests on them: a process that dies leaves none behind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::scu::{Peer, Proposal, Scu};

/// The associations that nobody uses. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Associations(Arc<Mutex<Idle>>);

#[derive(Default)]
struct Idle {
    /// With the number under which the end of its time finds it.
    kept: Vec<(u64, Scu)>,
    last: u64,
    /// Nothing is kept any more.
    closed: bool,
}

impl std::fmt::Debug for Associations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Associations({} idle)", self.idle().kept.len())
    }
}

impl Associations {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An open association with `peer` in which all of `contexts` were proposed.
    pub(super) async fn take(&self, peer: &Peer, contexts: &[Proposal], timeout: Duration) -> Option<Scu> {
        loop {
            let mut scu = self.remove(|_, scu| scu.peer() == peer && scu.has_proposed(contexts))?.within(timeout);
            if scu.is_alive().await {
                return Some(scu);
            }
        }
    }

    fn remove(&self, is: impl Fn(u64, &Scu) -> bool) -> Option<Scu> {
        let mut idle = self.idle();
        let place = idle.kept.iter().position(|(number, scu)| is(*number, scu))?;
        Some(idle.kept.swap_remove(place).1)
    }

    /// Keeps `scu` for `time` and releases it then; at once when the time is zero.
    pub(super) async fn keep(&self, scu: Scu, time: Duration) {
        let Some(number) = self.insert(scu, time).await else { return };
        let shared = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(scu) = shared.remove(|kept, _| kept == number) {
                scu.release().await;
            }
        });
    }

    async fn insert(&self, scu: Scu, time: Duration) -> Option<u64> {
        {
            let mut idle = self.idle();
            if !idle.closed && !time.is_zero() {
                idle.last += 1;
                let number = idle.last;
                idle.kept.push((number, scu));
                return Some(number);
            }
        }
        scu.release().await;
        None
    }

    /// Releases all, and from now on each at once.
    pub(super) async fn close(&self) {
        let kept = {
            let mut idle = self.idle();
            idle.closed = true;
            std::mem::take(&mut idle.kept)
        };
        for (_, scu) in kept {
            scu.release().await;
        }
    }
}
