//! `confirm = "commitment"`: a delivery is done when the destination's report says so (PS3.4 annex J).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sagittal::config::{KnownPeer, Retrieve};
use sagittal::delivery::scu::Peer;
use sagittal::delivery::{self, Consignment, Delivery, DeliveryError, Outcome};
use sagittal::dicom::commitment::{Reason, Report};
use sagittal::dicom::{AeTitle, Uid};
use sagittal::ledger::{Delivered, JobFilter, JobKind, JobRow, JobState};
use sagittal::scp::{
    Announced, CommitmentRequest, KeptCommitment, Refusal, ScpOptions, StoreAnswer, StoreHandler, StoreRequest, serve,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::instance::{EXPLICIT, mr};
use crate::support::modality::{self, Outgoing};
use crate::support::models;
use crate::support::phantom;
use crate::support::site::Site;
use crate::support::soon;

/// What the archive answers to a request, at once and on the same association.
#[derive(Clone, Copy)]
enum Manner {
    CommitsToAll,
    LacksTheFirst,
    /// Its report is about another request; that on this one may come later.
    SpeaksOfAnother,
    Refuses,
}

struct Keep(Manner, watch::Sender<Option<CommitmentRequest>>);

impl StoreHandler for Keep {
    type Draft = Vec<u8>;

    fn begin(&self, _: &Announced<'_>) -> Vec<u8> {
        Vec::new()
    }

    async fn store(&self, _: StoreRequest) -> StoreAnswer {
        StoreAnswer::SUCCESS
    }

    async fn released(&self, _: u64) {}

    async fn commit(&self, request: CommitmentRequest) -> Result<KeptCommitment, Refusal> {
        self.1.send_replace(Some(request.clone()));
        let mut held = request.request.references;
        let mut report = Report { transaction: request.request.transaction, held: Vec::new(), failed: Vec::new() };
        match self.0 {
            Manner::CommitsToAll => {}
            Manner::LacksTheFirst => report.failed.push((held.remove(0), Reason::Other(0x0110))),
            Manner::SpeaksOfAnother => report.transaction = Uid::parse("2.25.1").unwrap(),
            Manner::Refuses => return Err(Refusal::failure("not today")),
        }
        Ok(KeptCommitment { number: 1, report: Report { held, ..report } })
    }
}

/// An archive that listens as PACS; the requests it gets can be watched.
async fn archive(manner: Manner) -> (SocketAddr, watch::Receiver<Option<CommitmentRequest>>, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop, (asked, seen)) =
        (listener.local_addr().unwrap(), CancellationToken::new(), watch::channel(None));
    let options = ScpOptions::loopback(AeTitle::parse("PACS").unwrap());
    tokio::spawn(serve(listener, options, Arc::new(Keep(manner, asked)), stop.clone()));
    (address, seen, stop.drop_guard())
}

/// A site whose PACS confirms by commitment.
fn site(pacs: SocketAddr, wait: &str) -> Site {
    let site = Site::new(pacs);
    let text = std::fs::read_to_string(site.config().join("destinations.toml")).unwrap();
    let commitment = format!("confirm = \"commitment\"\ncommitment_wait = \"{wait}\"\nbackoff_cap = \"1 s\"");
    site.write("destinations.toml", &text.replace("confirm = \"none\"", &commitment));
    site
}

async fn deliver(manner: Manner) -> Result<Outcome, DeliveryError> {
    let (address, seen, _stop) = archive(manner).await;
    let site = site(address, "1 h");
    let config = sagittal::config::Config::load(&site.config()).unwrap();
    let (objects, transaction) = ([mr("1.2.3.1", EXPLICIT), mr("1.2.3.2", EXPLICIT)], Uid::parse("2.25.7").unwrap());
    let delivery = Delivery::new().unwrap();
    let consignment = Consignment { objects: &objects, held: &[], transaction: Some(&transaction) };
    let outcome = soon(delivery.deliver(&config.destinations["pacs"], consignment)).await.outcome;
    let asked = seen.borrow().clone().expect("a request");
    assert_eq!((&asked.request.transaction, asked.request.references.len()), (&transaction, 2));
    outcome
}

