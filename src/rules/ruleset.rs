//! Checked rules in order, and their one evaluation, from which routing and explanation both come.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::condition::{self, Clause};
use super::explanation::{Explanation, Outcome, RuleExplanation};
use super::fault::Fault;
use super::parse::{self, Names};
use super::study::StudyScope;
use super::subject::{Subject, View};
use super::summary::SeriesSummary;
use super::timing::{Patience, Situation, Then, WaitFor};

/// Checked rules in order, and the digest of the text they came from.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    revision: String,
    rules: Vec<Rule>,
    /// How many different values the conditions look at.
    subjects: usize,
}

/// One `[[rule]]`.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    /// 1-based line in its file.
    pub line: usize,
    pub mode: Mode,
    pub action: Action,
    /// Ends the evaluation when the rule matches. Of a shadow rule it has no effect.
    pub stop: bool,
    pub scope: Scope,
    /// Not decided before this long after the last arrival; other rules do not wait.
    pub quiet: Option<Duration>,
    pub wait_for: Option<WaitFor>,
    /// `GeometryVerdict::name`s that the rule takes, instead of the pipeline's.
    pub accept: Option<Vec<String>>,
    /// Names of those who are told.
    pub notify: Vec<String>,
    pub inform: Inform,
    pub(super) conditions: Vec<Clause>,
}

/// What a rule decides about.
#[derive(Debug, Clone)]
pub enum Scope {
    Series,
    Study(StudyScope),
}

/// What a matching rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Run {
        pipeline: String,
        send_to: Vec<String>,
        /// `None`: that of the called AE title.
        priority: Option<Priority>,
    },
    /// Nothing is run before an operator has seen the series.
    Hold { reason: String },
    /// Nothing is run; the rule is there to stop.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Live,
    /// Runs and keeps the results, sends nothing, never keeps a series from later rules.
    Shadow,
    Off,
}

/// The order in which jobs are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    Stat,
    Urgent,
    Routine,
    OffPeak,
}

impl Priority {
    pub const NAMES: [(&'static str, Priority); 4] = [
        ("stat", Priority::Stat),
        ("urgent", Priority::Urgent),
        ("routine", Priority::Routine),
        ("off-peak", Priority::OffPeak),
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        Priority::NAMES[self as usize].0
    }
}

/// What is to be done with a series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// In the order of the rules.
    pub fired: Vec<FiredRule>,
    pub held: Option<Held>,
    pub waiting: Vec<WaitingRule>,
}

/// A rule that matches and is to be decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRule {
    pub name: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub until: i64,
    /// What has to come, without attribute values.
    pub lacking: String,
}

/// A job to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiredRule {
    pub name: String,
    pub pipeline: String,
    /// Empty for a shadow rule.
    pub destinations: Vec<String>,
    /// `None`: that of the called AE title.
    pub priority: Option<Priority>,
    /// Results are kept and nothing is sent.
    pub shadow: bool,
    /// Geometry verdicts that the rule takes, instead of the pipeline's.
    pub accept: Option<Vec<String>>,
    /// Names of those who are told.
    pub notify: Vec<String>,
    #[serde(default)]
    pub inform: Inform,
}

/// What readers are told in the study itself when a pipeline gives no result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inform {
    /// That it failed.
    pub failed: bool,
    /// That it has not ended after so long; only beside `failed`.
    pub after: Option<Duration>,
    /// That nothing was found.
    pub nothing_found: bool,
}

impl Inform {
    /// What either asks for, at the earlier time.
    #[must_use]
    pub fn or(self, other: Inform) -> Inform {
        Inform {
            failed: self.failed || other.failed,
            after: [self.after, other.after].into_iter().flatten().min(),
            nothing_found: self.nothing_found || other.nothing_found,
        }
    }
}

/// A series kept for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub rule: String,
    pub reason: String,
    /// Names of those who are told.
    pub notify: Vec<String>,
}

