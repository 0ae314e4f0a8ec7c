//! `node.toml`.

use serde_json::{Value, json};

use super::destinations::{NAME, enter, web_keys, when};
use super::{
    AE_TITLE, Key, address, ae_title, boolean, duration, list, named, one_or_more, pattern, port, size, table,
    table_of, text, whole, words,
};
use crate::config::Tells;
use crate::config::log::LEVELS;
use crate::rules::Priority;

/// An address, or a name and an address.
const ADDRESS: &str = "^[^@]+@[^@]+$";
/// From one time of the day to another.
const HOURS: &str = "^\\s*[0-9]{1,2}:[0-9]{2}\\s*-\\s*[0-9]{1,2}:[0-9]{2}\\s*$";

pub fn schema() -> Value {
    let profiles = named(AE_TITLE, table_of(&[], profile()));
    let peers = named(AE_TITLE, peer());
    table(
        &[],
        [
            ("node", node(), "Who the node is, and where it keeps things."),
            ("receive", receive(), "Whom the node listens to, and how much it takes."),
            ("ae", profiles, "Further AE titles of this node, each with its own senders and classes."),
            ("tls", tls(), "DICOM over TLS, on a port of its own beside the plain one."),
            ("http", http(), "DICOMweb STOW-RS and health; without this table nothing is served."),
            ("log", log(), "How the node's log lines look, and how much is said."),
            ("audit", audit(), "Where the audit trail goes; without this table there is none."),
            ("storage", storage(), "How much of the disk may be used."),
            ("completion", completion(), "When a series counts as finished."),
            ("jobs", jobs(), "How work is done."),
            ("inference", inference(), "How models run."),
            ("results", results(), "How results are numbered."),
            ("peer", peers, "Peers that the node calls, by their AE title."),
            ("notify", recipients(), "Who is told what happened; rules name these in `notify`."),
        ],
    )
}

fn node() -> Value {
    table(
        &[],
        [
            ("ae_title", ae_title(), "The node's own AE title, at most 16 characters."),
            ("data", text(), "Folder of ledger and spool, on a disk that survives a power cut."),
            ("models", text(), "Folder of models, one folder each with a model.toml."),
        ],
    )
}

/// Keys of `[receive]` that a table of `[ae]` has, too.
fn profile() -> Vec<Key> {
    let user = table(
        &[],
        [("password_file", text(), "File of the passcode."), ("password_env", text(), "Variable of the passcode.")],
    );
    vec![
        ("allow", list(ae_title()), "Calling AE titles that may send."),
        ("networks", list(text()), "Addresses and networks that may send."),
        ("allow_any", boolean(), "Listen to everybody, also from other machines."),
        ("verify_only", list(ae_title()), "Calling AE titles that may verify (C-ECHO) and store nothing."),
        ("classes", list(text()), "\"all\" storage SOP classes, or a list by name or UID."),
        ("private_classes", list(text()), "UIDs of private SOP classes that are kept, too."),
        ("prefer", list(text()), "Transfer syntaxes to choose first, best first, by name or UID."),
        ("priority", words(Priority::NAMES.map(|(name, _)| name)), "Priority of a job whose rule names none."),
        ("rules", list(text()), "Names of the rules that see what is sent here, or \"all\"."),
        ("users", named(".", user), "Users that a sender must be one of, by name and passcode or by name alone."),
    ]
}

fn receive() -> Value {
    let mut keys = profile();
    keys.extend([
        ("listen", address(), "IP address and port. Loopback only, until you say whom to listen to."),
        ("accept_any_called", boolean(), "Accept associations that call an AE title which is none of ours."),
        ("max_pdu", size(), "Largest PDU announced to the sender, 4 KiB to 1 MiB."),
        ("max_associations", whole(1, 1000), "Associations at a time."),
        ("max_associations_per_peer", whole(1, 1000), "Associations at a time from one address."),
        ("max_object", size(), "A larger data set is refused with status A700."),
        ("durability", words(["power-loss", "process-crash"]), "What an acknowledged instance survives."),
        (
            "duplicates",
            words(["replace", "keep-first", "refuse"]),
            "What becomes of another object under a SOP Instance UID that is held already.",
        ),
        ("reserve", size(), "Disk space written ahead of use, at most 16 GiB."),
        ("idle_timeout", duration(), "An association that says nothing for this long is aborted."),
        ("artim_timeout", duration(), "Time for a connection to ask for an association."),
    ]);
    table_of(&[], keys)
}

