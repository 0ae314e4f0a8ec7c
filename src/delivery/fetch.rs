//! Getting a study or a series from a PACS: C-GET and C-MOVE as SCU (PS3.4 annex C).
//!
//! By C-GET the objects come over our own association, as they lie; by C-MOVE the peer sends them to an AE title it
//! knows. Never decides what is wanted, keeps nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::find::{FoundInstance, Wanted};
use super::query::{Identifier, service};
use super::scu::{MAX_CONTEXTS, Peer, Proposal, Scu};
use super::{DeliveryError, Object};
use crate::dicom::command::{Command, Response, Retrieved, StoreRq};
use crate::dicom::message::Body;
use crate::dicom::{AeTitle, Uid, part10_head, services, tables};

/// What a peer is told of an object that was not kept.
const OUT_OF_RESOURCES: u16 = 0xa700;

/// How it ended: numbers of instances, as the peer counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fetched {
    pub completed: u16,
    pub failed: u16,
}

/// Takes what comes by C-GET.
pub trait Keeper: Send {
    /// Keeps one object, or says why it could not; without an error its peer is told that it is kept.
    fn keep(&mut self, object: Object) -> impl Future<Output = Result<(), String>> + Send;
}

/// Has `peer` send what is wanted to the AE title `destination`, which it must know; `seen` is told how far it is.
pub async fn by_move(
    peer: &Peer,
    timeout: Duration,
    wanted: &Wanted,
    destination: &AeTitle,
    mut seen: impl FnMut(Fetched),
) -> Result<Fetched, DeliveryError> {
    let mut scu = Scu::connect(peer, timeout, &[Proposal::of(&services::MOVE)]).await?;
    let context = service(&scu, tables::STUDY_ROOT_MOVE)?;
    let identifier = level(&scu, wanted)?;
    let (message_id, sop_class) = (scu.next_id(), tables::STUDY_ROOT_MOVE.to_owned());
    let request = Command::MoveRq { message_id, sop_class, destination: destination.to_string() };
    scu.send(context.id, &request, Some(&identifier)).await?;
    loop {
        match scu.receive().await?.command {
            Command::MoveRsp(retrieved) if is_pending(&retrieved) => seen(counted(&retrieved)),
            Command::MoveRsp(retrieved) => return ended(scu, "C-MOVE", &retrieved).await,
            other => return Err(scu.protocol(format!("the C-MOVE was answered with {other:?}"))),
        }
    }
}

/// Gets what is wanted over our own association into `keeper`. `classes`: the SOP classes to expect.
pub async fn by_get(
    peer: &Peer,
    timeout: Duration,
    wanted: &Wanted,
    classes: &BTreeSet<String>,
    keeper: &mut impl Keeper,
) -> Result<Fetched, DeliveryError> {
    let mut proposals = vec![Proposal::of(&services::GET)];
    proposals.extend(storage_proposals(classes));
    let provided: Vec<&str> = classes.iter().map(String::as_str).collect();
    let mut scu = Scu::connect_providing(peer, timeout, &proposals, &provided).await?;
    let context = service(&scu, tables::STUDY_ROOT_GET)?;
    let identifier = level(&scu, wanted)?;
    let (message_id, sop_class) = (scu.next_id(), tables::STUDY_ROOT_GET.to_owned());
    scu.send(context.id, &Command::GetRq { message_id, sop_class }, Some(&identifier)).await?;
    loop {
        let message = scu.receive().await?;
        match message.command {
            Command::GetRsp(retrieved) if is_pending(&retrieved) => {}
            Command::GetRsp(retrieved) => return ended(scu, "C-GET", &retrieved).await,
            Command::StoreRq(request) => {
                let kept = match object(&scu, message.context, &request, message.body) {
                    Ok(object) => keeper.keep(object).await,
                    Err(error) => Err(error.to_string()),
                };
                let answer = stored(request, kept.err());
                scu.send(message.context, &answer, None).await?;
            }
            other => return Err(scu.protocol(format!("the C-GET was answered with {other:?}"))),
        }
    }
}

fn stored(request: StoreRq, fault: Option<String>) -> Command {
    let status = if fault.is_some() { OUT_OF_RESOURCES } else { 0 };
    let StoreRq { message_id, sop_class, sop_instance, .. } = request;
    let sop_instance = Some(sop_instance);
    Command::StoreRsp(Response { message_id, sop_class, sop_instance, status, comment: fault, ..Response::default() })
}