impl RuleSet {
    /// Reads and checks a rules file; names of pipelines and destinations are not compared with anything.
    ///
    /// # Errors
    /// All faults of the text.
    pub fn parse(text: &str) -> Result<RuleSet, Vec<Fault>> {
        let (rules, faults) = RuleSet::parse_with("rules.toml", text, &Names::default());
        if faults.iter().all(Fault::is_warning) { Ok(rules) } else { Err(faults) }
    }

    /// Reads as much of a rules file as is free of faults, and all faults, compared with the names there are.
    #[must_use]
    pub fn parse_with(file: &str, text: &str, names: &Names<'_>) -> (RuleSet, Vec<Fault>) {
        let (mut rules, faults) = parse::rules(file, text, names);
        let revision = format!("{:x}", Sha256::digest(text.as_bytes()));
        let mut slots = HashMap::new();
        for rule in &mut rules {
            rule.number(&mut slots);
        }
        (RuleSet { revision, rules, subjects: slots.len() }, faults)
    }

    /// SHA-256 of the text, hexadecimal.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// In the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is to be done with a series.
    #[must_use]
    pub fn route(&self, summary: &SeriesSummary) -> Routing {
        let (mut routing, situation) = (Routing::default(), Situation::default());
        let view = self.view(summary);
        for (rule, outcome) in self.outcomes(&view, None, &situation) {
            routing.add(rule, &outcome);
            if outcome.ends_evaluation() {
                break;
            }
        }
        routing
    }

    /// Why that is to be done.
    #[must_use]
    pub fn explain(&self, summary: &SeriesSummary) -> Explanation {
        self.decide(summary).1
    }

    /// Routing and explanation of one evaluation.
    #[must_use]
    pub fn decide(&self, summary: &SeriesSummary) -> (Routing, Explanation) {
        self.decide_among(summary, None)
    }

    /// The same by those rules only that are named in `seen`; `None`: by all.
    #[must_use]
    pub fn decide_among(&self, summary: &SeriesSummary, seen: Option<&BTreeSet<String>>) -> (Routing, Explanation) {
        self.decide_in(summary, seen, &Situation::default())
    }

    /// The same at a time and in a study. Rules that wait are in [`Routing::waiting`]; when they are decided again,
    /// those that have fired fire again: a rule makes one job for a revision of a series, its later firing none.
    #[must_use]
    pub fn decide_in(
        &self,
        summary: &SeriesSummary,
        seen: Option<&BTreeSet<String>>,
        situation: &Situation<'_>,
    ) -> (Routing, Explanation) {
        let (mut routing, mut explained) = (Routing::default(), Vec::with_capacity(self.rules.len()));
        let view = self.view(summary);
        for (rule, outcome) in self.outcomes(&view, seen, situation) {
            routing.add(rule, &outcome);
            explained.push(rule.explain(&view, outcome));
        }
        (routing, Explanation { rules_revision: self.revision.clone(), rules: explained })
    }

    pub(super) fn view<'s>(&self, summary: &'s SeriesSummary) -> View<'s> {
        View::of(summary, self.subjects)
    }

    /// The one evaluation: what becomes of each rule, in order.
    pub(super) fn outcomes<'e>(
        &'e self,
        view: &'e View<'_>,
        seen: Option<&'e BTreeSet<String>>,
        situation: &'e Situation<'e>,
    ) -> impl Iterator<Item = (&'e Rule, Outcome)> {
        let mut ended_by: Option<&Rule> = None;
        self.rules.iter().map(move |rule| {
            let outcome = match ended_by {
                _ if rule.mode == Mode::Off => Outcome::Off,
                _ if seen.is_some_and(|names| !names.contains(&rule.name)) => Outcome::NotSeen,
                Some(earlier) => Outcome::NotReached { after: earlier.name.clone() },
                None => rule.outcome(view, situation),
            };
            if ended_by.is_none() && outcome.ends_evaluation() {
                ended_by = Some(rule);
            }
            (rule, outcome)
        })
    }

    /// Position of the last rule that gets to see a finished series.
    pub(super) fn last_reached(&self, view: &View<'_>, seen: Option<&BTreeSet<String>>) -> usize {
        let situation = Situation::default();
        let ends = |(_, outcome): (&Rule, Outcome)| outcome.ends_evaluation();
        self.outcomes(view, seen, &situation).position(ends).unwrap_or(usize::MAX)
    }
}

