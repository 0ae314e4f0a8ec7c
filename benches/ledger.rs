//! The ledger behind a history of a million jobs: `make bench-ledger`. Transitions as workers make them (each its own
//! transaction, flushed: synchronous FULL, with the rows of the attempt and of the event), lists by every filter, counts.
//!
//! Prints a table and writes target/bench/ledger.json. `JOBS=100000` makes the history shorter.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sagittal::clock::{Clock, Millis, SystemClock};
use sagittal::dicom::Uid;
use sagittal::ledger::{Delivered, JobFilter, JobKind, JobState, Ledger, LedgerOptions};

const WORKERS: usize = 4;
/// Deliveries that the workers share.
const DELIVERIES: i64 = 10_000;
const LEASE: Duration = Duration::from_mins(1);

/// Half of the jobs are inferences, half deliveries to four destinations; a series has one of each.
const HISTORY: &str = "
    CREATE TEMP TABLE n AS
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :half) SELECT i FROM n;
    INSERT INTO series (id, study, series) SELECT i, '1.2.3.' || (i / 4), '1.2.4.' || i FROM n;
    INSERT INTO revisions (id, series_id, number, opened_at, last_arrival_at, instances, closed_at, closed_by, geometry, summary,
                           explanation)
        SELECT i, i, 1, i * 1000, i * 1000, 100, i * 1000, 'quiet', '\"regular\"', '{}', '{}' FROM n;
    INSERT INTO jobs (id, kind, state, priority, revision_id, rule, pipeline, destinations, shadow, attempt, charged, max_attempts,
                      scheduled_at, created_at, finished_at)
        SELECT i, 'infer', 'completed', 2, i, 'rule ' || (i % 20), 'pipeline ' || (i % 10), '[]', 0, 1, 1, 5, i * 1000, i * 1000,
               i * 1000 + 500 FROM n;
    INSERT INTO jobs (kind, state, priority, revision_id, parent_id, rule, pipeline, destinations, destination, shadow, attempt,
                      charged, max_attempts, scheduled_at, created_at, finished_at, delivered)
        SELECT 'deliver', 'completed', 2, i, i, 'rule ' || (i % 20), 'pipeline ' || (i % 10), '[]', 'pacs ' || (i % 4), 0, 1, 1, 5,
               i * 1000 + 500, i * 1000 + 500, i * 1000 + 900, 'confirmed' FROM n;
    INSERT INTO attempts (job_id, number, worker, started_at, ended_at, outcome)
        SELECT id, 1, 'w', created_at, finished_at, 'completed' FROM jobs;
    INSERT INTO results (job_id, sop_class, sop_instance, study, series, transfer_syntax, kind, location, length, sha256)
        SELECT i, '1.2.840.10008.5.1.4.1.1.66.4', '2.25.' || i, '1.2.3.' || (i / 4), '2.25.9' || i, '1.2.840.10008.1.2.1', 'seg',
               'results/' || i, 1000, 'x' FROM n;
    DROP TABLE n;";

const WAITING: &str = "
    INSERT INTO jobs (kind, state, priority, revision_id, parent_id, rule, pipeline, destinations, destination, shadow,
                      max_attempts, scheduled_at, created_at)
        SELECT 'deliver', 'available', 2, id, id, 'rule 1', 'pipeline 1', '[]', 'pacs ' || (id % 4), 0, 5, 0, 0
        FROM jobs WHERE id <= :deliveries;";

struct Row {
    case: String,
    value: f64,
    unit: &'static str,
    wanted: f64,
    /// Higher is better.
    is_rate: bool,
}

fn main() {
    let jobs: i64 = std::env::var("JOBS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(target.join("bench")).unwrap();
    let folder = tempfile::tempdir_in(&target).unwrap();
    let path = folder.path().join("ledger.sqlite");
    let ledger = Ledger::open(&path, Arc::new(SystemClock), LedgerOptions::default()).unwrap();
    fill(&path, jobs);
    let mut rows = vec![transitions(&ledger)];
    rows.extend(lists(&ledger, jobs));
    report(&rows, jobs, &target.join("bench/ledger.json"));
}

fn fill(path: &Path, jobs: i64) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "synchronous", "off").unwrap();
    let numbered = HISTORY.replace(":half", &(jobs / 2).to_string());
    connection.execute_batch(&format!("BEGIN; {numbered} COMMIT; BEGIN")).unwrap();
    connection.execute_batch(&WAITING.replace(":deliveries", &DELIVERIES.to_string())).unwrap();
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// A claim is a transition, and so is the end of its attempt.
fn transitions(ledger: &Ledger) -> Row {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || work_off(ledger, &format!("worker {worker}")));
        }
    });
    let rate = 2.0 * DELIVERIES as f64 / start.elapsed().as_secs_f64();
    let case = format!("job transitions, {WORKERS} workers, synchronous FULL");
    Row { case, value: rate, unit: "1/s", wanted: 2000.0, is_rate: true }
}

