//! What follows from a condition, and which conditions exclude each other.
//!
//! Careful on one side: an answer `true` is certain for every series there can be, `false` may only mean that it is not
//! seen. Several values, other cases of letters and missing values are thought of.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::rules::condition::{Clause, Condition, Word};
use crate::rules::operator::{Expected, Operator};
use crate::rules::subject::{Path, Step, Subject};

/// Attributes that people write rules on and that hold one value (PS3.6, VM 1).
const SINGLE: [Tag; 26] = [
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::INSTITUTION_NAME,
    tags::STATION_NAME,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DESCRIPTION,
    tags::PROTOCOL_NAME,
    tags::BODY_PART_EXAMINED,
    tags::SOP_CLASS_UID,
    tags::PATIENT_ID,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_POSITION,
    tags::VIEW_POSITION,
    tags::LATERALITY,
    tags::CONTRAST_BOLUS_AGENT,
    tags::SLICE_THICKNESS,
    tags::SPACING_BETWEEN_SLICES,
    tags::MAGNETIC_FIELD_STRENGTH,
    tags::MR_ACQUISITION_TYPE,
    tags::REPETITION_TIME,
    tags::ECHO_TIME,
    tags::KVP,
    tags::ROWS,
    tags::COLUMNS,
];

/// All of `weaker` hold wherever all of `stronger` do.
pub fn implies_all(stronger: &[Clause], weaker: &[Clause]) -> bool {
    weaker.iter().all(|clause| implies(stronger, clause))
}

fn implies(stronger: &[Clause], weaker: &Clause) -> bool {
    if let Clause::Group(Word::All, groups) = weaker {
        return groups.iter().all(|group| implies_all(stronger, group));
    }
    if let Clause::Group(Word::Any, groups) = weaker
        && groups.iter().any(|group| implies_all(stronger, group))
    {
        return true;
    }
    stronger.iter().any(|clause| match (clause, weaker) {
        (Clause::Group(Word::All, groups), _) => groups.iter().any(|group| implies(group, weaker)),
        (Clause::Group(Word::Any, groups), _) => groups.iter().all(|group| implies(group, weaker)),
        (Clause::Group(Word::Not, ours), Clause::Group(Word::Not, theirs)) => {
            theirs.iter().all(|theirs| ours.iter().any(|ours| implies_all(theirs, ours)))
        }
        (Clause::Condition(ours), Clause::Condition(theirs)) => follows(ours, theirs),
        _ => false,
    })
}

fn follows(ours: &Condition, theirs: &Condition) -> bool {
    ours.subject == theirs.subject
        && (theirs.missing || !ours.missing)
        && test_implies(&ours.operator, &theirs.operator)
}

fn test_implies(ours: &Operator, theirs: &Operator) -> bool {
    match (ours, theirs) {
        (_, Operator::All(parts)) => parts.iter().all(|part| test_implies(ours, part)),
        (Operator::Any(parts), _) => parts.iter().all(|part| test_implies(part, theirs)),
        (_, Operator::Any(parts)) if parts.iter().any(|part| test_implies(ours, part)) => true,
        (Operator::All(parts), _) => parts.iter().any(|part| test_implies(part, theirs)),
        (Operator::Not(ours), Operator::Not(theirs)) => test_implies(theirs, ours),
        (Operator::Equals(ours), Operator::Equals(theirs)) => ours.iter().all(|a| theirs.iter().any(|b| same(a, b))),
        (Operator::Equals(ours), Operator::Glob(globs)) => ours
            .iter()
            .all(|value| matches!(value, Expected::Text { text: t, .. } if globs.iter().any(|g| g.matches(t)))),
        (Operator::Min(a), Operator::Min(b)) => a.place >= b.place,
        (Operator::Max(a), Operator::Max(b)) => a.place <= b.place,
        (_, Operator::Present(true)) => asks_for_a_value(ours),
        _ => ours.to_string() == theirs.to_string(),
    }
}

/// No value passes that is not there.
fn asks_for_a_value(test: &Operator) -> bool {
    match test {
        Operator::Equals(_)
        | Operator::Glob(_)
        | Operator::Regex(_)
        | Operator::Min(_)
        | Operator::Max(_)
        | Operator::Some(_)
        | Operator::Every(_)
        | Operator::Present(true) => true,
        Operator::Present(false) => false,
        Operator::Not(test) => matches!(**test, Operator::Present(false)),
        Operator::Any(tests) => tests.iter().all(asks_for_a_value),
        Operator::All(tests) => tests.iter().any(asks_for_a_value),
    }
}

fn same(a: &Expected, b: &Expected) -> bool {
    match (a, b) {
        (Expected::Text { lower: a, .. }, Expected::Text { lower: b, .. }) => a == b,
        (Expected::Place(a), Expected::Place(b)) => a.is_near(b.place),
        _ => false,
    }
}

/// Two conditions of `clauses` that never hold together, by their keys; alternatives that are impossible count where all
/// of them are.
pub fn contradiction(clauses: &[Clause]) -> Option<(String, String)> {
    let mut all: Vec<&Condition> = Vec::new();
    conditions(clauses, &mut all);
    let pair = all.iter().enumerate().find_map(|(i, a)| {
        if let Operator::All(parts) = &a.operator
            && excludes_itself(a, parts)
        {
            return Some((a.key.clone(), a.key.clone()));
        }
        let other = all[i + 1..].iter().find(|b| excludes(a, b))?;
        Some((a.key.clone(), other.key.clone()))
    });
    pair.or_else(|| clauses.iter().find_map(|clause| impossible_group(clause, clauses)))
}

