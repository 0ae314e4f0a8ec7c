//! Rules of the whole study: several named series as inputs of one job.
//!
//! [`RuleSet::decide_study`] sees the finished series of a study, and those of earlier studies of the patient,
//! and says of each study rule whether it fires and with which series, or what it waits for and until when.
//! It keeps nothing in mind: the same series and the same time give the same answer, in whatever order they came.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use super::condition::{self, Clause};
use super::explanation::{ConditionExplanation, Outcome};
use super::ruleset::{FiredRule, Mode, Rule, RuleSet, Scope};
use super::scale;
use super::subject::View;
use super::summary::SeriesSummary;
use super::timing::after;

/// What makes a rule one of the study.
#[derive(Debug, Clone)]
pub struct StudyScope {
    /// In the order of the file; each takes of the series that no earlier one took.
    pub inputs: Vec<Input>,
    /// From the first input's last arrival on.
    pub window: Duration,
    pub partial: Partial,
}

/// One named input of a study rule.
#[derive(Debug, Clone)]
pub struct Input {
    pub name: String,
    pub(super) conditions: Vec<Clause>,
    pub choose: Choose,
    pub optional: bool,
    /// Of an earlier study of the patient, at most so much older.
    pub prior: Option<Duration>,
}

/// Which of several series that fit becomes the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choose {
    MostSlices,
    /// The least distance between slices, else the least SliceThickness.
    Thinnest,
    /// By SeriesDate and SeriesTime, else by arrival.
    Latest,
    First,
}

/// What is done when the window is over and a required input is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    /// Fire with what is there.
    Proceed,
    /// Go on waiting, until this long after the first input.
    Wait {
        give_up_after: Duration,
    },
    GiveUp,
}

impl StudyScope {
    pub const WINDOW: Duration = Duration::from_mins(30);
    /// A study rule that names no `quiet` is decided when nothing of the study has come for this long.
    pub const QUIET: Duration = Duration::from_mins(1);
}

impl Partial {
    pub const GIVE_UP_AFTER: Duration = Duration::from_hours(24);
}

impl Input {
    pub const MAX_AGE: Duration = Duration::from_hours(5 * 365 * 24);
}

impl Choose {
    pub const NAMES: [(&'static str, Choose); 4] = [
        ("most-slices", Choose::MostSlices),
        ("thinnest", Choose::Thinnest),
        ("latest", Choose::Latest),
        ("first", Choose::First),
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        Choose::NAMES[self as usize].0
    }
}

/// A finished series of the study or of an earlier one.
#[derive(Debug, Clone, Copy)]
pub struct StudyMember<'a> {
    /// The caller's name of it, such as its Series Instance UID; no two have the same.
    pub id: &'a str,
    pub summary: &'a SeriesSummary,
    /// Of an earlier study of the same patient.
    pub prior: bool,
    /// The rules that the AE title it was sent to names; `None`: all.
    pub seen: Option<&'a BTreeSet<String>>,
}

/// The time of a decision.
#[derive(Debug, Clone, Copy, Default)]
pub struct StudyNow {
    /// Milliseconds since 1970-01-01 UTC. `None`: all waiting is over, as for files and for the history.
    pub now: Option<i64>,
    /// The last arrival for a series of the study that is not finished, if there is one.
    pub arriving: Option<i64>,
}

/// What becomes of each study rule, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyRouting {
    /// `RuleSet::revision` of the rules that decided.
    pub rules_revision: String,
    pub rules: Vec<StudyRuleDecision>,
}

/// One study rule applied to one study: the verdict, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyRuleDecision {
    pub name: String,
    /// 1-based line of the rule in its file.
    pub line: usize,
    pub mode: Mode,
    pub verdict: StudyVerdict,
    /// The rule's own conditions on each series of the study.
    pub when: Vec<MemberExplanation>,
    pub inputs: Vec<InputExplanation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum StudyVerdict {
    /// All required inputs are there, or it proceeds without.
    Fires {
        job: FiredRule,
        inputs: Vec<ChosenInput>,
        missing: Vec<String>,
    },
    /// To be decided again when a series of the study is finished, and no later than `until`.
    /// With all inputs there (`missing` is empty) it waits for the study to be quiet.
    Waits {
        missing: Vec<String>,
        until: i64,
    },
    GivenUp {
        missing: Vec<String>,
    },
    /// No series passes the rule's own conditions, or none is one of its inputs.
    NoMatch,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenInput {
    pub name: String,
    /// [`StudyMember::id`].
    pub member: String,
}

/// Conditions applied to one member of a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberExplanation {
    pub member: String,
    pub holds: bool,
    /// It came too long after the first input.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    pub conditions: Vec<ConditionExplanation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputExplanation {
    pub name: String,
    pub choose: Choose,
    pub chosen: Option<String>,
    /// Every series it could have been: those of the study, or earlier ones.
    pub candidates: Vec<MemberExplanation>,
}

