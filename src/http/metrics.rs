//! `GET /metrics`, and whether the node is well.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Server;
use crate::intake::IntakeError;
use crate::observe::{self, Figures};
use crate::reload::Standing;

/// Asks the node what it measures. Blocking.
#[derive(Clone)]
pub struct Gauges(pub Arc<dyn Fn() -> Figures + Send + Sync>);

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges(..)")
    }
}

/// 200 with the page in the Prometheus text format.
pub(super) async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let (gauges, ledger, standing) = (server.gauges.clone(), server.ledger.clone(), server.reloader.standing());
    let now = server.clock.now();
    let work = move || {
        let figures = Figures {
            configuration_in_force: standing.refused.is_none() && !standing.restart_needed,
            rules_revision: standing.rules_revision,
            ..(gauges.0)()
        };
        observe::metrics(&ledger, &figures, now)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(page)) => ([(header::CONTENT_TYPE, observe::MEDIA_TYPE)], page).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")).into_response(),
    }
}

/// Could an instance be taken now? Beside the answer: which rules are in force, which files are not, what fails. 200
/// or 503; JSON for those who ask for it.
pub(super) async fn ready(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let (intake, reloader) = (server.intake.clone(), server.reloader.clone());
    let asked = tokio::task::spawn_blocking(move || (intake.ready(), reloader.standing())).await;
    let Ok((taken, standing)) = asked else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the check itself failed, see the node's log\n").into_response();
    };
    let status = if taken.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("json") {
        return (status, Json(as_json(&taken, &standing))).into_response();
    }
    (status, as_text(&taken, &standing)).into_response()
}

fn as_json(taken: &Result<(), IntakeError>, standing: &Standing) -> serde_json::Value {
    json!({
        "ready": taken.is_ok(),
        "reason": taken.as_ref().err().map(ToString::to_string),
        "version": env!("CARGO_PKG_VERSION"),
        "rules_revision": standing.rules_revision,
        "configuration_refused": standing.refused,
        "restart_needed": standing.restart_needed,
    })
}

fn as_text(taken: &Result<(), IntakeError>, standing: &Standing) -> String {
    let first = taken.as_ref().map_or_else(|error| format!("not ready: {error}"), |()| "ready".to_owned());
    let refused = standing.refused.as_ref().map(|why| format!("the configuration files are not in force: {why}\n"));
    let restart = standing.restart_needed.then_some("node.toml changed; it comes into force with the next start\n");
    let (refused, restart) = (refused.unwrap_or_default(), restart.unwrap_or_default());
    format!("{first}\nrules in force: {}\n{refused}{restart}", standing.rules_revision)
}
