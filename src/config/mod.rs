//! The configuration folder: text -> raw -> checked. All faults are reported at once.
//!
//! `node.toml`, `destinations.toml`, `pipelines.toml`, `rules.toml`. The checked form is what the rest of
//! the crate sees; serde types stay in here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::dicom::AeTitle;
use crate::rules::RuleSet;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub node: NodeConfig,
    pub destinations: BTreeMap<String, Destination>,
    pub pipelines: BTreeMap<String, Pipeline>,
    pub rules: RuleSet,
}

/// `node.toml`. Relative paths are resolved against the configuration folder.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    pub ae_title: AeTitle,
    pub listen: SocketAddr,
    /// Calling AE titles that may associate; empty: everyone on loopback only unless `allow_any = true`.
    pub allowed_calling: Vec<AeTitle>,
    /// Accept a called AE title other than ours.
    pub accept_any_called: bool,
    pub max_pdu: u32,
    pub max_associations: usize,
    /// Largest data set accepted, bytes.
    pub max_object: u64,
    /// Time for the next PDU on an open association.
    pub idle_timeout: Duration,
    /// ARTIM: time for the A-ASSOCIATE-RQ (PS3.8 section 9.1.4).
    pub artim_timeout: Duration,
    /// A series is finished when it was quiet this long.
    pub quiet: Duration,
    /// ... or this long after the association that fed it was released.
    pub quiet_after_release: Duration,
    /// What a late instance does: run the pipelines again on the next revision, or be kept only.
    pub late: LatePolicy,
    /// Ledger, spool, quarantine.
    pub data: PathBuf,
    pub models: PathBuf,
    /// `libonnxruntime.so*`, when it is not where it is looked for.
    pub onnxruntime: Option<PathBuf>,
    /// Threads a model may use.
    pub threads: usize,
    /// Lease of a claimed job.
    pub lease: Duration,
    /// Attempts before a job is given up.
    pub max_attempts: u32,
    /// First series number of results: base + index of the pipeline.
    pub series_number_base: u32,
    /// How long a loaded session is kept without use.
    pub session_ttl: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatePolicy {
    Rerun,
    Ignore,
}

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
    Dicom { host: String, port: u16, called: AeTitle, calling: AeTitle, confirm: Confirm },
    /// Orthanc REST: `POST /instances`.
    Orthanc { url: String, username: Option<String>, password: Option<Secret> },
    /// A folder: `<folder>/<study>/<series>/<sop instance>.dcm`, written atomically.
    Folder { path: PathBuf },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    None,
    /// C-FIND at the instance level on the same peer.
    Query,
}

/// A text that never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One `[pipeline.<name>]`.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    /// Position in the file, from 0: series number of results is base + index.
    pub index: u32,
    /// Model ids run on the series, each giving its findings.
    pub models: Vec<String>,
    /// Geometry verdicts accepted, by `GeometryVerdict::name`; default `regular`.
    pub accept: Vec<String>,
    /// SeriesDescription of the results, at most 64 characters.
    pub description: String,
}
