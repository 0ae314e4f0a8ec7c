//! What the rules mean for a finished series: when its revision closes, and again when what a rule waits for has come or
//! the time for it is over. A series that a rule keeps for an operator goes on when the operator says so.
//!
//! Pure but for what is asked of the ledger; writes nothing itself.

use std::collections::BTreeSet;

use super::{Intake, IntakeError};
use crate::clock::Millis;
use crate::config::{Config, Pipeline};
use crate::ledger::{self, ClosedRevision, Due, Ledger, NewGiveUp, NewHold, NewInferJob, Redecision, Verdict};
use crate::rules::{self, Explanation, FiredRule, Mode, Outcome, PlannedJob, Routing, Scope, SeriesSummary, Situation};

/// A finished series, and what became of its rules before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub study: &'a crate::dicom::Uid,
    /// The revision, where it is closed: it is not its own company.
    pub revision: Option<i64>,
    pub summary: &'a SeriesSummary,
    /// Rules that made their jobs.
    pub fired: &'a [String],
    /// The rule that held it, until an operator let it go on.
    pub released: Option<&'a str>,
    /// The only rules that may still do something; `None`: all.
    pub only: Option<&'a BTreeSet<String>>,
}

/// What is to be written, and why.
pub(super) struct Decided {
    pub verdict: Verdict,
    pub explanation: Explanation,
}

/// Applies the rules in force to `case`.
pub(super) fn decide(ledger: &Ledger, config: &Config, now: Millis, case: Case<'_>) -> Result<Decided, IntakeError> {
    let company = if waits_for_series(config) { company(ledger, &case)? } else { Vec::new() };
    let others: Vec<&SeriesSummary> = company.iter().collect();
    let seen = seen(config, case.summary, case.released);
    let situation = Situation { now: Some(now.0), others: &others };
    let (mut routing, explanation) = config.rules.decide_in(case.summary, seen.as_ref(), &situation);
    let of_released = case.released.and_then(|name| config.rules.rules().iter().find(|rule| rule.name == name));
    routing.fired.extend(of_released.and_then(rules::Rule::job));
    let may = |name: &String| case.only.is_none_or(|only| only.contains(name));
    routing.fired.retain(|rule| may(&rule.name) && !case.fired.contains(&rule.name));
    routing.waiting.retain(|rule| may(&rule.name));
    Ok(Decided { verdict: verdict(config, case.summary, routing, &explanation), explanation })
}

fn verdict(config: &Config, summary: &SeriesSummary, routing: Routing, explanation: &Explanation) -> Verdict {
    let usual = config.node.profile_of(&summary.facts.called_ae).priority;
    let idle = |rule: &rules::RuleExplanation| match &rule.outcome {
        Outcome::NoMatch | Outcome::NotSeen | Outcome::Off | Outcome::NotReached { .. } => true,
        Outcome::Study { inputs } => inputs.is_empty(),
        _ => false,
    };
    Verdict {
        jobs: jobs_of(config, &routing.fired, &summary.facts.geometry, usual),
        fired: routing.fired.iter().map(|rule| rule.name.clone()).collect(),
        due: routing.waiting.iter().map(|rule| Millis(rule.until)).min(),
        hold: routing.held.map(|held| NewHold { rule: held.rule, reason: held.reason }),
        gave_up: explanation.rules.iter().filter_map(waited_in_vain).collect(),
        unmatched: explanation.rules.iter().all(idle),
    }
}

fn waited_in_vain(rule: &rules::RuleExplanation) -> Option<NewGiveUp> {
    match &rule.outcome {
        Outcome::Skipped { lacking } => Some(NewGiveUp { rule: rule.name.clone(), reason: lacking.clone() }),
        _ => None,
    }
}

