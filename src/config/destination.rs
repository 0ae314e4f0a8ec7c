//! `destinations.toml`: where results go, one table each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::node::{NodeConfig, ae_title, host_name, path};
use super::quantity::duration;
use super::secret::Surroundings;
use super::tls;
use super::web::{self, WebPeer};
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
    /// `tls`: what the connection is secured with, `None` for plain TCP. `keep`: how long an association is kept open
    /// for the next delivery.
    Dicom {
        host: String,
        port: u16,
        called: AeTitle,
        calling: AeTitle,
        confirm: Confirm,
        tls: Option<ClientFiles>,
        keep: Duration,
    },
    /// Orthanc REST: `POST /instances`.
    Orthanc(OrthancPeer),
    /// STOW-RS. `query`: read back by QIDO-RS before the job counts as confirmed.
    DicomWeb { at: WebPeer, query: bool },
    /// A folder: `<folder>/<study>/<series>/<sop instance>.dcm`, written atomically.
    Folder { path: PathBuf },
    /// Nothing is sent; the job says what would have been.
    ReportOnly,
}

/// An Orthanc by its REST interface.
#[derive(Debug, Clone)]
pub struct OrthancPeer {
    pub at: WebPeer,
    /// Look for each object by its UID; else Orthanc's answer to the upload confirms.
    pub query: bool,
    /// For the series of the results; Orthanc 1.12 and newer.
    pub labels: Vec<String>,
    /// User metadata of the series of the results: number or name, value.
    pub metadata: Vec<(String, String)>,
}

/// Some archives commit when their nightly copy is done; most within minutes.
const COMMITMENT_WAIT: Duration = Duration::from_hours(1);
/// Longer than the pause between the results of one study; shorter than the patience of any peer.
const KEEP: Duration = Duration::from_secs(5);

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
    DicomWeb,
    Folder,
    ReportOnly,
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
    let kinds = [
        ("dicom", Kind::Dicom),
        ("orthanc", Kind::Orthanc),
        ("dicomweb", Kind::DicomWeb),
        ("folder", Kind::Folder),
        ("report-only", Kind::ReportOnly),
    ];
    let words = "\"dicom\", \"orthanc\", \"dicomweb\", \"folder\", \"report-only\"";
    let kind = section.required("kind", words)?.choice(&kinds)?;
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
        Kind::DicomWeb => dicomweb(&section, around),
        Kind::Folder => folder(&section, around),
        Kind::ReportOnly => Some(DestinationKind::ReportOnly),
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
    let keep = section.get("keep_association").map_or(Some(KEEP), |entry| duration(&entry, 0.0, 300.0));
    let tls = tls::of_destination(section, host.as_deref(), around.folder());
    let (host, port, called) = (host?, port? as u16, called?);
    if let (Some(node), Some(entry)) = (node, host_entry)
        && is_self(node, &host, port)
    {
        let found = format!("\"{host}\", port {port}: where this node itself listens");
        entry.report(Severity::Fault, &found, "another node: results sent here would come back in", None);
        return None;
    }
    let (calling, confirm, tls, keep) = (calling?, confirm?, tls?, keep?);
    Some(DestinationKind::Dicom { host, port, called, calling, confirm, tls, keep })
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
    let at = web::read(section, around, "the URL of Orthanc, such as \"http://localhost:8042\"");
    let choices = [("answer", false), ("query", true)];
    let query = section.get("confirm").map_or(Some(false), |entry| entry.choice(&choices));
    let labels = section.get("labels").map_or(Some(Vec::new()), |entry| labels(&entry));
    let metadata = match section.section("metadata") {
        None => Some(Vec::new()),
        Some(table) => table.entries().iter().map(|(name, entry)| metadatum(name, entry)).collect(),
    };
    let (query, labels, metadata) = (query?, labels?, metadata?);
    Some(DestinationKind::Orthanc(OrthancPeer { at: at?, query, labels, metadata }))
}

/// Orthanc takes letters, digits, - and _ in a label.
fn labels(entry: &Entry<'_>) -> Option<Vec<String>> {
    let allowed = "labels of 1 to 64 letters, digits, - and _";
    let fits = |text: &str| {
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let one = |entry: &Entry<'_>| {
        let text = entry.text()?;
        if fits(text) { Some(text.to_owned()) } else { entry.refuse(allowed, None) }
    };
    entry.items().iter().map(one).collect()
}

/// User metadata have numbers from 1024 on, or the names that Orthanc's `UserMetadata` gives them.
fn metadatum(name: &str, entry: &Entry<'_>) -> Option<(String, String)> {
    let allowed = "a number from 1024 to 65535, or a name of letters, digits and -";
    let is_number = name.parse::<u32>().map(|number| (1024..=65535).contains(&number));
    let fits = is_number.unwrap_or(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    if !fits {
        return entry.refuse_key(&format!("the metadata \"{name}\""), allowed, None);
    }
    Some((name.to_owned(), entry.text()?.to_owned()))
}

fn dicomweb(section: &Section<'_>, around: &Surroundings<'_>) -> Option<DestinationKind> {
    let at = web::read(section, around, "the URL of the service, such as \"https://pacs.example/dicom-web\"");
    let choices = [("query", true), ("none", false)];
    let query = section.get("confirm").map_or(Some(true), |entry| entry.choice(&choices));
    Some(DestinationKind::DicomWeb { at: at?, query: query? })
}

fn folder(section: &Section<'_>, around: &Surroundings<'_>) -> Option<DestinationKind> {
    let path = section.required("path", "a folder").and_then(|e| path(&e, around.folder()))?;
    Some(DestinationKind::Folder { path })
}