impl RuleSet {
    /// What each study rule does with a study whose finished series are `members`.
    ///
    /// A series that an earlier rule of one series keeps from later rules (`stop`, `hold`) is no input of them.
    #[must_use]
    pub fn decide_study(&self, members: &[StudyMember<'_>], now: StudyNow) -> StudyRouting {
        let views: Vec<View<'_>> = members.iter().map(|member| self.view(member.summary)).collect();
        let ends: Vec<usize> = members.iter().zip(&views).map(|(m, view)| self.last_reached(view, m.seen)).collect();
        let decide = |(position, rule): (usize, &Rule)| {
            let Scope::Study(scope) = &rule.scope else { return None };
            let sees = |m: &StudyMember<'_>| m.seen.is_none_or(|names| names.contains(&rule.name));
            let reached = members.iter().zip(&views).zip(&ends).filter(|((m, _), end)| position <= **end && sees(m));
            let members: Vec<Candidate<'_>> = reached.map(|((member, view), _)| Candidate { member, view }).collect();
            Some(rule.decide_study(scope, &members, now))
        };
        let rules = self.rules().iter().enumerate().filter_map(decide).collect();
        StudyRouting { rules_revision: self.revision().to_owned(), rules }
    }
}

/// A member as the rules see it.
struct Candidate<'a> {
    member: &'a StudyMember<'a>,
    view: &'a View<'a>,
}

impl<'a> std::ops::Deref for Candidate<'a> {
    type Target = StudyMember<'a>;

    fn deref(&self) -> &StudyMember<'a> {
        self.member
    }
}

