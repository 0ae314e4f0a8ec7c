//! One condition of a rule: which value it looks at, what it asks of it, and whether it holds.
//!
//! A condition on an attribute on which the instances differ holds when it holds for every one of the
//! different values. Evaluation always gives the explanation; the verdict is a part of it.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use dicom_core::Tag;
use globset::GlobMatcher;
use regex::Regex;

use super::explanation::{ConditionExplanation, Found};
use super::summary::SeriesSummary;

/// A condition, or alternatives of which one must hold as a whole.
#[derive(Debug, Clone)]
pub enum Clause {
    Condition(Condition),
    Any(Vec<Vec<Clause>>),
}

#[derive(Debug, Clone)]
pub struct Condition {
    /// As written in the rule.
    pub key: String,
    pub subject: Subject,
    pub test: Test,
    /// A series without a value also passes.
    pub missing: bool,
}

/// The value a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Attribute(Tag),
    Computed(Computed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Computed {
    Orientation,
    Slices,
    SpacingBetweenSlices,
    Geometry,
    CallingAe,
    CalledAe,
    Sender,
    ReceivedAt,
}

impl Computed {
    pub const NAMES: [(&'static str, Computed); 8] = [
        ("orientation", Computed::Orientation),
        ("slices", Computed::Slices),
        ("spacing_between_slices", Computed::SpacingBetweenSlices),
        ("geometry", Computed::Geometry),
        ("calling_ae", Computed::CallingAe),
        ("called_ae", Computed::CalledAe),
        ("sender", Computed::Sender),
        ("received_at", Computed::ReceivedAt),
    ];

    /// The value as text, empty when it is not known.
    fn value(self, summary: &SeriesSummary) -> String {
        let facts = &summary.facts;
        match self {
            Computed::Orientation => summary.orientation.map_or_else(String::new, |o| o.name().to_owned()),
            Computed::Slices => facts.slices.to_string(),
            Computed::SpacingBetweenSlices => facts.spacing_between_slices.map_or_else(String::new, micrometres),
            Computed::Geometry => facts.geometry.clone(),
            Computed::CallingAe => facts.calling_ae.clone(),
            Computed::CalledAe => facts.called_ae.clone(),
            Computed::Sender => facts.sender.clone(),
            Computed::ReceivedAt => facts
                .received_at
                .and_then(DateTime::from_timestamp_millis)
                .map_or_else(String::new, |t| t.to_rfc3339_opts(SecondsFormat::Secs, true)),
        }
    }
}

/// Millimetres rounded to a micrometre: differences of positions carry noise that nobody writes in a rule.
fn micrometres(mm: f64) -> String {
    ((mm * 1000.0).round() / 1000.0).to_string()
}

/// What is asked of a value list; an absent value is an empty list.
#[derive(Debug, Clone)]
pub enum Test {
    /// One of the values equals one of these.
    Equal(Vec<Expected>),
    /// One of the values matches one of these.
    Glob(Vec<GlobMatcher>),
    Regex(Vec<Regex>),
    /// There are values, and every one is a number from here on, or up to here.
    Min(f64),
    Max(f64),
    Present(bool),
    Not(Box<Test>),
    Any(Vec<Test>),
    All(Vec<Test>),
}

/// A plain value of a rule: text compares trimmed and without case, a number by its value.
#[derive(Debug, Clone)]
pub enum Expected {
    Text(String),
    Number(f64),
}

impl Test {
    #[must_use]
    pub fn holds(&self, values: &[String]) -> bool {
        let every_number = |in_range: &dyn Fn(f64) -> bool| {
            !values.is_empty() && values.iter().all(|v| number(v).is_some_and(in_range))
        };
        match self {
            Test::Equal(list) => values.iter().any(|v| list.iter().any(|e| e.equals(v))),
            Test::Glob(list) => values.iter().any(|v| list.iter().any(|g| g.is_match(v.trim()))),
            Test::Regex(list) => values.iter().any(|v| list.iter().any(|r| r.is_match(v.trim()))),
            Test::Min(least) => every_number(&|n| n >= *least),
            Test::Max(most) => every_number(&|n| n <= *most),
            Test::Present(wanted) => values.is_empty() != *wanted,
            Test::Not(test) => !test.holds(values),
            Test::Any(tests) => tests.iter().any(|t| t.holds(values)),
            Test::All(tests) => tests.iter().all(|t| t.holds(values)),
        }
    }

    /// Asks only whether there is a value: decidable even where not all the different values were kept.
    fn asks_presence_only(&self) -> bool {
        match self {
            Test::Present(_) => true,
            Test::Not(test) => test.asks_presence_only(),
            Test::Any(tests) | Test::All(tests) => tests.iter().all(Test::asks_presence_only),
            _ => false,
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

impl Expected {
    fn equals(&self, value: &str) -> bool {
        match self {
            Expected::Text(text) => text.trim().to_lowercase() == value.trim().to_lowercase(),
            Expected::Number(n) => number(value).is_some_and(|v| (v - n).abs() <= 1e-9 * n.abs().max(1.0)),
        }
    }
}

impl Clause {
    #[must_use]
    pub fn evaluate(&self, summary: &SeriesSummary) -> ConditionExplanation {
        match self {
            Clause::Condition(condition) => condition.evaluate(summary),
            Clause::Any(alternatives) => {
                let alternatives: Vec<Vec<ConditionExplanation>> = alternatives
                    .iter()
                    .map(|clauses| clauses.iter().map(|clause| clause.evaluate(summary)).collect())
                    .collect();
                ConditionExplanation {
                    key: "any".to_owned(),
                    found: None,
                    expected: "one of the alternatives".to_owned(),
                    holds: alternatives.iter().any(|all| all.iter().all(|c| c.holds)),
                    alternatives,
                }
            }
        }
    }
}

impl Condition {
    fn evaluate(&self, summary: &SeriesSummary) -> ConditionExplanation {
        let found = self.subject.find(summary);
        let holds_for = |values: &[String]| (values.is_empty() && self.missing) || self.test.holds(values);
        let holds = match &found {
            Found::Missing => holds_for(&[]),
            Found::Value { values } => holds_for(values),
            Found::Differs { more: true, .. } if !self.test.asks_presence_only() => false,
            Found::Differs { distinct, .. } => distinct.iter().all(|values| holds_for(values)),
        };
        let expected = format!("{}{}", self.test, if self.missing { ", or missing" } else { "" });
        ConditionExplanation { key: self.key.clone(), found: Some(found), expected, holds, alternatives: Vec::new() }
    }
}

impl Subject {
    fn find(self, summary: &SeriesSummary) -> Found {
        match self {
            Subject::Computed(computed) => match computed.value(summary) {
                value if value.trim().is_empty() => Found::Missing,
                value => Found::Value { values: vec![value] },
            },
            Subject::Attribute(tag) => {
                let key = format!("{:04x},{:04x}", tag.group(), tag.element());
                let Some(attribute) = summary.attributes.get(&key) else { return Found::Missing };
                match attribute.agreed() {
                    Some(values) => Found::Value { values: values.to_vec() },
                    None => Found::Differs { distinct: attribute.distinct.clone(), more: attribute.more },
                }
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Text(text) => write!(f, "\"{text}\""),
            Expected::Number(n) => write!(f, "{n}"),
        }
    }
}

/// Says what is asked, as a continuation of "the value must be ...".
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |texts: Vec<&str>| texts.iter().map(|t| format!("\"{t}\"")).collect::<Vec<_>>().join(" or ");
        let joined = |tests: &[Test], word: &str| tests.iter().map(Test::to_string).collect::<Vec<_>>().join(word);
        match self {
            Test::Equal(list) => f.write_str(&list.iter().map(Expected::to_string).collect::<Vec<_>>().join(" or ")),
            Test::Glob(list) => write!(f, "like {}", quoted(list.iter().map(|g| g.glob().glob()).collect())),
            Test::Regex(list) => write!(f, "matching regex {}", quoted(list.iter().map(Regex::as_str).collect())),
            Test::Min(least) => write!(f, "at least {least}"),
            Test::Max(most) => write!(f, "at most {most}"),
            Test::Present(true) => f.write_str("present"),
            Test::Present(false) => f.write_str("missing"),
            Test::Not(test) => write!(f, "not ({test})"),
            Test::Any(tests) => write!(f, "({})", joined(tests, ") or (")),
            Test::All(tests) => f.write_str(&joined(tests, " and ")),
        }
    }
}
