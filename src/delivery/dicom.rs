//! Delivery by C-STORE (PS3.4 annex B), confirmed where the destination asks for it: by C-FIND (PS3.4 annex C) or by
//! storage commitment (annex J).
//!
//! All objects go over one association; one refused object does not keep the others back.

use std::time::Duration;

use tokio::time::Instant;

use super::associations::Associations;
use super::attempt::{Consignment, Outcome, Record, sum_up};
use super::contexts::{Chosen, MAX_CONTEXTS, Proposal, learned, proposals};
use super::scu::{Peer, Scu};
use super::{DeliveryError, commitment, query};
use crate::config::{Confirm, Destination, DestinationKind};
use crate::dicom::{Answer, ladder, services, tables};

/// How a peer is delivered to.
#[derive(Debug)]
pub(super) struct Manner {
    pub peer: Peer,
    /// For each answer.
    pub timeout: Duration,
    pub confirm: Confirm,
    /// How long an association is kept for the next delivery.
    pub keep: Duration,
}

impl Manner {
    /// Of a destination that is reached by DICOM.
    pub(super) fn of(destination: &Destination) -> Result<Manner, DeliveryError> {
        let DestinationKind::Dicom { host, port, called, calling, confirm, tls, keep } = destination.kind.clone()
        else {
            let (peer, reason) = (destination.name.clone(), "it is no DICOM destination".to_owned());
            return Err(DeliveryError::Protocol { peer, reason });
        };
        let peer = Peer { host, port, called, calling, tls };
        Ok(Manner { peer, timeout: destination.timeout, confirm, keep })
    }
}

/// Stores what `consignment` holds, over an association that is open still where there is one.
pub(super) async fn deliver(
    manner: &Manner,
    associations: &Associations,
    consignment: Consignment<'_>,
    record: &mut Record,
) -> Result<Outcome, DeliveryError> {
    let contexts = contexts(manner.confirm, consignment);
    if contexts.is_empty() {
        // An earlier attempt brought everything and ended before it could say so; nobody is to be asked.
        return Ok(Outcome::SentUnconfirmed);
    }
    let mut kept = associations.take(&manner.peer, &contexts, manner.timeout).await;
    loop {
        let is_old = kept.is_some();
        let mut scu = match kept.take() {
            Some(scu) => scu,
            None => connect(manner, &contexts, record).await?,
        };
        let outcome = converse(manner, &mut scu, consignment, record).await;
        match &outcome {
            // The peer ended it while nobody looked; nothing was said yet.
            Err(error) if is_old && record.verdicts.is_empty() && error.ends_the_association() => {
                tracing::debug!(peer = %manner.peer, "an association kept open was of no use any more: {error}");
            }
            Err(error) if error.ends_the_association() => return outcome,
            _ => {
                associations.keep(scu, manner.keep).await;
                return outcome;
            }
        }
    }
}

/// As few as the objects and the service that confirms need.
fn contexts(confirm: Confirm, consignment: Consignment<'_>) -> Vec<Proposal> {
    let mut contexts = proposals(consignment.unsent().map(|object| (&object.sop_class, &object.transfer_syntax)));
    let service = match confirm {
        Confirm::None => None,
        Confirm::Query => Some(Proposal::of(&services::FIND)),
        Confirm::Commitment { .. } => Some(Proposal::of(&services::ASK_COMMITMENT)),
    };
    contexts.truncate(MAX_CONTEXTS - 1);
    contexts.extend(service);
    contexts
}

async fn connect(manner: &Manner, contexts: &[Proposal], record: &mut Record) -> Result<Scu, DeliveryError> {
    let start = Instant::now();
    let connected = Scu::connect(&manner.peer, manner.timeout, contexts).await;
    record.took.push(("connect", start.elapsed()));
    match &connected {
        Ok(scu) => record.learned.extend(scu.learned()),
        Err(DeliveryError::NoContext { .. }) => record.learned.extend(learned(contexts, |_| None)),
        Err(_) => {}
    }
    connected
}

async fn converse(
    manner: &Manner,
    scu: &mut Scu,
    consignment: Consignment<'_>,
    record: &mut Record,
) -> Result<Outcome, DeliveryError> {
    store(scu, consignment, record).await?;
    let peer = &manner.peer;
    let service = match manner.confirm {
        Confirm::None => return Ok(Outcome::SentUnconfirmed),
        Confirm::Query => tables::STUDY_ROOT_FIND,
        Confirm::Commitment { .. } => tables::STORAGE_COMMITMENT,
    };
    let Some(context) = scu.context(service, |_| true) else {
        tracing::warn!(%peer, "the destination does not offer the service that confirms; sent, unconfirmed");
        return Ok(Outcome::SentUnconfirmed);
    };
    let start = Instant::now();
    let confirmed = match (manner.confirm, consignment.transaction) {
        (Confirm::Query, _) => find_all(scu, peer, &context, consignment, record).await,
        (_, Some(transaction)) => commitment::request(scu, peer, &context, transaction, consignment.objects).await,
        (_, None) => Ok(Outcome::SentUnconfirmed),
    };
    record.took.push(("confirm", start.elapsed()));
    confirmed
}

/// Stores every object that can be stored; the association's own failures end it.
async fn store(scu: &mut Scu, consignment: Consignment<'_>, record: &mut Record) -> Result<(), DeliveryError> {
    let (mut refused, mut lost) = (Vec::new(), None);
    for object in consignment.unsent() {
        if lost.is_some() && object.form == lost {
            continue;
        }
        let before = refused.len();
        match scu.store(object).await {
            Ok(verdict) => {
                refused.extend(scu.accepted(&verdict).err());
                record.verdicts.push(verdict);
            }
            Err(error) if error.is_about_one_object() => {
                record.note(&object.sop_instance, Answer::Refused);
                refused.push(error);
            }
            Err(error) => return Err(error),
        }
        if refused.len() > before {
            lost = object.form;
        }
    }
    sum_up(refused, consignment.objects.len())
}

async fn find_all(
    scu: &mut Scu,
    peer: &Peer,
    context: &Chosen,
    consignment: Consignment<'_>,
    record: &mut Record,
) -> Result<Outcome, DeliveryError> {
    let mut missing = Vec::new();
    for object in consignment.objects {
        if !query::holds(scu, context, object).await? {
            missing.push(&object.sop_instance);
        }
    }
    record.not_found(&peer.to_string(), consignment, &missing)?;
    Ok(Outcome::Confirmed)
}

/// Associates for what results may need, and asks whether the peer is there (C-ECHO).
pub(super) async fn probe(manner: &Manner, record: &mut Record) -> Result<String, DeliveryError> {
    let everyones = [tables::EXPLICIT_LITTLE, tables::IMPLICIT_LITTLE];
    let mut contexts = vec![Proposal::of(&services::ECHO)];
    contexts.extend(ladder::LADDER.iter().map(|form| Proposal::new(form.sop_class(), &everyones)));
    contexts
        .extend([tables::STUDY_ROOT_FIND, tables::STORAGE_COMMITMENT].map(|class| Proposal::new(class, &everyones)));
    let mut scu = connect(manner, &contexts, record).await?;
    scu.echo().await?;
    scu.release().await;
    Ok("answered the C-ECHO".to_owned())
}
