//! What is right in its form and still looks like a mistake: rules that are never reached, conditions that never hold
//! together, a stop that comes too late, a pipeline that is not made for the modality.
//!
//! Every finding is a warning at the line of its rule. Knows the rules alone and what it is told of pipelines; whether a
//! rule ever matched in the past is counted by [`Matches`].

mod logic;
#[cfg(test)]
mod tests;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::computed::Computed;
use super::condition::{self, Clause};
use super::fault::{Fault, Severity};
use super::ruleset::{Action, Mode, Rule, RuleSet, Scope};
use super::subject::{Path, Step, Subject};
use super::summary::SeriesSummary;
use logic::{contradiction, implies_all, required_texts};

/// What a pipeline can take.
#[derive(Debug, Clone, Default)]
pub struct PipelineNeeds {
    /// Modality values that its models were made for; `None`: not known.
    pub modality: Option<Vec<String>>,
    /// Verdicts of the geometry check.
    pub accept: Vec<String>,
}

/// The warnings about `rules`, in the order of the file `file`. `pipelines` tells what a pipeline needs.
#[must_use]
pub fn lint(file: &str, rules: &RuleSet, pipelines: &dyn Fn(&str) -> Option<PipelineNeeds>) -> Vec<Fault> {
    let mut found = Vec::new();
    for (position, rule) in rules.rules().iter().enumerate().filter(|(_, rule)| rule.mode != Mode::Off) {
        let (before, after) = (&rules.rules()[..position], &rules.rules()[position + 1..]);
        let findings = [
            impossible(rule),
            unreachable(rule, before),
            late(rule, before),
            idle_stop(rule, after),
            overlapping(rule, before),
            wrong_modality(rule, pipelines),
            wrong_geometry(rule, pipelines),
        ];
        found.extend(findings.into_iter().flatten().map(|finding| finding.at(file, rule)));
    }
    found
}

/// The warnings about rules that are not live, of which `is_old` says that they have been so for too long.
#[must_use]
pub fn stale(file: &str, rules: &RuleSet, is_old: &dyn Fn(&str) -> bool) -> Vec<Fault> {
    let old = rules.rules().iter().filter(|rule| rule.mode != Mode::Live && is_old(&rule.name));
    let finding = |rule: &Rule| Finding {
        found: format!("it has been {} for a long time", if rule.mode == Mode::Off { "off" } else { "a shadow" }),
        allowed: "rules that are live, or on their way there",
        hint: Some("make it live, or drop it: `sagittal rules history` keeps its text".to_owned()),
    };
    old.map(|rule| finding(rule).at(file, rule)).collect()
}

/// A warning that has no place yet.
struct Finding {
    found: String,
    allowed: &'static str,
    hint: Option<String>,
}

impl Finding {
    fn at(self, file: &str, rule: &Rule) -> Fault {
        Fault {
            severity: Severity::Warning,
            line: rule.line,
            column: 1,
            key: format!("rule[\"{}\"]", rule.name),
            hint: self.hint,
            ..Fault::of_file(file, self.found, self.allowed)
        }
    }
}

fn impossible(rule: &Rule) -> Option<Finding> {
    let inputs = match &rule.scope {
        Scope::Series => None,
        Scope::Study(study) => study.inputs.iter().find_map(|input| contradiction(&input.conditions)),
    };
    let (a, b) = contradiction(&rule.conditions).or(inputs)?;
    let found =
        if a == b { format!("{a} asks for what excludes itself") } else { format!("{a} and {b} exclude each other") };
    Some(Finding { found, allowed: "conditions that can hold together", hint: None })
}

/// A live rule without waiting that ends the evaluation whenever it matches.
fn ends(rule: &Rule) -> bool {
    let ending = rule.stop || !matches!(rule.action, Action::Run { .. });
    ending && rule.mode == Mode::Live && matches!(rule.scope, Scope::Series) && rule.wait_for.is_none()
}

fn unreachable(rule: &Rule, before: &[Rule]) -> Option<Finding> {
    let covers = |earlier: &&Rule| {
        ends(earlier)
            && match &rule.scope {
                Scope::Series => implies_all(&rule.conditions, &earlier.conditions),
                // An input that no series can be: they all ended before.
                Scope::Study(study) => study
                    .inputs
                    .iter()
                    .any(|input| !input.optional && implies_all(&input.conditions, &earlier.conditions)),
            }
    };
    let earlier = before.iter().find(covers)?;
    let verb = if matches!(earlier.action, Action::Hold { .. }) { "holds" } else { "stops" };
    Some(Finding {
        found: format!(
            "never reached: rule \"{}\" (line {}) {verb} every series of this one",
            earlier.name, earlier.line
        ),
        allowed: "a rule that some series reaches",
        hint: Some("move it up, or make the conditions of the earlier rule narrower".to_owned()),
    })
}

/// A rule that is there to keep series from being run, behind one that runs all of them.
fn late(rule: &Rule, before: &[Rule]) -> Option<Finding> {
    if matches!(rule.action, Action::Run { .. }) || rule.mode != Mode::Live {
        return None;
    }
    let runs = |earlier: &&Rule| {
        let runs = matches!(earlier.action, Action::Run { .. }) && matches!(earlier.scope, Scope::Series);
        runs && earlier.mode == Mode::Live && implies_all(&rule.conditions, &earlier.conditions)
    };
    let earlier = before.iter().find(runs)?;
    Some(Finding {
        found: format!(
            "too late: rule \"{}\" (line {}) has fired for every series of this one",
            earlier.name, earlier.line
        ),
        allowed: "hold and stop before the rules they keep series from",
        hint: Some("move it up".to_owned()),
    })
}

