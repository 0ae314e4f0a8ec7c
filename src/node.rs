//! Wires the parts into a running node, and takes it apart in order.
//!
//! Start: lock the data folder, open spool and ledger, give back the jobs of the dead process, bring
//! both together, then listen. Stop: no new associations, no new claims, running work is given back,
//! everything is waited for.

mod figures;
mod trail;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{self, Config, Destination, Duplicates, NodeConfig, TlsListener};
use crate::delivery::{Delivery, DeliveryError};
use crate::herald::Herald;
use crate::http;
use crate::inference::{Engine, EngineOptions};
use crate::intake::{self, Closed, Expired, Intake, IntakeError, Rebuilt};
use crate::ledger::{Ledger, LedgerError, LedgerOptions, RulesSource};
use crate::observe::audit::{self, Trail};
use crate::pipeline::{Analyst, FontFolders, JobRunner};
use crate::reload::Reloader;
use crate::results::{Letterhead, Paper};
use crate::retrieval::Retriever;
use crate::scp::{self, Door};
use crate::spool::{Durability, Spool, SpoolError, SpoolOptions};
use crate::tls::{ServerTls, TlsError};
use crate::worker::{self, Workers};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("cannot make the data folder {}: {source}", path.display())]
    Data { path: PathBuf, source: std::io::Error },
    #[error("another Sagittal works on {}; stop it first, or give this node a data folder of its own", path.display())]
    Locked { path: PathBuf },
    #[error("cannot listen on {address}: {source}; is another program using the port? (`listen` in node.toml)")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("spool and ledger cannot be brought together: {0}")]
    Rebuild(#[from] IntakeError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error("{0} ([tls] in node.toml)")]
    Tls(#[from] TlsError),
}

/// A node at work.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    tls: Option<(SocketAddr, Arc<ServerTls>)>,
    http: Option<SocketAddr>,
    ledger: Ledger,
    intake: Intake,
    progress: watch::Receiver<worker::Running>,
    reloader: Reloader,
    stop: CancellationToken,
    tasks: TaskTracker,
    trail: Option<Trail>,
    _lock: File,
}

/// The data folder of a node: where the ledger and the spool are.
#[must_use]
pub fn ledger_path(node: &NodeConfig) -> PathBuf {
    node.data.join("ledger.sqlite")
}

#[must_use]
pub fn spool_path(node: &NodeConfig) -> PathBuf {
    node.data.join("spool")
}

/// How the ledger of a node is opened.
pub fn open_ledger(config: &Config, clock: Arc<dyn Clock>) -> Result<Ledger, LedgerError> {
    open_ledger_as(None, config, clock)
}

/// As [`open_ledger`], for a person at the command line.
pub fn open_ledger_as(actor: Option<String>, config: &Config, clock: Arc<dyn Clock>) -> Result<Ledger, LedgerError> {
    let attempts = |d: &Destination| Some((d.name.clone(), d.max_attempts?));
    let options = LedgerOptions {
        max_attempts: config.node.max_attempts,
        off_peak: config.node.off_peak,
        replace: config.node.duplicates == Duplicates::Replace,
        destination_attempts: config.destinations.values().filter_map(attempts).collect(),
        actor,
        ..LedgerOptions::default()
    };
    Ledger::open(&ledger_path(&config.node), clock, options)
}

/// The pipeline runner of `node`, for the node and for `sagittal run`.
#[must_use]
pub fn analyst(node: &NodeConfig, clock: Arc<dyn Clock>) -> Analyst {
    Analyst {
        engine: Arc::new(Engine::new(EngineOptions::of_node(node, clock))),
        models: node.models.clone(),
        series_number_base: node.series_number_base,
        letterhead: Letterhead {
            node: node.reception.ae_title.to_string(),
            paper: match node.paper {
                config::Paper::A4 => Paper::A4,
                config::Paper::Letter => Paper::Letter,
            },
            fonts: Arc::new(FontFolders::new(node.fonts.clone())),
        },
    }
}

