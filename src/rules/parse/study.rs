//! The keys of a rule of `scope = "study"`: its named inputs, and how long it waits for them.

use std::time::Duration;

use super::condition::clauses;
use crate::rules::quantity::duration;
use crate::rules::section::{Entry, Section};
use crate::rules::study::{Choose, Input, Partial, StudyScope};

const KEYS: [&str; 4] = ["inputs", "window", "partial", "give_up_after"];
const DAY: f64 = 86_400.0;

/// Refuses the keys of a study rule in a rule of one series.
pub fn refuse_keys(section: &Section<'_>) {
    for entry in KEYS.into_iter().filter_map(|key| section.get(key)) {
        let hint = "scope = \"study\" makes this a rule of the whole study".to_owned();
        entry.refuse_key::<()>("a key of study rules in a rule of one series", "study rules only", Some(hint));
    }
}

/// `None` when something has a fault; everything is read.
pub fn scope(section: &Section<'_>) -> Option<StudyScope> {
    for (key, hint) in [
        ("stop", "every study rule is decided for itself"),
        ("hold", "hold the series by a rule of scope \"series\""),
        ("wait_for", "a study rule waits for its inputs: give it `window`"),
    ] {
        if let Some(entry) = section.get(key) {
            entry.refuse_key::<()>("a key of series rules in a study rule", "series rules only", Some(hint.to_owned()));
        }
    }
    let inputs = section
        .required("inputs", "a table [rule.inputs.<name>] for each series that the rule needs")
        .and_then(|entry| inputs(&entry));
    let window = section.get("window").map_or(Some(StudyScope::WINDOW), |e| duration(&e, 1.0, 30.0 * DAY));
    let partial = partial(section, window);
    Some(StudyScope { inputs: inputs?, window: window?, partial: partial? })
}

fn partial(section: &Section<'_>, window: Option<Duration>) -> Option<Partial> {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Proceed,
        Wait,
        GiveUp,
    }
    let words = [("proceed", Word::Proceed), ("wait", Word::Wait), ("give-up", Word::GiveUp)];
    let word = section.get("partial").map_or(Some(Word::GiveUp), |e| e.choice(&words));
    let limit = section.get("give_up_after");
    if let Some(entry) = limit.as_ref().filter(|_| word != Some(Word::Wait)) {
        entry.refuse_key::<()>("a limit for a rule that does not wait", "beside partial = \"wait\"", None);
    }
    let give_up_after = limit.as_ref().map_or(Some(Partial::GIVE_UP_AFTER), |e| duration(e, 1.0, 30.0 * DAY));
    match word? {
        Word::Proceed => Some(Partial::Proceed),
        Word::GiveUp => Some(Partial::GiveUp),
        Word::Wait if window? > give_up_after? => {
            let refuse = |e: Entry<'_>| e.refuse("at least as long as window", None);
            limit.map_or(Some(Partial::Wait { give_up_after: window? }), refuse)
        }
        Word::Wait => Some(Partial::Wait { give_up_after: give_up_after? }),
    }
}

fn inputs(entry: &Entry<'_>) -> Option<Vec<Input>> {
    let section = entry.section()?;
    let entries = section.entries();
    let read: Vec<Option<Input>> = entries.iter().map(|(name, entry)| input(name, entry)).collect();
    let inputs: Vec<Input> = read.into_iter().collect::<Option<_>>()?;
    if !inputs.iter().any(|input| input.prior.is_none() && !input.optional) {
        let hint = "without one, every study would fire the rule".to_owned();
        return entry.refuse("at least one input that is neither optional nor prior", Some(hint));
    }
    Some(inputs)
}

fn input(name: &str, entry: &Entry<'_>) -> Option<Input> {
    let section = entry.section()?;
    let conditions = section
        .required("when", "conditions that the series of this input passes")
        .and_then(|entry| entry.section())
        .and_then(|when| clauses(&when));
    let choose = section.get("choose").map_or(Some(Choose::MostSlices), |e| e.choice(&Choose::NAMES));
    let optional = section.get("optional").map_or(Some(false), |e| e.boolean());
    let prior = section.get("prior").map_or(Some(false), |e| e.boolean());
    let age = section.get("max_age");
    if let Some(entry) = age.as_ref().filter(|_| prior == Some(false)) {
        entry.refuse_key::<()>("an age without prior", "beside prior = true", None);
    }
    let age = age.map_or(Some(Input::MAX_AGE), |e| duration(&e, DAY, 36_500.0 * DAY));
    section.finish();
    let named = check_name(name, entry);
    let prior = prior?.then_some(age?);
    Some(Input { name: named?, conditions: conditions?, choose: choose?, optional: optional?, prior })
}

fn check_name(name: &str, entry: &Entry<'_>) -> Option<String> {
    let fits = !name.is_empty()
        && name.len() <= 32
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits {
        return Some(name.to_owned());
    }
    entry.refuse_key(&format!("the name \"{name}\""), "1 to 32 letters, digits, - and _", None)
}
