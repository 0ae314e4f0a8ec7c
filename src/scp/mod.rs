//! The receiving application entity: C-ECHO, C-STORE and storage commitment over TCP or TLS (PS3.8, PS3.7, PS3.4
//! annexes B and J).
//!
//! The caller binds the listeners and passes the stop signal. What happens to an object is the
//! [`StoreHandler`]'s business: its answer becomes the C-STORE-RSP, so success is said when it says so and
//! never earlier. This module knows neither spool nor ledger, parses no data set and writes no file.

mod association;
mod commitment;
mod doorstep;
mod echo;
mod negotiation;
mod places;
mod quarters;
mod refused;
mod store;
mod stream;
mod wire;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::config::Reception as ScpOptions;
use crate::dicom::message::Basket;
use crate::dicom::{StoreStatus, Uid};
use crate::tls::ServerTls;
use doorstep::Doorstep;
use places::Places;
use stream::Stream;

pub use refused::{Breach, Denial};

pub use commitment::{CommitmentReport, CommitmentRequest, KeptCommitment, Refusal};

/// Connections at a time that have no association yet, and as many that have none any more: enough to give each in
/// a crowd its answer.
const DOORSTEP: usize = 128;

/// What a command says of the object that follows it; nothing of it is checked yet.
#[derive(Debug, Clone, Copy)]
pub struct Announced<'a> {
    pub calling: &'a str,
    pub called: &'a str,
    pub peer: IpAddr,
    pub sop_class: &'a str,
    pub sop_instance: &'a str,
    pub transfer_syntax: &'a str,
}

/// One object as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRequest<D = Vec<u8>> {
    /// Calling and called AE title as the peer wrote them, trimmed.
    pub calling: String,
    pub called: String,
    pub peer: IpAddr,
    /// Number of the association, never used twice while the node runs.
    pub association: u64,
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// The data set as received, without a Part 10 header.
    pub dataset: D,
}

/// An object whose command names no SOP Instance UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnnamedObject<D = Vec<u8>> {
    pub calling: String,
    pub called: String,
    pub peer: IpAddr,
    pub sop_class: Uid,
    /// What the command said instead of a UID.
    pub announced: String,
    pub transfer_syntax: Uid,
    /// The data set as received, without a Part 10 header.
    pub dataset: D,
}

/// Somebody who was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    pub peer: IpAddr,
    /// Calling AE title, where it came that far.
    pub calling: Option<String>,
    pub why: String,
}

/// The answer to a C-STORE-RQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAnswer {
    pub status: StoreStatus,
    /// Error Comment: what was wrong, without patient data.
    pub comment: Option<String>,
    pub offending: Option<dicom_core::Tag>,
}

impl StoreAnswer {
    pub const SUCCESS: StoreAnswer = StoreAnswer { status: StoreStatus::Success, comment: None, offending: None };

    #[must_use]
    pub fn failure(status: StoreStatus, comment: impl Into<String>) -> StoreAnswer {
        StoreAnswer { status, comment: Some(comment.into()), offending: None }
    }

    #[must_use]
    pub fn offending(self, tag: dicom_core::Tag) -> StoreAnswer {
        StoreAnswer { offending: Some(tag), ..self }
    }
}

/// What keeps the objects. A panic in storing is answered with 0110 and ends no association.
///
/// Every association is served on a thread of its own: what is asked of the handler may block.
pub trait StoreHandler: Send + Sync + 'static {
    /// What a data set is put into while it comes: this module never holds one.
    type Draft: Basket + Send;

    /// Begins an object. It is given to [`StoreHandler::store`] when it is whole, or dropped.
    fn begin(&self, object: &Announced<'_>) -> Self::Draft;

    /// Keeps one object; [`StoreStatus::Success`] means that it survives a power cut.
    fn store(&self, request: StoreRequest<Self::Draft>) -> impl Future<Output = StoreAnswer> + Send;

    /// Is offered an object that is refused because no SOP Instance UID names it. Keeping it changes no answer.
    fn unnamed(&self, object: UnnamedObject<Self::Draft>, answer: &StoreAnswer) -> impl Future<Output = ()> + Send {
        let _ = (object, answer);
        async {}
    }

    /// The association is over, by release, abort or a lost connection; none of its objects is still to come.
    fn released(&self, association: u64) -> impl Future<Output = ()> + Send;

    /// Keeps a request for storage commitment; `Ok` means that it survives a power cut and that its report is
    /// seen to, whatever becomes of the association. Left out: nothing is committed to.
    fn commit(&self, request: CommitmentRequest) -> impl Future<Output = Result<KeptCommitment, Refusal>> + Send {
        let _ = request;
        async { Err(Refusal::unsupported()) }
    }

    /// Keeps a report on a request of our own; `Ok` means that it survives a power cut. Left out: we asked for none.
    fn told(&self, report: CommitmentReport) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = report;
        async { Err(Refusal::unknown_transaction()) }
    }

    /// An association was rejected, or a TLS handshake failed. Must not block.
    fn turned_away(&self, visitor: Visitor) {
        let _ = visitor;
    }

    /// The peer answered the report of request `number`, sent on the association that asked, with `status`.
    fn reported(&self, number: i64, status: u16) -> impl Future<Output = ()> + Send {
        let _ = (number, status);
        async {}
    }
}