/// The conditions that must all hold.
fn conditions<'c>(clauses: &'c [Clause], into: &mut Vec<&'c Condition>) {
    for clause in clauses {
        match clause {
            Clause::Condition(condition) => into.push(condition),
            Clause::Group(Word::All, groups) => groups.iter().for_each(|group| conditions(group, into)),
            Clause::Group(..) => {}
        }
    }
}

fn impossible_group(clause: &Clause, beside: &[Clause]) -> Option<(String, String)> {
    let Clause::Group(Word::Any, groups) = clause else { return None };
    let others = || beside.iter().filter(|other| !std::ptr::eq(*other, clause)).cloned();
    let found: Vec<Option<(String, String)>> =
        groups.iter().map(|group| contradiction(&others().chain(group.iter().cloned()).collect::<Vec<_>>())).collect();
    let all: Vec<(String, String)> = found.into_iter().collect::<Option<_>>()?;
    all.into_iter().next()
}

fn excludes_itself(condition: &Condition, parts: &[Operator]) -> bool {
    let one = |test: &Operator| condition.asking(test.clone());
    let mut pairs = parts.iter().enumerate().flat_map(|(i, a)| parts[i + 1..].iter().map(move |b| (a, b)));
    pairs.any(|(a, b)| excludes(&one(a), &one(b)))
}

fn excludes(a: &Condition, b: &Condition) -> bool {
    if a.subject != b.subject || (a.missing && b.missing) {
        return false;
    }
    let absent_passes = |c: &Condition| c.missing || !asks_for_a_value(&c.operator);
    // Without a value both hold, or one of them does not care.
    if absent_passes(a) && absent_passes(b) {
        return false;
    }
    let single = match &a.subject {
        Subject::Computed(_) | Subject::Attribute(Path { value: Some(_), .. }) => true,
        Subject::Attribute(path) => matches!(path.steps.as_slice(), [Step::Tag(tag)] if SINGLE.contains(tag)),
    };
    tests_exclude(&a.operator, &b.operator, single) || tests_exclude(&b.operator, &a.operator, single)
}

fn tests_exclude(a: &Operator, b: &Operator, single: bool) -> bool {
    match (a, b) {
        (Operator::All(parts), _) => {
            parts.iter().any(|part| tests_exclude(part, b, single) || tests_exclude(b, part, single))
        }
        (Operator::Any(parts), _) => {
            parts.iter().all(|part| tests_exclude(part, b, single) || tests_exclude(b, part, single))
        }
        (Operator::Present(false), _) => asks_for_a_value(b),
        (Operator::Min(least), Operator::Max(most)) => least.place > most.place,
        (_, Operator::Not(not)) if test_implies(a, not) => true,
        (Operator::Equals(values), _) if single => values.iter().all(|value| !possible(value, b)),
        _ => false,
    }
}

/// May a series with this one value pass?
fn possible(value: &Expected, test: &Operator) -> bool {
    match (value, test) {
        (_, Operator::Equals(list)) => list.iter().any(|other| same(value, other) || mixed(value, other)),
        (Expected::Text { text, .. }, Operator::Glob(globs)) => globs.iter().any(|glob| glob.matches(text)),
        (Expected::Text { text, .. }, Operator::Regex(list)) => {
            let cases = [text.clone(), text.to_lowercase(), text.to_uppercase()];
            // Letters between may be large or small, so an expression on letters alone is not judged closely.
            list.iter().any(|regex| cases.iter().any(|text| regex.is_match(text)))
        }
        (Expected::Place(at), Operator::Min(least)) => at.place >= least.place,
        (Expected::Place(at), Operator::Max(most)) => at.place <= most.place,
        (Expected::Text { text, .. }, Operator::Min(bound) | Operator::Max(bound)) => bound.scale.read(text).is_some(),
        _ => true,
    }
}

/// A place on a scale and a text that may be written alike.
fn mixed(a: &Expected, b: &Expected) -> bool {
    match (a, b) {
        (Expected::Place(at), Expected::Text { text, .. }) | (Expected::Text { text, .. }, Expected::Place(at)) => {
            at.scale.read(text).is_some_and(|place| at.is_near(place))
        }
        _ => false,
    }
}

/// The texts of which one must be the value of `subject`; `None` when the conditions do not say.
pub fn required_texts(clauses: &[Clause], subject: &Subject) -> Option<Vec<String>> {
    let mut all: Vec<&Condition> = Vec::new();
    conditions(clauses, &mut all);
    let found = all.into_iter().find_map(|condition| match &condition.operator {
        Operator::Equals(list) if condition.subject == *subject && !condition.missing => Some(list),
        _ => None,
    })?;
    let text = |value: &Expected| match value {
        Expected::Text { text, .. } => text.clone(),
        Expected::Place(at) => at.text.clone(),
    };
    Some(found.iter().map(text).collect())
}
