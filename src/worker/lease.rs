//! A lease kept alive while a job runs: a heartbeat at a third of its length, and the news when it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use super::{Workers, blocking};
use crate::ledger::Claim;

/// Beats until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    lost: Arc<AtomicBool>,
    beat: JoinHandle<()>,
}

impl Lease {
    pub(super) fn keep(workers: &Workers, claim: &Claim) -> Lease {
        let lost = Arc::new(AtomicBool::new(false));
        let beat = tokio::spawn(beat(workers.clone(), claim.clone(), lost.clone()));
        Lease { lost, beat }
    }

    /// A question that blocking work can ask: has the job been taken away or the node been stopped?
    pub(super) fn cancelled(&self, workers: &Workers) -> impl Fn() -> bool + Send + Sync + 'static {
        let (lost, stop) = (self.lost.clone(), workers.stop.clone());
        move || lost.load(Ordering::Relaxed) || stop.is_cancelled()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beat.abort();
    }
}

async fn beat(workers: Workers, claim: Claim, lost: Arc<AtomicBool>) {
    loop {
        let length = workers.lease();
        tokio::time::sleep(length / 3).await;
        let (ledger, ours) = (workers.ledger.clone(), claim.clone());
        match blocking(move || ledger.heartbeat(&ours, length)).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(job = claim.job, "the job was cancelled or taken over; its work is stopped");
                lost.store(true, Ordering::Relaxed);
                return;
            }
            Err(error) => tracing::error!(job = claim.job, "heartbeat failed: {error}"),
        }
    }
}
