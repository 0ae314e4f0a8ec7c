//! `rules.test.toml`: cases beside the rules.

use serde_json::{Value, json};

use super::{boolean, list, named, number, table, text};
use crate::rules::GIVEN_NAMES;

pub fn schema() -> Value {
    let cases = json!({ "type": "array", "items": { "$ref": "#/definitions/case" } });
    let mut schema = table(&[], [("case", cases, "Cases: a series, and what the rules shall do with it.")]);
    schema["definitions"] = json!({ "case": case(), "attributes": attributes(), "computed": computed() });
    schema
}

fn attributes_ref() -> Value {
    json!({ "$ref": "#/definitions/attributes" })
}

fn computed_ref() -> Value {
    json!({ "$ref": "#/definitions/computed" })
}

fn case() -> Value {
    let series = table(
        &["name"],
        [
            ("name", text(), "How `inputs` calls it."),
            ("attributes", attributes_ref(), "What the series holds."),
            ("computed", computed_ref(), "What is computed of it."),
            ("prior", boolean(), "It belongs to an earlier study of the patient."),
        ],
    );
    let series = json!({ "type": "array", "items": series, "minItems": 1 });
    let mut case = table(
        &["name", "expect"],
        [
            ("name", text(), "What the case shows."),
            ("attributes", attributes_ref(), "What the series holds: DICOM keywords and their values."),
            ("computed", computed_ref(), "What is computed of the series: slices, orientation, ..."),
            ("series", series, "Several series of a study, instead of attributes and computed."),
            ("expect", list(text()), "Names of the rules that fire, in their order; [] for none."),
            ("held", text(), "Name of the rule that holds the series."),
            ("inputs", named(".", text()), "Which series becomes which input of the study rule that fires."),
        ],
    );
    case["dependencies"] = json!({ "series": { "properties": { "attributes": false, "computed": false } } });
    case
}

fn value() -> Value {
    json!({ "anyOf": [{ "type": "string" }, number()] })
}

/// A value, a list of several values, or what different instances have.
fn attributes() -> Value {
    let values = list(value());
    let differs = table(
        &["differs"],
        [("differs", json!({ "type": "array", "items": values, "minItems": 2 }), "What instances have.")],
    );
    json!({ "type": "object", "additionalProperties": { "anyOf": [values, differs] } })
}

fn computed() -> Value {
    let properties: serde_json::Map<String, Value> =
        GIVEN_NAMES.into_iter().map(|name| (name.to_owned(), value())).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}
