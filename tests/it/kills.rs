//! kill -9 during deliveries: results go to Orthanc by C-STORE and by REST and to DCMTK's storescp while the node is killed
//! again and again. At the end every peer holds every result of the ledger once. 25 kills here, `make soak` makes it 500.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sagittal::clock::SystemClock;
use sagittal::delivery::Object;
use sagittal::dicom::Meta;
use sagittal::ledger::{JobFilter, JobKind, JobRow, JobState, Ledger};

use super::support::instance::{EXPLICIT, MR, square};
use super::support::outbox::{Outbox, fill};
use super::support::peers::{Orthanc, Storescp};

const WAYS: [&str; 3] = ["store", "rest", "storescp"];
/// Deliveries that wait for each peer when the node starts.
const BACKLOG: usize = 8;
const OBJECTS: usize = 3;
const WAITING: [JobState; 3] = [JobState::Available, JobState::Running, JobState::Retryable];

/// What was given to the node to deliver: data sets by SOP Instance UID.
struct Results {
    sent: BTreeMap<String, Vec<u8>>,
    series: usize,
    dice: fastrand::Rng,
}

impl Results {
    /// Adds series with results until enough deliveries wait.
    fn top_up(&mut self, outbox: &Outbox) {
        let (ledger, spool) = outbox.open(Arc::new(SystemClock));
        let least = WAYS.map(|way| deliveries(&ledger, &WAITING, Some(way)).len()).into_iter().min();
        for _ in least.unwrap_or_default()..BACKLOG {
            self.series += 1;
            let objects: Vec<Object> = (1..=OBJECTS).map(|number| self.object(number)).collect();
            fill(&ledger, &spool, &WAYS, &objects, self.series);
        }
    }

    /// From 2 KB to 0.5 MB, so that kills fall between objects and into them.
    fn object(&mut self, number: usize) -> Object {
        let side = if self.dice.u8(0..4) == 0 { 512 } else { self.dice.u16(32..128) };
        let object = square(MR, &format!("1.2.4.{}.{number}", self.series), EXPLICIT, side);
        self.sent.insert(object.sop_instance.to_string(), dataset(&object.bytes));
        object
    }

    fn uids(&self) -> Vec<String> {
        self.sent.keys().cloned().collect()
    }
}

fn dataset(bytes: &[u8]) -> Vec<u8> {
    bytes[Meta::read(bytes).unwrap().offset..].to_vec()
}

fn deliveries(ledger: &Ledger, states: &[JobState], way: Option<&str>) -> Vec<JobRow> {
    let destination = way.map(str::to_owned);
    let (states, kind, limit) = (states.to_vec(), Some(JobKind::Deliver), Some(100_000));
    ledger.jobs(&JobFilter { states, kind, destination, limit, ..JobFilter::default() }).unwrap()
}

fn destinations(store: &Orthanc, rest: &Orthanc, storescp: &Storescp) -> String {
    let dicom = |name: &str, port: u16, confirm: &str| {
        format!(
            "[destination.{name}]\nkind = \"dicom\"\nhost = \"127.0.0.1\"\nport = {port}\nae_title = \"PACS\"\n\
             confirm = \"{confirm}\"\nbackoff_cap = \"1 s\"\n"
        )
    };
    let rest = format!(
        "[destination.rest]\nkind = \"orthanc\"\nurl = \"http://127.0.0.1:{}\"\nconfirm = \"query\"\nbackoff_cap = \"1 s\"\n",
        rest.http
    );
    dicom("store", store.dicom, "query") + &rest + &dicom("storescp", storescp.port, "none")
}