fn object(scu: &Scu, context: u8, request: &StoreRq, body: Body) -> Result<Object, DeliveryError> {
    let unreadable = |reason: String| DeliveryError::Unreadable { what: "an object of the C-GET".to_owned(), reason };
    let uid = |text: &str| Uid::parse(text).map_err(|error| unreadable(error.to_string()));
    let (sop_class, sop_instance) = (uid(&request.sop_class)?, uid(&request.sop_instance)?);
    let transfer_syntax = scu.transfer_syntax(context).ok_or_else(|| unreadable("unknown context".to_owned()))?;
    let transfer_syntax = uid(&transfer_syntax)?;
    let Body::Dataset(dataset) = body else { return Err(unreadable("it has no data set within the limit".to_owned())) };
    let mut bytes = part10_head(&sop_class, &sop_instance, &transfer_syntax, None);
    bytes.extend(dataset);
    Ok(Object { sop_class, sop_instance, transfer_syntax, form: None, bytes })
}

/// The SOP classes of what was found; a peer that does not tell them is offered as many as there is room for.
#[must_use]
pub fn classes_of(found: &[FoundInstance]) -> BTreeSet<String> {
    let told: BTreeSet<String> = found.iter().filter_map(|found| Some(found.sop_class.as_ref()?.to_string())).collect();
    let all = || tables::STORAGE_CLASSES.iter().map(|(uid, _)| (*uid).to_owned()).collect();
    if told.is_empty() { all() } else { told }
}

/// For each class one context with the uncompressed syntaxes and as many with one other each as there is room for
/// beside the context of a service: the peer need not convert what it holds.
#[must_use]
pub fn storage_proposals(classes: &BTreeSet<String>) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let places = ((MAX_CONTEXTS - 1) / classes.len().max(1)).max(1);
    let uncompressed = [tables::EXPLICIT_LITTLE, tables::IMPLICIT_LITTLE];
    let others = || tables::TRANSFER_SYNTAXES.iter().map(|(uid, _)| *uid).filter(|uid| !uncompressed.contains(uid));
    for class in classes {
        proposals.extend(others().take(places - 1).map(|syntax| proposal(class, &[syntax])));
        proposals.push(proposal(class, &uncompressed));
    }
    proposals.truncate(MAX_CONTEXTS - 1);
    proposals
}

fn counted(retrieved: &Retrieved) -> Fetched {
    let Retrieved { completed, failed, warning, .. } = *retrieved;
    Fetched { completed: completed.saturating_add(warning), failed }
}

/// Pending, or a sub-operation's progress.
fn is_pending(retrieved: &Retrieved) -> bool {
    matches!(retrieved.response.status, 0xff00 | 0xff01)
}

/// The last response: success, or a warning that some failed; everything else is the peer's refusal.
async fn ended(scu: Scu, service: &str, retrieved: &Retrieved) -> Result<Fetched, DeliveryError> {
    let Retrieved { response, failed, .. } = retrieved;
    match response.status {
        0 | 0xb000 => {
            scu.release().await;
            Ok(counted(retrieved))
        }
        status => {
            let comment = response.comment.as_deref().unwrap_or("no comment");
            Err(scu.protocol(format!("the {service} ended with status {status:04x} ({comment}), {failed} failed")))
        }
    }
}

fn proposal(class: &str, syntaxes: &[&str]) -> Proposal {
    let transfer_syntaxes = syntaxes.iter().map(|&syntax| syntax.to_owned()).collect();
    Proposal { abstract_syntax: class.to_owned(), transfer_syntaxes }
}

fn level(scu: &Scu, wanted: &Wanted) -> Result<Vec<u8>, DeliveryError> {
    let identifier = match &wanted.series {
        Some(series) => Identifier::at("SERIES").in_series(&wanted.study, series),
        None => Identifier::at("STUDY").in_study(&wanted.study),
    };
    identifier.encode(scu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_gets_the_uncompressed_syntaxes_and_no_more_contexts_than_there_are() {
        let check = |classes: usize, expected: usize| {
            let classes: BTreeSet<String> = (0..classes).map(|n| format!("1.2.{n}")).collect();
            let proposals = storage_proposals(&classes);
            assert_eq!(proposals.len(), expected, "{} classes", classes.len());
            let has = |class: &&String| {
                let wanted = proposal(class, &[tables::EXPLICIT_LITTLE, tables::IMPLICIT_LITTLE]);
                proposals.contains(&wanted)
            };
            assert_eq!(classes.iter().filter(has).count(), classes.len().min(127));
        };
        check(0, 0);
        check(1, tables::TRANSFER_SYNTAXES.len() - 1);
        check(40, 120);
        check(127, 127);
    }
}