/// Starts a node. Returns when it listens.
pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, NodeError> {
    let node = config.node.clone();
    std::fs::create_dir_all(&node.data).map_err(|source| NodeError::Data { path: node.data.clone(), source })?;
    let lock = lock(&node.data)?;
    let spool = Arc::new(Spool::open_with(&spool_path(&node), spool_options(&node))?);
    let ledger = open_ledger(&config, clock.clone())?;
    let rescued = ledger.rescue_all_running()?;
    let Rebuilt { recorded, swept, forgotten } = intake::rebuild(&spool, &ledger)?;
    if rescued + recorded + swept > 0 {
        tracing::info!(rescued, recorded, swept, "took over from a process that ended without a word");
    }
    if forgotten > 0 {
        tracing::error!(forgotten, "instances are lost: the ledger knew them, the disk did not keep them");
    }
    let (listener, address) = bind(node.listen).await?;
    let mut doors = vec![Door { listener, tls: None }];
    let tls = match &node.tls {
        None => None,
        Some(TlsListener { listen, files }) => {
            let tls = Arc::new(ServerTls::load(files.clone())?);
            let (listener, address) = bind(*listen).await?;
            doors.push(Door { listener, tls: Some(tls.clone()) });
            tracing::info!(%address, "listening for TLS");
            Some((address, tls))
        }
    };

    let config = Arc::new(ArcSwap::from_pointee(config));
    let http = match &node.http {
        Some(http) => Some(bind(http.listen).await?),
        None => None,
    };
    let intake = Intake::new(spool.clone(), ledger.clone(), clock.clone(), config.clone());
    let reloader = Reloader::start(config.clone(), ledger.clone())?;
    let (served, told) = (config.clone(), config.clone());
    let trail = trail::start(&node, clock.clone());
    let (stop, tasks, bell) = (CancellationToken::new(), TaskTracker::new(), Arc::new(Notify::new()));
    let retriever = Retriever {
        ledger: ledger.clone(),
        intake: intake.clone(),
        config: config.clone(),
        clock: clock.clone(),
        stop: stop.clone(),
    };
    let (progress, seen) = watch::channel(worker::Running::default());
    let runner = JobRunner {
        analyst: analyst(&node, clock.clone()),
        ledger: ledger.clone(),
        spool: spool.clone(),
        config: config.clone(),
    };
    // A node that runs no model does without the library's 12 MB.
    if !config.load().pipelines.is_empty() {
        preload(runner.analyst.engine.clone());
    }
    let gauges = figures::gauges(&node, runner.analyst.engine.clone(), spool.clone(), clock.now());
    let delivery = Delivery::new()?;
    tasks.spawn(close_deliveries(delivery.clone(), stop.clone()));
    Workers {
        ledger: ledger.clone(),
        spool,
        clock: clock.clone(),
        config,
        runner,
        delivery,
        bell: bell.clone(),
        progress,
        stop: stop.clone(),
        tasks: tasks.clone(),
        name: format!("{}:{}", node.reception.ae_title, std::process::id()).into(),
    }
    .start();
    tasks.spawn(close_loop(intake.clone(), clock.clone(), bell, stop.clone()));
    let herald = Herald {
        ledger: ledger.clone(),
        intake: intake.clone(),
        config: told,
        clock: clock.clone(),
        trail: trail.clone(),
    };
    tasks.spawn(herald.run(stop.clone()));
    let web = http.as_ref().map(|(_, address)| *address);
    if let Some((listener, address)) = http {
        tracing::info!(%address, "listening for DICOMweb");
        let (intake, reloader, ledger) = (intake.clone(), reloader.clone(), ledger.clone());
        let trail = trail.clone();
        let parts = http::Parts { intake, config: served, reloader, ledger, clock, gauges, trail };
        let server = http::serve(listener, parts, stop.clone());
        tasks.spawn(serve_http(server));
    }
    tasks.spawn(reloader.clone().run(stop.clone()));
    tasks.spawn(wish_loop(intake.clone(), stop.clone()));
    tasks.spawn(expire_loop(intake.clone(), stop.clone()));
    tasks.spawn(retriever.run());
    receive(&tasks, doors, &node, &intake, trail.as_ref(), &stop);
    tracing::info!(%address, ae_title = %node.reception.ae_title, "listening");
    Ok(Running { address, tls, http: web, ledger, intake, progress: seen, reloader, stop, tasks, trail, _lock: lock })
}

/// Opens the doors, with a witness where there is an audit trail.
fn receive(
    tasks: &TaskTracker,
    doors: Vec<Door>,
    node: &NodeConfig,
    intake: &Intake,
    trail: Option<&Trail>,
    stop: &CancellationToken,
) {
    let (reception, intake, stop) = (node.reception.clone(), intake.clone(), stop.clone());
    match trail.cloned() {
        None => tasks.spawn(scp::serve_all(doors, reception, Arc::new(intake), stop)),
        Some(trail) => {
            trail.tell(audit::Event::Started);
            let door = audit::Door::new(intake, trail);
            tasks.spawn(scp::serve_all(doors, reception, Arc::new(door), stop))
        }
    };
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let fault = |source| NodeError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok((listener, address))
}

/// Peers are told that no more comes; a delivery that is under way meanwhile tells its own.
async fn close_deliveries(delivery: Delivery, stop: CancellationToken) {
    stop.cancelled().await;
    delivery.close().await;
}

