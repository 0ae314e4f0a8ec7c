//! A lease kept alive while a job runs: a heartbeat at a third of its length, and the news when it is lost.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Workers, blocking};
use crate::ledger::Claim;

/// An operator who cancels a running job waits this long at most until its work is stopped.
const GLANCE: Duration = Duration::from_secs(1);

/// Beats until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    lost: CancellationToken,
    beat: JoinHandle<()>,
}

impl Lease {
    pub(super) fn keep(workers: &Workers, claim: &Claim) -> Lease {
        let lost = CancellationToken::new();
        let beat = tokio::spawn(beat(workers.clone(), claim.clone(), lost.clone()));
        Lease { lost, beat }
    }

    /// A question that blocking work can ask: has the job been taken away or the node been stopped?
    pub(super) fn cancelled(&self, workers: &Workers) -> impl Fn() -> bool + Send + Sync + 'static {
        let (lost, stop) = (self.lost.clone(), workers.stop.clone());
        move || lost.is_cancelled() || stop.is_cancelled()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Ends when the job is taken away.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beat.abort();
    }
}

/// Looks often, which is cheap, and prolongs the lease from time to time.
async fn beat(workers: Workers, claim: Claim, lost: CancellationToken) {
    let mut since = Duration::ZERO;
    loop {
        let length = workers.lease();
        let pause = GLANCE.min(length / 3);
        tokio::time::sleep(pause).await;
        since += pause;
        let is_due = since >= length / 3;
        let (ledger, ours) = (workers.ledger.clone(), claim.clone());
        let ours = blocking(move || if is_due { ledger.heartbeat(&ours, length) } else { ledger.is_running(&ours) });
        match ours.await {
            Ok(true) if is_due => since = Duration::ZERO,
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(job = claim.job, "the job was cancelled or taken over; its work is stopped");
                return lost.cancel();
            }
            Err(error) => tracing::error!(job = claim.job, "heartbeat failed: {error}"),
        }
    }
}
