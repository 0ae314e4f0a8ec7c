//! Series closed from outside: by a program that knows that all is there, such as an Orthanc whose series is stable.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::Server;
use crate::dicom::Uid;
use crate::intake::IntakeError;
use crate::ledger::ClosedBy;

/// Why the series is to be closed.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    #[default]
    Api,
    StableSeries,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closing {
    #[serde(default)]
    by: Reason,
}

/// `POST /api/v1/series/{series}/close`, with `{"by": "stable-series"}` or without a body: 200 with what was closed, 404
/// when nothing of the series is open.
pub(super) async fn close(
    State(server): State<Arc<Server>>,
    Path(series): Path<String>,
    body: Option<Json<Closing>>,
) -> Response {
    let series = match Uid::parse(&series) {
        Ok(series) => series,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{series:?} is no UID: {error}\n")).into_response(),
    };
    let by = match body.unwrap_or_default().0.by {
        Reason::Api => ClosedBy::Api,
        Reason::StableSeries => ClosedBy::StableSeries,
    };
    let intake = server.intake.clone();
    match tokio::task::spawn_blocking(move || intake.close_series(&series, by)).await {
        Ok(Ok(closed)) => {
            let closed = closed.iter().map(|closed| {
                json!({"study": closed.series.study, "series": closed.series.series, "revision": closed.revision,
                       "closed_by": closed.by, "geometry": closed.geometry.name(), "jobs": closed.jobs})
            });
            Json(closed.collect::<Vec<_>>()).into_response()
        }
        Ok(Err(error @ IntakeError::NothingOpen(_))) => (StatusCode::NOT_FOUND, format!("{error}\n")).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")).into_response(),
    }
}