impl Rule {
    /// Numbers what the conditions look at, so that it is found once a series.
    fn number(&mut self, slots: &mut HashMap<Subject, usize>) {
        condition::number(&mut self.conditions, slots);
        let waited_for = self.wait_for.iter_mut().flat_map(|wait| &mut wait.series);
        waited_for.for_each(|clauses| condition::number(clauses, slots));
        if let Scope::Study(study) = &mut self.scope {
            study.inputs.iter_mut().for_each(|input| condition::number(&mut input.conditions, slots));
        }
    }

    fn outcome(&self, view: &View<'_>, situation: &Situation<'_>) -> Outcome {
        if let Scope::Study(scope) = &self.scope {
            return scope.outcome(view, &self.conditions);
        }
        if !condition::all_hold(&self.conditions, view) {
            return Outcome::NoMatch;
        }
        let stop = self.stop && self.mode == Mode::Live;
        match self.patience(view, situation) {
            Patience::Waits { until, lacking } => return Outcome::Waits { until, lacking, stop },
            Patience::Over { lacking, then: Then::Skip } => return Outcome::Skipped { lacking },
            Patience::Over { lacking, then: Then::Hold } => {
                return Outcome::Held { reason: format!("it lacks {lacking}") };
            }
            Patience::Over { then: Then::Run, .. } | Patience::Ready => {}
        }
        match &self.action {
            Action::Run { pipeline, priority, .. } => Outcome::Fired {
                pipeline: pipeline.clone(),
                send_to: self.destinations().to_vec(),
                priority: *priority,
                stop,
            },
            Action::Hold { reason } => Outcome::Held { reason: reason.clone() },
            Action::Nothing => Outcome::Stopped,
        }
    }

    fn explain(&self, view: &View<'_>, outcome: Outcome) -> RuleExplanation {
        let conditions = condition::explain_all(&self.conditions, view);
        let matches = conditions.iter().all(|condition| condition.holds);
        RuleExplanation { name: self.name.clone(), line: self.line, mode: self.mode, matches, outcome, conditions }
    }

    /// Where results are sent: nowhere of a shadow rule.
    fn destinations(&self) -> &[String] {
        match &self.action {
            Action::Run { send_to, .. } if self.mode == Mode::Live => send_to,
            _ => &[],
        }
    }

    /// The pipeline that it runs; `None` for a rule that runs nothing.
    #[must_use]
    pub fn pipeline(&self) -> Option<&str> {
        match &self.action {
            Action::Run { pipeline, .. } => Some(pipeline),
            _ => None,
        }
    }

    /// The job that firing means, `None` for a rule that runs nothing.
    #[must_use]
    pub fn job(&self) -> Option<FiredRule> {
        let Action::Run { pipeline, priority, .. } = &self.action else { return None };
        Some(FiredRule {
            name: self.name.clone(),
            pipeline: pipeline.clone(),
            destinations: self.destinations().to_vec(),
            priority: *priority,
            shadow: self.mode == Mode::Shadow,
            accept: self.accept.clone(),
            notify: self.notify.clone(),
            inform: self.inform,
        })
    }
}

impl Routing {
    pub(super) fn add(&mut self, rule: &Rule, outcome: &Outcome) {
        match outcome {
            Outcome::Fired { .. } => self.fired.extend(rule.job()),
            Outcome::Held { reason } => {
                let (name, notify) = (rule.name.clone(), rule.notify.clone());
                self.held = Some(Held { rule: name, reason: reason.clone(), notify });
            }
            Outcome::Waits { until, lacking, .. } => {
                let (name, lacking) = (rule.name.clone(), lacking.clone());
                self.waiting.push(WaitingRule { name, until: *until, lacking });
            }
            _ => {}
        }
    }
}
