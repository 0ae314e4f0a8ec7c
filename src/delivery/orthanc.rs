//! Delivery to Orthanc's REST API: `POST /instances`, one object a request.
//!
//! Orthanc answers after it has stored, so its `Status` is the confirmation. Never reads anything back.

use std::time::Duration;

use reqwest::{Client, StatusCode};

use super::{DeliveryError, Object, Outcome};
use crate::config::Secret;

/// User name and password.
type Credentials<'a> = (&'a str, Option<&'a Secret>);

/// Posts all `objects` to the Orthanc at `url`.
pub async fn deliver(
    http: &Client,
    url: &str,
    credentials: Option<Credentials<'_>>,
    timeout: Duration,
    objects: &[Object],
) -> Result<Outcome, DeliveryError> {
    for object in objects {
        post(http, url, credentials, timeout, object).await?;
    }
    Ok(Outcome::Confirmed)
}

async fn post(
    http: &Client,
    url: &str,
    credentials: Option<Credentials<'_>>,
    timeout: Duration,
    object: &Object,
) -> Result<(), DeliveryError> {
    let failed = |error: reqwest::Error| {
        let peer = url.to_owned();
        if error.is_timeout() {
            return DeliveryError::Timeout { peer, request: "POST /instances", after: timeout };
        }
        DeliveryError::Connect { peer, reason: innermost(&error) }
    };
    let mut request = http.post(format!("{}/instances", url.trim_end_matches('/'))).timeout(timeout);
    if let Some((name, password)) = credentials {
        request = request.basic_auth(name, password.map(Secret::reveal));
    }
    let request = request.header("content-type", "application/dicom").body(object.bytes.clone());
    let response = request.send().await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        let status = response.status().as_u16();
        return Err(DeliveryError::Http { url: url.to_owned(), status, remedy: remedy(response.status()) });
    }
    let answer: serde_json::Value = response.json().await.map_err(failed)?;
    match answer.get("Status").and_then(serde_json::Value::as_str) {
        Some("Success" | "AlreadyStored") => Ok(()),
        other => {
            let answer = other.unwrap_or("an answer without Status").to_owned();
            Err(DeliveryError::NotKept { url: url.to_owned(), instance: object.sop_instance.clone(), answer })
        }
    }
}

fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "check user name and password of the destination",
        StatusCode::NOT_FOUND => "check the destination's url: it must be Orthanc's root",
        StatusCode::BAD_REQUEST => "Orthanc cannot read the object; look into its log",
        _ if status.is_server_error() => "Orthanc or its disk has a problem; look into its log",
        _ => "look into Orthanc's log",
    }
}

/// The cause that a human can act on is the last of the chain ("connection refused").
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::{Destination, DestinationKind};
    use crate::delivery::Delivery;
    use crate::delivery::part10::tests::object;
    use crate::dicom::tables;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// One HTTP answer to one request; the outcome, and the request's bytes.
    async fn answered(status: &str, body: &str) -> (Result<Outcome, DeliveryError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
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
        let kind = DestinationKind::Orthanc {
            url,
            username: Some("sagittal".into()),
            password: Some(Secret::new("secret".into())),
        };
        let destination = Destination {
            name: "pacs".into(),
            kind,
            max_attempts: None,
            timeout: Duration::from_secs(20),
            backoff_cap: Duration::from_secs(1),
            concurrency: 1,
        };
        let outcome = Delivery::new().unwrap().deliver(&destination, &[object], None).await;
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
        assert!(matches!(outcome, Err(DeliveryError::NotKept { answer, .. }) if answer == "FilteredOut"));
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
