//! `destinations.toml`.

use serde_json::{Value, json};

use super::node::{client_tls, tls_needs_ca};
use super::{Key, ae_title, duration, list, named, pattern, port, table, table_of, text, whole, words};

/// Names of destinations and pipelines.
pub const NAME: &str = "^[A-Za-z0-9._-]{1,64}$";

const KINDS: [&str; 5] = ["dicom", "orthanc", "dicomweb", "folder", "report-only"];

pub fn schema() -> Value {
    let each = json!({
        "type": "object",
        "required": ["kind"],
        "properties": { "kind": words(KINDS) },
        "allOf": [
            when("dicom", dicom()),
            when("orthanc", orthanc()),
            when("dicomweb", dicomweb()),
            when("folder", folder()),
            when("report-only", kind(&[], Vec::new())),
        ],
    });
    table(&[], [("destination", named(NAME, each), "Where results go, one table each.")])
}

pub fn when(kind: &str, then: Value) -> Value {
    json!({ "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] }, "then": then })
}

/// Keys of every kind, and its own.
fn kind(required: &[&str], own: Vec<Key>) -> Value {
    let mut keys: Vec<Key> = vec![
        ("kind", words(KINDS), "How results are sent."),
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
        ("keep_association", duration(), "How long an association stays open for the next result."),
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
    web(vec![
        ("confirm", words(["answer", "query"]), "Whether each object is looked for by its UID, too."),
        ("labels", list(pattern("^[A-Za-z0-9_-]{1,64}$")), "Of the series of the results; Orthanc 1.12 and newer."),
        ("metadata", named("^[A-Za-z0-9-]+$", text()), "User metadata of the series of the results."),
    ])
}

fn dicomweb() -> Value {
    web(vec![("confirm", words(["query", "none"]), "Whether QIDO-RS is asked for the objects.")])
}

/// What is reached by HTTP, and its own keys.
fn web(own: Vec<Key>) -> Value {
    let mut keys = web_keys();
    keys.extend(own);
    let mut kind = kind(&["url"], keys);
    enter(&mut kind);
    kind
}

/// Keys of a web service: where it is, who we are there, what the connection is secured with.
pub fn web_keys() -> Vec<Key> {
    vec![
        ("url", pattern("^https?://[^\\s@?#]+$"), "URL of the service, such as http://localhost:8042."),
        ("username", text(), "A user there."),
        ("password_file", text(), "File of the user's password."),
        ("password_env", text(), "Environment variable of the user's password."),
        ("token_file", text(), "File of a bearer token, in place of user and password."),
        ("token_env", text(), "Environment variable of a bearer token."),
        ("ca", text(), "File of the certificates that sign the service's one, PEM."),
        ("certificate", text(), "File of our certificate, for a service that asks who we are, PEM."),
        ("key", text(), "File of our certificate's private key, PEM."),
    ]
}

/// Which of these keys stand together, and which do not.
pub fn enter(kind: &mut Value) {
    let password = json!({ "oneOf": [{ "required": ["password_file"] }, { "required": ["password_env"] }] });
    kind["dependencies"] = json!({
        "username": password, "password_file": ["username"], "password_env": ["username"],
        "certificate": ["ca", "key"], "key": ["ca", "certificate"],
    });
    kind["not"] = json!({ "anyOf": [
        { "required": ["token_file", "token_env"] },
        { "required": ["token_file", "username"] },
        { "required": ["token_env", "username"] },
    ]});
}

fn folder() -> Value {
    kind(&["path"], vec![("path", text(), "The folder.")])
}
