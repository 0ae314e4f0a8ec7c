//! What follows from a condition, and which conditions exclude each other.
//!
//! Careful on one side: an answer `true` is certain for every series there can be, `false` may only mean that it is not
//! seen. Several values, other cases of letters and missing values are thought of.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::rules::condition::{Clause, Condition, Expected, Subject, Test, Word};

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
    ours.subject == theirs.subject && (theirs.missing || !ours.missing) && test_implies(&ours.test, &theirs.test)
}

fn test_implies(ours: &Test, theirs: &Test) -> bool {
    match (ours, theirs) {
        (_, Test::All(parts)) => parts.iter().all(|part| test_implies(ours, part)),
        (Test::Any(parts), _) => parts.iter().all(|part| test_implies(part, theirs)),
        (_, Test::Any(parts)) if parts.iter().any(|part| test_implies(ours, part)) => true,
        (Test::All(parts), _) => parts.iter().any(|part| test_implies(part, theirs)),
        (Test::Not(ours), Test::Not(theirs)) => test_implies(theirs, ours),
        (Test::Equal(ours), Test::Equal(theirs)) => ours.iter().all(|a| theirs.iter().any(|b| same(a, b))),
        (Test::Equal(ours), Test::Glob(globs)) => {
            ours.iter().all(|value| matches!(value, Expected::Text(t) if globs.iter().any(|g| g.is_match(t))))
        }
        (Test::Min(a), Test::Min(b)) => a >= b,
        (Test::Max(a), Test::Max(b)) => a <= b,
        (_, Test::Present(true)) => asks_for_a_value(ours),
        _ => ours.to_string() == theirs.to_string(),
    }
}

/// No value passes that is not there.
fn asks_for_a_value(test: &Test) -> bool {
    match test {
        Test::Equal(_) | Test::Glob(_) | Test::Regex(_) | Test::Min(_) | Test::Max(_) | Test::Present(true) => true,
        Test::Present(false) => false,
        Test::Not(test) => matches!(**test, Test::Present(false)),
        Test::Any(tests) => tests.iter().all(asks_for_a_value),
        Test::All(tests) => tests.iter().any(asks_for_a_value),
    }
}

fn same(a: &Expected, b: &Expected) -> bool {
    match (a, b) {
        (Expected::Text(a), Expected::Text(b)) => a.trim().to_lowercase() == b.trim().to_lowercase(),
        (Expected::Number(a), Expected::Number(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
        _ => false,
    }
}

/// Two conditions of `clauses` that never hold together, by their keys; alternatives that are impossible count where all
/// of them are.
pub fn contradiction(clauses: &[Clause]) -> Option<(String, String)> {
    let mut all: Vec<&Condition> = Vec::new();
    conditions(clauses, &mut all);
    let pair = all.iter().enumerate().find_map(|(i, a)| {
        if let Test::All(parts) = &a.test
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

fn excludes_itself(condition: &Condition, parts: &[Test]) -> bool {
    let one = |test: &Test| Condition { test: test.clone(), ..condition.clone() };
    let mut pairs = parts.iter().enumerate().flat_map(|(i, a)| parts[i + 1..].iter().map(move |b| (a, b)));
    pairs.any(|(a, b)| excludes(&one(a), &one(b)))
}

fn excludes(a: &Condition, b: &Condition) -> bool {
    if a.subject != b.subject || (a.missing && b.missing) {
        return false;
    }
    let absent_passes = |c: &Condition| c.missing || !asks_for_a_value(&c.test);
    // Without a value both hold, or one of them does not care.
    if absent_passes(a) && absent_passes(b) {
        return false;
    }
    let single = match &a.subject {
        Subject::Computed(_) => true,
        Subject::Attribute(tag) => SINGLE.contains(tag),
        #[allow(unreachable_patterns, reason = "kinds of subjects that are added later hold several values")]
        _ => false,
    };
    tests_exclude(&a.test, &b.test, single) || tests_exclude(&b.test, &a.test, single)
}

fn tests_exclude(a: &Test, b: &Test, single: bool) -> bool {
    match (a, b) {
        (Test::All(parts), _) => {
            parts.iter().any(|part| tests_exclude(part, b, single) || tests_exclude(b, part, single))
        }
        (Test::Any(parts), _) => {
            parts.iter().all(|part| tests_exclude(part, b, single) || tests_exclude(b, part, single))
        }
        (Test::Present(false), _) => asks_for_a_value(b),
        (Test::Min(least), Test::Max(most)) => least > most,
        (_, Test::Not(not)) if test_implies(a, not) => true,
        (Test::Equal(values), _) if single => values.iter().all(|value| !possible(value, b)),
        _ => false,
    }
}

/// May a series with this one value pass?
fn possible(value: &Expected, test: &Test) -> bool {
    match (value, test) {
        (_, Test::Equal(list)) => list.iter().any(|other| same(value, other) || mixed(value, other)),
        (Expected::Text(text), Test::Glob(globs)) => globs.iter().any(|glob| glob.is_match(text)),
        (Expected::Text(text), Test::Regex(list)) => {
            let cases = [text.clone(), text.to_lowercase(), text.to_uppercase()];
            // Letters between may be large or small, so an expression on letters alone is not judged closely.
            list.iter().any(|regex| cases.iter().any(|text| regex.is_match(text)))
        }
        (Expected::Number(n), Test::Min(least)) => n >= least,
        (Expected::Number(n), Test::Max(most)) => n <= most,
        (Expected::Text(text), Test::Min(_) | Test::Max(_)) => text.trim().parse::<f64>().is_ok(),
        _ => true,
    }
}

/// A number and a text that may be written alike.
fn mixed(a: &Expected, b: &Expected) -> bool {
    match (a, b) {
        (Expected::Number(n), Expected::Text(text)) | (Expected::Text(text), Expected::Number(n)) => {
            text.trim().parse::<f64>().is_ok_and(|t| (t - n).abs() <= 1e-9 * n.abs().max(1.0))
        }
        _ => false,
    }
}

/// The texts of which one must be the value of `subject`; `None` when the conditions do not say.
pub fn required_texts(clauses: &[Clause], subject: Subject) -> Option<Vec<String>> {
    let mut all: Vec<&Condition> = Vec::new();
    conditions(clauses, &mut all);
    let found = all.into_iter().find_map(|condition| match &condition.test {
        Test::Equal(list) if condition.subject == subject && !condition.missing => Some(list),
        _ => None,
    })?;
    let text = |value: &Expected| match value {
        Expected::Text(text) => text.clone(),
        Expected::Number(n) => n.to_string(),
    };
    Some(found.iter().map(text).collect())
}
