//! The rules in force, told to read their file again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Server;
use super::access::Caller;
use crate::config::ConfigFaults;
use crate::ledger::RulesSource;
use crate::reload::ReloadError;

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
