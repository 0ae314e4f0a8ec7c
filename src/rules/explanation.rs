//! Why a series was routed as it was: every rule, every condition, the value found and the verdict.
//!
//! An explanation holds attribute values. It is shown to the operator and kept with the series, it is
//! never logged.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::ruleset::Mode;

/// The whole rule set applied to one series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// `RuleSet::revision` of the rules that decided.
    pub rules_revision: String,
    /// In the order of the file.
    pub rules: Vec<RuleExplanation>,
}

/// One rule applied to one series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleExplanation {
    pub name: String,
    /// 1-based line of the rule in its file.
    pub line: usize,
    pub mode: Mode,
    /// All conditions hold, whether or not the rule was reached.
    pub matches: bool,
    pub outcome: Outcome,
    pub conditions: Vec<ConditionExplanation>,
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It matched and makes a job.
    Fired { pipeline: String, send_to: Vec<String>, priority: Option<super::Priority>, stop: bool },
    /// It matched and holds the series; no later rule was reached.
    Held { reason: String },
    /// It matched and only ends the evaluation.
    Stopped,
    /// It matched and is to be decided again, no later than `until` (milliseconds since 1970-01-01 UTC).
    Waits { until: i64, lacking: String, stop: bool },
    /// It matched and has waited in vain.
    Skipped { lacking: String },
    /// It concerns the whole study, see `RuleSet::decide_study`; this series may be one of these inputs.
    Study { inputs: Vec<String> },
    /// A condition does not hold.
    NoMatch,
    /// An earlier rule said stop or hold.
    NotReached { after: String },
    /// The called AE title does not name it among its rules.
    NotSeen,
    /// The rule is switched off.
    Off,
}

impl Outcome {
    /// No later rule is reached.
    #[must_use]
    pub fn ends_evaluation(&self) -> bool {
        match self {
            Outcome::Fired { stop, .. } | Outcome::Waits { stop, .. } => *stop,
            Outcome::Held { .. } | Outcome::Stopped => true,
            _ => false,
        }
    }
}

/// One condition applied to one series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionExplanation {
    /// As written in the rule; `any`, `all` or `not` for groups.
    pub key: String,
    /// `None` for groups, which look at several values.
    pub found: Option<Found>,
    pub expected: String,
    pub holds: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Vec<ConditionExplanation>>,
}

/// The value a condition looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Found {
    /// Absent or empty in every instance, or not known.
    Missing,
    Value {
        values: Vec<String>,
    },
    /// The instances differ; an empty list stands for those without the attribute.
    Differs {
        distinct: Vec<Vec<String>>,
        more: bool,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Missing => f.write_str("missing"),
            Found::Value { values } => f.write_str(&quoted(values)),
            Found::Differs { distinct, more } => {
                let shown: Vec<String> = distinct.iter().take(3).map(|values| quoted(values)).collect();
                let rest = match distinct.len() - shown.len() {
                    _ if *more => ", and many more".to_owned(),
                    0 => String::new(),
                    n => format!(", and {n} more"),
                };
                write!(f, "differs: {}{rest}", shown.join(", "))
            }
        }
    }
}

fn quoted(values: &[String]) -> String {
    if values.is_empty() {
        return "missing".to_owned();
    }
    let joined = values.join("\\");
    let shown: String = joined.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{shown}{}\"", if joined.chars().count() > 60 { "..." } else { "" })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Fired { pipeline, send_to, priority, stop } => {
                let then = if *stop { ", then stops" } else { "" };
                match send_to.join(", ") {
                    to if to.is_empty() => write!(f, "fires: {pipeline}, kept, sent nowhere")?,
                    to => write!(f, "fires: {pipeline} -> {to}")?,
                }
                let priority = priority.map(|priority| format!(" ({})", priority.name()));
                write!(f, "{}{then}", priority.unwrap_or_default())
            }
            Outcome::Held { reason } => write!(f, "holds the series: {reason}"),
            Outcome::Stopped => f.write_str("matches and stops, nothing is run"),
            Outcome::Waits { until, lacking, .. } => {
                write!(f, "waits until {} at the latest: {lacking}", moment(*until))
            }
            Outcome::Skipped { lacking } => write!(f, "matches, but has waited in vain: {lacking}"),
            Outcome::Study { inputs } if inputs.is_empty() => {
                f.write_str("is for studies; this series is none of its inputs")
            }
            Outcome::Study { inputs } => write!(f, "is for studies; this series can be its {}", inputs.join(", ")),
            Outcome::NoMatch => f.write_str("does not match"),
            Outcome::NotReached { after } => write!(f, "not reached, rule \"{after}\" ended the evaluation"),
            Outcome::NotSeen => f.write_str("not for series sent to this AE title"),
            Outcome::Off => f.write_str("switched off"),
        }
    }
}

/// A tree for people.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return writeln!(f, "there are no rules");
        }
        for rule in &self.rules {
            let shadow = if rule.mode == Mode::Shadow { " [shadow]" } else { "" };
            writeln!(f, "{} {}{shadow} (line {}): {}", mark(rule.matches), rule.name, rule.line, rule.outcome)?;
            write_conditions(f, &rule.conditions, "  ")?;
        }
        Ok(())
    }
}

/// Milliseconds since 1970-01-01 UTC, for people.
pub(super) fn moment(at: i64) -> String {
    DateTime::from_timestamp_millis(at).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) fn mark(holds: bool) -> char {
    if holds { '✓' } else { '✗' }
}

pub(super) fn write_conditions(
    f: &mut fmt::Formatter<'_>,
    conditions: &[ConditionExplanation],
    indent: &str,
) -> fmt::Result {
    for (i, condition) in conditions.iter().enumerate() {
        let (branch, trunk) = if i + 1 == conditions.len() { ("└─", "   ") } else { ("├─", "│  ") };
        write!(f, "{indent}{branch} {} {}: {}", mark(condition.holds), condition.key, condition.expected)?;
        match &condition.found {
            Some(found) => writeln!(f, "; found {found}")?,
            None => writeln!(f)?,
        }
        let indent = format!("{indent}{trunk}");
        for (n, alternative) in condition.alternatives.iter().enumerate() {
            let word = if condition.key == "any" { "alternative" } else { "group" };
            writeln!(f, "{indent}{word} {}", n + 1)?;
            write_conditions(f, alternative, &format!("{indent}  "))?;
        }
    }
    Ok(())
}
