//! kill -9 at any moment: nothing acknowledged is lost, no result is doubled (invariants 1, 4, 8).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sagittal::clock::TestClock;
use sagittal::dicom::Uid;
use sagittal::ledger::{JobFilter, JobKind, JobState, Ledger};

use super::support::modality::{self, Outgoing};
use super::support::models;
use super::support::pacs::Pacs;
use super::support::phantom;
use super::support::site::Site;

const PATIENCE: Duration = Duration::from_mins(3);

/// What a modality still has to send, and what the node said yes to.
#[derive(Default)]
struct Scanner {
    series: Vec<Vec<Outgoing>>,
    acknowledged: BTreeSet<String>,
}

impl Scanner {
    fn scan(&mut self, number: usize) -> Uid {
        let phantom = phantom::Series::new(16, 16, 5).named(&format!("study {number}"), "series");
        self.series.push(phantom.instances().iter().map(|bytes| Outgoing::of_part10(bytes)).collect());
        phantom.series_uid()
    }

    /// Sends all that is not acknowledged, oldest series first, one association a series.
    fn send(&mut self, node: std::net::SocketAddr) {
        for series in &self.series {
            let missing: Vec<Outgoing> =
                series.iter().filter(|o| !self.acknowledged.contains(&o.sop_instance)).cloned().collect();
            self.acknowledged.extend(modality::send(node, &missing));
        }
    }
}

/// Acknowledged instances that the spool does not hold byte for byte.
fn lost(site: &Site, scanner: &Scanner) -> Vec<String> {
    let mut kept: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let spool = sagittal::spool::Spool::attach(&site.spool());
    for location in spool.locations().unwrap() {
        let bytes = spool.read(&location.unwrap()).unwrap();
        let outgoing = Outgoing::of_part10(&bytes);
        kept.entry(outgoing.sop_instance).or_default().push(outgoing.dataset);
    }
    let sent = scanner.series.iter().flatten().filter(|o| scanner.acknowledged.contains(&o.sop_instance));
    let holds = |o: &&Outgoing| !kept.get(&o.sop_instance).is_some_and(|all| all.contains(&o.dataset));
    sent.filter(holds).map(|o| o.sop_instance.clone()).collect()
}

#[test]
fn fifty_kills_lose_nothing_acknowledged_and_double_no_result() {
    if models::engine("kill -9", &TestClock::at(0)).is_none() {
        return;
    }
    let pacs = Pacs::start();
    let site = Site::new(pacs.address);
    let mut scanner = Scanner::default();
    let mut dice = fastrand::Rng::with_seed(20_261_121);
    for round in 0..50 {
        let node = site.start();
        scanner.scan(round);
        let address = node.address;
        let delay = Duration::from_millis(dice.u64(0..900));
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| scanner.send(address));
            let (_never, elapsed) = std::sync::mpsc::channel::<()>();
            let _ = elapsed.recv_timeout(delay);
            node.kill();
            sending.join().unwrap();
        });
        assert_eq!(lost(&site, &scanner), Vec::<String>::new(), "after kill {round}");
    }
    let node = site.start();
    scanner.send(node.address);
    let arrivals = pacs.wait_for(50, PATIENCE);
    settle(&site);
    assert_eq!(arrivals.len(), 50, "one SEG a series at the PACS");
    for (uid, copies) in &pacs.arrivals() {
        assert!(copies.windows(2).all(|w| w[0].dataset == w[1].dataset), "resends of {uid} differ");
    }
    assert_eq!(pacs.arrivals().len(), 50, "no result is there under two UIDs");
    assert_eq!(site.results().len(), 50, "one SEG a series in the folder");
    assert_eq!(lost(&site, &scanner), Vec::<String>::new());
    assert!(node.stop().success());
}

/// Waits until every job is completed.
fn settle(site: &Site) {
    let ledger = site.ledger();
    let open =
        JobFilter { states: vec![JobState::Available, JobState::Running, JobState::Retryable], ..JobFilter::default() };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !ledger.jobs(&open).unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "jobs still open: {:?}", ledger.jobs(&open).unwrap());
        std::thread::yield_now();
    }
    let failed = JobFilter { states: vec![JobState::Discarded, JobState::Held], ..JobFilter::default() };
    assert!(ledger.jobs(&failed).unwrap().is_empty(), "{:?}", ledger.jobs(&failed).unwrap());
}

