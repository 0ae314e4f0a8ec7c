//! HTTP towards a destination: who we are there, what the connection is secured with, and errors that say what to do.
//!
//! Every request has the destination's time limit. Knows no path and no format; never repeats a secret.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

use super::DeliveryError;
use crate::config::{Login, WebPeer};

/// A web service at hand.
pub(super) struct Web<'a> {
    client: Client,
    peer: &'a WebPeer,
    timeout: Duration,
}

impl<'a> Web<'a> {
    /// `shared` serves all peers without certificates of their own; with them a client is made, so that renewed files count.
    pub(super) async fn new(shared: &Client, peer: &'a WebPeer, timeout: Duration) -> Result<Web<'a>, DeliveryError> {
        let client = match peer.tls.clone() {
            None => shared.clone(),
            Some(files) => {
                let fault = |reason: String| DeliveryError::Tls { peer: peer.url.clone(), reason };
                let loaded = tokio::task::spawn_blocking(move || files.load()).await;
                let config = loaded.map_err(|e| fault(e.to_string()))?.map_err(|e| fault(e.to_string()))?;
                let builder = Client::builder().tcp_nodelay(true).tls_backend_preconfigured((*config).clone());
                builder.build().map_err(|error| DeliveryError::Client(error.to_string()))?
            }
        };
        Ok(Web { client, peer, timeout })
    }

    pub(super) fn url(&self) -> &'a str {
        &self.peer.url
    }

    /// A request to `path` below the service's URL, with the login.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.peer.url)).timeout(self.timeout);
        match &self.peer.login {
            Login::Nobody => request,
            Login::Basic { username, password } => request.basic_auth(username, Some(password.reveal())),
            Login::Token(token) => request.bearer_auth(token.reveal()),
        }
    }

    /// The answer, whatever its status; `name` is for the message.
    pub(super) async fn send(&self, request: RequestBuilder, name: &'static str) -> Result<Response, DeliveryError> {
        request.send().await.map_err(|error| self.failed(&error, name))
    }

    /// The answer's body as text.
    pub(super) async fn text(&self, response: Response, name: &'static str) -> Result<String, DeliveryError> {
        response.text().await.map_err(|error| self.failed(&error, name))
    }

    fn failed(&self, error: &reqwest::Error, request: &'static str) -> DeliveryError {
        let peer = self.peer.url.clone();
        if error.is_timeout() {
            return DeliveryError::Timeout { peer, request, after: self.timeout };
        }
        DeliveryError::Connect { peer, reason: innermost(error) }
    }

    /// The error that a status is.
    pub(super) fn refused(&self, status: StatusCode) -> DeliveryError {
        DeliveryError::Http { url: self.peer.url.clone(), status: status.as_u16(), remedy: remedy(status) }
    }
}

fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "check user name and password, or the token, of the destination"
        }
        StatusCode::NOT_FOUND => "check the destination's url: it must be the root of the service",
        StatusCode::BAD_REQUEST => "the peer cannot read what it was sent; look into its log",
        StatusCode::PAYLOAD_TOO_LARGE => "raise the size that the peer, or a proxy before it, takes",
        _ if status.is_server_error() => "the peer or its disk has a problem; look into its log",
        _ => "look into the peer's log",
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