fn work_off(ledger: &Ledger, worker: &str) {
    while let Some(claim) = ledger.claim(JobKind::Deliver, worker, LEASE, 1, &[]).unwrap().pop() {
        assert!(ledger.complete_deliver(&claim, Delivered::Confirmed).unwrap());
    }
}

fn lists(ledger: &Ledger, jobs: i64) -> Vec<Row> {
    let all = JobFilter::default;
    let uid = |text: String| Uid::parse(&text).unwrap();
    let some = jobs / 4;
    let mut filters = vec![
        ("no filter", all()),
        ("--kind infer", JobFilter { kind: Some(JobKind::Infer), ..all() }),
        ("--rule", JobFilter { rule: Some("rule 7".to_owned()), ..all() }),
        ("--rule without a hit", JobFilter { rule: Some("rule".to_owned()), ..all() }),
        ("--pipeline", JobFilter { pipeline: Some("pipeline 7".to_owned()), ..all() }),
        ("--destination", JobFilter { destination: Some("pacs 1".to_owned()), ..all() }),
        ("--destination without a hit", JobFilter { destination: Some("nowhere".to_owned()), ..all() }),
        ("--stage without a hit", JobFilter { stage: Some("connect".to_owned()), ..all() }),
        ("--study", JobFilter { study: Some(uid(format!("1.2.3.{}", some / 4))), ..all() }),
        ("--series", JobFilter { series: Some(uid(format!("1.2.4.{some}"))), ..all() }),
        ("--since", JobFilter { since: Some(Millis(some * 1000)), ..all() }),
        ("--since without a hit", JobFilter { since: Some(SystemClock.now().plus(LEASE)), ..all() }),
        ("--until", JobFilter { until: Some(Millis(some * 1000)), ..all() }),
    ];
    filters.extend(JobState::ALL.iter().map(|state| match state {
        JobState::Completed => ("--state completed", JobFilter { states: vec![*state], ..all() }),
        _ => ("--state without a hit", JobFilter { states: vec![*state], ..all() }),
    }));
    let timed = |(name, filter): (&str, JobFilter)| Row {
        case: format!("jobs list, {name}"),
        value: median(&|| drop(ledger.jobs(&filter).unwrap())),
        unit: "ms",
        wanted: 50.0,
        is_rate: false,
    };
    let mut rows: Vec<Row> = filters.into_iter().map(timed).collect();
    let looks: [(&str, &dyn Fn()); 2] =
        [("counts", &|| drop(ledger.counts().unwrap())), ("the gauges of /metrics", &|| drop(ledger.queue().unwrap()))];
    rows.extend(looks.map(|(case, look)| Row {
        case: case.to_owned(),
        value: median(look),
        unit: "ms",
        wanted: 50.0,
        is_rate: false,
    }));
    rows
}

fn median(work: &dyn Fn()) -> f64 {
    let timed = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    };
    let mut times: Vec<f64> = (0..9).map(timed).collect();
    times.sort_by(f64::total_cmp);
    times[4]
}

fn report(rows: &[Row], jobs: i64, file: &Path) {
    println!("a ledger with {jobs} finished jobs; medians of 9\n\n| case | found | wanted |\n|---|---|---|");
    let mut values = Vec::new();
    for Row { case, value, unit, wanted, is_rate } in rows {
        let (word, ratio) = if *is_rate { ("at least", value / wanted) } else { ("below", wanted / value) };
        println!("| {case} | {value:.2} {unit} | {word} {wanted} {unit} |");
        values.push(serde_json::json!({
            "case": case, "value": value, "unit": unit, "peer": "wanted", "peer_value": wanted, "ratio": ratio, "runs": 9,
        }));
    }
    std::fs::write(file, format!("{:#}\n", serde_json::Value::from(values))).unwrap();
}
