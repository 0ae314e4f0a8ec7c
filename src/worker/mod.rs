//! The claim loops: infer jobs one at a time, deliver jobs side by side, a lease behind each; and the reports
//! of storage commitment that are due.
//!
//! Every outcome goes back through the ledger, guarded by the claim; a claim that was lost (lease expired,
//! job cancelled) writes nothing. Panics of a job are caught and recorded as its error. Speaks no DICOM.

mod circuit;
mod count;
mod course;
mod deliver;
mod infer;
mod inform;
mod lease;
mod report;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::ledger::{Claim, Ledger, Setback};
use crate::pipeline::JobRunner;
use crate::spool::Spool;

/// How far the running infer job is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Running {
    pub job: Option<i64>,
    /// `stage`, steps done, steps in all.
    pub stage: String,
    pub done: u64,
    pub total: u64,
}

/// What the loops share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workers {
    pub ledger: Ledger,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub config: Arc<arc_swap::ArcSwap<Config>>,
    pub runner: JobRunner,
    pub delivery: Delivery,
    /// Rung when new work may be there, so that nobody waits for the next look.
    pub bell: Arc<Notify>,
    pub progress: watch::Sender<Running>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    /// This process in attempt rows.
    pub name: Arc<str>,
}

/// How long a loop waits for the bell before it looks by itself (retries fall due without a bell).
const LOOK: Duration = Duration::from_millis(500);

impl Workers {
    /// Starts the loops and the rescue of expired leases.
    pub fn start(&self) {
        self.tasks.spawn(infer::run(self.clone()));
        self.tasks.spawn(deliver::run(self.clone()));
        self.tasks.spawn(inform::run(self.clone()));
        self.tasks.spawn(circuit::run(self.clone()));
        self.tasks.spawn(report::run(self.clone()));
        self.tasks.spawn(count::run(self.clone()));
        self.tasks.spawn(rescue(self.clone()));
    }

    fn lease(&self) -> Duration {
        self.config.load().node.lease
    }

    /// Waits for the bell, the next look or the end; `false` at the end. `rung` was made before the ledger was asked, so
    /// that a bell rung meanwhile is not missed.
    async fn wait(&self, rung: Notified<'_>) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = rung => true,
            () = tokio::time::sleep(LOOK) => true,
        }
    }

    /// Says a setback to the ledger and to the log; `stage`: what the attempt was at.
    async fn set_back(&self, claim: &Claim, setback: Setback, stage: Option<&'static str>) {
        let (job, attempt) = (claim.job, claim.attempt);
        match &setback {
            Setback::Retry { error, after } => tracing::warn!(job, attempt, ?after, "will be tried again: {error}"),
            Setback::Snooze { reason, after } => tracing::info!(job, attempt, ?after, "put off: {reason}"),
            Setback::GiveUp { error } => tracing::error!(job, attempt, "given up: {error}"),
            Setback::Hold { error } => tracing::error!(job, attempt, "held for an operator: {error}"),
        }
        let (ledger, claim) = (self.ledger.clone(), claim.clone());
        let outcome = blocking(move || ledger.set_back_at(&claim, &setback, stage)).await;
        if let Err(error) = outcome {
            tracing::error!(job, attempt, "cannot record the setback: {error}");
        }
    }
}

/// What every log line of a job's work carries.
fn span(claim: &Claim) -> tracing::Span {
    tracing::info_span!("job", job = claim.job, attempt = claim.attempt)
}

/// Gives jobs of dead workers back and lets go of idle models, at the pace of the lease.
async fn rescue(workers: Workers) {
    while !workers.stop.is_cancelled() {
        let ledger = workers.ledger.clone();
        match blocking(move || ledger.rescue_expired()).await {
            Ok(0) => {}
            Ok(rescued) => {
                tracing::warn!(rescued, "jobs whose lease expired are available again");
                workers.bell.notify_waiters();
            }
            Err(error) => tracing::error!("cannot rescue expired jobs: {error}"),
        }
        workers.runner.analyst.engine.evict_idle();
        let pace = workers.lease() / 2;
        tokio::select! {
            () = workers.stop.cancelled() => {}
            () = tokio::time::sleep(pace) => {}
        }
    }
}

/// Runs `work` on a blocking thread; a panic becomes an error text.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(fault) => Err(panic_text(fault)),
    }
}

/// What a caught panic said.
fn panic_text(fault: tokio::task::JoinError) -> String {
    let Ok(payload) = fault.try_into_panic() else { return "the task was cancelled".into() };
    let text =
        payload.downcast_ref::<&str>().map(ToString::to_string).or_else(|| payload.downcast_ref::<String>().cloned());
    format!(
        "a fault in Sagittal itself (please report it): {}",
        text.unwrap_or_else(|| "panic without a message".into())
    )
}
