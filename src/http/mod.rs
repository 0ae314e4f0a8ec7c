//! The HTTP server: DICOMweb STOW-RS in (PS3.18 section 10.5), and whether the node is well.
//!
//! An uploaded instance takes the way of every other one: what is answered as stored is durable. Off unless
//! `[http]` in `node.toml` says where to listen. Keeps nothing itself, and decides nothing about an instance
//! beyond what it must know to hand it to intake.

mod access;
mod answer;
mod metrics;
mod multipart;
mod rules;
mod series;
mod stow;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::intake::Intake;
use crate::reload::{Reloader, Standing};

/// Uploads at a time; one more is told to come back (503).
const UPLOADS: usize = 32;
/// Associations of the network are counted from 1, uploads from here: intake tells both apart.
const FIRST_UPLOAD: u64 = 1 << 63;

/// What every request shares.
#[derive(Debug)]
struct Server {
    intake: Intake,
    config: Arc<ArcSwap<Config>>,
    reloader: Reloader,
    uploads: Semaphore,
    numbers: AtomicU64,
    stop: CancellationToken,
}

impl Server {
    /// A number for one upload, never used twice while the node runs.
    fn number(&self) -> u64 {
        FIRST_UPLOAD | self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// Serves on `listener` until `stop`; requests in work are answered.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    intake: Intake,
    config: Arc<ArcSwap<Config>>,
    reloader: Reloader,
    stop: CancellationToken,
) -> io::Result<()> {
    let (uploads, numbers) = (Semaphore::new(UPLOADS), AtomicU64::new(0));
    let server = Arc::new(Server { intake, config, reloader, uploads, numbers, stop: stop.clone() });
    let service = router(server).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(server: Arc<Server>) -> Router {
    let dicomweb = Router::new()
        .route("/dicom-web/studies", post(stow::store))
        .route("/dicom-web/studies/{study}", post(stow::store_in_study))
        .route("/api/v1/rules/reload", post(rules::reload))
        .route("/api/v1/rules/unmatched", get(rules::unmatched))
        .route("/api/v1/series/held", get(series::held))
        .route("/api/v1/series/waiting", get(series::waiting))
        .route("/api/v1/series/{series}/close", post(series::close))
        .route("/api/v1/series/{series}/release", post(series::release))
        .route("/api/v1/series/{series}/drop", post(series::drop_held))
        .route("/api/v1/orthanc/stable-series", post(series::stable))
        .route("/metrics", get(metrics::show))
        .layer(from_fn_with_state(Arc::clone(&server), access::check));
    let health = Router::new().route("/healthz", get(|| async { "alive\n" })).route("/readyz", get(ready));
    dicomweb.merge(health).with_state(server)
}

/// Could an instance be taken now? Beside the answer: which rules are in force, and which files are not.
async fn ready(State(server): State<Arc<Server>>) -> Response {
    let (intake, reloader) = (server.intake.clone(), server.reloader.clone());
    match tokio::task::spawn_blocking(move || intake.ready().map(|()| reloader.standing())).await {
        Ok(Ok(standing)) => said(&standing).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")).into_response(),
    }
}

fn said(standing: &Standing) -> String {
    let refused = standing.refused.as_ref().map(|why| format!("the configuration files are not in force: {why}\n"));
    let restart = standing.restart_needed.then_some("node.toml changed; it comes into force with the next start\n");
    let (refused, restart) = (refused.unwrap_or_default(), restart.unwrap_or_default());
    format!("ready\nrules in force: {}\n{refused}{restart}", standing.rules_revision)
}
