//! Reports of storage commitment that no association took: each is brought to its peer, again and again until
//! the peer has it or a week has passed. Peers side by side, the reports of one peer one after the other.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Workers, blocking};
use crate::delivery::{self, DeliveryError, scu::Peer};
use crate::ledger::{DueReport, backoff};

const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(15);
/// A peer that could not be told for so long has lost its question: the operator sees it in `sagittal commitments`.
const GIVE_UP: Duration = Duration::from_hours(7 * 24);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Peers that are called at a time.
const PLACES: usize = 8;

/// Calling AE titles of the peers being called.
type Busy = Arc<Mutex<HashSet<String>>>;

pub(super) async fn run(workers: Workers) {
    let busy: Busy = Arc::default();
    while !workers.stop.is_cancelled() {
        let rung = workers.bell.notified();
        let called: Vec<String> = busy.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let (ledger, places) = (workers.ledger.clone(), PLACES.saturating_sub(called.len()));
        match blocking(move || ledger.commitments_due(&called, places)).await {
            Ok(due) => due.into_iter().for_each(|report| spawn(&workers, &busy, report)),
            Err(error) => tracing::error!("cannot look for due reports: {error}"),
        }
        if !workers.wait(rung).await {
            return;
        }
    }
}

/// A peer's place among those being called; given back when dropped, so that a panic blocks no peer.
struct Place(Busy, String);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

fn spawn(workers: &Workers, busy: &Busy, due: DueReport) {
    let place = Place(busy.clone(), due.calling_ae.clone());
    busy.lock().unwrap_or_else(PoisonError::into_inner).insert(due.calling_ae.clone());
    let workers = workers.clone();
    workers.tasks.clone().spawn(async move {
        tokio::select! {
            () = work(&workers, due) => {}
            () = workers.stop.cancelled() => {}
        }
        drop(place);
        workers.bell.notify_waiters();
    });
}

async fn work(workers: &Workers, due: DueReport) {
    let (ledger, id, title) = (workers.ledger.clone(), due.id, &due.calling_ae);
    let recorded = match send(workers, &due).await {
        Ok(()) => {
            tracing::info!(peer = title, transaction = %due.report.transaction, "storage commitment reported");
            blocking(move || ledger.commitment_taken(id)).await
        }
        Err(error) if workers.clock.now().0 >= due.requested_at.plus(GIVE_UP).0 => {
            tracing::error!(peer = title, "storage commitment given up, `sagittal commitments retry {id}`: {error}");
            blocking(move || ledger.commitment_given_up(id, &error)).await
        }
        Err(error) => {
            let after = backoff::delay(due.attempts + 1, FIRST_RETRY, LONGEST_RETRY, fastrand::f64());
            tracing::warn!(peer = title, ?after, "storage commitment not reported, will be tried again: {error}");
            blocking(move || ledger.commitment_put_off(id, &error, after)).await
        }
    };
    if let Err(error) = recorded {
        tracing::error!(peer = title, "what became of a report is not recorded; it will be sent again: {error}");
    }
}

async fn send(workers: &Workers, due: &DueReport) -> Result<(), String> {
    let title = &due.calling_ae;
    let known = workers.config.load().peer(title);
    let known = known.ok_or_else(|| format!("where {title} listens is unknown; add [peer.{title}] to node.toml"))?;
    let peer = Peer::named(&known, title, &due.called_ae)?;
    delivery::report(&peer, TIMEOUT, &due.report).await.map_err(|error: DeliveryError| error.to_string())
}
