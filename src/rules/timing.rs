//! What a rule waits for before it is decided, without keeping other rules waiting: a quiet time of its own,
//! a number of slices, other series of the study. Time comes in as a value.

use std::time::Duration;

use super::condition::{self, Clause};
use super::ruleset::Rule;
use super::subject::View;
use super::summary::SeriesSummary;

/// What is known, beside the series itself, when a rule is decided.
#[derive(Debug, Clone, Copy, Default)]
pub struct Situation<'a> {
    /// Milliseconds since 1970-01-01 UTC. `None`: all waiting is over, as for files and for the history.
    pub now: Option<i64>,
    /// The other finished series of the study.
    pub others: &'a [&'a SeriesSummary],
}

/// `wait_for` of a rule: what must be there before it fires.
#[derive(Debug, Clone)]
pub struct WaitFor {
    /// At least so many slices.
    pub slices: Option<usize>,
    /// For each group of conditions another series of the study that passes all of them.
    pub series: Vec<Vec<Clause>>,
    /// Counted from the last arrival.
    pub timeout: Duration,
    pub then: Then,
}

/// What a rule does that has waited in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The rule counts as not matching.
    Skip,
    /// As if all were there.
    Run,
    /// The series is held for an operator.
    Hold,
}

impl Then {
    pub const NAMES: [(&'static str, Then); 3] = [("skip", Then::Skip), ("run", Then::Run), ("hold", Then::Hold)];
}

/// Whether a rule whose conditions hold can be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Patience {
    Ready,
    /// Not before `until`, or when what is lacking has come.
    Waits {
        until: i64,
        lacking: String,
    },
    /// It has waited in vain.
    Over {
        lacking: String,
        then: Then,
    },
}

impl Rule {
    /// Whether this rule, whose conditions hold for the series, has what it waits for.
    pub(super) fn patience(&self, view: &View<'_>, situation: &Situation<'_>) -> Patience {
        let last = view.summary.facts.received_at.unwrap_or_default();
        let pending = |span: Duration| situation.now.filter(|now| *now < after(last, span)).map(|_| after(last, span));
        if let Some(until) = self.quiet.and_then(pending) {
            return Patience::Waits { until, lacking: "quiet".to_owned() };
        }
        let Some(wait) = &self.wait_for else { return Patience::Ready };
        let Some(lacking) = wait.lacking(view, situation.others) else { return Patience::Ready };
        match pending(wait.timeout) {
            Some(until) => Patience::Waits { until, lacking },
            None => Patience::Over { lacking, then: wait.then },
        }
    }
}

impl WaitFor {
    /// What is not there yet, in words without attribute values.
    fn lacking(&self, view: &View<'_>, others: &[&SeriesSummary]) -> Option<String> {
        let slices = self.slices.filter(|least| view.summary.facts.slices < *least);
        if let Some(least) = slices {
            return Some(format!("{least} slices, {} are there", view.summary.facts.slices));
        }
        let is_there =
            |clauses: &Vec<Clause>| others.iter().any(|other| condition::all_hold(clauses, &view.of_other(other)));
        let absent = self.series.iter().position(|clauses| !is_there(clauses))?;
        Some(format!("another series of the study, number {} in wait_for.series", absent + 1))
    }
}

/// `at` plus `span`, milliseconds, saturating.
pub(super) fn after(at: i64, span: Duration) -> i64 {
    at.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}
