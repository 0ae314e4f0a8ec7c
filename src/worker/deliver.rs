//! Deliver jobs, side by side: each destination has its own number of places, so that a slow or dead one
//! delays no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::Instrument;

use super::{Workers, blocking, circuit, course::Course, lease::Lease};
use crate::config::{Confirm, Destination, DestinationKind};
use crate::delivery::{Attempt, Consignment, DeliveryError, Object, Outcome};
use crate::dicom::ladder::{self, Choice, Form};
use crate::dicom::{Learned, StoreStatus, Uid, Verdict};
use crate::ledger::{
    Claim, Confirmation, ConfirmationAsked, Delivered, JobKind, Ledger, LedgerError, ResultRow, Setback, Work, backoff,
};
use crate::pipeline::Unsendable;

pub(super) const FIRST_RETRY: Duration = Duration::from_secs(2);

/// Deliveries under way, by destination.
type Busy = Arc<Mutex<HashMap<String, usize>>>;

pub(super) async fn run(workers: Workers) {
    let busy: Busy = Arc::default();
    loop {
        let rung = workers.bell.notified();
        let full = full_destinations(&workers, &busy);
        let (ledger, name, lease) = (workers.ledger.clone(), workers.name.clone(), workers.lease());
        match blocking(move || claim(&ledger, &name, lease, full)).await {
            Ok(claims) if claims.is_empty() => {
                if !workers.wait(rung).await {
                    return;
                }
            }
            Ok(claims) => claims.into_iter().for_each(|claim| spawn(&workers, &busy, claim)),
            Err(error) => {
                tracing::error!("cannot claim a deliver job: {error}");
                if !workers.wait(rung).await {
                    return;
                }
            }
        }
        if workers.stop.is_cancelled() {
            return;
        }
    }
}

/// The next delivery to a destination with a free place and no open circuit.
fn claim(
    ledger: &Ledger,
    name: &str,
    lease: Duration,
    mut passed_over: Vec<String>,
) -> Result<Vec<Claim>, LedgerError> {
    let open = ledger.circuits()?.into_iter().filter(|circuit| circuit.opened_at.is_some());
    passed_over.extend(open.map(|circuit| circuit.destination));
    ledger.claim(JobKind::Deliver, name, lease, 1, &passed_over)
}

fn full_destinations(workers: &Workers, busy: &Busy) -> Vec<String> {
    let config = workers.config.load();
    let busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
    let places = |name: &str| config.destinations.get(name).map_or(1, |d| d.concurrency.max(1));
    busy.iter().filter(|(name, count)| **count >= places(name)).map(|(name, _)| name.clone()).collect()
}

fn spawn(workers: &Workers, busy: &Busy, claim: Claim) {
    let Work::Deliver { destination, results } = claim.work.clone() else { return };
    *busy.lock().unwrap_or_else(PoisonError::into_inner).entry(destination.clone()).or_default() += 1;
    let (workers, busy) = (workers.clone(), busy.clone());
    workers.tasks.clone().spawn(async move {
        work(&workers, &claim, &destination, results).instrument(super::span(&claim)).await;
        let mut places = busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = places.get_mut(&destination) {
            *count -= 1;
        }
        drop(places);
        workers.bell.notify_waiters();
    });
}

async fn work(workers: &Workers, claim: &Claim, destination: &str, results: Vec<ResultRow>) {
    let Some(target) = workers.config.load().destinations.get(destination).cloned() else {
        let error = format!(
            "destination {destination:?} is not configured any more; add it to destinations.toml and `sagittal jobs retry {}`",
            claim.job
        );
        return workers.set_back(claim, Setback::GiveUp { error }, Some("read")).await;
    };
    let lease = Lease::keep(workers, claim);
    let course = Course::begin(workers.clock.clone());
    let outcome = tokio::select! {
        outcome = bring(workers, claim, &target, results, &course) => outcome,
        () = lease.lost() => return,
        () = workers.stop.cancelled() => {
            let reason = "the node was stopped".into();
            return workers.set_back(claim, Setback::Snooze { reason, after: Duration::ZERO }, None).await;
        }
    };
    if lease.is_lost() {
        return;
    }
    let claim = &Claim { stages: course.finish(), ..claim.clone() };
    circuit::note(workers, &target, outcome.as_ref().err()).await;
    match outcome {
        Ok(Brought::Delivered(delivered)) => complete(workers, claim.clone(), destination, delivered).await,
        Ok(Brought::Asked(asked)) => wait_for_report(workers, claim.clone(), destination, asked).await,
        Err(failure) => {
            let stage = failure.stage;
            workers.set_back(claim, failure.setback(claim.attempt, &target), stage).await;
        }
    }
}

/// A delivery that did not succeed, before the backoff is known.
pub(super) struct Failure {
    pub error: String,
    is_permanent: bool,
    /// Nothing is sent before a person has looked.
    holds: bool,
    /// It would have befallen any other delivery, too.
    pub is_the_destinations: bool,
    stage: Option<&'static str>,
}

