//! Cases beside the rules: a series as it could come, and the rules that shall fire for it.
//!
//! ```toml
//! [[case]]
//! name = "a thick head goes nowhere"
//! attributes = { Modality = "MR", SeriesDescription = "sag T1" }
//! computed = { slices = 24 }
//! expect = []
//! ```
//!
//! Read and run in one walk, so that a case that fails is reported like every fault: with its place, what was found,
//! what the case says, and why the rule that differs decided as it did.

use std::collections::BTreeSet;

use chrono::DateTime;
use toml::de::DeValue;

use super::explanation::Explanation;
use super::fault::{Fault, Severity, did_you_mean};
use super::parse::summary_key;
use super::ruleset::RuleSet;
use super::section::{self, Entry, Section, number_of};
use super::study::{StudyMember, StudyNow, StudyVerdict};
use super::summary::{AttributeSummary, GEOMETRY_NAMES, Orientation, SeriesFacts, SeriesSummary};

/// Names of the rules that see what is sent to the AE title in the facts; `None`: all.
pub type Seen<'s> = &'s dyn Fn(&SeriesFacts) -> Option<&'s BTreeSet<String>>;

/// One case, after it ran.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CaseResult {
    pub name: String,
    pub passed: bool,
}

/// Runs the cases of `text` on `rules`; a case that fails or cannot be read is a fault.
#[must_use]
pub fn check_cases(file: &str, text: &str, rules: &RuleSet, seen: Seen<'_>) -> (Vec<CaseResult>, Vec<Fault>) {
    section::read(file, text, |root| {
        let entries = root.get("case").map(|entry| entry.items()).unwrap_or_default();
        let mut names = BTreeSet::new();
        let cases = entries.iter().filter_map(Entry::section).enumerate().map(|(i, section)| {
            let name = section.get("name").and_then(|e| e.value().as_str().map(str::to_owned));
            let label = name.as_ref().map_or((i + 1).to_string(), |name| format!("\"{name}\""));
            let section = section.called(format!("case[{label}]"));
            let unique = section.required("name", "what the case shows").and_then(|entry| unique(&entry, &mut names));
            let passed = run(&section, rules, seen).unwrap_or(false) && unique.is_some();
            section.finish();
            CaseResult { name: name.unwrap_or(label), passed }
        });
        cases.collect()
    })
}

fn unique(entry: &Entry<'_>, names: &mut BTreeSet<String>) -> Option<()> {
    if names.insert(entry.text()?.to_owned()) { Some(()) } else { entry.refuse("a name that no other case has", None) }
}

/// A series of a case.
struct Member {
    name: String,
    summary: SeriesSummary,
    prior: bool,
}

/// What the rules do with the series of a case.
#[derive(Default)]
struct Decided {
    fired: Vec<String>,
    held: Option<String>,
    /// `input = series` of the study rules that fire.
    inputs: Vec<(String, String)>,
    explanations: Vec<Explanation>,
}

/// `None` when the case cannot be read.
fn run(section: &Section<'_>, rules: &RuleSet, seen: Seen<'_>) -> Option<bool> {
    let members = members(section);
    let expect = section.required("expect", "names of the rules that fire, [] for none");
    let expected = expect.as_ref().and_then(|entry| rule_names(entry, rules));
    let held = section.get("held").map_or(Some(None), |entry| rule_name(&entry, rules).map(Some));
    let inputs = section.get("inputs").map_or(Some(None), |entry| inputs(&entry).map(|read| Some((entry, read))));
    let (members, expect, expected, held, inputs) = (members?, expect?, expected?, held?, inputs?);
    let in_order = rules.rules().iter().map(|rule| &rule.name).filter(|name| expected.contains(name));
    let expected: Vec<String> = in_order.cloned().collect();

    let decided = decide(rules, &members, seen);
    let mut passed = true;
    if decided.fired != expected {
        let differs = rules
            .rules()
            .iter()
            .map(|rule| &rule.name)
            .find(|name| decided.fired.contains(name) != expected.contains(name));
        expect.report(Severity::Fault, &listed(&decided.fired), &listed(&expected), decided.why(differs));
        passed = false;
    }
    if decided.held != held {
        let of =
            |held: &Option<String>| held.as_ref().map_or("not held".to_owned(), |rule| format!("held by \"{rule}\""));
        let why = decided.why(decided.held.as_ref().or(held.as_ref()));
        expect.report(Severity::Fault, &of(&decided.held), &of(&held), why);
        passed = false;
    }
    let Some((entry, wanted)) = inputs else { return Some(passed) };
    for (input, series) in wanted.iter().filter(|wanted| !decided.inputs.contains(wanted)) {
        let chosen = decided.inputs.iter().find(|(name, _)| name == input);
        let found = chosen.map_or(format!("no input {input}"), |(_, series)| format!("{input} = \"{series}\""));
        entry.report(Severity::Fault, &found, &format!("{input} = \"{series}\""), None);
        passed = false;
    }
    Some(passed)
}

