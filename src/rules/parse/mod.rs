//! From the text of `rules.toml` to checked rules.
//!
//! ```toml
//! [[rule]]
//! name = "brain T1"
//! when.Modality = "MR"
//! when.SliceThickness = { max = 1.5 }
//! pipeline = "brain-tissue"
//! send_to = ["orthanc"]
//! ```

mod condition;
mod operator;
mod study;
mod subject;
mod timing;

use std::collections::BTreeSet;

use super::condition::Clause;
use super::fault::{Fault, did_you_mean};
use super::quantity::duration;
use super::ruleset::{Action, Inform, Mode, Priority, Rule, Scope};
use super::section::{self, Entry, Section};
use super::summary::GEOMETRY_NAMES;
use super::timing::WaitFor;
use condition::clauses;
pub use subject::{keywords, summary_key};

/// The names a rule may refer to; `None` where they are not known and are not compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'n> {
    pub pipelines: Option<&'n BTreeSet<String>>,
    pub destinations: Option<&'n BTreeSet<String>>,
    /// Those who can be told.
    pub notices: Option<&'n BTreeSet<String>>,
}

/// The rules that read without a fault, and all faults.
pub fn rules(file: &str, text: &str, names: &Names<'_>) -> (Vec<Rule>, Vec<Fault>) {
    section::read(file, text, |root| {
        let mut rules: Vec<Rule> = Vec::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let entries = root.get("rule").map(|entry| entry.items()).unwrap_or_default();
        for (i, section) in entries.iter().filter_map(Entry::section).enumerate() {
            let label = section.get("name").and_then(|e| e.value().as_str()).map(|n| format!("\"{n}\""));
            let path = format!("rule[{}]", label.unwrap_or_else(|| (i + 1).to_string()));
            let section = section.called(path);
            rules.extend(rule(&section, names, &mut seen));
            section.finish();
        }
        rules
    })
}

/// The names of all rules of a text, faulty ones included.
#[must_use]
pub fn names_in(text: &str) -> BTreeSet<String> {
    let walk = |root: &Section<'_>| {
        let entries = root.get("rule").map(|entry| entry.items()).unwrap_or_default();
        let sections = entries.iter().filter_map(Entry::section);
        sections.filter_map(|rule| rule.get("name")?.text().map(str::to_owned)).collect()
    };
    section::read("rules.toml", text, walk).0
}

/// Everybody whom a rule of a text names in `notify`.
#[must_use]
pub fn notified_in(text: &str) -> BTreeSet<String> {
    let walk = |root: &Section<'_>| {
        let entries = root.get("rule").map(|entry| entry.items()).unwrap_or_default();
        let named = entries.iter().filter_map(Entry::section).filter_map(|rule| rule.get("notify"));
        named.flat_map(|names| names.items()).filter_map(|name| name.text().map(str::to_owned)).collect()
    };
    section::read("rules.toml", text, walk).0
}

fn rule(section: &Section<'_>, names: &Names<'_>, seen: &mut BTreeSet<String>) -> Option<Rule> {
    let name = section.required("name", "a name that no other rule has").and_then(|entry| rule_name(&entry, seen));
    let conditions = section
        .required("when", "conditions, or when = {} for every series")
        .and_then(|entry| entry.section())
        .and_then(|when| clauses(&when));
    let mode = match section.get("mode") {
        Some(entry) => entry.choice(&[("live", Mode::Live), ("shadow", Mode::Shadow), ("off", Mode::Off)]),
        None => Some(Mode::Live),
    };
    let stop = section.get("stop").map_or(Some(false), |entry| entry.boolean());
    let action = action(section, names, mode, stop);
    let quiet = section.get("quiet").map_or(Some(None), |e| duration(&e, 0.1, 86_400.0).map(Some));
    let scope = scope(section);
    if let Some(Action::Hold { .. } | Action::Nothing) = &action {
        refuse_without_pipeline(section);
    }
    let accept = section.get("accept").map_or(Some(None), |e| geometry_names(&e).map(Some));
    let notify = section
        .get("notify")
        .map_or(Some(Vec::new()), |e| known_names(&e, names.notices, "a [notify.<name>] of node.toml"));
    let inform = inform(section);
    let (accept, mut conditions, (mut scope, wait_for)) = (accept?, conditions?, scope?);
    let accepted = accept.as_ref().map(|names| Clause::accept(names));
    match &mut scope {
        Scope::Series => conditions.extend(accepted),
        Scope::Study(study) => study.inputs.iter_mut().for_each(|input| input.conditions.extend(accepted.clone())),
    }
    Some(Rule {
        name: name?,
        line: section.line(),
        mode: mode?,
        action: action?,
        stop: stop?,
        scope,
        quiet: quiet?,
        wait_for,
        accept,
        notify: notify?,
        inform: inform?,
        conditions,
    })
}

/// What the rule decides about; of a rule of one series also what it waits for.
fn scope(section: &Section<'_>) -> Option<(Scope, Option<WaitFor>)> {
    let of_study = section.get("scope").map_or(Some(false), |e| e.choice(&[("series", false), ("study", true)]));
    if of_study == Some(true) {
        return Some((Scope::Study(study::scope(section)?), None));
    }
    study::refuse_keys(section);
    let wait_for = section.get("wait_for").map_or(Some(None), |e| timing::wait_for(&e).map(Some));
    of_study.and(wait_for).map(|wait_for| (Scope::Series, wait_for))
}

