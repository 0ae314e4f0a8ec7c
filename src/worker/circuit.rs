//! Destinations that fail as a whole: after some failures in a row their deliveries wait, at no cost of attempts, and a probe (a
//! C-ECHO, a request) is made from time to time. When one is answered everything that waits is due, the most urgent first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::deliver::{FIRST_RETRY, Failure};
use super::{Workers, blocking};
use crate::config::Destination;
use crate::ledger::{Circuit, OPENS_AFTER, backoff};

/// Destinations being probed.
type Busy = Arc<Mutex<HashSet<String>>>;

/// Counts what a delivery said about `target`.
pub(super) async fn note(workers: &Workers, target: &Destination, failure: Option<&Failure>) {
    let (ledger, name) = (workers.ledger.clone(), target.name.clone());
    match failure.filter(|failure| failure.is_the_destinations) {
        None => answered(workers, &name).await,
        Some(failure) => {
            let (error, after) = (failure.error.clone(), pause(target, 0));
            match blocking(move || ledger.destination_failed(&name, &error, after)).await {
                Ok(true) => tracing::warn!(
                    destination = target.name,
                    "failed {OPENS_AFTER} times in a row; its deliveries wait until it answers: {}",
                    failure.error
                ),
                Ok(false) => {}
                Err(error) => tracing::error!(destination = target.name, "a failure is not recorded: {error}"),
            }
        }
    }
}

async fn answered(workers: &Workers, name: &str) {
    let (ledger, destination) = (workers.ledger.clone(), name.to_owned());
    // most answers follow an answer: the ledger is only written when something is to be forgotten
    let answered = blocking(move || {
        let is_known = ledger.circuits()?.iter().any(|circuit| circuit.destination == destination);
        if is_known { ledger.destination_answered(&destination) } else { Ok(false) }
    });
    match answered.await {
        Ok(true) => {
            tracing::info!(destination = name, "answers again; what waited for it goes out");
            workers.bell.notify_waiters();
        }
        Ok(false) => {}
        Err(error) => tracing::error!(destination = name, "an answer is not recorded: {error}"),
    }
}

fn pause(target: &Destination, probes: u32) -> std::time::Duration {
    backoff::delay(probes + 1, FIRST_RETRY, target.backoff_cap, fastrand::f64())
}

pub(super) async fn run(workers: Workers) {
    let busy: Busy = Arc::default();
    while workers.wait(workers.bell.notified()).await {
        let ledger = workers.ledger.clone();
        match blocking(move || ledger.probes_due()).await {
            Ok(due) => due.into_iter().for_each(|circuit| spawn(&workers, &busy, circuit)),
            Err(error) => tracing::error!("cannot look for destinations to be probed: {error}"),
        }
    }
}

fn spawn(workers: &Workers, busy: &Busy, circuit: Circuit) {
    let is_new = busy.lock().unwrap_or_else(PoisonError::into_inner).insert(circuit.destination.clone());
    if !is_new {
        return;
    }
    let (workers, busy) = (workers.clone(), busy.clone());
    workers.tasks.clone().spawn(async move {
        tokio::select! {
            () = probe(&workers, &circuit) => {}
            () = workers.stop.cancelled() => {}
        }
        busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&circuit.destination);
    });
}

async fn probe(workers: &Workers, circuit: &Circuit) {
    let name = &circuit.destination;
    let Some(target) = workers.config.load().destinations.get(name).cloned() else {
        // its deliveries are to learn that it is not configured any more
        return answered(workers, name).await;
    };
    let (said, record) = workers.delivery.probe(&target).await;
    let (ledger, destination) = (workers.ledger.clone(), name.clone());
    let learned = blocking(move || ledger.learn(&destination, &record.learned)).await;
    if let Err(error) = learned {
        tracing::error!(destination = name, "what a probe told is not recorded: {error}");
    }
    match said {
        Err(error) if error.is_about_the_destination() => {
            let after = pause(&target, circuit.probes + 1);
            tracing::info!(destination = name, ?after, "does not answer still, will be probed again: {error}");
            let (ledger, destination, error) = (workers.ledger.clone(), name.clone(), error.to_string());
            if let Err(error) = blocking(move || ledger.probe_failed(&destination, &error, after)).await {
                tracing::error!(destination = name, "a probe is not recorded: {error}");
            }
        }
        _ => answered(workers, name).await,
    }
}