async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_in_deliveries_lose_no_result_and_double_none() {
    let kills = std::env::var("SAGITTAL_KILLS").map_or(25, |n| n.parse::<usize>().expect("SAGITTAL_KILLS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let below = |name: &str| folder.path().join(name);
    let Some(store) = Orthanc::start(&below("store"), "PACS") else { return };
    let Some(storescp) = Storescp::start(&below("storescp")) else { return };
    let rest = Orthanc::start(&below("rest"), "PACS").unwrap();
    let outbox = Outbox::empty(&destinations(&store, &rest, &storescp));
    let mut results = Results { sent: BTreeMap::new(), series: 0, dice: fastrand::Rng::with_seed(20_261_121) };
    let mut hit: BTreeMap<String, usize> = BTreeMap::new();
    for life in 0..kills {
        results.top_up(&outbox);
        for job in live(&outbox, WAYS[life % WAYS.len()], Duration::from_millis(results.dice.u64(0..60))).await {
            *hit.entry(job.destination.unwrap()).or_default() += 1;
        }
    }
    finish(&outbox).await;
    let resent = check(&results, &outbox, [&store, &rest], &storescp).await;
    println!(
        "kills: {kills}, in deliveries under way: {hit:?}; {} results, {resent} sent twice to storescp",
        results.sent.len()
    );
    assert!(WAYS.iter().all(|way| hit.get(*way).is_some_and(|times| *times >= kills / 5)), "{hit:?}");
}

/// One life of the node, ended `after` a delivery on `way` began; the deliveries that were under way.
async fn live(outbox: &Outbox, way: &str, after: Duration) -> Vec<JobRow> {
    let node = outbox.site.start();
    let ledger = outbox.site.ledger();
    let is = |states: &[JobState]| !deliveries(&ledger, states, Some(way)).is_empty();
    while !is(&[JobState::Running]) && is(&WAITING) {
        pause(Duration::from_millis(1)).await;
    }
    pause(after).await;
    node.kill();
    deliveries(&ledger, &[JobState::Running], None)
}

/// A last life, which nobody ends before everything is delivered.
async fn finish(outbox: &Outbox) {
    let node = outbox.site.start();
    let ledger = outbox.site.ledger();
    let deadline = tokio::time::Instant::now() + Duration::from_mins(5);
    loop {
        let left = deliveries(&ledger, &WAITING, None);
        if left.is_empty() {
            break;
        }
        let errors: Vec<_> = left.iter().map(|job| (&job.destination, &job.last_error)).collect();
        assert!(tokio::time::Instant::now() < deadline, "{errors:?}");
        pause(Duration::from_millis(20)).await;
    }
    assert!(node.stop().success());
}

/// Compares what the ledger says with what the peers hold; how many objects storescp got more than once.
async fn check(results: &Results, outbox: &Outbox, orthancs: [&Orthanc; 2], storescp: &Storescp) -> usize {
    let (ledger, expected) = (outbox.site.ledger(), results.uids());
    let jobs = deliveries(&ledger, JobState::ALL, None);
    assert_eq!(jobs.len(), results.series * WAYS.len());
    for job in &jobs {
        assert_eq!(job.state, JobState::Completed, "{job:?}");
        let detail = ledger.job(job.id).unwrap().unwrap();
        let open: Vec<_> = detail.attempts.iter().filter(|attempt| attempt.outcome.is_none()).collect();
        assert!(open.is_empty(), "attempts without an end: {open:?}");
        let mut named: Vec<_> = detail.answers.iter().map(|row| row.verdict.sop_instance.to_string()).collect();
        named.sort();
        assert_eq!(named.len(), OBJECTS, "{named:?}");
    }
    for orthanc in orthancs {
        let mut held = orthanc.instances().await;
        held.sort();
        assert_eq!(held, expected, "an Orthanc holds other results than the ledger, or one of them twice");
    }
    let received = storescp.received();
    assert_eq!(
        received.keys().cloned().collect::<Vec<_>>(),
        expected,
        "storescp got other results than the ledger has"
    );
    for (uid, copies) in &received {
        assert!(copies.iter().all(|copy| copy == &results.sent[uid]), "{uid} came changed");
    }
    received.values().filter(|copies| copies.len() > 1).count()
}