impl Decided {
    /// The explanation of one rule on each series, as the continuation of a hint.
    fn why(&self, rule: Option<&String>) -> Option<String> {
        let mut told = String::new();
        for explanation in &self.explanations {
            let rules = explanation.rules.iter().filter(|explained| Some(&explained.name) == rule).cloned().collect();
            told += &Explanation { rules, ..Explanation::default() }.to_string();
        }
        let lines: Vec<&str> = told.lines().collect();
        (rule.is_some() && !lines.is_empty()).then(|| lines.join("\n           "))
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "no rule fires".to_owned();
    }
    format!("fires: {}", names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
}

fn decide(rules: &RuleSet, members: &[Member], seen: Seen<'_>) -> Decided {
    let mut decided = Decided::default();
    let mut fired: BTreeSet<String> = BTreeSet::new();
    for member in members.iter().filter(|member| !member.prior) {
        let (routing, explanation) = rules.decide_among(&member.summary, seen(&member.summary.facts));
        fired.extend(routing.fired.into_iter().map(|rule| rule.name));
        decided.held = decided.held.or(routing.held.map(|held| held.rule));
        decided.explanations.push(explanation);
    }
    let study: Vec<StudyMember<'_>> = members
        .iter()
        .map(|m| StudyMember { id: &m.name, summary: &m.summary, prior: m.prior, seen: seen(&m.summary.facts) })
        .collect();
    for rule in rules.decide_study(&study, StudyNow::default()).rules {
        let StudyVerdict::Fires { inputs, .. } = rule.verdict else { continue };
        decided.inputs.extend(inputs.into_iter().map(|input| (input.name, input.member)));
        fired.insert(rule.name);
    }
    let in_order = rules.rules().iter().map(|rule| &rule.name).filter(|name| fired.contains(*name));
    decided.fired = in_order.cloned().collect();
    decided
}

/// The series of a study, or the one series of the case itself.
fn members(section: &Section<'_>) -> Option<Vec<Member>> {
    let Some(series) = section.get("series") else {
        return Some(vec![Member { name: "series".to_owned(), summary: summary(section)?, prior: false }]);
    };
    for key in ["attributes", "computed"] {
        if let Some(entry) = section.get(key) {
            entry.refuse_key::<()>("this key beside series", "in each table of series", None);
        }
    }
    let read: Vec<Option<Member>> = series.items().iter().map(|item| member(&item.section()?)).collect();
    if read.is_empty() {
        return series.refuse("at least one series", None);
    }
    read.into_iter().collect()
}

fn member(section: &Section<'_>) -> Option<Member> {
    let name = section.required("name", "how `inputs` calls the series").and_then(|e| e.text().map(str::to_owned));
    let prior = section.get("prior").map_or(Some(false), |e| e.boolean());
    let summary = summary(section);
    section.finish();
    Some(Member { name: name?, summary: summary?, prior: prior? })
}

fn summary(section: &Section<'_>) -> Option<SeriesSummary> {
    let attributes = section.section("attributes").map(|all| all.entries()).unwrap_or_default();
    let read: Vec<Option<(String, AttributeSummary)>> =
        attributes.iter().map(|(key, entry)| Some((summary_key(key, entry)?, attribute(entry)?))).collect();
    let mut summary = SeriesSummary {
        facts: SeriesFacts { slices: 1, geometry: "regular".to_owned(), ..SeriesFacts::default() },
        ..SeriesSummary::default()
    };
    let computed = section.section("computed").map_or(Some(()), |section| computed(&section, &mut summary));
    summary.attributes = read.into_iter().collect::<Option<_>>()?;
    // Orientation is read of the cosines where they are given.
    computed.map(|()| summary)
}

fn attribute(entry: &Entry<'_>) -> Option<AttributeSummary> {
    if !matches!(entry.value(), DeValue::Table(_)) {
        return Some(AttributeSummary { distinct: vec![values(entry)?], more: false });
    }
    let section = entry.section()?;
    let differs = section.required("differs", "what the instances have, such as [\"1\", \"2\"]");
    section.finish();
    let distinct: Vec<Option<Vec<String>>> = differs?.items().iter().map(values).collect();
    Some(AttributeSummary { distinct: distinct.into_iter().collect::<Option<_>>()?, more: false })
}

/// The values of one instance; empty text stands for an attribute that is not there.
fn values(entry: &Entry<'_>) -> Option<Vec<String>> {
    let value = |item: &Entry<'_>| match item.value() {
        DeValue::String(text) => Some(text.trim().to_owned()),
        other => {
            number_of(other).map(|n| n.to_string()).or_else(|| item.refuse("text, a number, or a list of them", None))
        }
    };
    let read: Vec<Option<String>> = entry.items().iter().map(value).collect();
    let read: Vec<String> = read.into_iter().collect::<Option<_>>()?;
    Some(if read.iter().all(String::is_empty) { Vec::new() } else { read })
}