/// What every association shares.
struct Node<H> {
    options: ScpOptions,
    handler: Arc<H>,
    arriving: Arc<Doorstep>,
    leaving: Arc<Doorstep>,
    places: Arc<Places>,
    numbers: AtomicU64,
    tasks: TaskTracker,
}

impl<H> Node<H> {
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// One port.
#[derive(Debug)]
pub struct Door {
    pub listener: TcpListener,
    /// What its connections are secured with; `None`: plain TCP.
    pub tls: Option<Arc<ServerTls>>,
}

/// Receives on `listener`; see [`serve_all`].
pub async fn serve<H: StoreHandler>(
    listener: TcpListener,
    options: ScpOptions,
    handler: Arc<H>,
    shutdown: CancellationToken,
) {
    serve_all(vec![Door { listener, tls: None }], options, handler, shutdown).await;
}

/// Receives at all `doors` until `shutdown`: then it accepts nobody more, lets every message in work be answered,
/// aborts the associations and returns. The limits hold for all doors together.
pub async fn serve_all<H: StoreHandler>(
    doors: Vec<Door>,
    options: ScpOptions,
    handler: Arc<H>,
    shutdown: CancellationToken,
) {
    let [arriving, leaving] = [DOORSTEP; 2].map(|room| Arc::new(Doorstep::new(room)));
    let places = Arc::new(Places::new(options.max_associations, options.max_associations_per_peer));
    let (numbers, tasks) = (AtomicU64::new(1), TaskTracker::new());
    let node = Arc::new(Node { options, handler, arriving, leaving, places, numbers, tasks: tasks.clone() });
    for door in doors {
        tasks.spawn(keep_door(door, Arc::clone(&node), shutdown.clone()));
    }
    tasks.close();
    tasks.wait().await;
}

async fn keep_door<H: StoreHandler>(door: Door, node: Arc<Node<H>>, shutdown: CancellationToken) {
    let tasks = node.tasks.clone();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = accept(&door.listener) => accepted,
        };
        let (node, shutdown, tls) = (Arc::clone(&node), shutdown.clone(), door.tls.clone());
        let guest = node.arriving.enter();
        tasks.spawn(async move {
            let entered = tokio::select! {
                biased;
                () = shutdown.cancelled() => None,
                () = guest.sent_away.cancelled() => None,
                entered = enter(stream, peer.ip(), tls, &node) => entered,
            };
            if let Some(stream) = entered {
                association::run(stream, peer.ip(), &node, &shutdown, guest).await;
            }
        });
    }
}

/// The TLS handshake, where there is one; `None` when it failed: the peer was told by an alert.
async fn enter<H: StoreHandler>(
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<Arc<ServerTls>>,
    node: &Node<H>,
) -> Option<Stream> {
    let Some(tls) = tls else { return Some(Stream::Plain(stream)) };
    // The settings may have to be read from files.
    let config = tokio::task::spawn_blocking(move || tls.current()).await.ok()?;
    let patience = node.options.artim_timeout;
    let turned_away = |why| node.handler.turned_away(Visitor { peer, calling: None, why });
    match tokio::time::timeout(patience, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::warn!(%peer, %error, "TLS handshake failed; nobody was let in");
            turned_away(format!("TLS handshake failed: {error}"));
            None
        }
        Err(_) => {
            tracing::warn!(%peer, "no TLS handshake within {} s", patience.as_secs());
            turned_away("no TLS handshake in time".to_owned());
            None
        }
    }
}

/// The next connection. Accepting fails when the process is out of descriptors: waiting lets some associations end.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(10);
    loop {
        match listener.accept().await.and_then(|(stream, peer)| nodelay(stream).map(|stream| (stream, peer))) {
            Ok(accepted) => return accepted,
            Err(error) => tracing::warn!(%error, "cannot accept a connection; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn nodelay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