/// One job a pipeline: rules that fire the same one share it. A rule that does not take the geometry makes one that is
/// given up from the start, so that the reason is seen where jobs are.
pub(super) fn jobs_of(
    config: &Config,
    fired: &[FiredRule],
    geometry: &str,
    usual: rules::Priority,
) -> Vec<NewInferJob> {
    let refusal = |rule: &FiredRule| refusal(config.pipelines.get(&rule.pipeline), rule, geometry);
    let (refused, taken): (Vec<FiredRule>, Vec<FiredRule>) =
        fired.iter().cloned().partition(|rule| refusal(rule).is_some());
    let mut jobs: Vec<NewInferJob> = PlannedJob::merge(&taken, usual).into_iter().map(new_job).collect();
    for job in &mut jobs {
        let own = taken.iter().any(|rule| rule.pipeline == job.pipeline && rule.accept.is_some());
        job.accept = own.then(|| vec![geometry.to_owned()]);
    }
    for planned in PlannedJob::merge(&refused, usual) {
        let reason = refused.iter().find(|rule| rule.pipeline == planned.pipeline).and_then(refusal);
        if jobs.iter().all(|job| job.pipeline != planned.pipeline) {
            jobs.push(NewInferJob { refused: reason, ..new_job(planned) });
        }
    }
    jobs
}

/// Why a rule does not take a series of this geometry.
pub(super) fn refusal(pipeline: Option<&Pipeline>, rule: &FiredRule, geometry: &str) -> Option<String> {
    let (who, accept) = match (&rule.accept, pipeline) {
        (Some(accept), _) => (format!("rule \"{}\"", rule.name), accept),
        (None, Some(pipeline)) => (format!("pipeline \"{}\"", pipeline.name), &pipeline.accept),
        (None, None) => return None,
    };
    let refused = !accept.iter().any(|name| name == geometry);
    let accept = accept.join(", ");
    let means = crate::dicom::meaning_of(geometry);
    refused.then(|| format!("the series cannot become a volume: it is {geometry} ({means}); {who} accepts {accept}"))
}

pub(super) fn new_job(planned: PlannedJob) -> NewInferJob {
    NewInferJob {
        rule: planned.rules.join(", "),
        pipeline: planned.pipeline,
        destinations: planned.destinations,
        priority: priority(planned.priority),
        shadow: planned.shadow,
        accept: None,
        refused: None,
        inform: ledger::Inform {
            failed: planned.inform.failed,
            after: planned.inform.after,
            nothing_found: planned.inform.nothing_found,
        },
        inputs: Vec::new(),
    }
}

/// The ledger keeps its own words, so that neither it nor the rules import the other.
fn priority(asked: rules::Priority) -> ledger::Priority {
    match asked {
        rules::Priority::Stat => ledger::Priority::Stat,
        rules::Priority::Urgent => ledger::Priority::Urgent,
        rules::Priority::Routine => ledger::Priority::Routine,
        rules::Priority::OffPeak => ledger::Priority::OffPeak,
    }
}

/// The rules that see the series, without the one that an operator overruled; `None`: all.
pub(super) fn seen(config: &Config, summary: &SeriesSummary, released: Option<&str>) -> Option<BTreeSet<String>> {
    let named = config.node.profile_of(&summary.facts.called_ae).rules.as_ref();
    let Some(released) = released else { return named.cloned() };
    let all = || config.rules.rules().iter().map(|rule| rule.name.clone()).collect();
    let names: BTreeSet<String> = named.cloned().unwrap_or_else(all);
    Some(names.into_iter().filter(|name| name != released).collect())
}

/// Whether there are rules of whole studies.
pub(super) fn has_study_rules(config: &Config) -> bool {
    config.rules.rules().iter().any(|rule| rule.mode != Mode::Off && matches!(rule.scope, Scope::Study(_)))
}

fn waits_for_series(config: &Config) -> bool {
    config.rules.rules().iter().any(|rule| rule.wait_for.as_ref().is_some_and(|wait| !wait.series.is_empty()))
}