fn computed(section: &Section<'_>, summary: &mut SeriesSummary) -> Option<()> {
    let facts = &mut summary.facts;
    let mut sound = true;
    let mut take = |read: Option<Option<()>>| sound &= read.is_none_or(|read| read.is_some());
    let orientations = Orientation::ALL.map(|o| (o.name(), o));
    let verdicts = GEOMETRY_NAMES.map(|name| (name, name));
    take(section.get("orientation").map(|e| e.choice(&orientations).map(|o| summary.orientation = Some(o))));
    take(section.get("slices").map(|e| e.whole(0, 1_000_000).map(|n| facts.slices = n as usize)));
    take(section.get("geometry").map(|e| e.choice(&verdicts).map(|name| name.clone_into(&mut facts.geometry))));
    let spacing = section.get("spacing_between_slices");
    take(spacing.map(|e| e.number().map(|mm| facts.spacing_between_slices = Some(mm))));
    for (key, into) in
        [("calling_ae", &mut facts.calling_ae), ("called_ae", &mut facts.called_ae), ("sender", &mut facts.sender)]
    {
        take(section.get(key).map(|e| e.text().map(|text| text.clone_into(into))));
    }
    let time = |text: &str| {
        let read = DateTime::parse_from_rfc3339(text);
        read.map_err(|_| "a time such as \"2026-03-01T14:05:00Z\"".to_owned())
    };
    take(section.get("received_at").map(|e| {
        e.parsed(time).map(|t| {
            facts.received_at = Some(t.timestamp_millis());
            facts.utc_offset = t.offset().local_minus_utc();
        })
    }));
    section.finish();
    sound.then_some(())
}

fn rule_names(entry: &Entry<'_>, rules: &RuleSet) -> Option<Vec<String>> {
    let read: Vec<Option<String>> = entry.items().iter().map(|item| rule_name(item, rules)).collect();
    read.into_iter().collect()
}

fn rule_name(entry: &Entry<'_>, rules: &RuleSet) -> Option<String> {
    let name = entry.text()?;
    let known = || rules.rules().iter().map(|rule| rule.name.as_str());
    if known().any(|known| known == name) {
        return Some(name.to_owned());
    }
    let list = known().collect::<Vec<_>>().join(", ");
    entry.refuse(
        &format!("a rule: {}", if list.is_empty() { "there is none" } else { &list }),
        did_you_mean(name, known()),
    )
}

fn inputs(entry: &Entry<'_>) -> Option<Vec<(String, String)>> {
    let entries = entry.section()?.entries();
    let read = entries.iter().map(|(name, series)| Some(((*name).to_owned(), series.text()?.to_owned())));
    read.collect()
}

#[cfg(test)]
#[path = "cases_tests.rs"]
mod tests;
