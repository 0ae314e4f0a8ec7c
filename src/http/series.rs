//! Series that do not go on by themselves: closed from outside, by a program that knows that all is there, or on hold
//! until somebody decides.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Server;
use super::access::Caller;
use crate::dicom::Uid;
use crate::intake::{Closed, Intake, IntakeError, Stable};
use crate::ledger::ClosedBy;

/// What Orthanc's script says of a series, in Orthanc's words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StableSeries {
    #[serde(rename = "SeriesInstanceUID")]
    series: Uid,
    /// How many instances Orthanc holds of it.
    #[serde(rename = "Instances")]
    instances: Option<u64>,
}

/// `POST /api/v1/series/{series}/close`: what was closed; 404 when nothing of the series is open.
pub(super) async fn close(State(server): State<Arc<Server>>, Path(series): Path<Uid>) -> Response {
    answer(&server, move |intake| Ok(closed(&intake.close_series(&series, ClosedBy::Api)?))).await
}

/// `POST /api/v1/orthanc/stable-series`: 200 with what was closed, 202 when instances are still to come.
pub(super) async fn stable(State(server): State<Arc<Server>>, Json(said): Json<StableSeries>) -> Response {
    let waits = |there: u64, all: Option<u64>| {
        (StatusCode::ACCEPTED, Json(json!({"instances": there, "announced": all}))).into_response()
    };
    let intake = server.intake.clone();
    match tokio::task::spawn_blocking(move || (intake.stable_series(&said.series, said.instances), said)).await {
        Ok((Ok(Stable::Closed(series)), _)) => Json(closed(&series)).into_response(),
        Ok((Ok(Stable::Waits { there }), said)) => waits(there, said.instances),
        Ok((Err(error), _)) => refused(&error),
        Err(fault) => failed(&fault),
    }
}

/// `GET /api/v1/series/held`, with `?all=true` also those that were.
pub(super) async fn held(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response {
    let all = query.as_deref() == Some("all=true");
    answer(&server, move |intake| Ok(intake.ledger().holds(all)?)).await
}

/// `GET /api/v1/series/waiting`: rules that wait, and for what.
pub(super) async fn waiting(State(server): State<Arc<Server>>) -> Response {
    answer(&server, |intake| Ok(intake.ledger().waiting()?)).await
}

/// `POST /api/v1/series/{series}/release`: the jobs of a series that was on hold.
pub(super) async fn release(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Path(series): Path<Uid>,
) -> Response {
    answer(&server, move |intake| Ok(json!({"jobs": intake.release(series.as_str(), caller.name())?}))).await
}

/// `POST /api/v1/series/{series}/drop`.
pub(super) async fn drop_held(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Path(series): Path<Uid>,
) -> Response {
    answer(&server, move |intake| Ok(json!(intake.drop_held(series.as_str(), caller.name())?))).await
}

/// What `work` says as JSON, or why it could not be done.
pub(super) async fn answer<T: Serialize + Send + 'static>(
    server: &Server,
    work: impl FnOnce(&Intake) -> Result<T, IntakeError> + Send + 'static,
) -> Response {
    let intake = server.intake.clone();
    match tokio::task::spawn_blocking(move || work(&intake)).await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(error)) => refused(&error),
        Err(fault) => failed(&fault),
    }
}

fn refused(error: &IntakeError) -> Response {
    match error {
        IntakeError::NothingOpen(_) | IntakeError::NotHeld(_) => {
            (StatusCode::NOT_FOUND, format!("{error}\n")).into_response()
        }
        _ => failed(error),
    }
}

fn failed(fault: &dyn std::fmt::Display) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")).into_response()
}

fn closed(series: &[Closed]) -> Value {
    let told = series.iter().map(|closed| {
        json!({"study": closed.series.study, "series": closed.series.series, "revision": closed.revision,
               "closed_by": closed.by, "geometry": closed.geometry.name(), "jobs": closed.jobs})
    });
    told.collect()
}