impl Failure {
    /// Of this machine: the ledger or the spool.
    fn here(error: String) -> Failure {
        Failure { error, is_permanent: false, holds: false, is_the_destinations: false, stage: Some("read") }
    }

    fn to_be_looked_at(error: String) -> Failure {
        Failure { holds: true, stage: Some("verify"), ..Failure::here(error) }
    }

    fn setback(self, attempt: u32, target: &Destination) -> Setback {
        let Failure { error, is_permanent, holds, .. } = self;
        if holds {
            return Setback::Hold { error };
        }
        if is_permanent {
            return Setback::GiveUp { error };
        }
        Setback::Retry { error, after: backoff::delay(attempt, FIRST_RETRY, target.backoff_cap, fastrand::f64()) }
    }
}

impl From<&DeliveryError> for Failure {
    fn from(error: &DeliveryError) -> Failure {
        Failure {
            error: error.to_string(),
            is_permanent: error.is_permanent(),
            holds: false,
            is_the_destinations: error.is_about_the_destination(),
            stage: Some(error.stage()),
        }
    }
}

/// A delivery that went well so far.
enum Brought {
    Delivered(Delivered),
    /// The destination was asked to commit to the objects, too.
    Asked(ConfirmationAsked),
}

/// Takes the report that an earlier attempt waited for, or else sends.
async fn bring(
    workers: &Workers,
    claim: &Claim,
    target: &Destination,
    results: Vec<ResultRow>,
    course: &Course,
) -> Result<Brought, Failure> {
    let (ledger, job) = (workers.ledger.clone(), claim.job);
    let known = blocking(move || ledger.take_confirmation(job)).await.map_err(Failure::here)?;
    match known {
        Some(Confirmation::Held) => Ok(Brought::Delivered(Delivered::Confirmed)),
        Some(Confirmation::Missing(why)) => {
            let ledger = workers.ledger.clone();
            blocking(move || ledger.forget_acknowledged(job)).await.map_err(Failure::here)?;
            Err(Failure { stage: Some("confirm"), ..Failure::here(why) })
        }
        Some(Confirmation::Overdue) => {
            let destination = &target.name;
            tracing::warn!(job, destination, "no report of storage commitment came in time; sent, unconfirmed");
            Ok(Brought::Delivered(Delivered::SentUnconfirmed))
        }
        None => send(workers, claim, target, results, course).await,
    }
}

/// Sends in the best form that is made; where the peer turns out not to take its SOP class, in the next one at once.
async fn send(
    workers: &Workers,
    claim: &Claim,
    target: &Destination,
    results: Vec<ResultRow>,
    course: &Course,
) -> Result<Brought, Failure> {
    let choose = || {
        let (ledger, name, results) = (workers.ledger.clone(), target.name.clone(), results.clone());
        blocking(move || choose(&ledger, &name, results))
    };
    let mut chosen = choose().await.map_err(Failure::here)?;
    loop {
        let form = chosen.form();
        let brought = send_chosen(workers, claim, target, chosen, course).await;
        if brought.is_ok() {
            return brought;
        }
        chosen = choose().await.map_err(Failure::here)?;
        if chosen.form() <= form {
            return brought;
        }
    }
}

async fn send_chosen(
    workers: &Workers,
    claim: &Claim,
    target: &Destination,
    chosen: Chosen,
    course: &Course,
) -> Result<Brought, Failure> {
    let objects = read_objects(workers, claim, chosen).await?;
    let asked = match &target.kind {
        DestinationKind::Dicom { confirm: Confirm::Commitment { wait }, .. } => {
            // In the ledger before anybody hears of it: the report may come before the answer.
            let (ledger, claim, wait) = (workers.ledger.clone(), claim.clone(), *wait);
            let uids: Vec<Uid> = objects.iter().map(|object| object.sop_instance.clone()).collect();
            let asked = blocking(move || ledger.ask_confirmation(&claim, &uids, wait)).await;
            Some(asked.map_err(Failure::here)?)
        }
        _ => None,
    };
    let (ledger, job) = (workers.ledger.clone(), claim.job);
    let held = blocking(move || ledger.acknowledged(job)).await.map_err(Failure::here)?;
    let transaction = asked.as_ref().map(|asked| &asked.transaction);
    let consignment = Consignment { objects: &objects, held: &held, transaction };
    course.enter("send");
    let Attempt { outcome, mut record } = workers.delivery.deliver(target, consignment).await;
    course.set_apart(&record.took);
    record.learned.extend(unsupported(&objects, &record.verdicts));
    let (ledger, claim, name) = (workers.ledger.clone(), claim.clone(), target.name.clone());
    let kept = blocking(move || ledger.record_answers(&claim, &name, &record.verdicts, &record.learned)).await;
    kept.map_err(Failure::here)?;
    match (outcome, asked) {
        (Ok(Outcome::Asked), Some(asked)) => Ok(Brought::Asked(asked)),
        (Ok(Outcome::Confirmed), _) => Ok(Brought::Delivered(Delivered::Confirmed)),
        (Ok(Outcome::Reported), _) => Ok(Brought::Delivered(Delivered::Reported)),
        (Ok(Outcome::SentUnconfirmed | Outcome::Asked), _) => Ok(Brought::Delivered(Delivered::SentUnconfirmed)),
        (Err(error), _) => Err(Failure::from(&error)),
    }
}