/// Loads ONNX Runtime while nothing waits for it, and says now rather than at the first series when it is missing.
fn preload(engine: Arc<Engine>) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = engine.runtime() {
            tracing::warn!("models cannot run: {error}");
        }
    });
}

/// One process a data folder: two would give back each other's running jobs. The lock ends with the file.
pub fn lock(data: &Path) -> Result<File, NodeError> {
    let path = data.join("lock");
    let file = File::create(&path).map_err(|source| NodeError::Data { path: path.clone(), source })?;
    file.try_lock().map_err(|_| NodeError::Locked { path: data.to_owned() })?;
    Ok(file)
}

fn spool_options(node: &NodeConfig) -> SpoolOptions {
    let durability = match node.durability {
        config::Durability::PowerLoss => Durability::PowerLoss,
        config::Durability::ProcessCrash => Durability::ProcessCrash,
    };
    SpoolOptions { durability, reserve: node.reserve, ..SpoolOptions::default() }
}

/// How often the completion timers are looked at, and how soon after a look at the earliest.
const TICK: Duration = Duration::from_millis(100);
const SHORTEST_TICK: Duration = Duration::from_millis(2);

async fn close_loop(intake: Intake, clock: Arc<dyn Clock>, bell: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let worker = intake.clone();
        let mut pause = TICK;
        let work = move || {
            let (closed, next) = worker.close_due()?;
            Ok((closed, next, worker.decide_due()?))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok((closed, next, decided))) => {
                announce(&closed, &bell);
                if decided > 0 {
                    bell.notify_waiters();
                }
                let left = next.map_or(i64::MAX, |next| next.0 - clock.now().0);
                pause = TICK.min(Duration::from_millis(left.max(0).cast_unsigned())).max(SHORTEST_TICK);
            }
            Ok(Err::<_, IntakeError>(error)) => tracing::error!("cannot close finished series: {error}"),
            Err(fault) => tracing::error!("closing finished series failed: {fault}"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn serve_http(server: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = server.await {
        tracing::error!("DICOMweb is no longer served: {error}");
    }
}

/// How often the node looks for what the command line wants done with the quarantine.
const WISHES: Duration = Duration::from_millis(500);

/// How often the node looks for what was kept for long enough.
const EXPIRY: Duration = Duration::from_mins(10);

async fn expire_loop(intake: Intake, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let worker = intake.clone();
        match tokio::task::spawn_blocking(move || worker.expire()).await {
            Ok(Ok(expired)) if expired == Expired::default() => {}
            Ok(Ok(expired)) => tracing::info!(?expired, "what was kept for long enough is dropped"),
            Ok(Err(error)) => tracing::error!("cannot drop what was kept for long enough: {error}"),
            Err(fault) => tracing::error!("dropping what was kept for long enough failed: {fault}"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EXPIRY) => {}
        }
    }
}

async fn wish_loop(intake: Intake, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let worker = intake.clone();
        match tokio::task::spawn_blocking(move || worker.meet_wishes()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("cannot take objects out of the quarantine: {error}"),
            Err(fault) => tracing::error!("taking objects out of the quarantine failed: {fault}"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(WISHES) => {}
        }
    }
}

fn announce(closed: &[Closed], bell: &Notify) {
    for revision in closed {
        tracing::info!(series = %revision.series.series, revision = revision.revision, by = ?revision.by,
            geometry = revision.geometry.name(), jobs = revision.jobs.len(), "series finished");
    }
    if !closed.is_empty() {
        bell.notify_waiters();
    }
}

impl Running {
    /// Where the node listens for associations.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for those over TLS.
    #[must_use]
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|(address, _)| *address)
    }

    /// Where it serves DICOMweb.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Reads the configuration files again, as SIGHUP asks for; faulty ones change nothing. Blocking.
    pub fn reload(&self) {
        // the outcome is logged, and kept for those who ask
        let _ = self.reloader.reload(RulesSource::Signal, None, "SIGHUP");
    }

    /// Reads the certificates of the TLS port again; those that cannot be used leave the old ones in force. Blocking.
    pub fn reload_certificates(&self) {
        match self.tls.as_ref().map(|(_, tls)| tls.reload()) {
            None => tracing::info!("there is no TLS port, and no certificate to read again"),
            Some(Ok(())) => tracing::info!("the certificates of the TLS port were read again"),
            Some(Err(error)) => tracing::error!("the TLS port keeps its old certificates: {error}"),
        }
    }

    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    #[must_use]
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Follows the running infer job.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<worker::Running> {
        self.progress.clone()
    }

    /// Stops in order and waits; running work is given back without costing an attempt.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(trail) = self.trail {
            trail.tell(audit::Event::Stopped);
            let _ = tokio::task::spawn_blocking(move || trail.flush()).await;
        }
    }
}