/// The other finished series of the study.
fn company(ledger: &Ledger, case: &Case<'_>) -> Result<Vec<SeriesSummary>, IntakeError> {
    let members = ledger.study_members(case.study)?;
    members.iter().filter(|member| Some(member.id) != case.revision).map(summary_of).collect()
}

pub(super) fn summary_of(revision: &ClosedRevision) -> Result<SeriesSummary, IntakeError> {
    serde_json::from_str(&revision.summary)
        .map_err(|source| ledger::LedgerError::Unreadable { column: "revisions.summary", source }.into())
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"unserializable\":\"{error}\"}}"))
}

/// The rules that an explanation shows waiting.
pub(super) fn waiting_in(explanation: &str) -> BTreeSet<String> {
    let read: Explanation = serde_json::from_str(explanation).unwrap_or_default();
    let waits = |rule: &rules::RuleExplanation| matches!(rule.outcome, Outcome::Waits { .. });
    read.rules.into_iter().filter(waits).map(|rule| rule.name).collect()
}

impl Intake {
    /// Decides what is due: rules that waited, and rules of whole studies. How many jobs there are of it. Blocking.
    pub fn decide_due(&self) -> Result<usize, IntakeError> {
        let mut jobs = 0;
        let now = self.clock.now();
        for due in self.ledger.due_revisions()? {
            let what = format!("series {}", due.what.series.series);
            jobs += self.trouble.beside(&what, now, || self.decide_waiting(&due)).unwrap_or_default();
        }
        for due in self.ledger.due_studies()? {
            let what = format!("study {}", due.what);
            jobs += self.trouble.beside(&what, now, || self.decide_study(&due)).unwrap_or_default();
        }
        Ok(jobs)
    }

    fn decide_waiting(&self, due: &Due<ClosedRevision>) -> Result<usize, IntakeError> {
        let config = self.config.load_full();
        let decision = self.redecision(&config, &due.what, due.what.released.as_deref(), due.seen)?;
        let jobs = self.ledger.decide_again(&decision)?.unwrap_or_default();
        tracing::info!(series = %due.what.series.series, jobs = jobs.len(), "rules that waited are decided");
        Ok(jobs.len())
    }

    fn redecision(
        &self,
        config: &Config,
        revision: &ClosedRevision,
        released: Option<&str>,
        seen: Millis,
    ) -> Result<Redecision, IntakeError> {
        let (summary, fired) = (summary_of(revision)?, self.ledger.fired_rules(revision.id)?);
        let (study, id) = (&revision.series.study, Some(revision.id));
        let case = Case { study, revision: id, summary: &summary, fired: &fired, released, only: None };
        let Decided { verdict, explanation } = decide(&self.ledger, config, self.clock.now(), case)?;
        let rules_revision = config.rules.revision().to_owned();
        Ok(Redecision { revision: revision.id, seen, explanation: json(&explanation), rules_revision, verdict })
    }

    /// Lets a series that a rule holds go on, by the rules behind that one. The jobs made of it. Blocking.
    pub fn release(&self, series: &str, who: &str) -> Result<Vec<i64>, IntakeError> {
        let not_held = || IntakeError::NotHeld(series.to_owned());
        let (revision, rule) = self.ledger.held_revision(series)?.ok_or_else(not_held)?;
        let config = self.config.load_full();
        let decision = self.redecision(&config, &revision, Some(&rule), Millis(0))?;
        let jobs = self.ledger.release_hold(&decision, who, has_study_rules(&config))?.ok_or_else(not_held)?;
        tracing::info!(series, jobs = jobs.len(), "a series on hold goes on");
        Ok(jobs)
    }

    /// Takes a series off hold for good: nothing is run on it. Blocking.
    pub fn drop_held(&self, series: &str, who: &str) -> Result<(), IntakeError> {
        if !self.ledger.drop_hold(series, who)? {
            return Err(IntakeError::NotHeld(series.to_owned()));
        }
        tracing::info!(series, "a series on hold is dropped");
        Ok(())
    }
}