/// The arrows of the way of a series, as the ledger and the PACS show them from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Arrow {
    FirstInstanceRecorded,
    AllRecorded,
    RevisionClosed,
    InferClaimed,
    ResultsRecorded,
    /// The PACS has the object, and its answer never comes.
    AtThePacs,
    OneDelivered,
}

impl Arrow {
    const ALL: [Arrow; 7] = [
        Arrow::FirstInstanceRecorded,
        Arrow::AllRecorded,
        Arrow::RevisionClosed,
        Arrow::InferClaimed,
        Arrow::ResultsRecorded,
        Arrow::AtThePacs,
        Arrow::OneDelivered,
    ];

    /// Whether `series` has come this far; what lies behind counts too, so that no moment is waited for in vain.
    fn reached(self, ledger: &Ledger, series: &Uid, pacs: &Pacs, before: usize) -> bool {
        let filter = JobFilter { series: Some(series.clone()), ..JobFilter::default() };
        let jobs = ledger.jobs(&filter).unwrap();
        let recorded = || {
            let open = ledger.open_revisions().unwrap();
            let here = open.iter().find(|revision| revision.series.series == *series);
            here.map_or(if jobs.is_empty() { 0 } else { 5 }, |revision| revision.instances)
        };
        let infer_past =
            |states: &[JobState]| jobs.iter().any(|j| j.kind == JobKind::Infer && !states.contains(&j.state));
        let delivers = jobs.iter().filter(|job| job.kind == JobKind::Deliver);
        match self {
            Arrow::FirstInstanceRecorded => recorded() >= 1,
            Arrow::AllRecorded => recorded() == 5,
            Arrow::RevisionClosed => !jobs.is_empty(),
            Arrow::InferClaimed => infer_past(&[JobState::Available]),
            Arrow::ResultsRecorded => infer_past(&[JobState::Available, JobState::Running]),
            Arrow::AtThePacs => pacs.arrivals().len() > before,
            Arrow::OneDelivered => delivers.into_iter().any(|job| job.state == JobState::Completed),
        }
    }
}

#[test]
fn a_kill_at_every_arrow_loses_nothing_and_doubles_no_result() {
    if models::engine("kill -9 at every arrow", &TestClock::at(0)).is_none() {
        return;
    }
    let pacs = Pacs::start();
    let site = Site::new(pacs.address);
    let mut scanner = Scanner::default();
    for (number, arrow) in Arrow::ALL.into_iter().enumerate() {
        let node = site.start();
        let (ledger, before, address) = (site.ledger(), pacs.arrivals().len(), node.address);
        pacs.hold_answers(arrow == Arrow::AtThePacs);
        let series = scanner.scan(1000 + number);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| scanner.send(address));
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while !arrow.reached(&ledger, &series, &pacs, before) {
                assert!(tokio::time::Instant::now() < deadline, "{arrow:?} is never reached\n{}", site.log_text());
                std::thread::yield_now();
            }
            node.kill();
            sending.join().unwrap();
        });
        pacs.hold_answers(false);
        assert_eq!(lost(&site, &scanner), Vec::<String>::new(), "after the kill at {arrow:?}");
        // The next start must finish what this kill interrupted, before another one comes.
        let node = site.start();
        scanner.send(node.address);
        pacs.wait_for(number + 1, PATIENCE);
        settle(&site);
        assert_eq!((pacs.arrivals().len(), site.results().len()), (number + 1, number + 1), "after {arrow:?}");
        node.kill();
    }
    let arrivals = pacs.arrivals();
    assert!(arrivals.values().all(|copies| copies.windows(2).all(|w| w[0].dataset == w[1].dataset)));
    assert!(arrivals.values().any(|copies| copies.len() > 1), "the unanswered object was sent again");
}
