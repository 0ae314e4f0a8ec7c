//! One condition of a rule: which value it looks at, what it asks of it, and whether it holds.
//!
//! A condition on an attribute on which the instances differ holds when it holds for every one of the
//! different values. There is one verdict, [`Clause::holds`]; an explanation shows it beside what was found.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use dicom_core::Tag;
use globset::GlobMatcher;
use regex::Regex;

use super::explanation::{ConditionExplanation, Found};
use super::summary::SeriesSummary;

/// A condition, or groups of them.
#[derive(Debug, Clone)]
pub enum Clause {
    Condition(Condition),
    Group(Word, Vec<Vec<Clause>>),
}

/// How many groups of conditions must hold as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Any,
    All,
    /// None of them.
    Not,
}

impl Word {
    pub const NAMES: [(&'static str, Word); 3] = [("any", Word::Any), ("all", Word::All), ("not", Word::Not)];

    fn key(self) -> &'static str {
        Word::NAMES[self as usize].0
    }

    fn expected(self) -> &'static str {
        ["one of the alternatives", "all of these", "none of these"][self as usize]
    }
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

/// Keys of conditions that are computed, not read.
pub const COMPUTED_NAMES: [&str; Computed::NAMES.len()] = {
    let mut names = [""; Computed::NAMES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Computed::NAMES[i].0;
        i += 1;
    }
    names
};

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

/// Whether all of `clauses` hold.
pub fn all_hold(clauses: &[Clause], summary: &SeriesSummary) -> bool {
    clauses.iter().all(|clause| clause.holds(summary))
}

/// Every one of `clauses` with what was found and the verdict of [`Clause::holds`].
pub fn explain_all(clauses: &[Clause], summary: &SeriesSummary) -> Vec<ConditionExplanation> {
    clauses.iter().map(|clause| clause.explain(summary)).collect()
}

impl Clause {
    /// The geometry is one of `names`.
    pub fn accept(names: &[String]) -> Clause {
        let test = Test::Equal(names.iter().cloned().map(Expected::Text).collect());
        let subject = Subject::Computed(Computed::Geometry);
        Clause::Condition(Condition { key: "accept".to_owned(), subject, test, missing: false })
    }

    /// The one verdict: routing asks for it alone, an explanation shows it.
    pub fn holds(&self, summary: &SeriesSummary) -> bool {
        match self {
            Clause::Condition(condition) => condition.holds(&condition.subject.find(summary)),
            Clause::Group(word, groups) => {
                let mut verdicts = groups.iter().map(|clauses| all_hold(clauses, summary));
                match word {
                    Word::Any => verdicts.any(|holds| holds),
                    Word::All => verdicts.all(|holds| holds),
                    Word::Not => verdicts.all(|holds| !holds),
                }
            }
        }
    }

    fn explain(&self, summary: &SeriesSummary) -> ConditionExplanation {
        let holds = self.holds(summary);
        match self {
            Clause::Condition(condition) => ConditionExplanation {
                key: condition.key.clone(),
                found: Some(condition.subject.find(summary)),
                expected: format!("{}{}", condition.test, if condition.missing { ", or missing" } else { "" }),
                holds,
                alternatives: Vec::new(),
            },
            Clause::Group(word, groups) => ConditionExplanation {
                key: word.key().to_owned(),
                found: None,
                expected: word.expected().to_owned(),
                holds,
                alternatives: groups.iter().map(|clauses| explain_all(clauses, summary)).collect(),
            },
        }
    }
}

impl Condition {
    fn holds(&self, found: &Found) -> bool {
        let holds_for = |values: &[String]| (values.is_empty() && self.missing) || self.test.holds(values);
        match found {
            Found::Missing => holds_for(&[]),
            Found::Value { values } => holds_for(values),
            Found::Differs { more: true, .. } if !self.test.asks_presence_only() => false,
            Found::Differs { distinct, .. } => distinct.iter().all(|values| holds_for(values)),
        }
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
