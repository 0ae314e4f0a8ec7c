//! From the value of a condition to what it asks.

use regex::Regex;
use toml::de::DeValue;

use crate::rules::fault::did_you_mean;
use crate::rules::glob::Glob;
use crate::rules::operator::{Bound, Expected, Operator};
use crate::rules::scale::Scale;
use crate::rules::section::{Entry, Section, number_of};
use crate::rules::subject::Subject;

const ALLOWED: &str = "a value, a list of values, or a table of equals, glob, regex, min, max, present, not, any, all, some, \
                       every, missing";

/// What a condition asks and whether a missing value passes.
pub fn condition(subject: &Subject, entry: &Entry<'_>) -> Option<(Operator, bool)> {
    let missing = match entry.value() {
        DeValue::Table(_) => entry.section()?.get("missing").map_or(Some(false), |e| e.boolean()),
        _ => Some(false),
    };
    let operator = operator(subject, entry, true);
    Some((operator?, missing?))
}

fn operator(subject: &Subject, entry: &Entry<'_>, outermost: bool) -> Option<Operator> {
    match entry.value() {
        DeValue::Table(table) if table.is_empty() => entry.refuse(ALLOWED, None),
        DeValue::Table(_) => operators(subject, &entry.section()?, outermost),
        _ => equals(subject, entry),
    }
}

fn equals(subject: &Subject, entry: &Entry<'_>) -> Option<Operator> {
    let values: Vec<Option<Expected>> = entry.items().iter().map(|item| expected(subject, item)).collect();
    if values.is_empty() {
        return entry.refuse("at least one value", None);
    }
    Some(Operator::Equals(values.into_iter().collect::<Option<_>>()?))
}

fn expected(subject: &Subject, entry: &Entry<'_>) -> Option<Expected> {
    let words = subject.words();
    match entry.value() {
        DeValue::String(text) if !words.is_empty() && !words.contains(&&**text) => {
            entry.refuse(&words.join(", "), did_you_mean(text, words.iter().copied()))
        }
        DeValue::String(text) if text.trim().is_empty() => {
            entry.refuse("a value", Some("{ present = false } asks for a missing or empty value".to_owned()))
        }
        DeValue::String(text) => Some(place(subject, entry).map_or_else(|| Expected::text(text), Expected::Place)),
        _ => match place(subject, entry) {
            Some(bound) => Some(Expected::Place(bound)),
            None if number_of(entry.value()).is_some() => {
                entry.refuse(subject.scale().map_or(ALLOWED, Scale::allowed), None)
            }
            None => entry.refuse(ALLOWED, Some("{ present = true } asks for any value".to_owned())),
        },
    }
}

/// The place of a value on the scale of `subject`, `None` for a text.
fn place(subject: &Subject, entry: &Entry<'_>) -> Option<Bound> {
    let bound = |scale: Scale, place: Option<f64>, text: String| Some(Bound { scale, place: place?, text });
    match (entry.value(), subject.scale()) {
        (DeValue::String(text), Some(scale)) => bound(scale, scale.read(text), format!("\"{}\"", text.trim())),
        (DeValue::Datetime(time), Some(scale)) => bound(scale, scale.read(&time.to_string()), time.to_string()),
        (value, scale) => {
            let (number, scale) = (number_of(value)?, scale.unwrap_or(Scale::Number));
            bound(scale, scale.number(number), number.to_string())
        }
    }
}

/// All operators of a table must hold.
fn operators(subject: &Subject, section: &Section<'_>, outermost: bool) -> Option<Operator> {
    let mut read: Vec<Option<Operator>> = Vec::new();
    let mut add = |key, of: &dyn Fn(&Entry<'_>) -> Option<Operator>| read.extend(section.get(key).map(|e| of(&e)));
    let inner = |e: &Entry<'_>| Some(Box::new(operator(subject, e, false)?));
    add("equals", &|e| equals(subject, e));
    add("glob", &|e| Some(Operator::Glob(patterns(e, glob)?)));
    add("regex", &|e| Some(Operator::Regex(patterns(e, regex)?)));
    add("present", &|e| Some(Operator::Present(e.boolean()?)));
    add("not", &|e| Some(Operator::Not(inner(e)?)));
    add("any", &|e| Some(Operator::Any(list(subject, e)?)));
    add("all", &|e| Some(Operator::All(list(subject, e)?)));
    add("some", &|e| Some(Operator::Some(inner(e)?)));
    add("every", &|e| Some(Operator::Every(inner(e)?)));
    let (least, most) = (section.get("min"), section.get("max"));
    if least.is_some() || most.is_some() {
        read.push(bounds(subject, least.as_ref(), most.as_ref()));
    }
    if outermost {
        // `condition` has read it; here it only becomes a known key.
        drop(section.get("missing"));
    }
    section.finish();
    let mut all: Vec<Operator> = read.into_iter().collect::<Option<_>>()?;
    match all.len() {
        0 => {
            let alone = section.entries().len() == 1;
            let missing = section.get("missing").filter(|_| alone);
            missing?.refuse_key("missing without an operator", "missing beside another operator", None)
        }
        1 => all.pop(),
        _ => Some(Operator::All(all)),
    }
}

/// `min` and `max`, of which a time of the day may lie on both sides of midnight.
fn bounds(subject: &Subject, least: Option<&Entry<'_>>, most: Option<&Entry<'_>>) -> Option<Operator> {
    let read = |entry: Option<&Entry<'_>>| entry.map(|entry| bound(subject, entry));
    match (read(least), read(most)) {
        (Some(least_bound), Some(most_bound)) => {
            let (from, to) = (least_bound?, most_bound?);
            let empty = from.place > to.place;
            let over_midnight = empty && from.scale == Scale::Time;
            if empty && !over_midnight {
                let least = least?;
                let most = if least.is_personal() { String::new() } else { format!(", which is {}", to.text) };
                return least.refuse(&format!("at most max{most}"), None);
            }
            let both = vec![Operator::Min(from), Operator::Max(to)];
            Some(if over_midnight { Operator::Any(both) } else { Operator::All(both) })
        }
        (Some(bound), None) => Some(Operator::Min(bound?)),
        (None, bound) => Some(Operator::Max(bound??)),
    }
}

fn bound(subject: &Subject, entry: &Entry<'_>) -> Option<Bound> {
    let Some(scale) = subject.scale() else {
        return entry.refuse_key("a bound on a text", "a value, glob or regex", None);
    };
    // A number in quotes is a text elsewhere: here it is more likely a slip.
    let quoted_number = scale == Scale::Number && entry.value().as_str().is_some();
    place(subject, entry).filter(|_| !quoted_number).or_else(|| entry.refuse(scale.allowed(), None))
}

fn list(subject: &Subject, entry: &Entry<'_>) -> Option<Vec<Operator>> {
    let read: Vec<Option<Operator>> = entry.items().iter().map(|item| operator(subject, item, false)).collect();
    if read.is_empty() {
        return entry.refuse("at least one alternative", None);
    }
    read.into_iter().collect()
}

fn patterns<T>(entry: &Entry<'_>, read: fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one pattern", None);
    }
    let read: Vec<Option<T>> = items.iter().map(|item| item.parsed(read)).collect();
    read.into_iter().collect()
}

fn glob(text: &str) -> Result<Glob, String> {
    Glob::parse(text).map_err(|reason| format!("a pattern with *, ?, [...] and {{a,b}}: {reason}"))
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| {
        let message = e.to_string();
        let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("a regular expression: {reason}")
    })
}
