//! The rules in force, told to read their file again; and the series that none of them wanted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::access::Caller;
use super::{Server, series};
use crate::clock::Millis;
use crate::config::ConfigFaults;
use crate::intake;
use crate::ledger::RulesSource;
use crate::reload::ReloadError;

/// At most so many series are listed.
const MOST: u32 = 1000;

/// `GET /api/v1/rules/unmatched`: the newest series that no rule wanted, and what kept the nearest rule away.
pub(super) async fn unmatched(State(server): State<Arc<Server>>) -> Response {
    series::answer(&server, |intake| intake::unmatched(intake.ledger(), Millis(0), MOST)).await
}

/// `POST /api/v1/rules/reload`: 200 with the revision in force, 422 with all faults of the files.
pub(super) async fn reload(State(server): State<Arc<Server>>, Extension(caller): Extension<Caller>) -> Response {
    let reloader = server.reloader.clone();
    let work = move || reloader.reload(RulesSource::Api, Some(caller.name()), "asked for over HTTP");
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(reloaded)) => {
            Json(json!({"rules_revision": reloaded.rules_revision, "changed": reloaded.rules_changed})).into_response()
        }
        Ok(Err(ReloadError::Faulty(ConfigFaults(faults)))) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"faults": faults}))).into_response()
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")).into_response(),
    }
}
