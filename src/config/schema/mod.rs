//! JSON Schema (draft 07) of every configuration file, so that editors complete keys and mark mistakes while one types.
//!
//! Says what is a matter of structure: keys, types, words, ranges. Names that stand in other files, contradictions and
//! whatever needs a look at the disk are found by `sagittal check` alone. Tests hold it against the parsers in both
//! directions.

mod cases;
mod destinations;
mod model;
mod node;
mod pipelines;
mod rules;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

/// A file and its schema.
type File = (&'static str, fn() -> Value);

/// The files that have a schema.
const FILES: [File; 6] = [
    ("node", node::schema),
    ("destinations", destinations::schema),
    ("pipelines", pipelines::schema),
    ("rules", rules::schema),
    ("rules.test", cases::schema),
    ("model", model::schema),
];

/// Names of the schemas: the files' names without `.toml`.
#[must_use]
pub fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).collect()
}

/// The schema of a file, `None` for a name that is none of [`names`].
#[must_use]
pub fn of(name: &str) -> Option<String> {
    let (name, schema) = FILES.iter().find(|(known, _)| *known == name)?;
    let mut whole = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "title": format!("{name}.toml") });
    if let (Value::Object(whole), Value::Object(schema)) = (&mut whole, schema()) {
        whole.extend(schema);
    }
    Some(joined(&format!("{whole:#}")))
}

/// Names that are only listed, thousands of them, share lines.
fn joined(pretty: &str) -> String {
    const WIDTH: usize = 120;
    let (mut text, mut width) = (String::new(), 0);
    for line in pretty.lines() {
        let name = line.trim_start();
        let listed = name.trim_end_matches(',').ends_with(": true");
        if listed && (1..WIDTH - name.len().min(WIDTH)).contains(&width) {
            text.extend([" ", name]);
            width += 1 + name.len();
            continue;
        }
        text += if text.is_empty() { "" } else { "\n" };
        text += line;
        width = if listed { line.len() } else { 0 };
    }
    text + "\n"
}

/// A key of a table: its name, what it may hold, what it is for.
type Key = (&'static str, Value, &'static str);

/// A table of these keys and no others.
fn table<const N: usize>(required: &[&str], keys: [Key; N]) -> Value {
    table_of(required, Vec::from(keys))
}

fn table_of(required: &[&str], keys: Vec<Key>) -> Value {
    let properties: Map<String, Value> =
        keys.into_iter().map(|(name, schema, purpose)| (name.to_owned(), described(schema, purpose))).collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        table["required"] = required.into();
    }
    table
}

fn described(mut schema: Value, purpose: &str) -> Value {
    if !purpose.is_empty() && schema.get("description").is_none() {
        // beside a $ref, draft 07 reads nothing else
        if schema.get("$ref").is_some() {
            schema = json!({ "allOf": [schema] });
        }
        schema["description"] = purpose.into();
    }
    schema
}

/// Tables under names that the administrator chooses.
fn named(pattern: &str, each: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "patternProperties": { pattern: each } })
}

/// Text that is not empty.
fn text() -> Value {
    json!({ "type": "string", "pattern": "\\S" })
}

fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn whole(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Value {
    json!({ "enum": words.into_iter().collect::<Vec<_>>() })
}

/// One item, or a list of them.
fn one_or_more(item: Value, least: usize) -> Value {
    json!({ "anyOf": [item.clone(), { "type": "array", "items": item, "minItems": least }] })
}

/// One or several, without end.
fn list(item: Value) -> Value {
    one_or_more(item, 0)
}

/// A number with a unit of time between quotes.
fn duration() -> Value {
    pattern("^\\s*[0-9]+(\\.[0-9]*)?\\s*(ms|s|min|h|d)\\s*$")
}

/// A number with a unit of storage between quotes.
fn size() -> Value {
    pattern("^\\s*[0-9]+(\\.[0-9]*)?\\s*(B|kB|MB|GB|KiB|MiB|GiB|TiB)\\s*$")
}

const AE_TITLE: &str = "^\\s*[ -\\[\\]-~]{1,16}\\s*$";

fn ae_title() -> Value {
    pattern(AE_TITLE)
}

fn port() -> Value {
    whole(1, 65535)
}

/// An IP address and a port.
fn address() -> Value {
    pattern("^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}$")
}
