//! Who may use the HTTP interfaces: the bearer of the API key (RFC 6750), or everybody on loopback where there is none.
//!
//! The configuration refuses a listener that other machines reach without a key. Handlers see a [`Caller`], so that
//! users with roles can come behind the same check. Never logs a key.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::Server;
use crate::config::Secret;

/// Who makes a request, for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody had to say who they are.
    Local,
    KeyHolder,
}

impl Caller {
    /// As the history and the log name them.
    pub fn name(self) -> &'static str {
        match self {
            Caller::Local => "somebody on this machine",
            Caller::KeyHolder => "the holder of the API key",
        }
    }
}

/// Lets a request of a known caller through.
pub(super) async fn check(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let config = server.config.load();
    let key = config.node.http.as_ref().and_then(|http| http.api_key.as_ref());
    let Some(caller) = caller(key, request.headers()) else {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"sagittal\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "an API key is needed: Authorization: Bearer KEY\n")
            .into_response();
    };
    drop(config);
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn caller(key: Option<&Secret>, headers: &HeaderMap) -> Option<Caller> {
    let Some(key) = key else { return Some(Caller::Local) };
    let (scheme, said) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    // Digests are compared, so that the time it takes tells nothing about the key.
    let same = Sha256::digest(said.trim()) == Sha256::digest(key.reveal());
    (scheme.eq_ignore_ascii_case("bearer") && same).then_some(Caller::KeyHolder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_bearer_of_the_key_is_known() {
        let key = Secret::new("correct horse".into());
        let check = |said: Option<&str>, expected: Option<Caller>| {
            let mut headers = HeaderMap::new();
            if let Some(said) = said {
                headers.insert(header::AUTHORIZATION, said.parse().unwrap());
            }
            assert_eq!(caller(Some(&key), &headers), expected, "{said:?}");
        };
        check(Some("Bearer correct horse"), Some(Caller::KeyHolder));
        check(Some("bearer correct horse "), Some(Caller::KeyHolder));
        check(Some("Bearer correct"), None);
        check(Some("Basic correct horse"), None);
        check(Some("Bearer"), None);
        check(None, None);
        assert_eq!(caller(None, &HeaderMap::new()), Some(Caller::Local));
    }
}
