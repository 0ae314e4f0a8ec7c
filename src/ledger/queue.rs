//! What waits at this moment, for metrics: looked up by counts and indexes, so that neither a long history nor a long
//! queue makes a look longer.

use std::collections::BTreeMap;

use super::sifting::sorts;
use super::{JobKind, JobSort, JobState, Ledger, LedgerError};
use crate::clock::Millis;

/// Jobs of one kind, state and target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    pub kind: JobKind,
    pub state: JobState,
    /// The pipeline of an infer job, the destination of a deliver job.
    pub target: String,
    pub count: u64,
    /// When the oldest of them was made.
    pub oldest: Millis,
}

/// What is not over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// Unfinished jobs, and those that were given up; groups without a job are absent.
    pub jobs: Vec<QueueRow>,
    /// Series by what they wait for: `open`, `waiting`, `held`, `unmatched`.
    pub series: BTreeMap<&'static str, u64>,
    /// Reports of storage commitment that a peer is still to be given.
    pub reports_due: u64,
    /// Deliveries that wait for a peer's report of storage commitment.
    pub reports_awaited: u64,
    /// Notices that nobody took, by recipient: still to be told (`due`), or not any more (`given-up`).
    pub notices: Vec<(String, &'static str, u64)>,
}

const SERIES: [(&str, &str); 4] = [
    ("open", "SELECT count(*) FROM revisions WHERE closed_at IS NULL"),
    (
        "waiting",
        "SELECT (SELECT count(*) FROM revisions WHERE due_at IS NOT NULL)
              + (SELECT count(*) FROM study_decisions WHERE due_at IS NOT NULL)",
    ),
    ("held", "SELECT count(*) FROM holds WHERE ended_at IS NULL"),
    ("unmatched", "SELECT count(*) FROM revisions WHERE unmatched = 1"),
];

const NOTICES: [(&str, &str); 2] = [
    ("due", "SELECT recipient, count(*) FROM notices WHERE due_at IS NOT NULL GROUP BY recipient"),
    ("given-up", "SELECT recipient, count(*) FROM notices WHERE given_up_at IS NOT NULL GROUP BY recipient"),
];

impl Ledger {
    /// What is not over, and what was given up.
    pub fn queue(&self) -> Result<Queue, LedgerError> {
        self.read(|transaction| {
            let count = |text: &str| -> rusqlite::Result<u64> {
                Ok(transaction.prepare_cached(text)?.query_row([], |row| row.get::<_, i64>(0))?.cast_unsigned())
            };
            let series = SERIES.iter().map(|(name, text)| Ok((*name, count(text)?)));
            let mut notices = Vec::new();
            for (state, text) in NOTICES {
                let mut statement = transaction.prepare_cached(text)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
                for row in rows {
                    let (recipient, count) = row?;
                    notices.push((recipient, state, count));
                }
            }
            Ok(Queue {
                jobs: waiting(&sorts(transaction)?),
                notices,
                series: series.collect::<rusqlite::Result<_>>()?,
                reports_due: count(
                    "SELECT count(*) FROM commitments WHERE due_at IS NOT NULL AND given_up_at IS NULL",
                )?,
                reports_awaited: count("SELECT count(*) FROM confirmations WHERE answered_at IS NULL")?,
            })
        })
    }
}

/// What is not over or was given up, by what it is for.
fn waiting(sorts: &[JobSort]) -> Vec<QueueRow> {
    let mut rows: BTreeMap<(JobKind, JobState, &str), (u64, Millis)> = BTreeMap::new();
    for sort in sorts.iter().filter(|sort| !matches!(sort.state, JobState::Completed | JobState::Cancelled)) {
        let target = sort.destination.as_deref().unwrap_or(&sort.pipeline);
        let (count, oldest) = rows.entry((sort.kind, sort.state, target)).or_insert((0, sort.oldest));
        *count += sort.jobs;
        *oldest = sort.oldest.min(*oldest);
    }
    let row = |((kind, state, target), (count, oldest)): (_, _)| {
        let target: &str = target;
        QueueRow { kind, state, target: target.to_owned(), count, oldest }
    };
    rows.into_iter().map(row).collect()
}
