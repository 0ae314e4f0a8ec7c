//! The HTTP server: DICOMweb STOW-RS in (PS3.18 section 10.5), metrics, and whether the node is well.
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
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::intake::Intake;
use crate::ledger::Ledger;
use crate::observe::audit::Trail;
use crate::reload::Reloader;

pub use metrics::Gauges;

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
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    gauges: Gauges,
    trail: Option<Trail>,
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

/// The parts of the node that requests reach.
#[derive(Debug)]
pub struct Parts {
    pub intake: Intake,
    pub config: Arc<ArcSwap<Config>>,
    pub reloader: Reloader,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub gauges: Gauges,
    pub trail: Option<Trail>,
}

/// Serves on `listener` until `stop`; requests in work are answered.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, parts: Parts, stop: CancellationToken) -> io::Result<()> {
    let (uploads, numbers) = (Semaphore::new(UPLOADS), AtomicU64::new(0));
    let Parts { intake, config, reloader, ledger, clock, gauges, trail } = parts;
    let server =
        Server { intake, config, reloader, ledger, clock, gauges, trail, uploads, numbers, stop: stop.clone() };
    let server = Arc::new(server);
    let service = router(server).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(server: Arc<Server>) -> Router {
    let dicomweb = Router::new()
        .route("/metrics", get(metrics::metrics))
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
        .layer(from_fn_with_state(Arc::clone(&server), access::check));
    let health = Router::new().route("/healthz", get(|| async { "alive\n" })).route("/readyz", get(metrics::ready));
    dicomweb.merge(health).with_state(server)
}
