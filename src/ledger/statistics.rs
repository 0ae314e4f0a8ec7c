//! How the work went: for each pipeline, destination and rule how many jobs are in which state, and how long the jobs that ended
//! within a period took, stage by stage.
//!
//! Looks at every attempt of the period; for a person who asks, not for metrics.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction};
use serde::Serialize;

use super::sifting::sorts;
use super::{JobKind, JobState, Ledger, LedgerError, StageTime};
use crate::clock::Millis;

/// The jobs of one pipeline, destination or rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Of all jobs that the ledger knows.
    pub states: BTreeMap<JobState, u64>,
    /// When the oldest job was made that is not over.
    pub oldest: Option<Millis>,
    /// Jobs that ended well within the period.
    pub completed: u64,
    /// By stage: `wait` (until the first attempt), the stages of attempts, `attempt` (one as a whole), `job` (from when it was
    /// made), `series` (from the end of the series to the end of the delivery).
    pub stages: BTreeMap<String, Spread>,
}

/// Durations, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub count: u64,
    pub median: u64,
    pub p95: u64,
    pub longest: u64,
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Option<Spread> {
        values.sort_unstable();
        let at = |share: usize| values.get((values.len() * share).div_ceil(100).saturating_sub(1)).copied();
        Some(Spread { count: values.len() as u64, median: at(50)?, p95: at(95)?, longest: at(100)? })
    }
}

/// `pipeline`, `destination` or `rule`, and its name.
type Target = (&'static str, String);

/// Durations being gathered.
type Gathered = BTreeMap<Target, BTreeMap<String, Vec<u64>>>;

/// One attempt of a job that ended.
struct Attempt {
    targets: Vec<Target>,
    kind: JobKind,
    state: JobState,
    created_at: Millis,
    finished_at: Millis,
    series_closed_at: Option<Millis>,
    number: u32,
    last: u32,
    started_at: Millis,
    ended_at: Option<Millis>,
    stages: Vec<StageTime>,
}

const ATTEMPTS: &str = "
    SELECT j.kind, j.state, j.pipeline, j.rule, j.destination, j.created_at, j.finished_at, r.closed_at,
           a.number, j.attempt, a.started_at, a.ended_at, a.stages
    FROM jobs j JOIN revisions r ON r.id = j.revision_id JOIN attempts a ON a.job_id = j.id WHERE j.finished_at >= ?1";

impl Ledger {
    /// How the work went since `since`, by `pipeline`, `destination` or `rule` and name.
    pub fn statistics(&self, since: Millis) -> Result<BTreeMap<Target, Statistics>, LedgerError> {
        self.read(|transaction| {
            let mut found = standing(transaction)?;
            let mut gathered = Gathered::new();
            let mut statement = transaction.prepare_cached(ATTEMPTS)?;
            let mut rows = statement.query([since])?;
            while let Some(row) = rows.next()? {
                let attempt = read(row)?;
                for target in &attempt.targets {
                    let ended_well = attempt.is_last() && attempt.state == JobState::Completed;
                    found.entry(target.clone()).or_default().completed += u64::from(ended_well);
                }
                gather(&mut gathered, &attempt);
            }
            for (target, stages) in gathered {
                let spreads = stages.into_iter().filter_map(|(stage, values)| Some((stage, Spread::of(values)?)));
                found.entry(target).or_default().stages = spreads.collect();
            }
            Ok(found)
        })
    }
}

fn targets(kind: JobKind, pipeline: String, rules: &str, destination: Option<String>) -> Vec<Target> {
    let by_kind = match (kind, destination) {
        (JobKind::Deliver, Some(destination)) => ("destination", destination),
        _ => ("pipeline", pipeline),
    };
    let rules = rules.split(", ").map(|rule| ("rule", rule.to_owned()));
    std::iter::once(by_kind).chain(rules).collect()
}

fn standing(transaction: &Transaction<'_>) -> Result<BTreeMap<Target, Statistics>, LedgerError> {
    let mut found: BTreeMap<Target, Statistics> = BTreeMap::new();
    for sort in sorts(transaction)? {
        for target in targets(sort.kind, sort.pipeline, &sort.rule, sort.destination) {
            let statistics = found.entry(target).or_default();
            *statistics.states.entry(sort.state).or_default() += sort.jobs;
            if !super::state::is_final(sort.state) {
                statistics.oldest = Some(statistics.oldest.map_or(sort.oldest, |oldest| oldest.min(sort.oldest)));
            }
        }
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let kind = row.get(0)?;
    let (rules, stages): (String, Option<String>) = (row.get(3)?, row.get(12)?);
    Ok(Attempt {
        targets: targets(kind, row.get(2)?, &rules, row.get(4)?),
        kind,
        state: row.get(1)?,
        created_at: row.get(5)?,
        finished_at: row.get(6)?,
        series_closed_at: row.get(7)?,
        number: row.get(8)?,
        last: row.get(9)?,
        started_at: row.get(10)?,
        ended_at: row.get(11)?,
        stages: stages.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
    })
}

impl Attempt {
    fn is_last(&self) -> bool {
        self.number == self.last
    }
}

fn gather(gathered: &mut Gathered, attempt: &Attempt) {
    let mut add = |stage: &str, milliseconds: u64| {
        for target in &attempt.targets {
            let stages = gathered.entry(target.clone()).or_default();
            stages.entry(stage.to_owned()).or_default().push(milliseconds);
        }
    };
    if attempt.number == 1 {
        add("wait", between(attempt.created_at, attempt.started_at));
    }
    for StageTime { stage, milliseconds } in &attempt.stages {
        add(stage, *milliseconds);
    }
    if let Some(ended_at) = attempt.ended_at {
        add("attempt", between(attempt.started_at, ended_at));
    }
    if attempt.is_last() && attempt.state == JobState::Completed {
        add("job", between(attempt.created_at, attempt.finished_at));
        if let (JobKind::Deliver, Some(closed_at)) = (attempt.kind, attempt.series_closed_at) {
            add("series", between(closed_at, attempt.finished_at));
        }
    }
}

/// A clock that was set back makes no negative time.
fn between(from: Millis, to: Millis) -> u64 {
    to.0.saturating_sub(from.0).max(0).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_values_that_were_measured() {
        let check = |values: &[u64], expected: Option<[u64; 4]>| {
            let spread = Spread::of(values.to_vec()).map(|s| [s.count, s.median, s.p95, s.longest]);
            assert_eq!(spread, expected, "{values:?}");
        };
        check(&[], None);
        check(&[7], Some([1, 7, 7, 7]));
        check(&[4, 1, 3, 2], Some([4, 2, 4, 4]));
        check(&(1..=100).collect::<Vec<_>>(), Some([100, 50, 95, 100]));
    }
}
