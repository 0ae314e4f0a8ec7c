//! What went through this handle of the ledger since it was opened: counts and latencies, for metrics.
//!
//! In memory only, as counters that a scraper follows; the history is in the tables. Knows words, names of destinations
//! and pipelines, and never anything of a patient (invariant 7).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ArrivedInstance, Claim, ClosedBy, Delivered, JobKind, Recorded, StageTime, Work};
use crate::clock::Millis;

/// Upper bounds of a histogram's buckets, seconds; one more bucket has no bound.
pub const BOUNDS: [f64; 13] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];

/// Durations, by bucket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    buckets: [u64; BOUNDS.len() + 1],
    /// Seconds, all together.
    pub sum: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum += seconds;
    }

    /// How many durations were at most as long as each of [`BOUNDS`].
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let sums = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS.into_iter().zip(sums)
    }

    /// How many durations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Whose time it is: a kind of job, and the pipeline or destination it is for.
pub type Target = (JobKind, String);

/// Everything that was counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Instances by what recording them meant: `new`, `identical`, `differs`, `replaced`.
    pub instances: BTreeMap<&'static str, u64>,
    /// Of all these instances.
    pub bytes: u64,
    /// Refused instances, by the status that said so.
    pub refused: BTreeMap<u16, u64>,
    /// Closed revisions, by why.
    pub closed: BTreeMap<&'static str, u64>,
    /// Length of attempts, by how they ended (words of `attempts.outcome`).
    pub attempts: BTreeMap<(Target, &'static str), Histogram>,
    /// Length of the stages of attempts.
    pub stages: BTreeMap<(Target, String), Histogram>,
    /// From when a job was due until it was claimed.
    pub waits: BTreeMap<Target, Histogram>,
    /// From the end of a series to the end of a delivery, by destination and by how it ended (words of [`Delivered`]).
    pub results: BTreeMap<(String, &'static str), Histogram>,
}

/// Counts; shared by the clones of a ledger.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Totals>);

impl Tally {
    /// As it is now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.lock().clone()
    }

    /// An instance was refused with this status. It never reached the ledger, so its receiver says it.
    pub fn refused(&self, status: u16) {
        *self.lock().refused.entry(status).or_default() += 1;
    }

    pub(super) fn recorded(&self, batch: &[ArrivedInstance], outcomes: &[Recorded]) {
        let mut totals = self.lock();
        for (arrived, outcome) in batch.iter().zip(outcomes) {
            *totals.instances.entry(outcome.word()).or_default() += 1;
            totals.bytes += arrived.length;
        }
    }

    pub(super) fn closed(&self, by: ClosedBy) {
        *self.lock().closed.entry(by.word()).or_default() += 1;
    }

    pub(super) fn claimed(&self, claim: &Claim) {
        let wait = seconds(claim.due_at, claim.claimed_at);
        self.lock().waits.entry(target(claim)).or_default().add(wait);
    }

    pub(super) fn ended(&self, claim: &Claim, now: Millis, outcome: &'static str) {
        let took = seconds(claim.claimed_at, now);
        let mut totals = self.lock();
        totals.attempts.entry((target(claim), outcome)).or_default().add(took);
        for StageTime { stage, milliseconds } in &claim.stages {
            let took = Duration::from_millis(*milliseconds).as_secs_f64();
            totals.stages.entry((target(claim), stage.clone())).or_default().add(took);
        }
    }

    pub(super) fn delivered(&self, claim: &Claim, how: Delivered, now: Millis) {
        if let (Work::Deliver { destination, .. }, Some(closed)) = (&claim.work, claim.series_closed_at) {
            self.lock().results.entry((destination.clone(), how.word())).or_default().add(seconds(closed, now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    /// As metrics name it.
    fn word(&self) -> &'static str {
        match self {
            Recorded::New { .. } => "new",
            Recorded::Identical => "identical",
            Recorded::Differs => "differs",
            Recorded::Replaced { .. } => "replaced",
        }
    }
}

fn target(claim: &Claim) -> Target {
    match &claim.work {
        Work::Infer { pipeline, .. } => (JobKind::Infer, pipeline.clone()),
        Work::Deliver { destination, .. } => (JobKind::Deliver, destination.clone()),
    }
}

/// A clock that was set back makes no negative time.
fn seconds(from: Millis, to: Millis) -> f64 {
    Duration::from_millis(to.0.saturating_sub(from.0).max(0).cast_unsigned()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_is_at_most_as_long_as_its_bounds() {
        let mut histogram = Histogram::default();
        for value in [0.01, 0.02, 7.0, 1e6] {
            histogram.add(value);
        }
        let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!(histogram.count(), 4);
        assert!((histogram.sum - 1_000_007.03).abs() < 1e-6);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_negative_time() {
        let check = |from, to, expected: f64| assert!((seconds(Millis(from), Millis(to)) - expected).abs() < 1e-9);
        check(1000, 3500, 2.5);
        check(3500, 1000, 0.0);
    }
}
