//! Delivery by STOW-RS, confirmed by QIDO-RS (PS3.18 sections 10.5 and 10.6).
//!
//! Objects go as they lie in the spool, several to a request; the response says of each what became of it. Nothing is
//! converted: whoever stores by HTTP takes files.

use std::fmt::Write as _;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::attempt::{Consignment, Outcome, Record, refusal, sum_up};
use super::web::Web;
use super::{DeliveryError, Object};
use crate::dicom::{Answer, Uid, Verdict};

/// Bytes of objects in one request; one object may be larger. Proxies commonly refuse bodies beyond some hundred megabytes.
const BATCH: usize = 32 << 20;
const JSON: &str = "application/dicom+json";
/// Attributes of the response (PS3.18 table 10.5.3-2), as DICOM JSON names them.
const STORED: &str = "00081199";
const FAILED: &str = "00081198";
const REFERENCED_INSTANCE: &str = "00081155";
const WARNING_REASON: &str = "00081196";
const FAILURE_REASON: &str = "00081197";
const SOP_INSTANCE: &str = "00080018";
/// Processing failure: what a refusal without a reason counts as.
const NO_REASON: u16 = 0x0110;

/// Posts what `consignment` holds; `query`: and looks for it afterwards.
pub(super) async fn deliver(
    web: &Web<'_>,
    query: bool,
    consignment: Consignment<'_>,
    record: &mut Record,
) -> Result<Outcome, DeliveryError> {
    let mut refused = Vec::new();
    for batch in batches(consignment.unsent().collect()) {
        let verdicts = post(web, &batch).await?;
        refused.extend(verdicts.iter().filter_map(|verdict| refusal(web.url(), verdict)));
        record.verdicts.extend(verdicts);
    }
    sum_up(refused, consignment.objects.len())?;
    if !query {
        return Ok(Outcome::SentUnconfirmed);
    }
    let mut missing = Vec::new();
    for object in consignment.objects {
        if !is_there(web, object).await? {
            missing.push(&object.sop_instance);
        }
    }
    record.not_found(web.url(), consignment, &missing)?;
    Ok(Outcome::Confirmed)
}

fn batches(objects: Vec<&Object>) -> Vec<Vec<&Object>> {
    let mut batches: Vec<Vec<&Object>> = Vec::new();
    let mut room = 0;
    for object in objects {
        if let Some(batch) = batches.last_mut().filter(|_| object.bytes.len() <= room) {
            batch.push(object);
        } else {
            batches.push(vec![object]);
            room = BATCH;
        }
        room = room.saturating_sub(object.bytes.len());
    }
    batches
}

async fn post(web: &Web<'_>, batch: &[&Object]) -> Result<Vec<Verdict>, DeliveryError> {
    // Not in the objects: 128 bits of chance.
    let boundary = format!("sagittal-{:032x}", fastrand::u128(..));
    let kind = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
    let request = web.request(Method::POST, "/studies").header("content-type", kind).header("accept", JSON);
    let response = web.send(request.body(body(batch, &boundary)), "STOW-RS request").await?;
    let status = response.status();
    // 202: some stored, 409: none stored; the body says which and why (PS3.18 table 10.5.3-1).
    if !matches!(status, StatusCode::OK | StatusCode::ACCEPTED | StatusCode::CONFLICT) {
        return Err(web.refused(status));
    }
    let text = web.text(response, "STOW-RS request").await?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(batch.iter().map(|object| verdict(&object.sop_instance, &said, status)).collect())
}

fn body(batch: &[&Object], boundary: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.iter().map(|object| object.bytes.len() + 200).sum());
    for object in batch {
        body.extend(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").bytes());
        body.extend_from_slice(&object.bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    body
}

/// What the response says of an object; where it does not name it, its status speaks for all.
fn verdict(instance: &Uid, said: &Value, status: StatusCode) -> Verdict {
    let (stored, failed) = (item(said, STORED, instance), item(said, FAILED, instance));
    let (answer, status) = match (failed, stored) {
        (Some(item), _) => {
            let reason = number(item, FAILURE_REASON).unwrap_or(NO_REASON);
            // The peer holds an object with this UID: not stored again is as good as stored.
            let answer = if reason == 0x0111 { Answer::Warned } else { Answer::Refused };
            (answer, reason)
        }
        (None, Some(item)) => match number(item, WARNING_REASON) {
            Some(reason) => (Answer::Warned, reason),
            None => (Answer::Stored, 0),
        },
        (None, None) if status == StatusCode::OK => (Answer::Stored, 0),
        (None, None) => (Answer::Refused, NO_REASON),
    };
    Verdict { sop_instance: instance.clone(), answer, status: Some(status), comment: None }
}

/// The item of the sequence `name` about `instance`; the response is one data set, or a list with one in it.
fn item<'v>(said: &'v Value, name: &str, instance: &Uid) -> Option<&'v Value> {
    let set = said.get(0).unwrap_or(said);
    let items = set.get(name)?.get("Value")?.as_array()?;
    items.iter().find(|item| text(item, REFERENCED_INSTANCE) == Some(instance.as_str()))
}