impl Rule {
    fn decide_study(&self, scope: &StudyScope, members: &[Candidate<'_>], now: StudyNow) -> StudyRuleDecision {
        let current: Vec<&Candidate<'_>> = members.iter().filter(|member| !member.prior).collect();
        let when: Vec<MemberExplanation> = current.iter().map(|m| explain(&self.conditions, m)).collect();
        let mut inputs: Vec<InputExplanation> = scope.inputs.iter().map(|input| input.explain(members)).collect();
        let begun = begun(&current, &inputs);
        if let Some(begun) = begun {
            choose(members, &mut inputs, after(begun, scope.limit()));
        }
        let verdict = match begun {
            _ if self.mode == Mode::Off => StudyVerdict::Off,
            Some(begun) if when.iter().any(|m| m.holds) => self.study_verdict(scope, &current, &inputs, begun, now),
            _ => StudyVerdict::NoMatch,
        };
        StudyRuleDecision { name: self.name.clone(), line: self.line, mode: self.mode, verdict, when, inputs }
    }

    fn study_verdict(
        &self,
        scope: &StudyScope,
        current: &[&Candidate<'_>],
        inputs: &[InputExplanation],
        begun: i64,
        now: StudyNow,
    ) -> StudyVerdict {
        let absent = inputs.iter().zip(&scope.inputs).filter(|(e, input)| e.chosen.is_none() && !input.optional);
        let missing: Vec<String> = absent.map(|(explained, _)| explained.name.clone()).collect();
        let last = current.iter().map(|m| arrival(m)).chain(now.arriving).max().unwrap_or(begun);
        let until = match missing.as_slice() {
            [] => after(last, self.quiet.unwrap_or(StudyScope::QUIET)),
            _ => after(begun, scope.limit()),
        };
        match scope.partial {
            _ if now.now.is_some_and(|now| now < until) => StudyVerdict::Waits { missing, until },
            Partial::Wait { .. } | Partial::GiveUp if !missing.is_empty() => StudyVerdict::GivenUp { missing },
            _ => self.fires(inputs, missing),
        }
    }

    fn fires(&self, inputs: &[InputExplanation], missing: Vec<String>) -> StudyVerdict {
        let Some(job) = self.job() else { return StudyVerdict::NoMatch };
        let chosen =
            |input: &InputExplanation| Some(ChosenInput { name: input.name.clone(), member: input.chosen.clone()? });
        StudyVerdict::Fires { job, inputs: inputs.iter().filter_map(chosen).collect(), missing }
    }
}

fn explain(conditions: &[Clause], member: &Candidate<'_>) -> MemberExplanation {
    let conditions = condition::explain_all(conditions, member.view);
    let holds = conditions.iter().all(|condition| condition.holds);
    MemberExplanation { member: member.id.to_owned(), holds, late: false, conditions }
}

/// Milliseconds since 1970-01-01 UTC.
fn arrival(member: &Candidate<'_>) -> i64 {
    member.summary.facts.received_at.unwrap_or_default()
}

impl StudyScope {
    /// What a single series is to the rule, whose own conditions are `when`.
    pub(super) fn outcome(&self, view: &View<'_>, when: &[Clause]) -> Outcome {
        let fitting = self.inputs.iter().filter(|input| condition::all_hold(&input.conditions, view));
        let inputs: Vec<String> = fitting.map(|input| input.name.clone()).collect();
        if inputs.is_empty() && !condition::all_hold(when, view) { Outcome::NoMatch } else { Outcome::Study { inputs } }
    }

    /// How long after the first input another one still counts.
    fn limit(&self) -> Duration {
        match self.partial {
            Partial::Wait { give_up_after } => give_up_after,
            Partial::Proceed | Partial::GiveUp => self.window,
        }
    }
}

/// When the first series of the study arrived that could be an input.
fn begun(current: &[&Candidate<'_>], inputs: &[InputExplanation]) -> Option<i64> {
    let candidates = inputs.iter().flat_map(|input| &input.candidates).filter(|candidate| candidate.holds);
    let fitting: BTreeSet<&str> = candidates.map(|candidate| candidate.member.as_str()).collect();
    current.iter().filter(|member| fitting.contains(member.id)).map(|member| arrival(member)).min()
}

/// Gives every input the best of the series that came in time and that no earlier input took.
fn choose(members: &[Candidate<'_>], inputs: &mut [InputExplanation], deadline: i64) {
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for explained in inputs {
        let member_of = |id: &str| members.iter().find(|member| member.id == id);
        let mut best: Option<&Candidate<'_>> = None;
        for candidate in &mut explained.candidates {
            let Some(member) = member_of(&candidate.member) else { continue };
            candidate.late = !member.prior && arrival(member) > deadline;
            let free = candidate.holds && !candidate.late && !taken.contains(member.id);
            if free && best.is_none_or(|best| explained.choose.order(member, best) == Ordering::Less) {
                best = Some(member);
            }
        }
        taken.extend(best.map(|member| member.id));
        explained.chosen = best.map(|member| member.id.to_owned());
    }
}

impl Input {
    fn explain(&self, members: &[Candidate<'_>]) -> InputExplanation {
        let study = members.iter().filter(|m| !m.prior).filter_map(|m| studied(m.summary)).max();
        let eligible = members.iter().filter(|member| self.is_old_enough(member, study));
        let candidates = eligible.map(|member| explain(&self.conditions, member)).collect();
        InputExplanation { name: self.name.clone(), choose: self.choose, chosen: None, candidates }
    }

    /// A series of the study itself, or of an earlier one that is not too old, whichever is asked for.
    fn is_old_enough(&self, member: &Candidate<'_>, study: Option<NaiveDate>) -> bool {
        let Some(max_age) = self.prior else { return !member.prior };
        let age = || Some((study? - studied(member.summary)?).num_seconds());
        member.prior && age().is_none_or(|age| u64::try_from(age).is_ok_and(|age| age <= max_age.as_secs()))
    }
}

impl Choose {
    /// The better one first; equals by their names, so that the order of arrival never matters.
    fn order(self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        let better = match self {
            Choose::MostSlices => b.summary.facts.slices.cmp(&a.summary.facts.slices),
            Choose::Thinnest => thickness(a.summary).total_cmp(&thickness(b.summary)),
            Choose::Latest => acquired(b).total_cmp(&acquired(a)),
            Choose::First => acquired(a).total_cmp(&acquired(b)),
        };
        better.then_with(|| a.id.cmp(b.id))
    }
}

fn first_of(summary: &SeriesSummary, tag: Tag) -> Option<&str> {
    summary.values(tag).next()
}

fn date(summary: &SeriesSummary, tag: Tag) -> Option<NaiveDate> {
    scale::date(first_of(summary, tag)?)
}

fn studied(summary: &SeriesSummary) -> Option<NaiveDate> {
    date(summary, tags::STUDY_DATE).or_else(|| date(summary, tags::SERIES_DATE))
}

/// Infinite where it is not known.
fn thickness(summary: &SeriesSummary) -> f64 {
    let thickness = || first_of(summary, tags::SLICE_THICKNESS)?.parse().ok();
    summary.facts.spacing_between_slices.or_else(thickness).unwrap_or(f64::INFINITY)
}

/// Seconds since 1970-01-01, by the scanner's clock or by ours.
fn acquired(member: &Candidate<'_>) -> f64 {
    let of_series = || {
        let day = date(member.summary, tags::SERIES_DATE)?.and_time(NaiveTime::MIN).and_utc().timestamp();
        let time = first_of(member.summary, tags::SERIES_TIME).and_then(scale::time).unwrap_or_default();
        Some(day as f64 + time)
    };
    of_series().unwrap_or(arrival(member) as f64 / 1000.0)
}