/// J.3.3.1.3: the report may come on the association of the request.
#[tokio::test]
async fn a_report_on_the_same_association_confirms_at_once() {
    assert_eq!(deliver(Manner::CommitsToAll).await.unwrap(), Outcome::Confirmed);
    let error = deliver(Manner::LacksTheFirst).await.unwrap_err();
    assert!(matches!(error, DeliveryError::NotCommitted { failed: 1, total: 2, .. }), "{error}");
    assert!(!error.is_permanent(), "{error}");
    assert_eq!(deliver(Manner::SpeaksOfAnother).await.unwrap(), Outcome::Asked);
    assert_eq!(deliver(Manner::Refuses).await.unwrap(), Outcome::SentUnconfirmed);
}

async fn send_series(node: SocketAddr) {
    let series = phantom::Series::new(16, 16, 5);
    let outgoing: Vec<_> = series.instances().iter().map(|bytes| Outgoing::of_part10(bytes)).collect();
    let sent = tokio::task::spawn_blocking(move || modality::send(node, &outgoing)).await.unwrap();
    assert_eq!(sent.len(), 5);
}

/// The delivery to the PACS once it `is`.
async fn delivery_that(site: &Site, is: impl Fn(&JobRow) -> bool) -> JobRow {
    let (ledger, deadline) = (site.ledger(), tokio::time::Instant::now() + Duration::from_mins(1));
    let filter =
        JobFilter { kind: Some(JobKind::Deliver), destination: Some("pacs".to_owned()), ..JobFilter::default() };
    loop {
        let jobs = ledger.jobs(&filter).unwrap();
        if let Some(job) = jobs.iter().find(|job| is(job)) {
            return job.clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "{jobs:?}\n{}", site.log_text());
        tokio::task::yield_now().await;
    }
}

fn waits(job: &JobRow) -> bool {
    job.state == JobState::Available && job.last_error.as_deref().is_some_and(|text| text.starts_with("waits for"))
}

/// J.3.3.1.3: "or on a different Association"; and who waits outlives the node.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_on_a_new_association_confirms_even_after_a_kill() {
    if models::engine("confirmation", &sagittal::clock::TestClock::at(0)).is_none() {
        return;
    }
    let (address, mut seen, _stop) = archive(Manner::SpeaksOfAnother).await;
    let site = site(address, "1 h");
    let node = site.start();
    send_series(node.address).await;
    let asked = soon(seen.wait_for(Option::is_some)).await.unwrap().clone().unwrap().request;
    delivery_that(&site, waits).await;
    node.kill();
    let node = site.start();
    let known = |port| KnownPeer { host: "127.0.0.1".into(), port, tls: None, retrieve: Retrieve::Get, expected: None };
    let peer = Peer::named(&known(node.address.port()), "SAGITTAL", "PACS").unwrap();
    let report = Report { transaction: asked.transaction, held: asked.references, failed: Vec::new() };
    let stranger = Report { transaction: Uid::parse("2.25.99").unwrap(), ..report.clone() };
    let error = delivery::report(&peer, Duration::from_mins(2), &stranger).await.unwrap_err();
    assert!(error.to_string().contains("0115"), "{error}");
    delivery::report(&peer, Duration::from_mins(2), &report).await.unwrap();
    let done = delivery_that(&site, |job| job.state == JobState::Completed).await;
    assert_eq!((done.delivered, done.attempt), (Some(Delivered::Confirmed), 1));
    assert!(node.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_report_in_time_a_delivery_is_sent_unconfirmed() {
    if models::engine("confirmation", &sagittal::clock::TestClock::at(0)).is_none() {
        return;
    }
    let (address, _seen, _stop) = archive(Manner::SpeaksOfAnother).await;
    let site = site(address, "1 s");
    let node = site.start();
    send_series(node.address).await;
    let done = delivery_that(&site, |job| job.state == JobState::Completed).await;
    assert_eq!(done.delivered, Some(Delivered::SentUnconfirmed));
    assert!(node.stop().success());
}
