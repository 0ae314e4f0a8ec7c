//! Checked rules in order, and their one evaluation, from which routing and explanation both come.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::condition::Clause;
use super::explanation::{Explanation, Outcome, RuleExplanation};
use super::fault::Fault;
use super::parse::{self, Names};
use super::summary::SeriesSummary;

/// Checked rules in order, and the digest of the text they came from.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    revision: String,
    rules: Vec<Rule>,
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
    pub(super) conditions: Vec<Clause>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A job to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredRule {
    pub name: String,
    pub pipeline: String,
    /// Empty for a shadow rule.
    pub destinations: Vec<String>,
    /// `None`: that of the called AE title.
    pub priority: Option<Priority>,
    /// Results are kept and nothing is sent.
    pub shadow: bool,
}

/// A series kept for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub rule: String,
    pub reason: String,
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
        let (rules, faults) = parse::rules(file, text, names);
        let revision = format!("{:x}", Sha256::digest(text.as_bytes()));
        (RuleSet { revision, rules }, faults)
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
        self.decide(summary).0
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
        let mut ended_by: Option<&Rule> = None;
        let mut explained = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let is_seen = seen.is_none_or(|names| names.contains(&rule.name));
            let explanation = rule.explain(summary, is_seen, ended_by);
            if ended_by.is_none() && explanation.outcome.ends_evaluation() {
                ended_by = Some(rule);
            }
            explained.push(explanation);
        }
        let routing = Routing::of(&explained);
        (routing, Explanation { rules_revision: self.revision.clone(), rules: explained })
    }
}

impl Rule {
    fn explain(&self, summary: &SeriesSummary, is_seen: bool, ended_by: Option<&Rule>) -> RuleExplanation {
        let conditions: Vec<_> = self.conditions.iter().map(|clause| clause.evaluate(summary)).collect();
        let matches = conditions.iter().all(|condition| condition.holds);
        let outcome = match ended_by {
            _ if self.mode == Mode::Off => Outcome::Off,
            _ if !is_seen => Outcome::NotSeen,
            Some(earlier) => Outcome::NotReached { after: earlier.name.clone() },
            None if !matches => Outcome::NoMatch,
            None => self.outcome(),
        };
        RuleExplanation { name: self.name.clone(), line: self.line, mode: self.mode, matches, outcome, conditions }
    }

    fn outcome(&self) -> Outcome {
        match &self.action {
            Action::Run { pipeline, send_to, priority } => Outcome::Fired {
                pipeline: pipeline.clone(),
                send_to: if self.mode == Mode::Shadow { Vec::new() } else { send_to.clone() },
                priority: *priority,
                stop: self.stop && self.mode == Mode::Live,
            },
            Action::Hold { reason } => Outcome::Held { reason: reason.clone() },
            Action::Nothing => Outcome::Stopped,
        }
    }
}

impl Routing {
    fn of(rules: &[RuleExplanation]) -> Routing {
        let mut routing = Routing::default();
        for rule in rules {
            match &rule.outcome {
                Outcome::Fired { pipeline, send_to, priority, .. } => routing.fired.push(FiredRule {
                    name: rule.name.clone(),
                    pipeline: pipeline.clone(),
                    destinations: send_to.clone(),
                    priority: *priority,
                    shadow: rule.mode == Mode::Shadow,
                }),
                Outcome::Held { reason } => {
                    routing.held = Some(Held { rule: rule.name.clone(), reason: reason.clone() });
                }
                Outcome::Stopped | Outcome::NoMatch | Outcome::NotReached { .. } | Outcome::NotSeen | Outcome::Off => {}
            }
        }
        routing
    }
}