fn tls() -> Value {
    table(
        &["listen", "certificate", "key"],
        [
            ("listen", address(), "IP address and port for TLS."),
            ("certificate", list(text()), "Files of certificates, PEM, each followed by those that signed it."),
            ("key", list(text()), "Files of private keys, PEM, in the same order."),
            ("client_ca", text(), "File of the certificates that sign the senders' ones."),
            (
                "revocation_lists",
                list(text()),
                "Files of revoked senders' certificates, PEM; each authority needs a list.",
            ),
            ("require_client_certificate", boolean(), "A sender must show a certificate."),
        ],
    )
}

fn http() -> Value {
    table(
        &["listen"],
        [
            ("listen", address(), "IP address and port."),
            ("api_key_file", text(), "File of the API key."),
            ("api_key_env", text(), "Environment variable of the API key."),
        ],
    )
}

fn log() -> Value {
    table(
        &[],
        [
            ("format", words(["text", "json"]), "Lines for people, or one JSON object a line."),
            ("level", words(LEVELS), "The least important lines that are written."),
        ],
    )
}

fn audit() -> Value {
    let mut keys: Vec<Key> = vec![
        ("host", text(), "Host name or IP address."),
        ("port", port(), "Port, such as 6514."),
        ("transport", words(["tcp", "udp"]), "How messages travel."),
    ];
    keys.extend(client_tls());
    let mut syslog = table_of(&["host", "port"], keys);
    syslog["allOf"] = json!([tls_needs_ca()]);
    let mut audit = table(
        &[],
        [
            ("file", text(), "File, a message a line."),
            ("patients", boolean(), "Messages name patients, as PS3.15 asks."),
            ("syslog", syslog, "A syslog server (RFC 5424)."),
        ],
    );
    audit["anyOf"] = json!([{ "required": ["file"] }, { "required": ["syslog"] }]);
    audit
}

fn storage() -> Value {
    table(
        &[],
        [
            ("keep_free", size(), "With less than this free, every instance is refused with status A700."),
            ("quota", size(), "Instances and results together take at most this."),
            ("committed_for", duration(), "What we are committed to is kept this long, whatever the quota."),
            ("inputs_for", duration(), "Instances are dropped this long after the work on their series was over."),
            ("results_for", duration(), "Results are dropped this long after the last destination took them."),
            ("history_for", duration(), "Jobs and decisions are forgotten this long after they were over."),
        ],
    )
}

fn completion() -> Value {
    table(
        &[],
        [
            ("quiet", duration(), "A series is finished when nothing came for this long ..."),
            (
                "quiet_after_release",
                duration(),
                "... or for this long after the association that brought it was released.",
            ),
            ("late", words(["rerun", "ignore"]), "What an instance does that comes later."),
        ],
    )
}

fn jobs() -> Value {
    table(
        &[],
        [
            ("lease", duration(), "A running job whose node died is taken up again after this long."),
            ("max_attempts", whole(1, 1000), "Tries before a job is given up."),
            ("off_peak", pattern(HOURS), "Hours in which jobs of priority off-peak run."),
        ],
    )
}

fn inference() -> Value {
    table(
        &[],
        [
            ("threads", whole(1, 1024), "Threads a model may use."),
            ("session_ttl", duration(), "How long a loaded model is kept without use."),
            ("onnxruntime", text(), "The ONNX Runtime library, where it is not found by itself."),
        ],
    )
}

fn results() -> Value {
    table(
        &[],
        [
            (
                "series_number_base",
                whole(1, 2_000_000_000),
                "Series number of results: this plus the position of the pipeline.",
            ),
            ("paper", words(["a4", "letter"]), "What reports are printed on."),
            ("fonts", list(text()), "Folders with the fonts of reports."),
        ],
    )
}

