//! `rules.toml`: the keys of rules, and the language of conditions.

use serde_json::{Map, Value, json};

use super::{boolean, duration, named, number, one_or_more, table, text, whole, words};
use crate::rules::{Computed, GEOMETRY_NAMES, Priority, keywords};

pub fn schema() -> Value {
    let rules = json!({ "type": "array", "items": { "$ref": "#/definitions/rule" } });
    let mut schema = table(&[], [("rule", rules, "Rules, read from top to bottom.")]);
    schema["definitions"] = json!({
        "rule": rule(),
        "conditions": conditions(),
        "condition": condition("#/definitions/condition", value()),
    });
    for (name, computed) in Computed::NAMES.into_iter().filter(|(_, computed)| !computed.words().is_empty()) {
        let itself = format!("#/definitions/{name}");
        schema["definitions"][name] = condition(&itself, words(computed.words().iter().copied()));
    }
    schema
}

fn conditions_ref() -> Value {
    json!({ "$ref": "#/definitions/conditions" })
}

fn rule() -> Value {
    let mut rule = table(
        &["name", "when"],
        [
            ("name", super::pattern("^(?=.*\\S)[^\\x00-\\x1f]{1,64}$"), "A name that no other rule has."),
            ("when", conditions_ref(), "Conditions, all of which must hold; {} is every series."),
            ("mode", words(["live", "shadow", "off"]), "shadow runs and keeps the results, sends nothing."),
            ("stop", boolean(), "No later rule is looked at."),
            ("hold", text(), "The reason why nothing more is run before an operator has looked."),
            ("pipeline", text(), "What is run: a pipeline of pipelines.toml."),
            ("send_to", one_or_more(text(), 1), "Where results go: destinations of destinations.toml."),
            ("priority", words(Priority::NAMES.map(|(name, _)| name)), "The order in which jobs are taken."),
            ("scope", words(["series", "study"]), "study: the rule needs several series of a study, its `inputs`."),
            ("quiet", duration(), "Not decided before nothing came for this long; other rules do not wait."),
            ("wait_for", wait_for(), "What must be there before the rule fires."),
            ("accept", one_or_more(words(GEOMETRY_NAMES), 1), "Geometry the rule takes, instead of the pipeline's."),
            ("notify", one_or_more(text(), 1), "Those who are told, [notify.<name>] of node.toml."),
            (
                "inform",
                one_or_more(words(["failed", "nothing-found"]), 0),
                "What readers are told in the study itself.",
            ),
            ("inform_after", duration(), "A job not finished after this long counts as failed, for inform."),
            ("inputs", named("^[A-Za-z0-9_-]{1,32}$", input()), "The series that a study rule needs, by name."),
            ("window", duration(), "How long after the first input another one still counts."),
            ("partial", words(["proceed", "wait", "give-up"]), "What is done when inputs are missing then."),
            ("give_up_after", duration(), "The end of waiting, beside partial = \"wait\"."),
        ],
    );
    let refused = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), json!(false))).collect::<Map<_, _>>();
    rule["allOf"] = json!([
        {
            "if": { "properties": { "scope": { "const": "study" } }, "required": ["scope"] },
            "then": { "required": ["inputs"], "properties": refused(&["stop", "hold", "wait_for"]) },
            "else": { "properties": refused(&["inputs", "window", "partial", "give_up_after"]) },
        },
        {
            "if": { "required": ["hold"] },
            "then": { "properties": refused(&["pipeline", "send_to", "quiet", "wait_for", "inform", "inform_after"]) },
            "else": { "anyOf": [{ "required": ["pipeline"] }, { "properties": { "stop": { "const": true } }, "required": ["stop"] }] },
        },
        {
            "if": { "required": ["pipeline"], "properties": { "mode": { "const": "live" } } },
            "then": { "required": ["send_to"] },
        },
    ]);
    rule
}

fn wait_for() -> Value {
    let mut wait = table(
        &["for"],
        [
            ("slices", whole(1, 100_000), "At least so many slices."),
            ("series", one_or_more(conditions_ref(), 1), "Other series of the study, by their conditions."),
            ("for", duration(), "How long to wait, such as \"10 min\"."),
            ("then", words(["skip", "run", "hold"]), "What is done after waiting in vain."),
        ],
    );
    wait["anyOf"] = json!([{ "required": ["slices"] }, { "required": ["series"] }]);
    wait
}

fn input() -> Value {
    table(
        &["when"],
        [
            ("when", conditions_ref(), "Conditions that the series of this input passes."),
            ("choose", words(["most-slices", "thinnest", "latest", "first"]), "Which of several series that fit."),
            ("optional", boolean(), "The rule fires without it, too."),
            ("prior", boolean(), "A series of an earlier study of the patient."),
            ("max_age", duration(), "How much older the earlier study may be."),
        ],
    )
}

/// Keys are DICOM keywords, numbers, paths, computed names, or groups of conditions. Every attribute is asked alike: the
/// list of keywords only names them, so that it stays short.
fn conditions() -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
    let mut properties = Map::new();
    for group in ["any", "all", "not"] {
        properties.insert(group.to_owned(), one_or_more(conditions_ref(), 1));
    }
    for (name, computed) in Computed::NAMES {
        let kind = if computed.words().is_empty() { "condition" } else { name };
        properties.insert(name.to_owned(), reference(kind));
    }
    properties.extend(keywords().map(|keyword| (keyword.to_owned(), json!(true))));
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "patternProperties": { "^\\(?[0-9A-Fa-f]{4},": reference("condition"), "[.\\[]": reference("condition") },
        "allOf": [{ "patternProperties": { "^[A-Z]": reference("condition") } }],
    })
}

/// Where a range begins or ends; dates and times of TOML are text here.
fn place() -> Value {
    json!({ "anyOf": [number(), text()] })
}

/// Text or a number to be equal to.
fn value() -> Value {
    json!({ "anyOf": [text(), number()] })
}

/// A value, a list of values, or a table of operators, all of which must hold.
fn condition(itself: &str, value: Value) -> Value {
    let nested = json!({ "$ref": itself });
    let mut operators = table(
        &[],
        [
            ("equals", one_or_more(value.clone(), 1), "Equal to one of them."),
            (
                "glob",
                one_or_more(text(), 1),
                "The whole text fits; * any text, ? one character; without regard to case.",
            ),
            ("regex", one_or_more(text(), 1), "The expression is found in the text."),
            ("min", place(), "Every value lies from here on: a number, an age, a date or a time."),
            ("max", place(), "Every value lies up to here."),
            ("present", boolean(), "There is a value, or none."),
            ("not", nested.clone(), "What follows does not hold."),
            ("any", one_or_more(nested.clone(), 1), "One of these holds."),
            ("all", one_or_more(nested.clone(), 1), "All of these hold."),
            ("some", nested.clone(), "One of the values, taken alone, passes."),
            ("every", nested, "There are values, and every one, taken alone, passes."),
            ("missing", boolean(), "There may also be no value."),
        ],
    );
    operators["minProperties"] = json!(1);
    operators["not"] = json!({ "required": ["missing"], "maxProperties": 1 });
    json!({ "anyOf": [one_or_more(value, 1), operators] })
}