/// What readers are told when there is no result.
fn inform(section: &Section<'_>) -> Option<Inform> {
    let words = [("failed", true), ("nothing-found", false)];
    let asked = section.get("inform").map(|entry| {
        let read: Vec<Option<bool>> = entry.items().iter().map(|item| item.choice(&words)).collect();
        read.into_iter().collect::<Option<Vec<bool>>>()
    });
    let asked = asked.map_or(Some(Vec::new()), |asked| asked);
    let after = section.get("inform_after");
    let time = after.as_ref().map_or(Some(None), |entry| duration(entry, 1.0, 604_800.0).map(Some));
    let (asked, time) = (asked?, time?);
    let failed = asked.contains(&true);
    match after {
        Some(entry) if !failed => {
            entry.refuse_key("a time after which nobody is told", "beside inform = \"failed\"", None)
        }
        _ => Some(Inform { failed, after: time, nothing_found: asked.contains(&false) }),
    }
}

/// A rule that holds or only stops is decided at once.
fn refuse_without_pipeline(section: &Section<'_>) {
    for entry in ["inform", "inform_after"].into_iter().filter_map(|key| section.get(key)) {
        entry.refuse_key::<()>("a rule that runs nothing", "beside pipeline", None);
    }
    for entry in ["quiet", "wait_for"].into_iter().filter_map(|key| section.get(key)) {
        let hint = "hold and stop take effect at once; `then = \"hold\"` in wait_for holds what stays incomplete";
        entry.refuse_key::<()>("a rule that runs nothing", "beside pipeline", Some(hint.to_owned()));
    }
}

/// One or several verdicts of the geometry check.
#[must_use]
pub fn geometry_names(entry: &Entry<'_>) -> Option<Vec<String>> {
    let words = GEOMETRY_NAMES.map(|name| (name, name));
    let read: Vec<Option<&str>> = entry.items().iter().map(|item| item.choice(&words)).collect();
    if read.is_empty() {
        return entry.refuse("at least one verdict of the geometry check", None);
    }
    read.into_iter().map(|name| name.map(str::to_owned)).collect()
}

fn rule_name(entry: &Entry<'_>, seen: &mut BTreeSet<String>) -> Option<String> {
    let name = entry.text()?;
    if name.chars().count() > 64 || name.chars().any(char::is_control) {
        return entry.refuse("at most 64 characters on one line", None);
    }
    if !seen.insert(name.to_owned()) {
        return entry.refuse("a name that no other rule has", None);
    }
    Some(name.to_owned())
}

/// Every key is read, whichever the action is, so that all their faults are found.
fn action(section: &Section<'_>, names: &Names<'_>, mode: Option<Mode>, stop: Option<bool>) -> Option<Action> {
    let hold = section.get("hold");
    let pipeline = section.get("pipeline");
    let send_to = section.get("send_to");
    let priority = section.get("priority").map_or(Some(None), |e| e.choice(&Priority::NAMES).map(Some));

    let pipeline_name = pipeline.as_ref().map(|entry| known_name(entry, names.pipelines, "a pipeline"));
    let destinations = send_to.as_ref().map(|entry| known_names(entry, names.destinations, "a destination"));
    if let Some(hold) = hold {
        let reason = hold.text();
        for other in [&pipeline, &send_to].into_iter().flatten() {
            other.refuse_key::<()>("hold and this key in one rule", "one of the two", None);
        }
        if mode == Some(Mode::Shadow) {
            let hint = "a shadow rule changes nothing: give it mode = \"live\" or \"off\"".to_owned();
            return hold.refuse_key("hold in a shadow rule", "hold in a live rule", Some(hint));
        }
        return Some(Action::Hold { reason: reason?.to_owned() });
    }
    match (pipeline_name, destinations, mode) {
        (Some(pipeline), Some(send_to), _) => {
            Some(Action::Run { pipeline: pipeline?, send_to: send_to?, priority: priority? })
        }
        (Some(pipeline), None, Some(Mode::Shadow | Mode::Off)) => {
            Some(Action::Run { pipeline: pipeline?, send_to: Vec::new(), priority: priority? })
        }
        (Some(_), None, _) => {
            let hint = "mode = \"shadow\" runs the pipeline, keeps the results and sends nothing".to_owned();
            section.lacks("send_to", "nothing: the key is required", "destinations to send to", Some(hint));
            None
        }
        (None, None, Some(Mode::Live) | None) if stop == Some(true) => Some(Action::Nothing),
        (None, ..) => {
            let allowed = "pipeline = \"...\" with send_to, hold = \"reason\", or stop = true in a live rule";
            section.lacks("pipeline", "a rule that does nothing", allowed, None);
            None
        }
    }
}

fn known_names(entry: &Entry<'_>, known: Option<&BTreeSet<String>>, what: &str) -> Option<Vec<String>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse(&format!("at least one: {what}"), None);
    }
    let found: Vec<Option<String>> = items.iter().map(|item| known_name(item, known, what)).collect();
    let mut found: Vec<String> = found.into_iter().collect::<Option<_>>()?;
    let mut seen = BTreeSet::new();
    found.retain(|name| seen.insert(name.clone()));
    Some(found)
}

fn known_name(entry: &Entry<'_>, known: Option<&BTreeSet<String>>, what: &str) -> Option<String> {
    let name = entry.text()?;
    let Some(known) = known else { return Some(name.to_owned()) };
    if known.contains(name) {
        return Some(name.to_owned());
    }
    let list: Vec<&str> = known.iter().map(String::as_str).collect();
    let allowed =
        if list.is_empty() { format!("{what}, but there is none") } else { format!("{what}: {}", list.join(", ")) };
    entry.refuse(&allowed, did_you_mean(name, list))
}
