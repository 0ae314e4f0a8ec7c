//! Jobs without a result are told of in the study, where their rule asks for it: a placeholder goes out like a result,
//! once a job.

use super::{Workers, blocking};
use crate::ledger::Unanswered;

pub(super) async fn run(workers: Workers) {
    loop {
        let rung = workers.bell.notified();
        let ledger = workers.ledger.clone();
        match blocking(move || ledger.unanswered()).await {
            Ok(jobs) => {
                for job in jobs {
                    inform(&workers, job).await;
                }
            }
            Err(error) => tracing::error!("cannot look for jobs without a result: {error}"),
        }
        if !workers.wait(rung).await {
            return;
        }
    }
}

async fn inform(workers: &Workers, unanswered: Unanswered) {
    let (job, runner, ledger) = (unanswered.job, workers.runner.clone(), workers.ledger.clone());
    let placeholder = blocking(move || runner.placeholder(&unanswered)).await;
    let placeholder = placeholder.inspect_err(|error| tracing::error!(job, "no placeholder can be made: {error}")).ok();
    match blocking(move || ledger.inform(job, placeholder.as_ref())).await {
        Ok(true) => tracing::info!(job, "the readers are told that there is no result"),
        Ok(false) => {}
        Err(error) => tracing::error!(job, "cannot record the placeholder, it will be made again: {error}"),
    }
    workers.bell.notify_waiters();
}
