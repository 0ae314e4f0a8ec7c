//! `destinations.toml`: where results go, one table each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::node::{NodeConfig, ae_title, host_name, path};
use super::quantity::duration;
use super::secret::{Secret, Surroundings, password};
use super::tls;
use crate::dicom::AeTitle;
use crate::rules::Severity;
use crate::rules::section::{Entry, Section};
use crate::tls::ClientFiles;

/// One `[destination.<name>]`.
#[derive(Debug, Clone)]
pub struct Destination {
    pub name: String,
    pub kind: DestinationKind,
    /// Attempts before delivery is given up; default from node.
    pub max_attempts: Option<u32>,
    pub timeout: Duration,
    /// Cap of the exponential backoff.
    pub backoff_cap: Duration,
    /// Deliveries to this destination at a time.
    pub concurrency: usize,
}

#[derive(Debug, Clone)]
pub enum DestinationKind {
    /// C-STORE SCU. `confirm`: read back by C-FIND before the job counts as confirmed.
    /// `tls`: what the connection is secured with, `None` for plain TCP.
    Dicom { host: String, port: u16, called: AeTitle, calling: AeTitle, confirm: Confirm, tls: Option<ClientFiles> },
    /// Orthanc REST: `POST /instances`. `url` has no slash at its end.
    Orthanc { url: String, username: Option<String>, password: Option<Secret> },
    /// A folder: `<folder>/<study>/<series>/<sop instance>.dcm`, written atomically.
    Folder { path: PathBuf },
}

/// Some archives commit when their nightly copy is done; most within minutes.
const COMMITMENT_WAIT: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    None,
    /// C-FIND at the instance level on the same peer.
    Query,
    /// Storage commitment; `wait`: for the report, then the delivery counts as sent, unconfirmed.
    Commitment {
        wait: Duration,
    },
}

#[derive(Clone, Copy)]
enum Kind {
    Dicom,
    Orthanc,
    Folder,
}

/// Reads all destinations that are free of faults, and the names of all, faulty ones included.
pub(super) fn read(
    root: &Section<'_>,
    node: Option<&NodeConfig>,
    around: &Surroundings<'_>,
) -> (BTreeMap<String, Destination>, Vec<String>) {
    let entries = root.section("destination").map(|all| all.entries()).unwrap_or_default();
    let names = entries.iter().map(|(name, _)| (*name).to_owned()).collect();
    let read = entries.iter().filter_map(|(name, entry)| read_one(name, entry, node, around));
    (read.map(|destination| (destination.name.clone(), destination)).collect(), names)
}

fn read_one(
    name: &str,
    entry: &Entry<'_>,
    node: Option<&NodeConfig>,
    around: &Surroundings<'_>,
) -> Option<Destination> {
    let named = check_name(name, entry);
    let section = entry.section()?;
    let kinds = [("dicom", Kind::Dicom), ("orthanc", Kind::Orthanc), ("folder", Kind::Folder)];
    let kind = section.required("kind", "\"dicom\", \"orthanc\", \"folder\"")?.choice(&kinds)?;
    let seconds = |key, default| section.get(key).map_or(Some(default), |e| duration(&e, 1.0, 86400.0));
    let timeout = seconds("timeout", Duration::from_secs(30));
    let backoff_cap = seconds("backoff_cap", Duration::from_mins(15));
    let concurrency = section.get("concurrency").map_or(Some(1), |e| e.whole(1, 64));
    let max_attempts = match section.get("max_attempts") {
        Some(entry) => entry.whole(1, 1000).map(|n| Some(n as u32)),
        None => Some(None),
    };
    let kind = match kind {
        Kind::Dicom => dicom(&section, node, around),
        Kind::Orthanc => orthanc(&section, around),
        Kind::Folder => folder(&section, around),
    };
    section.finish();
    Some(Destination {
        name: named?,
        kind: kind?,
        max_attempts: max_attempts?,
        timeout: timeout?,
        backoff_cap: backoff_cap?,
        concurrency: concurrency? as usize,
    })
}

