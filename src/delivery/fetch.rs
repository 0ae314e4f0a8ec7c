//! Getting a study or a series from a PACS: C-FIND, C-GET and C-MOVE as SCU (PS3.4 annex C).
//!
//! By C-GET the objects come over our own association, as they lie; by C-MOVE the peer sends them to an AE title it
//! knows. Never decides what is wanted, keeps nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::scu::{Chosen, MAX_CONTEXTS, Peer, Proposal, Scu};
use super::{DeliveryError, Object};
use crate::dicom::command::{Command, Response, Retrieved, StoreRq};
use crate::dicom::message::Body;
use crate::dicom::{AeTitle, Dataset, Uid, part10_head, tables, uid_of};

/// What a peer is told of an object that was not kept.
const OUT_OF_RESOURCES: u16 = 0xa700;

/// What is wanted: a study, or one series of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub study: Uid,
    pub series: Option<Uid>,
}

/// How it ended: numbers of instances, as the peer counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fetched {
    pub completed: u16,
    pub failed: u16,
}

/// The instances that `peer` finds, by SOP class (the class is missing where the peer does not tell it).
pub async fn find(peer: &Peer, timeout: Duration, wanted: &Wanted) -> Result<(usize, BTreeSet<String>), DeliveryError> {
    let proposal = proposal(tables::STUDY_ROOT_FIND, &[tables::IMPLICIT_LITTLE]);
    let mut scu = Scu::connect(peer, timeout, &[proposal]).await?;
    let context = service(&scu, tables::STUDY_ROOT_FIND)?;
    let (mut instances, mut classes) = (0, BTreeSet::new());
    for series in series_of(&mut scu, &context, wanted).await? {
        let keys = [(tags::SOP_CLASS_UID, ""), (tags::SOP_INSTANCE_UID, "")];
        let identifier = identifier(&scu, "IMAGE", &wanted.study, Some(&series), &keys)?;
        for found in scu.find(&context, tables::STUDY_ROOT_FIND, &identifier).await? {
            instances += 1;
            classes.extend(read(&found).and_then(|set| uid_of(&set, tags::SOP_CLASS_UID).ok()).map(String::from));
        }
    }
    scu.release().await;
    Ok((instances, classes))
}

/// The series wanted; those of a whole study are asked for, because the instance level needs one.
async fn series_of(scu: &mut Scu, context: &Chosen, wanted: &Wanted) -> Result<Vec<Uid>, DeliveryError> {
    if let Some(series) = &wanted.series {
        return Ok(vec![series.clone()]);
    }
    let identifier = identifier(scu, "SERIES", &wanted.study, None, &[(tags::SERIES_INSTANCE_UID, "")])?;
    let found = scu.find(context, tables::STUDY_ROOT_FIND, &identifier).await?;
    Ok(found.iter().filter_map(|bytes| uid_of(&read(bytes)?, tags::SERIES_INSTANCE_UID).ok()).collect())
}

/// How many instances of a series `peer` holds: as it says, or else by counting them.
pub async fn count(peer: &Peer, timeout: Duration, study: &Uid, series: &Uid) -> Result<u64, DeliveryError> {
    let proposal = proposal(tables::STUDY_ROOT_FIND, &[tables::IMPLICIT_LITTLE]);
    let mut scu = Scu::connect(peer, timeout, &[proposal]).await?;
    let context = service(&scu, tables::STUDY_ROOT_FIND)?;
    let number = tags::NUMBER_OF_SERIES_RELATED_INSTANCES;
    let asked = identifier(&scu, "SERIES", study, Some(series), &[(number, "")])?;
    let found = scu.find(&context, tables::STUDY_ROOT_FIND, &asked).await?;
    let said = |bytes: &Vec<u8>| read(bytes)?.get(number)?.to_int::<u64>().ok();
    let counted = if let Some(counted) = found.iter().find_map(said) {
        counted
    } else {
        let asked = identifier(&scu, "IMAGE", study, Some(series), &[(tags::SOP_INSTANCE_UID, "")])?;
        scu.find(&context, tables::STUDY_ROOT_FIND, &asked).await?.len() as u64
    };
    scu.release().await;
    Ok(counted)
}

/// Has `peer` send what is wanted to the AE title `destination`, which it must know; `seen` is told how far it is.
pub async fn by_move(
    peer: &Peer,
    timeout: Duration,
    wanted: &Wanted,
    destination: &AeTitle,
    mut seen: impl FnMut(Fetched),
) -> Result<Fetched, DeliveryError> {
    let proposal = proposal(tables::STUDY_ROOT_MOVE, &[tables::IMPLICIT_LITTLE]);
    let mut scu = Scu::connect(peer, timeout, &[proposal]).await?;
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

/// Gets what is wanted over our own association; `keep` takes each object and says why it could not. `classes`: the
/// SOP classes to expect, as [`find`] tells them.
pub async fn by_get(
    peer: &Peer,
    timeout: Duration,
    wanted: &Wanted,
    classes: &BTreeSet<String>,
    mut keep: impl AsyncFnMut(Object) -> Result<(), String>,
) -> Result<Fetched, DeliveryError> {
    let mut proposals = vec![proposal(tables::STUDY_ROOT_GET, &[tables::IMPLICIT_LITTLE])];
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
                    Ok(object) => keep(object).await,
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
    let head = part10_head(&sop_class, &sop_instance, &transfer_syntax, None);
    let mut bytes = head.map_err(|error| unreadable(error.to_string()))?;
    bytes.extend(dataset);
    Ok(Object { sop_class, sop_instance, transfer_syntax, bytes })
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

fn service(scu: &Scu, class: &str) -> Result<Chosen, DeliveryError> {
    scu.context(class, |_| true).ok_or_else(|| scu.no_context(class.to_owned()))
}

fn level(scu: &Scu, wanted: &Wanted) -> Result<Vec<u8>, DeliveryError> {
    let level = if wanted.series.is_some() { "SERIES" } else { "STUDY" };
    identifier(scu, level, &wanted.study, wanted.series.as_ref(), &[])
}

/// An identifier in Implicit VR Little Endian; `keys` are asked for with these values.
fn identifier(
    scu: &Scu,
    level: &str,
    study: &Uid,
    series: Option<&Uid>,
    keys: &[(Tag, &str)],
) -> Result<Vec<u8>, DeliveryError> {
    let mut dataset = Dataset::new_empty();
    let mut put = |tag, vr, text: &str| {
        dataset.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    };
    put(tags::QUERY_RETRIEVE_LEVEL, VR::CS, level);
    put(tags::STUDY_INSTANCE_UID, VR::UI, study.as_str());
    if let Some(series) = series {
        put(tags::SERIES_INSTANCE_UID, VR::UI, series.as_str());
    }
    for (tag, value) in keys {
        let vr = if *tag == tags::NUMBER_OF_SERIES_RELATED_INSTANCES { VR::IS } else { VR::UI };
        put(*tag, vr, value);
    }
    let mut bytes = Vec::new();
    let implicit = TransferSyntaxRegistry.get(tables::IMPLICIT_LITTLE);
    let implicit = implicit.ok_or_else(|| scu.protocol("Implicit VR Little Endian is missing".to_owned()))?;
    let written = dataset.write_dataset_with_ts(&mut bytes, implicit);
    written.map_err(|error| scu.protocol(format!("the query cannot be written: {error}")))?;
    Ok(bytes)
}

fn read(found: &[u8]) -> Option<Dataset> {
    let implicit = TransferSyntaxRegistry.get(tables::IMPLICIT_LITTLE)?;
    Dataset::read_dataset_with_ts(found, implicit).ok()
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
