//! Webhooks: one request a notice, signed as Standard Webhooks 1.0 says (webhook-id, webhook-timestamp, webhook-signature).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, header};
use sha2::Sha256;

use super::HeraldError;
use crate::clock::Millis;
use crate::config::{Login, SigningKey, WebPeer};
use crate::ledger::NoticeRow;

/// Brings one notice; `Ok`: the receiver has it (any 2xx).
pub(super) async fn post(
    at: &WebPeer,
    key: &SigningKey,
    timeout: Duration,
    notice: &NoticeRow,
    now: Millis,
) -> Result<(), HeraldError> {
    let seconds = now.0.div_euclid(1000);
    let request = client(at)
        .await?
        .post(&at.url)
        .timeout(timeout)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("Sagittal/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &notice.message)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signature(key, &notice.message, seconds, &notice.body))
        .body(notice.body.clone());
    let request = match &at.login {
        Login::Nobody => request,
        Login::Basic { username, password } => request.basic_auth(username, Some(password.reveal())),
        Login::Token(token) => request.bearer_auth(token.reveal()),
    };
    let failed = |reason: String| HeraldError::Unreached { receiver: at.url.clone(), reason };
    let answer = request.send().await.map_err(|error| failed(innermost(&error, timeout)))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => {
            Err(HeraldError::Refused { receiver: at.url.clone(), status: status.as_u16(), remedy: remedy(status) })
        }
    }
}

/// Made for each request, so that renewed certificates count. A redirect is not followed: it would turn the request into
/// another one.
async fn client(at: &WebPeer) -> Result<Client, HeraldError> {
    let failed = |reason: String| HeraldError::Unreached { receiver: at.url.clone(), reason };
    crate::tls::install_provider();
    let builder = Client::builder().redirect(Policy::none());
    let builder = match at.tls.clone() {
        None => builder,
        Some(files) => {
            let loaded = tokio::task::spawn_blocking(move || files.load()).await;
            let config =
                loaded.map_err(|fault| failed(fault.to_string()))?.map_err(|error| failed(error.to_string()))?;
            builder.tls_backend_preconfigured((*config).clone())
        }
    };
    builder.build().map_err(|error| failed(error.to_string()))
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn signature(key: &SigningKey, id: &str, seconds: i64, body: &str) -> String {
    // HMAC takes keys of every length
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.bytes()) else { return String::new() };
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "compare secret and login with the receiver's",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "check the url of the recipient",
        status if status.is_redirection() => "the receiver moved; give its new url",
        _ => "look into the receiver's log",
    }
}

/// The cause that a person can act on is the last of the chain.
fn innermost(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {timeout:?}");
    }
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

    /// The example of the specification's own libraries.
    #[test]
    fn a_request_is_signed_as_the_standard_says() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