/// Names of destinations and pipelines stand in rules, in the ledger and in URLs.
pub(super) fn check_name(name: &str, entry: &Entry<'_>) -> Option<String> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
    let allowed = "1 to 64 letters, digits, -, _ and .";
    if fits { Some(name.to_owned()) } else { entry.refuse_key(&format!("the name \"{name}\""), allowed, None) }
}

fn dicom(section: &Section<'_>, node: Option<&NodeConfig>, around: &Surroundings<'_>) -> Option<DestinationKind> {
    let host_entry = section.required("host", "a host name or IP address");
    let host = host_entry.as_ref().and_then(|e| e.parsed(host_name));
    let port = section.required("port", "a TCP port, such as 104").and_then(|e| e.whole(1, 65535));
    let called = section.required("ae_title", "the AE title of the peer").and_then(|e| ae_title(&e));
    let calling = match section.get("calling") {
        Some(entry) => ae_title(&entry),
        None => node.map(|node| node.reception.ae_title.clone()),
    };
    let confirm = confirm(section);
    let tls = tls::of_destination(section, host.as_deref(), around.folder());
    let (host, port, called) = (host?, port? as u16, called?);
    if let (Some(node), Some(entry)) = (node, host_entry)
        && is_self(node, &host, port)
    {
        let found = format!("\"{host}\", port {port}: where this node itself listens");
        entry.report(Severity::Fault, &found, "another node: results sent here would come back in", None);
        return None;
    }
    Some(DestinationKind::Dicom { host, port, called, calling: calling?, confirm: confirm?, tls: tls? })
}

fn confirm(section: &Section<'_>) -> Option<Confirm> {
    let wait = section.get("commitment_wait");
    let time = wait.as_ref().map_or(Some(COMMITMENT_WAIT), |entry| duration(entry, 1.0, 604_800.0));
    let commitment = Confirm::Commitment { wait: time.unwrap_or(COMMITMENT_WAIT) };
    let choices = [("query", Confirm::Query), ("commitment", commitment), ("none", Confirm::None)];
    let confirm = section.get("confirm").map_or(Some(Confirm::Query), |entry| entry.choice(&choices));
    match (confirm?, wait) {
        (Confirm::Query | Confirm::None, Some(entry)) => {
            entry.refuse_key("commitment_wait without confirm = \"commitment\"", "the two together", None)
        }
        (confirm, _) => time.map(|_| confirm),
    }
}

fn is_self(node: &NodeConfig, host: &str, port: u16) -> bool {
    let here = host == "localhost" || host == "127.0.0.1" || host == "::1" || host == node.listen.ip().to_string();
    here && (port == node.listen.port() || node.tls.as_ref().is_some_and(|tls| port == tls.listen.port()))
}

fn orthanc(section: &Section<'_>, around: &Surroundings<'_>) -> Option<DestinationKind> {
    let url = section.required("url", "the URL of Orthanc, such as \"http://localhost:8042\"").and_then(|e| url(&e));
    let username = match section.get("username") {
        Some(entry) => entry.text().map(|text| Some(text.to_owned())),
        None => Some(None),
    };
    let password = password(section, around);
    let (url, username, password) = (url?, username?, password?);
    match (&username, &password) {
        (Some(_), None) => {
            section.lacks("password_file", "a username without a password", "password_file or password_env", None);
            None
        }
        (None, Some(_)) => {
            section.lacks("username", "a password without a username", "username and password", None);
            None
        }
        _ => Some(DestinationKind::Orthanc { url, username, password }),
    }
}

fn url(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let allowed = "a URL that starts with http:// or https://";
    let Ok(url) = reqwest::Url::parse(text) else { return entry.refuse(allowed, None) };
    if !url.username().is_empty() || url.password().is_some() {
        // The value is not repeated: it holds the password.
        let hint = "use username with password_file or password_env".to_owned();
        entry.report(Severity::Fault, "a URL with a user name or password in it", "a URL alone", Some(hint));
        return None;
    }
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return entry.refuse(allowed, None);
    }
    Some(text.trim().trim_end_matches('/').to_owned())
}

fn folder(section: &Section<'_>, around: &Surroundings<'_>) -> Option<DestinationKind> {
    let path = section.required("path", "a folder").and_then(|e| path(&e, around.folder()))?;
    Some(DestinationKind::Folder { path })
}
