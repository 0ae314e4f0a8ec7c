//! Storage commitment on associations of our own (PS3.4 annex J): asking a destination to commit to what it was
//! sent, and, as provider, bringing a peer the report that it asked for, with the role negotiated (PS3.7 section
//! D.3.3.4).

use std::time::Duration;

use super::contexts::{Chosen, Proposal};
use super::scu::{Peer, Scu};
use super::{DeliveryError, Object, Outcome};
use crate::dicom::Uid;
use crate::dicom::command::{Command, Normalized, Response};
use crate::dicom::commitment::{REQUEST, Reference, Report, Request};
use crate::dicom::message::{Body, Message};
use crate::dicom::services;
use crate::dicom::tables::{STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE};

/// How long an association is kept open for a report: some providers use no other.
const GRACE: Duration = Duration::from_secs(1);

/// Asks `peer`, on the association that brought `objects`, to commit to them as `transaction`.
pub(super) async fn request(
    scu: &mut Scu,
    peer: &Peer,
    context: &Chosen,
    transaction: &Uid,
    objects: &[Object],
) -> Result<Outcome, DeliveryError> {
    let reference = |o: &Object| Reference { sop_class: o.sop_class.clone(), sop_instance: o.sop_instance.clone() };
    let request = Request { transaction: transaction.clone(), references: objects.iter().map(reference).collect() };
    let dataset = request.encode(&context.transfer_syntax).map_err(|error| scu.protocol(error.to_string()))?;
    let action = Command::ActionRq(normalized(scu.next_id(), REQUEST));
    scu.send(context.id, &action, Some(&dataset)).await?;
    match scu.receive().await?.command {
        Command::ActionRsp(Response { status: 0, .. }) => {}
        Command::ActionRsp(Response { status, comment, .. }) => {
            let (status, comment) = (format!("{status:04x}"), comment.unwrap_or_default());
            tracing::warn!(%peer, status, comment, "the destination refuses to commit; sent, unconfirmed");
            return Ok(Outcome::SentUnconfirmed);
        }
        other => return Err(scu.protocol(format!("the N-ACTION was answered with {other:?}"))),
    }
    // Whatever goes wrong from here on, the peer has taken objects and request: the report may still come.
    let Ok(Ok(heard)) = tokio::time::timeout(GRACE, scu.receive()).await else { return Ok(Outcome::Asked) };
    let Ok(report) = take_report(scu, context, heard).await else { return Ok(Outcome::Asked) };
    if report.transaction != *transaction {
        return Ok(Outcome::Asked);
    }
    let named = |o: &&Object| report.held.iter().any(|reference| reference.sop_instance == o.sop_instance);
    let (held, total) = (objects.iter().filter(named).count(), objects.len());
    if held == total {
        return Ok(Outcome::Confirmed);
    }
    Err(DeliveryError::NotCommitted { peer: peer.to_string(), failed: total - held, total })
}

/// Reads the report in `message` and answers it.
async fn take_report(scu: &mut Scu, context: &Chosen, message: Message) -> Result<Report, DeliveryError> {
    let (Command::EventRq(event), Body::Dataset(bytes)) = (&message.command, &message.body) else {
        return Err(scu.protocol(format!("{:?} instead of a report of storage commitment", message.command)));
    };
    let report = Report::decode(bytes, &context.transfer_syntax).map_err(|error| scu.protocol(error.to_string()))?;
    let (message_id, sop_class) = (event.message_id, event.sop_class.clone());
    let sop_instance = Some(event.sop_instance.clone());
    let answer = Command::EventRsp(Response { message_id, sop_class, sop_instance, ..Response::default() });
    scu.send(message.context, &answer, None).await?;
    Ok(report)
}

fn normalized(message_id: u16, kind: u16) -> Normalized {
    let (sop_class, sop_instance) = (STORAGE_COMMITMENT.to_owned(), STORAGE_COMMITMENT_INSTANCE.to_owned());
    Normalized { message_id, sop_class, sop_instance, kind, has_data: true }
}

/// Brings one report to `peer`; without an error the peer has taken it.
pub async fn report(peer: &Peer, timeout: Duration, report: &Report) -> Result<(), DeliveryError> {
    let proposal = Proposal::of(&services::REPORT_COMMITMENT);
    // Some peers answer no role selection and take reports all the same: what counts is the report's answer.
    let mut scu = Scu::connect_providing(peer, timeout, &[proposal], &[STORAGE_COMMITMENT]).await?;
    let context = scu.context(STORAGE_COMMITMENT, |_| true);
    let context = context.ok_or_else(|| scu.no_context("Storage Commitment Push Model".to_owned()))?;
    let dataset = report.encode(&context.transfer_syntax).map_err(|error| scu.protocol(error.to_string()))?;
    let request = Command::EventRq(normalized(scu.next_id(), report.event()));
    scu.send(context.id, &request, Some(&dataset)).await?;
    match scu.receive().await?.command {
        Command::EventRsp(Response { status: 0, .. }) => {
            scu.release().await;
            Ok(())
        }
        Command::EventRsp(Response { status, comment, .. }) => {
            let (peer, instance) = (peer.to_string(), report.transaction.clone());
            Err(DeliveryError::Refused { peer, instance, status, comment: comment.unwrap_or_default() })
        }
        other => Err(scu.protocol(format!("the N-EVENT-REPORT was answered with {other:?}"))),
    }
}
