//! What a condition asks of the values of an attribute, compiled once.

use std::fmt;

use regex::Regex;

use super::glob::Glob;
use super::scale::Scale;

/// What is asked of a value list; an absent value is an empty list.
#[derive(Debug, Clone)]
pub enum Operator {
    /// One of the values equals one of these.
    Equals(Vec<Expected>),
    /// One of the values matches one of these.
    Glob(Vec<Glob>),
    Regex(Vec<Regex>),
    /// There are values, and every one lies from here on, or up to here.
    Min(Bound),
    Max(Bound),
    Present(bool),
    Not(Box<Operator>),
    Any(Vec<Operator>),
    All(Vec<Operator>),
    /// One of the values, taken alone, passes.
    Some(Box<Operator>),
    /// There are values, and every one, taken alone, passes.
    Every(Box<Operator>),
}

/// A plain value of a rule.
#[derive(Debug, Clone)]
pub enum Expected {
    /// Compares trimmed and without case. `lower`: the text so.
    Text { text: String, lower: String },
    /// Compares by its place on a scale.
    Place(Bound),
}

/// A place on a scale, and how the rule writes it.
#[derive(Debug, Clone)]
pub struct Bound {
    pub scale: Scale,
    pub place: f64,
    pub text: String,
}

impl Operator {
    #[must_use]
    pub fn holds(&self, values: &[String]) -> bool {
        let every_place = |bound: &Bound, in_range: &dyn Fn(f64) -> bool| {
            !values.is_empty() && values.iter().all(|value| bound.scale.read(value).is_some_and(in_range))
        };
        match self {
            Operator::Equals(list) => values.iter().any(|value| list.iter().any(|e| e.equals(value))),
            Operator::Glob(list) => values.iter().any(|value| list.iter().any(|g| g.matches(value.trim()))),
            Operator::Regex(list) => values.iter().any(|value| list.iter().any(|r| r.is_match(value.trim()))),
            Operator::Min(least) => every_place(least, &|place| place >= least.place),
            Operator::Max(most) => every_place(most, &|place| place <= most.place),
            Operator::Present(wanted) => values.is_empty() != *wanted,
            Operator::Not(operator) => !operator.holds(values),
            Operator::Any(operators) => operators.iter().any(|operator| operator.holds(values)),
            Operator::All(operators) => operators.iter().all(|operator| operator.holds(values)),
            Operator::Some(operator) => values.chunks(1).any(|value| operator.holds(value)),
            Operator::Every(operator) => !values.is_empty() && values.chunks(1).all(|value| operator.holds(value)),
        }
    }

    /// Asks only whether there is a value: decidable even where not all the different values were kept.
    #[must_use]
    pub fn asks_presence_only(&self) -> bool {
        match self {
            Operator::Present(_) => true,
            Operator::Not(operator) => operator.asks_presence_only(),
            Operator::Any(operators) | Operator::All(operators) => operators.iter().all(Operator::asks_presence_only),
            _ => false,
        }
    }
}

impl Expected {
    #[must_use]
    pub fn text(text: &str) -> Expected {
        let text = text.trim().to_owned();
        Expected::Text { lower: text.to_lowercase(), text }
    }

    fn equals(&self, value: &str) -> bool {
        match self {
            Expected::Text { lower, .. } => same_text(value.trim(), lower),
            Expected::Place(bound) => bound.scale.read(value).is_some_and(|place| bound.is_near(place)),
        }
    }
}

/// Without regard to case; `lower` is in lower case. Hardly any value is not ASCII, and this is asked most of all.
fn same_text(value: &str, lower: &str) -> bool {
    if value.is_ascii() {
        return value.eq_ignore_ascii_case(lower);
    }
    value.chars().flat_map(char::to_lowercase).eq(lower.chars())
}

impl Bound {
    /// The same but for the noise of arithmetic.
    #[must_use]
    pub fn is_near(&self, place: f64) -> bool {
        (place - self.place).abs() <= 1e-9 * self.place.abs().max(1.0)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Text { text, .. } => write!(f, "\"{text}\""),
            Expected::Place(bound) => f.write_str(&bound.text),
        }
    }
}

/// Says what is asked, as a continuation of "the value must be ...".
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |texts: Vec<String>| texts.iter().map(|t| format!("\"{t}\"")).collect::<Vec<_>>().join(" or ");
        let joined = |all: &[Operator], word: &str| all.iter().map(Operator::to_string).collect::<Vec<_>>().join(word);
        match self {
            Operator::Equals(list) => {
                f.write_str(&list.iter().map(Expected::to_string).collect::<Vec<_>>().join(" or "))
            }
            Operator::Glob(list) => write!(f, "like {}", quoted(list.iter().map(Glob::to_string).collect())),
            Operator::Regex(list) => {
                write!(f, "matching regex {}", quoted(list.iter().map(Regex::to_string).collect()))
            }
            Operator::Min(least) => write!(f, "at least {}", least.text),
            Operator::Max(most) => write!(f, "at most {}", most.text),
            Operator::Present(true) => f.write_str("present"),
            Operator::Present(false) => f.write_str("missing"),
            Operator::Not(operator) => write!(f, "not ({operator})"),
            Operator::Any(operators) => write!(f, "({})", joined(operators, ") or (")),
            Operator::All(operators) => f.write_str(&joined(operators, " and ")),
            Operator::Some(operator) => write!(f, "one value: {operator}"),
            Operator::Every(operator) => write!(f, "every value: {operator}"),
        }
    }
}