fn peer() -> Value {
    let mut keys: Vec<Key> = vec![
        ("host", text(), "Host name or IP address."),
        ("port", port(), "TCP port, such as 104."),
        ("retrieve", words(["move", "get"]), "How studies are fetched: C-MOVE to our AE title, or C-GET."),
        ("expected", words(["c-find", "none"]), "Whether the sender is asked how many instances a series holds."),
    ];
    keys.extend(client_tls());
    let mut peer = table_of(&["host", "port"], keys);
    peer["allOf"] = json!([tls_needs_ca()]);
    peer
}

fn recipients() -> Value {
    let each = json!({
        "type": "object",
        "required": ["kind"],
        "properties": { "kind": words(RECIPIENTS) },
        "allOf": [when("webhook", webhook()), when("email", email())],
    });
    named(NAME, each)
}

const RECIPIENTS: [&str; 2] = ["webhook", "email"];

/// Keys of both kinds.
fn recipient() -> Vec<Key> {
    vec![
        ("kind", words(RECIPIENTS), "How they are told."),
        ("events", one_or_more(words(Tells::NAMES.map(|(name, _)| name)), 1), "What they are told of."),
        ("rules", words(["naming", "all"]), "Told of the rules that name them in `notify`, or of all."),
        ("patient_data", boolean(), "Notices may name patients."),
        ("timeout", duration(), "For one answer."),
        ("max_attempts", whole(1, 1000), "Tries before a notice is given up."),
    ]
}

fn webhook() -> Value {
    let mut keys = recipient();
    keys.push(("secret_file", text(), "File of the secret that signs requests: whsec_ and base64."));
    keys.push(("secret_env", text(), "Environment variable of the secret."));
    keys.extend(web_keys());
    let mut webhook = table_of(&["kind", "url"], keys);
    enter(&mut webhook);
    webhook["oneOf"] = json!([{ "required": ["secret_file"] }, { "required": ["secret_env"] }]);
    webhook
}

fn email() -> Value {
    let mut keys = recipient();
    keys.extend([
        ("host", text(), "The mail server."),
        ("port", port(), "Its port; else 587, with security \"tls\" 465, with \"none\" 25."),
        ("security", words(["starttls", "tls", "none"]), "How the connection is secured."),
        ("ca", text(), "File of the certificates that sign the server's one, PEM."),
        ("username", text(), "A user there."),
        ("password_file", text(), "File of the user's password."),
        ("password_env", text(), "Environment variable of the user's password."),
        ("from", pattern(ADDRESS), "The sender's address."),
        ("to", one_or_more(pattern(ADDRESS), 1), "Addresses."),
        ("every", duration(), "At most one message in this time; what happens meanwhile is told together."),
    ]);
    let mut email = table_of(&["kind", "host", "from", "to"], keys);
    let password = json!({ "oneOf": [{ "required": ["password_file"] }, { "required": ["password_env"] }] });
    email["dependencies"] =
        json!({ "username": password, "password_file": ["username"], "password_env": ["username"] });
    email
}

/// TLS keys of a connection that the node opens.
pub fn client_tls() -> Vec<Key> {
    vec![
        ("tls", boolean(), "DICOM over TLS."),
        ("ca", text(), "File of the certificates that sign the peer's one, PEM."),
        ("certificate", text(), "File of our certificate, for a peer that asks who we are, PEM."),
        ("key", text(), "File of our certificate's private key, PEM."),
        ("server_name", text(), "The name in the peer's certificate, where it is not `host`."),
    ]
}

/// `tls = true` requires `ca`; no TLS key stands without it.
pub fn tls_needs_ca() -> Value {
    json!({
        "if": { "properties": { "tls": { "const": true } }, "required": ["tls"] },
        "then": { "required": ["ca"] },
        "else": { "properties": { "ca": false, "certificate": false, "key": false, "server_name": false } },
    })
}
