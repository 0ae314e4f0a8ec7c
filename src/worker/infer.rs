//! Infer jobs, one at a time: the model has the machine to itself.

use std::time::Duration;

use tracing::Instrument;

use super::{Running, Workers, blocking, course::Course, lease::Lease, panic_text};
use crate::ledger::{Claim, JobKind, ResultRow, Setback, Work, backoff};
use crate::pipeline::{Order, PipelineError, Progress, Remedy, WRITING};

const FIRST_RETRY: Duration = Duration::from_secs(5);
const DEVICE_BUSY: Duration = Duration::from_secs(15);
const LONGEST_RETRY: Duration = Duration::from_mins(10);

pub(super) async fn run(workers: Workers) {
    loop {
        let rung = workers.bell.notified();
        let (ledger, name, lease) = (workers.ledger.clone(), workers.name.clone(), workers.lease());
        let claims = blocking(move || ledger.claim(JobKind::Infer, &name, lease, 1, &[])).await;
        match claims.map(|c| c.into_iter().next()) {
            Ok(Some(claim)) => {
                let span = super::span(&claim);
                work(&workers, claim).instrument(span).await;
            }
            nothing => {
                if let Err(error) = nothing {
                    tracing::error!("cannot claim an infer job: {error}");
                }
                workers.wait(rung).await;
            }
        }
        if workers.stop.is_cancelled() {
            return;
        }
    }
}

async fn work(workers: &Workers, mut claim: Claim) {
    let Work::Infer { revision, pipeline, analysis_started_at, series, accept, inputs, tells_nothing_found, .. } =
        claim.work.clone()
    else {
        return;
    };
    tracing::info!(job = claim.job, attempt = claim.attempt, pipeline, series = %series.series, "inference starts");
    let lease = Lease::keep(workers, &claim);
    let cancelled = lease.cancelled(workers);
    let (runner, progress, job) = (workers.runner.clone(), workers.progress.clone(), claim.job);
    let span = tracing::Span::current();
    let course = Course::begin(workers.clock.clone());
    let told = course.clone();
    let task = tokio::task::spawn_blocking(move || {
        let _entered = span.entered();
        let watch = |p: Progress| {
            told.enter(if p.stage == WRITING { "write" } else { "model" });
            progress.send_replace(Running { job: Some(job), stage: p.stage, done: p.done, total: p.total });
        };
        let order =
            Order { pipeline: &pipeline, revision, inputs: &inputs, accept: accept.as_deref(), tells_nothing_found };
        runner.infer(&order, analysis_started_at, &watch, &cancelled)
    });
    let outcome = task.await;
    workers.progress.send_replace(Running::default());
    if lease.is_lost() {
        return;
    }
    claim.stages = course.finish();
    match outcome {
        Ok(Ok(results)) => complete(workers, claim, results).await,
        Ok(Err(error)) => {
            let stage = Some(error.stage());
            workers.set_back(&claim, setback(&error, claim.attempt, workers.stop.is_cancelled()), stage).await;
        }
        Err(fault) => workers.set_back(&claim, retry(panic_text(fault), claim.attempt), None).await,
    }
}

async fn complete(workers: &Workers, claim: Claim, results: Vec<ResultRow>) {
    let (ledger, job, count) = (workers.ledger.clone(), claim.job, results.len());
    match blocking(move || ledger.complete_infer(&claim, &results)).await {
        Ok(true) => tracing::info!(job, results = count, "inference done"),
        Ok(false) => tracing::warn!(job, "the job was no longer ours; its results are not recorded"),
        Err(error) => tracing::error!(job, "cannot record the results, the job will be rescued: {error}"),
    }
    workers.bell.notify_waiters();
}

/// What follows a failed inference.
fn setback(error: &PipelineError, attempt: u32, stopping: bool) -> Setback {
    let text = error.to_string();
    match error.remedy() {
        Remedy::TryAgain => retry(text, attempt),
        Remedy::Wait => Setback::Snooze { reason: text, after: DEVICE_BUSY },
        Remedy::Stopped if stopping => Setback::Snooze { reason: "the node was stopped".into(), after: Duration::ZERO },
        Remedy::Stopped | Remedy::None => Setback::GiveUp { error: text },
        Remedy::Inspect => Setback::Hold { error: text },
    }
}

fn retry(error: String, attempt: u32) -> Setback {
    Setback::Retry { error, after: backoff::delay(attempt, FIRST_RETRY, LONGEST_RETRY, fastrand::f64()) }
}
