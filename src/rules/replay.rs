//! What other rules would have done with the series of the past: jobs gained, lost and changed, and how often each
//! rule fires.
//!
//! Takes the past study by study and keeps only the differences. Waiting is over in the past: every rule is decided
//! with all that had come in the end. Priors are not looked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::explanation::Outcome;
use super::jobs::PlannedJob;
use super::ruleset::{FiredRule, Held, Priority, Routing, RuleSet, Scope};
use super::study::{StudyMember, StudyNow, StudyVerdict};
use super::summary::{SeriesFacts, SeriesSummary};
use super::timing::Situation;
use crate::dicom::{SeriesKey, Uid};

/// A closed revision of a series.
#[derive(Debug, Clone)]
pub struct Past {
    pub series: SeriesKey,
    /// From 1, within its series.
    pub revision: i64,
    pub summary: SeriesSummary,
}

/// What the AE title that a series was sent to adds to the rules.
#[derive(Debug, Clone, Copy)]
pub struct Profile<'p> {
    /// Names of the rules that see the series; `None`: all.
    pub seen: Option<&'p BTreeSet<String>>,
    /// Of jobs whose rules name none.
    pub priority: Priority,
}

/// Compares two rule sets on the past.
pub struct Replay<'r> {
    sides: [Side<'r>; 2],
    profile: &'r dyn Fn(&SeriesFacts) -> Profile<'r>,
    report: Report,
}

/// One of the two rule sets, and how often its rules fired, held or stopped.
struct Side<'r> {
    rules: &'r RuleSet,
    fired: Vec<u64>,
    has_study_rules: bool,
}

/// What differs, and the counts of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Closed revisions that were looked at.
    pub series: u64,
    /// Jobs of the rules in force, and of the draft.
    pub jobs: [u64; 2],
    pub gained: Vec<JobChange>,
    pub lost: Vec<JobChange>,
    pub changed: Vec<JobChange>,
    /// Series that only one of the two holds, or each for another reason.
    pub held: Vec<HoldChange>,
    /// In the order of the draft, then those that it lacks.
    pub rules: Vec<RuleCount>,
}

/// Where a difference was found. Without a series: a rule of the whole study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub study: Uid,
    pub series: Option<Uid>,
    pub revision: Option<i64>,
}

/// A job of one pipeline at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobChange {
    #[serde(flatten)]
    pub place: Place,
    pub before: Option<PlannedJob>,
    pub after: Option<PlannedJob>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldChange {
    #[serde(flatten)]
    pub place: Place,
    /// Name of the rule that holds, and why.
    pub before: Option<Held>,
    pub after: Option<Held>,
}

/// How often a rule fired, held or stopped; `None` where it is not in the rule set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    pub name: String,
    pub before: Option<u64>,
    pub after: Option<u64>,
}

impl Report {
    /// Both rule sets do the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty() && self.changed.is_empty() && self.held.is_empty()
    }
}