fn idle_stop(rule: &Rule, after: &[Rule]) -> Option<Finding> {
    let idle = rule.action == Action::Nothing && after.iter().all(|later| later.mode == Mode::Off);
    idle.then(|| Finding {
        found: "it stops nothing: no rule follows".to_owned(),
        allowed: "a stop before the rules it keeps series from",
        hint: Some("move it up, or drop it".to_owned()),
    })
}

fn pipeline(rule: &Rule) -> Option<&str> {
    match &rule.action {
        Action::Run { pipeline, .. } => Some(pipeline),
        Action::Hold { .. } | Action::Nothing => None,
    }
}

/// Two rules that run one pipeline on the same series: it runs once, and the later rule adds at most a destination.
fn overlapping(rule: &Rule, before: &[Rule]) -> Option<Finding> {
    let wanted = pipeline(rule)?;
    let series = |rule: &Rule| matches!(rule.scope, Scope::Series) && rule.mode == Mode::Live;
    let both = |earlier: &&Rule| {
        let related =
            implies_all(&rule.conditions, &earlier.conditions) || implies_all(&earlier.conditions, &rule.conditions);
        series(rule) && series(earlier) && !earlier.stop && pipeline(earlier) == Some(wanted) && related
    };
    let earlier = before.iter().find(both)?;
    Some(Finding {
        found: format!(
            "it overlaps rule \"{}\" (line {}), which runs {wanted} on the same series",
            earlier.name, earlier.line
        ),
        allowed: "one rule a pipeline and kind of series",
        hint: Some(
            "the pipeline runs once and its results go to the destinations of both; join the two rules".to_owned(),
        ),
    })
}

fn wrong_modality(rule: &Rule, pipelines: &dyn Fn(&str) -> Option<PipelineNeeds>) -> Option<Finding> {
    let name = pipeline(rule)?;
    let made_for = pipelines(name)?.modality?;
    let modality = Subject::Attribute(Path { steps: vec![Step::Tag(tags::MODALITY)], value: None, vr: VR::CS });
    let sets: Vec<&[Clause]> = match &rule.scope {
        Scope::Series => vec![&rule.conditions],
        Scope::Study(study) => study.inputs.iter().map(|input| input.conditions.as_slice()).collect(),
    };
    let asked: Vec<String> = sets.into_iter().filter_map(|set| required_texts(set, &modality)).flatten().collect();
    let wrong: Vec<&str> = asked
        .iter()
        .filter(|text| !made_for.iter().any(|known| known.eq_ignore_ascii_case(text.trim())))
        .map(String::as_str)
        .collect();
    (!wrong.is_empty()).then(|| Finding {
        found: format!(
            "Modality {}: the models of pipeline {name} are made for {}",
            wrong.join(", "),
            made_for.join(", ")
        ),
        allowed: "a pipeline that takes the modality",
        hint: None,
    })
}

fn wrong_geometry(rule: &Rule, pipelines: &dyn Fn(&str) -> Option<PipelineNeeds>) -> Option<Finding> {
    let name = pipeline(rule).filter(|_| rule.accept.is_none() && matches!(rule.scope, Scope::Series))?;
    let accept = pipelines(name)?.accept;
    let asked = required_texts(&rule.conditions, &Subject::Computed(Computed::Geometry))?;
    let refused = !accept.is_empty() && asked.iter().all(|verdict| !accept.contains(verdict));
    refused.then(|| Finding {
        found: format!("geometry {}: pipeline {name} accepts {}", asked.join(", "), accept.join(", ")),
        allowed: "a geometry that the pipeline accepts",
        hint: Some("give the rule `accept`, or widen that of the pipeline".to_owned()),
    })
}

/// How many series of the past each rule matched.
#[derive(Debug, Clone)]
pub struct Matches {
    series: u64,
    matched: Vec<u64>,
}

impl Matches {
    #[must_use]
    pub fn new(rules: &RuleSet) -> Matches {
        Matches { series: 0, matched: vec![0; rules.rules().len()] }
    }

    pub fn add(&mut self, rules: &RuleSet, summary: &SeriesSummary) {
        self.series += 1;
        let view = rules.view(summary);
        for (count, rule) in self.matched.iter_mut().zip(rules.rules()) {
            let matches = match &rule.scope {
                Scope::Series => condition::all_hold(&rule.conditions, &view),
                Scope::Study(study) => study.inputs.iter().any(|input| condition::all_hold(&input.conditions, &view)),
            };
            *count += u64::from(matches);
        }
    }

    /// A warning for each rule that matched none of at least one series.
    #[must_use]
    pub fn never(&self, file: &str, rules: &RuleSet) -> Vec<Fault> {
        let none = rules.rules().iter().zip(&self.matched).filter(|(rule, n)| **n == 0 && rule.mode != Mode::Off);
        let finding = || Finding {
            found: format!("it matched none of the {} series of the history", self.series),
            allowed: "conditions that some series passes",
            hint: Some("`sagittal rules explain` on such a series shows the condition that fails".to_owned()),
        };
        if self.series == 0 { Vec::new() } else { none.map(|(rule, _)| finding().at(file, rule)).collect() }
    }
}
