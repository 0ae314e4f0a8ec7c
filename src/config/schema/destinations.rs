//! `destinations.toml`.

use serde_json::{Value, json};

use super::node::{client_tls, tls_needs_ca};
use super::{Key, ae_title, duration, named, port, table, table_of, text, whole, words};

/// Names of destinations and pipelines.
pub const NAME: &str = "^[A-Za-z0-9._-]{1,64}$";

pub fn schema() -> Value {
    let each = json!({
        "type": "object",
        "required": ["kind"],
        "properties": { "kind": words(["dicom", "orthanc", "folder"]) },
        "allOf": [when("dicom", dicom()), when("orthanc", orthanc()), when("folder", folder())],
    });
    table(&[], [("destination", named(NAME, each), "Where results go, one table each.")])
}

fn when(kind: &str, then: Value) -> Value {
    json!({ "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] }, "then": then })
}

/// Keys of every kind, and its own.
fn kind(required: &[&str], own: Vec<Key>) -> Value {
    let mut keys: Vec<Key> = vec![
        ("kind", words(["dicom", "orthanc", "folder"]), "How results are sent."),
        ("timeout", duration(), "For one answer of the peer."),
        ("backoff_cap", duration(), "Longest pause between two tries."),
        ("max_attempts", whole(1, 1000), "Tries before a delivery is given up."),
        ("concurrency", whole(1, 64), "Deliveries at a time."),
    ];
    keys.extend(own);
    table_of(required, keys)
}

fn dicom() -> Value {
    let mut keys: Vec<Key> = vec![
        ("host", text(), "Host name or IP address of the PACS."),
        ("port", port(), "TCP port, such as 104."),
        ("ae_title", ae_title(), "The AE title of the PACS."),
        ("calling", ae_title(), "The AE title we call it with; else the node's own."),
        ("confirm", words(["query", "commitment", "none"]), "How the PACS is asked whether it has the objects."),
        ("commitment_wait", duration(), "For the report of storage commitment."),
    ];
    keys.extend(client_tls());
    let mut kind = kind(&["host", "port", "ae_title"], keys);
    kind["allOf"] = json!([tls_needs_ca()]);
    kind["dependencies"] = json!({
        "commitment_wait": { "properties": { "confirm": { "const": "commitment" } }, "required": ["confirm"] },
    });
    kind
}

fn orthanc() -> Value {
    let url = super::pattern("^https?://[^\\s@?#]+$");
    let keys = vec![
        ("url", url, "URL of Orthanc, such as http://localhost:8042."),
        ("username", text(), "A user of Orthanc."),
        ("password_file", text(), "File of the user's password."),
        ("password_env", text(), "Environment variable of the user's password."),
    ];
    let mut kind = kind(&["url"], keys);
    let password = json!({ "oneOf": [{ "required": ["password_file"] }, { "required": ["password_env"] }] });
    kind["dependencies"] = json!({ "username": password, "password_file": ["username"], "password_env": ["username"] });
    kind
}

fn folder() -> Value {
    kind(&["path"], vec![("path", text(), "The folder.")])
}
