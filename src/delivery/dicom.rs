//! Delivery by C-STORE (PS3.4 annex B), confirmed where the destination asks for it: by C-FIND (PS3.4 annex C) or by
//! storage commitment (annex J).
//!
//! All objects go over one association; one refused object does not keep the others back.

use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::scu::{Chosen, MAX_CONTEXTS, Peer, Proposal, Scu, proposals};
use super::{DeliveryError, Object, Outcome, commitment};
use crate::config::Confirm;
use crate::dicom::{Dataset, Uid, tables, uid_of};

/// Stores all `objects` at `peer`. `transaction`: of the request to commit to them.
pub async fn deliver(
    peer: &Peer,
    timeout: Duration,
    confirm: Confirm,
    transaction: Option<&Uid>,
    objects: &[Object],
) -> Result<Outcome, DeliveryError> {
    let mut contexts = proposals(objects.iter().map(|object| (&object.sop_class, &object.transfer_syntax)));
    let service = match confirm {
        Confirm::None => None,
        Confirm::Query => Some((tables::STUDY_ROOT_FIND, vec![tables::IMPLICIT_LITTLE])),
        Confirm::Commitment { .. } => {
            Some((tables::STORAGE_COMMITMENT, vec![tables::EXPLICIT_LITTLE, tables::IMPLICIT_LITTLE]))
        }
    };
    if let Some((class, syntaxes)) = &service {
        contexts.truncate(MAX_CONTEXTS - 1);
        let transfer_syntaxes = syntaxes.iter().map(|&syntax| syntax.to_owned()).collect();
        contexts.push(Proposal { abstract_syntax: (*class).to_owned(), transfer_syntaxes });
    }
    let mut scu = Scu::connect(peer, timeout, &contexts).await?;
    store(&mut scu, objects).await?;
    let context = service.as_ref().and_then(|(class, _)| scu.context(class, |_| true));
    let outcome = match (confirm, context, transaction) {
        (Confirm::Query, Some(context), _) => find_all(&mut scu, peer, &context, objects).await?,
        (Confirm::Commitment { .. }, Some(context), Some(transaction)) => {
            commitment::request(&mut scu, peer, &context, transaction, objects).await?
        }
        (Confirm::Query | Confirm::Commitment { .. }, None, _) => {
            tracing::warn!(%peer, "the destination does not offer the service that confirms; sent, unconfirmed");
            Outcome::SentUnconfirmed
        }
        (Confirm::None | Confirm::Commitment { .. }, _, _) => Outcome::SentUnconfirmed,
    };
    scu.release().await;
    Ok(outcome)
}

/// Stores every object that can be stored; the association's own failures end it.
async fn store(scu: &mut Scu, objects: &[Object]) -> Result<(), DeliveryError> {
    let mut refused = Vec::new();
    for object in objects {
        match scu.store(object).await {
            Ok(()) => {}
            Err(error) if error.is_about_one_object() => refused.push(error),
            Err(error) => return Err(error),
        }
    }
    let failed = refused.len();
    // What another attempt may mend decides: a permanent refusal beside it would hide it.
    refused.sort_by_key(DeliveryError::is_permanent);
    match refused.into_iter().next() {
        None => Ok(()),
        Some(only) if objects.len() == 1 => Err(only),
        Some(first) => Err(DeliveryError::Partly { failed, total: objects.len(), first: Box::new(first) }),
    }
}

async fn find_all(scu: &mut Scu, peer: &Peer, context: &Chosen, objects: &[Object]) -> Result<Outcome, DeliveryError> {
    for object in objects {
        let identifier = identifier(scu, object)?;
        let matches = scu.find(context, tables::STUDY_ROOT_FIND, &identifier).await?;
        if !matches.iter().any(|found| names(found, object)) {
            return Err(DeliveryError::NotFound { peer: peer.to_string(), instance: object.sop_instance.clone() });
        }
    }
    Ok(Outcome::Confirmed)
}

/// The unique keys down to the instance (PS3.4 section C.6.2.1), in Implicit VR Little Endian.
fn identifier(scu: &Scu, object: &Object) -> Result<Vec<u8>, DeliveryError> {
    let key = object.series()?;
    let mut dataset = Dataset::new_empty();
    let mut put = |tag, vr, text: &str| {
        dataset.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    };
    put(tags::SOP_INSTANCE_UID, VR::UI, object.sop_instance.as_str());
    put(tags::QUERY_RETRIEVE_LEVEL, VR::CS, "IMAGE");
    put(tags::STUDY_INSTANCE_UID, VR::UI, key.study.as_str());
    put(tags::SERIES_INSTANCE_UID, VR::UI, key.series.as_str());
    let mut bytes = Vec::new();
    let implicit = TransferSyntaxRegistry.get(tables::IMPLICIT_LITTLE);
    let implicit = implicit.ok_or_else(|| scu.protocol("Implicit VR Little Endian is missing".to_owned()))?;
    let written = dataset.write_dataset_with_ts(&mut bytes, implicit);
    written.map_err(|error| scu.protocol(format!("the query cannot be written: {error}")))?;
    Ok(bytes)
}

fn names(found: &[u8], object: &Object) -> bool {
    let implicit = TransferSyntaxRegistry.get(tables::IMPLICIT_LITTLE);
    let dataset = implicit.and_then(|syntax| Dataset::read_dataset_with_ts(found, syntax).ok());
    dataset.is_some_and(|dataset| uid_of(&dataset, tags::SOP_INSTANCE_UID).as_ref() == Ok(&object.sop_instance))
}
