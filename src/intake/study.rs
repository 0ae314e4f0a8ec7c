//! Rules of whole studies: which finished series become the inputs of one job, and when.
//!
//! A study is due when one of its series closes and when a rule has waited long enough. The same series make a job
//! once; a new revision of one of them makes another.

use std::collections::BTreeSet;

use super::decide::{json, new_job, refusal, seen, summary_of};
use super::{Intake, IntakeError};
use crate::clock::Millis;
use crate::config::{Config, LatePolicy};
use crate::dicom::Uid;
use crate::ledger::{ClosedRevision, Due, JobInput, NewGiveUp, NewInferJob, StudyDecision};
use crate::rules::{
    ChosenInput, FiredRule, PlannedJob, Rule, Scope, SeriesSummary, StudyMember, StudyNow, StudyRouting, StudyVerdict,
};

/// A finished series with what the rules see of it.
struct Member {
    revision: ClosedRevision,
    summary: SeriesSummary,
    prior: bool,
    seen: Option<BTreeSet<String>>,
}

impl Intake {
    pub(super) fn decide_study(&self, due: &Due<Uid>) -> Result<usize, IntakeError> {
        let config = self.config.load_full();
        let members = self.members(&config, &due.what)?;
        let now =
            StudyNow { now: Some(self.clock.now().0), arriving: self.ledger.study_arriving(&due.what)?.map(|at| at.0) };
        let routing = config.rules.decide_study(&members.iter().map(Member::as_seen).collect::<Vec<_>>(), now);
        let before = match config.node.late {
            LatePolicy::Ignore => self.ledger.rules_fired_in(&due.what)?,
            LatePolicy::Rerun => Vec::new(),
        };
        let fetching = self.ledger.want_priors(&due.what, &wanting_priors(&config, &routing))?;
        let jobs = jobs_of(&config, &routing, &members, &before, &fetching);
        let decision = StudyDecision {
            study: due.what.clone(),
            seen: due.seen,
            explanation: json(&routing),
            rules_revision: config.rules.revision().to_owned(),
            jobs,
            due: next(&routing),
            gave_up: gave_up(&routing),
        };
        for NewGiveUp { rule, reason } in &decision.gave_up {
            tracing::warn!(study = %due.what, rule, "{reason}");
        }
        let jobs = self.ledger.decide_study(&decision)?.unwrap_or_default();
        tracing::info!(study = %due.what, jobs = jobs.len(), "the rules of the study are decided");
        Ok(jobs.len())
    }

    /// The finished series of the study, and of the patient's other studies where a rule asks for them.
    fn members(&self, config: &Config, study: &Uid) -> Result<Vec<Member>, IntakeError> {
        let own = self.ledger.study_members(study)?;
        let mut members: Vec<Member> =
            own.into_iter().map(|revision| Member::of(config, revision, false)).collect::<Result<_, _>>()?;
        let patient = members.iter().find_map(|member| member.summary.patient());
        let patient = patient.map(|(id, issuer)| (id.to_owned(), issuer.map(str::to_owned)));
        if let Some((patient, issuer)) =
            patient.filter(|_| config.rules.rules().iter().any(|rule| asks_for_priors(&rule.scope)))
        {
            for revision in self.ledger.patient_members(&patient, issuer.as_deref(), study)? {
                members.push(Member::of(config, revision, true)?);
            }
        }
        Ok(members)
    }
}

impl Member {
    fn of(config: &Config, revision: ClosedRevision, prior: bool) -> Result<Member, IntakeError> {
        let summary = summary_of(&revision)?;
        let seen = seen(config, &summary, revision.released.as_deref());
        Ok(Member { revision, summary, prior, seen })
    }

    fn as_seen(&self) -> StudyMember<'_> {
        let id = self.revision.series.series.as_str();
        StudyMember { id, summary: &self.summary, prior: self.prior, seen: self.seen.as_ref() }
    }
}

fn asks_for_priors(scope: &Scope) -> bool {
    matches!(scope, Scope::Study(scope) if scope.inputs.iter().any(|input| input.prior.is_some()))
}

/// When the first of the waiting rules is to be decided again.
fn next(routing: &StudyRouting) -> Option<Millis> {
    let until = routing.rules.iter().filter_map(|rule| match &rule.verdict {
        StudyVerdict::Waits { until, .. } => Some(Millis(*until)),
        _ => None,
    });
    until.min()
}

/// The rules whose time is over.
fn gave_up(routing: &StudyRouting) -> Vec<NewGiveUp> {
    let in_vain = routing.rules.iter().filter(|rule| matches!(rule.verdict, StudyVerdict::GivenUp { .. }));
    in_vain.map(|rule| NewGiveUp { rule: rule.name.clone(), reason: rule.verdict.to_string() }).collect()
}

/// The pipelines of rules that have an earlier study among their inputs, and that want such studies fetched.
fn wanting_priors(config: &Config, routing: &StudyRouting) -> Vec<String> {
    let minded = routing
        .rules
        .iter()
        .filter(|rule| matches!(rule.verdict, StudyVerdict::Fires { .. } | StudyVerdict::Waits { .. }));
    let rules = minded.filter_map(|decided| config.rules.rules().iter().find(|rule| rule.name == decided.name));
    let pipelines = rules.filter(|rule| asks_for_priors(&rule.scope)).filter_map(Rule::pipeline);
    let wants = |name: &&str| {
        let pipeline = config.pipelines.get(*name);
        pipeline.and_then(|pipeline| pipeline.retrieve.as_ref()).is_some_and(|fetch| fetch.priors > 0)
    };
    let names: BTreeSet<&str> = pipelines.filter(wants).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// A job for every rule that fires; none for those that fired `before`, and of a pipeline whose earlier studies are still
/// being fetched not yet.
fn jobs_of(
    config: &Config,
    routing: &StudyRouting,
    members: &[Member],
    before: &[String],
    fetching: &[String],
) -> Vec<NewInferJob> {
    let fires = routing.rules.iter().filter_map(|rule| match &rule.verdict {
        StudyVerdict::Fires { job, inputs, .. } => Some((job, inputs)),
        _ => None,
    });
    fires
        .filter(|(job, _)| !before.contains(&job.name) && !fetching.contains(&job.pipeline))
        .filter_map(|(job, inputs)| make(config, job, inputs, members))
        .collect()
}

fn make(config: &Config, rule: &FiredRule, chosen: &[ChosenInput], members: &[Member]) -> Option<NewInferJob> {
    let find = |input: &ChosenInput| members.iter().find(|m| m.revision.series.series.as_str() == input.member);
    let inputs: Vec<(&ChosenInput, &Member)> = chosen.iter().filter_map(|input| Some((input, find(input)?))).collect();
    let first = inputs.first()?.1;
    let usual = config.node.profile_of(&first.summary.facts.called_ae).priority;
    let planned = PlannedJob::merge(std::slice::from_ref(rule), usual).into_iter().next()?;
    let pipeline = config.pipelines.get(&rule.pipeline);
    let refused = inputs.iter().find_map(|(input, member)| {
        let why = refusal(pipeline, rule, &member.summary.facts.geometry)?;
        Some(format!("input \"{}\": {why}", input.name))
    });
    let inputs =
        inputs.iter().map(|(input, member)| JobInput { name: input.name.clone(), revision: member.revision.id });
    Some(NewInferJob { accept: rule.accept.clone(), refused, inputs: inputs.collect(), ..new_job(planned) })
}