fn text<'v>(set: &'v Value, name: &str) -> Option<&'v str> {
    set.get(name)?.get("Value")?.get(0)?.as_str()
}

fn number(set: &Value, name: &str) -> Option<u16> {
    set.get(name)?.get("Value")?.get(0)?.as_u64().and_then(|number| u16::try_from(number).ok())
}

async fn is_there(web: &Web<'_>, object: &Object) -> Result<bool, DeliveryError> {
    let key = object.series()?;
    let mut path = String::new();
    let _ =
        write!(path, "/studies/{}/series/{}/instances?SOPInstanceUID={}", key.study, key.series, object.sop_instance);
    let found = qido(web, &path).await?;
    let has = |set: &Value| text(set, SOP_INSTANCE) == Some(object.sop_instance.as_str());
    Ok(found.as_array().is_some_and(|sets| sets.iter().any(has)))
}

/// The answer to a query; an empty one to "no content", and to a study or series that the peer does not know.
async fn qido(web: &Web<'_>, path: &str) -> Result<Value, DeliveryError> {
    let request = web.request(Method::GET, path).header("accept", JSON);
    let response = web.send(request, "QIDO-RS request").await?;
    match response.status() {
        StatusCode::OK => {
            let text = web.text(response, "QIDO-RS request").await?;
            serde_json::from_str(&text).map_err(|error| DeliveryError::Protocol {
                peer: web.url().to_owned(),
                reason: format!("the answer to QIDO-RS is no JSON: {error}"),
            })
        }
        StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(Value::Null),
        status => Err(web.refused(status)),
    }
}

/// Does the service answer a query?
pub(super) async fn probe(web: &Web<'_>) -> Result<String, DeliveryError> {
    let request = web.request(Method::GET, "/studies?limit=1").header("accept", JSON);
    let status = web.send(request, "QIDO-RS request").await?.status();
    match status {
        StatusCode::OK | StatusCode::NO_CONTENT => Ok("a DICOMweb service".to_owned()),
        status => Err(web.refused(status)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_object_has_the_verdict_that_the_response_gives_it() {
        let said = serde_json::json!({
            "00081199": { "vr": "SQ", "Value": [
                { "00081155": { "vr": "UI", "Value": ["1.1"] } },
                { "00081155": { "vr": "UI", "Value": ["1.2"] }, "00081196": { "vr": "US", "Value": [0xb000] } },
            ]},
            "00081198": { "vr": "SQ", "Value": [
                { "00081155": { "vr": "UI", "Value": ["1.3"] }, "00081197": { "vr": "US", "Value": [0xa700] } },
                { "00081155": { "vr": "UI", "Value": ["1.4"] }, "00081197": { "vr": "US", "Value": [0x0111] } },
                { "00081155": { "vr": "UI", "Value": ["1.5"] } },
            ]},
        });
        let check = |uid: &str, said: &Value, status: StatusCode, expected: (Answer, u16)| {
            let verdict = verdict(&Uid::parse(uid).unwrap(), said, status);
            assert_eq!((verdict.answer, verdict.status.unwrap()), expected, "{uid}");
        };
        for said in [said.clone(), serde_json::json!([said])] {
            check("1.1", &said, StatusCode::ACCEPTED, (Answer::Stored, 0));
            check("1.2", &said, StatusCode::ACCEPTED, (Answer::Warned, 0xb000));
            check("1.3", &said, StatusCode::ACCEPTED, (Answer::Refused, 0xa700));
            check("1.4", &said, StatusCode::ACCEPTED, (Answer::Warned, 0x0111));
            check("1.5", &said, StatusCode::ACCEPTED, (Answer::Refused, NO_REASON));
        }
        check("1.9", &Value::Null, StatusCode::OK, (Answer::Stored, 0));
        check("1.9", &Value::Null, StatusCode::ACCEPTED, (Answer::Refused, NO_REASON));
    }

    #[test]
    fn a_request_holds_as_much_as_proxies_take() {
        let object = |length: usize| Object {
            bytes: vec![0; length],
            ..crate::delivery::part10::tests::object("1.2.840.10008.1.2")
        };
        let objects = [object(BATCH / 2), object(BATCH / 2), object(1), object(2 * BATCH), object(1)];
        let sizes: Vec<_> = batches(objects.iter().collect()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1]);
    }
}
