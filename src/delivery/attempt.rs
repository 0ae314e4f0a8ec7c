//! One attempt at a delivery: what is to be brought, and what came of it.

use std::time::Duration;

use super::{DeliveryError, Object};
use crate::dicom::{Answer, Learned, Uid, Verdict};

/// What one attempt is to bring.
#[derive(Debug, Clone, Copy)]
pub struct Consignment<'a> {
    pub objects: &'a [Object],
    /// Those that the destination acknowledged in an earlier attempt: not sent again, but asked for.
    pub held: &'a [Uid],
    /// Under which the destination is asked to commit to the objects, where its configuration says so; without one it is
    /// not asked.
    pub transaction: Option<&'a Uid>,
}

impl<'a> Consignment<'a> {
    /// The objects for the first time.
    #[must_use]
    pub fn new(objects: &'a [Object]) -> Consignment<'a> {
        Consignment { objects, held: &[], transaction: None }
    }

    pub(super) fn unsent(&self) -> impl Iterator<Item = &'a Object> + use<'a> {
        let held = self.held;
        self.objects.iter().filter(move |object| !held.contains(&object.sop_instance))
    }
}

/// What is known after an attempt without error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has said that it holds every object.
    Confirmed,
    /// The destination took every object; nobody asked it afterwards.
    SentUnconfirmed,
    /// The destination took every object and the request to commit to them; its report is to come.
    Asked,
    /// Nothing left the node; the destination is there to say what would have.
    Reported,
}

/// What one attempt came to, error or not.
#[derive(Debug)]
pub struct Attempt {
    pub outcome: Result<Outcome, DeliveryError>,
    pub record: Record,
}

/// What a destination said on the way.
#[derive(Debug, Default)]
pub struct Record {
    /// Of the objects, in the order in which it said so.
    pub verdicts: Vec<Verdict>,
    /// Of the presentation contexts, where some were proposed.
    pub learned: Vec<Learned>,
    /// How long it took to get an association, and to have the peer confirm, where that was done apart.
    pub took: Vec<(&'static str, Duration)>,
}

impl Record {
    pub(super) fn note(&mut self, instance: &Uid, answer: Answer) {
        self.verdicts.push(Verdict::new(instance, answer));
    }

    /// The error of `missing` objects, if any. One that was sent in an earlier attempt will be sent again; one that was sent
    /// just now may be on its way into the peer's index.
    pub(super) fn not_found(
        &mut self,
        peer: &str,
        consignment: Consignment<'_>,
        missing: &[&Uid],
    ) -> Result<(), DeliveryError> {
        for instance in missing.iter().filter(|instance| consignment.held.contains(instance)) {
            self.note(instance, Answer::Missing);
        }
        let not_found =
            |instance: &&Uid| DeliveryError::NotFound { peer: peer.to_owned(), instance: (*instance).clone() };
        missing.first().map_or(Ok(()), |first| Err(not_found(first)))
    }
}

/// The error that a verdict of refusal is.
pub(super) fn refusal(peer: &str, verdict: &Verdict) -> Option<DeliveryError> {
    let refused = || DeliveryError::Refused {
        peer: peer.to_owned(),
        instance: verdict.sop_instance.clone(),
        status: verdict.status.unwrap_or_default(),
        comment: verdict.comment.clone().unwrap_or_else(|| "no comment".to_owned()),
    };
    (!verdict.answer.is_held()).then(refused)
}

/// The error of an attempt in which some of `total` objects were refused; `Ok` when none was.
pub(super) fn sum_up(mut refused: Vec<DeliveryError>, total: usize) -> Result<(), DeliveryError> {
    let failed = refused.len();
    // What another attempt may mend decides: a permanent refusal beside it would hide it.
    refused.sort_by_key(DeliveryError::is_permanent);
    match refused.into_iter().next() {
        None => Ok(()),
        Some(only) if total == 1 => Err(only),
        Some(first) => Err(DeliveryError::Partly { failed, total, first: Box::new(first) }),
    }
}