/// What a destination says of SOP classes when it refuses objects of them, whatever it accepted before (PS3.4 section B.2.3).
fn unsupported(objects: &[Object], verdicts: &[Verdict]) -> Vec<Learned> {
    let status = Some(StoreStatus::SopClassNotSupported.code());
    let refused = verdicts.iter().filter(|verdict| verdict.status == status);
    let object = |verdict: &Verdict| objects.iter().find(|object| object.sop_instance == verdict.sop_instance);
    let learned = |object: &Object| Learned {
        sop_class: object.sop_class.to_string(),
        transfer_syntax: object.transfer_syntax.to_string(),
        accepted: false,
    };
    refused.filter_map(object).map(learned).collect()
}

/// What a destination gets.
struct Chosen {
    results: Vec<ResultRow>,
    /// Where a segmentation is among them.
    choice: Option<Choice>,
}

impl Chosen {
    fn form(&self) -> Option<Form> {
        self.choice.as_ref().map(|choice| choice.chosen)
    }
}

/// Of the forms of a segmentation the one for this destination, and everything that is none.
fn choose(ledger: &Ledger, destination: &str, results: Vec<ResultRow>) -> Result<Chosen, LedgerError> {
    let made: Vec<Form> = results.iter().filter_map(|row| row.form).collect();
    let known: Vec<_> = ledger.capabilities(Some(destination))?.into_iter().map(|row| row.learned).collect();
    // What was made is what was asked for: the best of it.
    let asked = ladder::LADDER.into_iter().find(|form| made.contains(form));
    let choice = asked.and_then(|asked| ladder::choose(asked, &made, &known));
    let Some(form) = choice.as_ref().map(|choice| choice.chosen) else { return Ok(Chosen { results, choice }) };
    let results = results.into_iter().filter(|row| row.form.is_none_or(|own| own == form)).collect();
    Ok(Chosen { results, choice })
}

async fn wait_for_report(workers: &Workers, claim: Claim, destination: &str, asked: ConfirmationAsked) {
    let (ledger, job) = (workers.ledger.clone(), claim.job);
    tracing::info!(job, destination, transaction = %asked.transaction, "delivered; waits for the report of storage commitment");
    if let Err(error) = blocking(move || ledger.await_confirmation(&claim, &asked)).await {
        tracing::error!(job, destination, "delivered, but not recorded; it will be sent again: {error}");
    }
}

/// Records what was chosen and reads it, as it was when the referee passed it (invariant 10).
async fn read_objects(workers: &Workers, claim: &Claim, chosen: Chosen) -> Result<Vec<Object>, Failure> {
    let (ledger, runner, claim, at) =
        (workers.ledger.clone(), workers.runner.clone(), claim.clone(), workers.clock.now());
    let read = blocking(move || -> Result<_, LedgerError> {
        if let Some(choice) = &chosen.choice {
            ledger.record_choice(&claim, choice)?;
        }
        let object = |row: ResultRow| -> Result<Object, Unsendable> {
            let bytes = runner.read_back(&row, at)?;
            let ResultRow { sop_class, sop_instance, transfer_syntax, form, .. } = row;
            Ok(Object { sop_class, sop_instance, transfer_syntax, form, bytes })
        };
        Ok(chosen.results.into_iter().map(object).collect::<Result<Vec<_>, Unsendable>>())
    });
    match read.await.map_err(Failure::here)? {
        Ok(objects) => Ok(objects),
        Err(error @ Unsendable::Altered { .. }) => Err(Failure::to_be_looked_at(error.to_string())),
        Err(error @ Unsendable::Spool(_)) => Err(Failure::here(error.to_string())),
    }
}

async fn complete(workers: &Workers, claim: Claim, destination: &str, delivered: Delivered) {
    let (ledger, job) = (workers.ledger.clone(), claim.job);
    match blocking(move || ledger.complete_deliver(&claim, delivered)).await {
        Ok(true) => tracing::info!(job, destination, ?delivered, "delivered"),
        Ok(false) => tracing::warn!(job, destination, "delivered, but the job was no longer ours"),
        Err(error) => tracing::error!(job, destination, "delivered, but not recorded; it will be sent again: {error}"),
    }
}
