//! Delivery to Orthanc's REST API: `POST /instances`, one object a request; Orthanc files it in its study by the UIDs.
//!
//! Orthanc answers after it has stored, so its `Status` is the confirmation; where the destination asks for more, each object
//! is found again by its UID. The series of the results get the labels and metadata that the destination names.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::attempt::{Consignment, Outcome, Record, refusal, sum_up};
use super::web::Web;
use super::{DeliveryError, Object};
use crate::config::OrthancPeer;
use crate::dicom::{Answer, Uid, Verdict};

/// Orthanc's answer to an upload.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Uploaded {
    status: String,
    parent_series: String,
}

/// A resource that has a UID, as `/tools/lookup` lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Found {
    pub r#type: String,
    #[serde(rename = "ID")]
    pub id: String,
}

/// Posts what `consignment` holds.
pub(super) async fn deliver(
    web: &Web<'_>,
    peer: &OrthancPeer,
    consignment: Consignment<'_>,
    record: &mut Record,
) -> Result<Outcome, DeliveryError> {
    let (mut refused, mut series) = (Vec::new(), BTreeSet::new());
    for object in consignment.unsent() {
        let (verdict, uploaded) = post(web, object).await?;
        refused.extend(refusal(web.url(), &verdict));
        if verdict.answer.is_held() {
            series.insert(uploaded.parent_series);
        }
        record.verdicts.push(verdict);
    }
    for id in series.iter().filter(|id| !id.is_empty()) {
        describe(web, peer, id).await?;
    }
    sum_up(refused, consignment.objects.len())?;
    if peer.query {
        find_all(web, consignment, record).await?;
    }
    Ok(Outcome::Confirmed)
}

async fn post(web: &Web<'_>, object: &Object) -> Result<(Verdict, Uploaded), DeliveryError> {
    let request = web.request(Method::POST, "/instances").header("content-type", "application/dicom");
    let response = web.send(request.body(object.bytes.clone()), "POST /instances").await?;
    let status = response.status();
    // Only this one says something of the object; the rest concerns the way to it.
    if status != StatusCode::OK && status != StatusCode::BAD_REQUEST {
        return Err(web.refused(status));
    }
    let text = web.text(response, "POST /instances").await?;
    let uploaded: Uploaded = serde_json::from_str(&text).unwrap_or_default();
    let answer = match (status, uploaded.status.as_str()) {
        (StatusCode::OK, "Success" | "AlreadyStored") => Answer::Stored,
        _ => Answer::Refused,
    };
    let comment =
        if uploaded.status.is_empty() { "an answer without Status".to_owned() } else { uploaded.status.clone() };
    let verdict = Verdict {
        sop_instance: object.sop_instance.clone(),
        answer,
        status: Some(status.as_u16()),
        comment: Some(comment),
    };
    Ok((verdict, uploaded))
}

/// Labels and metadata of a series, by Orthanc's id. Repeating it changes nothing.
async fn describe(web: &Web<'_>, peer: &OrthancPeer, series: &str) -> Result<(), DeliveryError> {
    for label in &peer.labels {
        let request = web.request(Method::PUT, &format!("/series/{series}/labels/{label}"));
        let status = web.send(request, "PUT of a label").await?.status();
        if status == StatusCode::NOT_FOUND {
            tracing::warn!(url = web.url(), label, "no label was set: Orthanc has labels from 1.12 on");
        } else if !status.is_success() {
            return Err(web.refused(status));
        }
    }
    for (name, value) in &peer.metadata {
        let request = web.request(Method::PUT, &format!("/series/{series}/metadata/{name}")).body(value.clone());
        let status = web.send(request, "PUT of metadata").await?.status();
        if !status.is_success() {
            return Err(web.refused(status));
        }
    }
    Ok(())
}

async fn find_all(web: &Web<'_>, consignment: Consignment<'_>, record: &mut Record) -> Result<(), DeliveryError> {
    let mut missing = Vec::new();
    for object in consignment.objects {
        if !is_there(web, &object.sop_instance).await? {
            missing.push(&object.sop_instance);
        }
    }
    record.not_found(web.url(), consignment, &missing)
}

async fn is_there(web: &Web<'_>, instance: &Uid) -> Result<bool, DeliveryError> {
    let request = web.request(Method::POST, "/tools/lookup").body(instance.to_string());
    let response = web.send(request, "POST /tools/lookup").await?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(web.refused(status));
    }
    let found: Vec<Found> = serde_json::from_str(&web.text(response, "POST /tools/lookup").await?).unwrap_or_default();
    Ok(found.iter().any(|resource| resource.r#type == "Instance"))
}

/// What Orthanc says of itself.
pub(super) async fn probe(web: &Web<'_>) -> Result<String, DeliveryError> {
    let response = web.send(web.request(Method::GET, "/system"), "GET /system").await?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(web.refused(status));
    }
    let system: serde_json::Value = serde_json::from_str(&web.text(response, "GET /system").await?).unwrap_or_default();
    let word = |key: &str| system.get(key).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    Ok(format!("Orthanc {} ({})", word("Version"), word("DicomAet")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::config::{Destination, DestinationKind, Login, Secret, WebPeer};
    use crate::delivery::part10::tests::object;
    use crate::delivery::{Consignment, Delivery};
    use crate::dicom::tables;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// One HTTP answer to one request; the outcome, and the request's bytes.
    async fn answered(status: &str, body: &str) -> (Result<Outcome, DeliveryError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let object = object(tables::EXPLICIT_LITTLE);
        let length = object.bytes.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let is_whole = |bytes: &[u8]| {
                bytes.windows(4).position(|w| w == b"\r\n\r\n").is_some_and(|head| bytes.len() >= head + 4 + length)
            };
            while !is_whole(&request) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            request
        });
        let login = Login::Basic { username: "sagittal".into(), password: Secret::new("secret".into()) };
        let at = WebPeer { url, login, tls: None };
        let kind = DestinationKind::Orthanc(OrthancPeer { at, query: false, labels: Vec::new(), metadata: Vec::new() });
        let destination = Destination {
            name: "pacs".into(),
            kind,
            max_attempts: None,
            timeout: Duration::from_secs(20),
            backoff_cap: Duration::from_secs(1),
            concurrency: 1,
        };
        let outcome = Delivery::new().unwrap().deliver(&destination, Consignment::new(&[object])).await.outcome;
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn orthancs_status_decides() {
        for status in ["Success", "AlreadyStored"] {
            let (outcome, request) = answered("200 OK", &format!(r#"{{"ID":"a","Status":"{status}"}}"#)).await;
            assert_eq!(outcome.unwrap(), Outcome::Confirmed);
            let head = String::from_utf8_lossy(&request);
            assert!(head.starts_with("POST /instances HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("authorization: Basic c2FnaXR0YWw6c2VjcmV0\r\n"), "{head}");
            assert!(request.ends_with(&object(tables::EXPLICIT_LITTLE).bytes));
        }
        let (outcome, _) = answered("200 OK", r#"{"Status":"FilteredOut"}"#).await;
        let error = outcome.unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains("(FilteredOut)"), "{error}");
    }

    #[tokio::test]
    async fn http_errors_are_classified_and_say_what_to_do() {
        let (outcome, _) = answered("401 Unauthorized", "").await;
        let error = outcome.unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains("password"), "{error}");
        let (outcome, _) = answered("507 Insufficient Storage", "").await;
        assert!(!outcome.unwrap_err().is_permanent());
    }
}