impl<'r> Replay<'r> {
    /// `before` against `after`; `profile` says what the called AE title of a series adds.
    #[must_use]
    pub fn new(
        before: &'r RuleSet,
        after: &'r RuleSet,
        profile: &'r dyn Fn(&SeriesFacts) -> Profile<'r>,
    ) -> Replay<'r> {
        Replay { sides: [Side::new(before), Side::new(after)], profile, report: Report::default() }
    }

    /// Takes in all revisions of one study, those of a series together and in order.
    pub fn study(&mut self, revisions: &[Past]) {
        for past in revisions {
            self.series(past);
        }
        if self.sides.iter().any(|side| side.has_study_rules) {
            self.whole_study(revisions);
        }
    }

    fn series(&mut self, past: &Past) {
        let profile = (self.profile)(&past.summary.facts);
        self.report.series += 1;
        let [before, after] = self.sides.each_mut().map(|side| side.decide(&past.summary, &profile));
        let place = || Place {
            study: past.series.study.clone(),
            series: Some(past.series.series.clone()),
            revision: Some(past.revision),
        };
        self.compare([&before, &after].map(|routing| PlannedJob::merge(&routing.fired, profile.priority)), &place);
        if before.held != after.held {
            self.report.held.push(HoldChange { place: place(), before: before.held, after: after.held });
        }
    }

    /// Rules of the study see the newest revision of each series.
    fn whole_study(&mut self, revisions: &[Past]) {
        let newest: BTreeMap<&Uid, &Past> = revisions.iter().map(|past| (&past.series.series, past)).collect();
        let profile = self.profile;
        let members = newest.into_values().map(|past| StudyMember {
            id: past.series.series.as_str(),
            summary: &past.summary,
            prior: false,
            seen: profile(&past.summary.facts).seen,
        });
        let members: Vec<StudyMember<'_>> = members.collect();
        let Some(first) = revisions.first() else { return };
        let usual = profile(&first.summary.facts).priority;
        let jobs = self.sides.each_mut().map(|side| PlannedJob::merge(&side.decide_study(&members), usual));
        let place = || Place { study: first.series.study.clone(), series: None, revision: None };
        self.compare(jobs, &place);
    }

    /// Jobs are matched by their pipeline, of which a place has one.
    fn compare(&mut self, [before, after]: [Vec<PlannedJob>; 2], place: &dyn Fn() -> Place) {
        let report = &mut self.report;
        report.jobs[0] += before.len() as u64;
        report.jobs[1] += after.len() as u64;
        let find = |jobs: &[PlannedJob], pipeline: &str| jobs.iter().find(|job| job.pipeline == pipeline).cloned();
        for job in &before {
            let change = JobChange { place: place(), before: Some(job.clone()), after: find(&after, &job.pipeline) };
            match &change.after {
                None => report.lost.push(change),
                Some(after) if !after.does_the_same(job) => report.changed.push(change),
                Some(_) => {}
            }
        }
        for job in after.into_iter().filter(|job| find(&before, &job.pipeline).is_none()) {
            report.gained.push(JobChange { place: place(), before: None, after: Some(job) });
        }
    }

    #[must_use]
    pub fn finish(self) -> Report {
        let [before, after] = &self.sides;
        let mut rules: Vec<RuleCount> = after
            .counts()
            .map(|(name, count)| RuleCount { name: name.to_owned(), before: before.count(name), after: Some(count) })
            .collect();
        let gone = before.counts().filter(|(name, _)| after.count(name).is_none());
        rules.extend(gone.map(|(name, n)| RuleCount { name: name.to_owned(), before: Some(n), after: None }));
        Report { rules, ..self.report }
    }
}

impl<'r> Side<'r> {
    fn new(rules: &'r RuleSet) -> Side<'r> {
        let has_study_rules = rules.rules().iter().any(|rule| matches!(rule.scope, Scope::Study(_)));
        Side { rules, fired: vec![0; rules.rules().len()], has_study_rules }
    }

    fn decide(&mut self, summary: &SeriesSummary, profile: &Profile<'_>) -> Routing {
        let (mut routing, situation) = (Routing::default(), Situation::default());
        let view = self.rules.view(summary);
        for (position, (rule, outcome)) in self.rules.outcomes(&view, profile.seen, &situation).enumerate() {
            routing.add(rule, &outcome);
            let acts = matches!(outcome, Outcome::Fired { .. } | Outcome::Held { .. } | Outcome::Stopped);
            self.fired[position] += u64::from(acts);
            if outcome.ends_evaluation() {
                break;
            }
        }
        routing
    }

    fn decide_study(&mut self, members: &[StudyMember<'_>]) -> Vec<FiredRule> {
        if !self.has_study_rules {
            return Vec::new();
        }
        let mut jobs = Vec::new();
        for decision in self.rules.decide_study(members, StudyNow::default()).rules {
            let StudyVerdict::Fires { job, .. } = decision.verdict else { continue };
            let position = self.rules.rules().iter().position(|rule| rule.name == decision.name);
            if let Some(count) = position.and_then(|position| self.fired.get_mut(position)) {
                *count += 1;
            }
            jobs.push(job);
        }
        jobs
    }

    fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.rules().iter().map(|rule| rule.name.as_str()).zip(self.fired.iter().copied())
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.counts().find(|(known, _)| *known == name).map(|(_, count)| count)
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
