//! `node.toml`: who the node is, whom it listens to, when a series is finished, how work is done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::{self, AeProfile};
use super::audit::{self, AuditSettings};
use super::http::{self, HttpListener};
use super::log::{self, LogSettings};
use super::notify::{self, Recipient};
use super::peer::{self, KnownPeer};
use super::quantity::{duration, size};
use super::reception::{Reception, address};
use super::secret::Surroundings;
use super::tls::{self, TlsListener};
use crate::dicom::AeTitle;
use crate::rules::Severity;
use crate::rules::section::{Entry, Section};

/// `node.toml`. Relative paths are resolved against the configuration folder.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// AE titles, who may send to them, and how much.
    pub reception: Reception,
    pub listen: SocketAddr,
    /// A second port, for DICOM over TLS.
    pub tls: Option<TlsListener>,
    /// DICOMweb; `None`: not served.
    pub http: Option<HttpListener>,
    pub log: LogSettings,
    /// `None`: no audit trail.
    pub audit: Option<AuditSettings>,
    /// What an acknowledged instance survives.
    pub durability: Durability,
    /// What becomes of other bytes under a SOP Instance UID that is held already.
    pub duplicates: Duplicates,
    /// Disk written ahead of use, bytes, so that a flush while receiving is short.
    pub reserve: u64,
    /// A series is finished when it was quiet this long.
    pub quiet: Duration,
    /// ... or this long after the association that fed it was released.
    pub quiet_after_release: Duration,
    /// What a late instance does: run the pipelines again on the next revision, or be kept only.
    pub late: LatePolicy,
    /// Ledger, spool, quarantine.
    pub data: PathBuf,
    /// Bytes that stay free on the disk of `data`: below, instances are refused with A700.
    pub keep_free: u64,
    /// Bytes of instances and results that are held at most; the oldest finished series make room.
    pub quota: Option<u64>,
    /// How long what was committed to (storage commitment) is kept, even against the quota.
    pub committed_for: Duration,
    pub keep: Keep,
    pub models: PathBuf,
    /// `libonnxruntime.so*`, when it is not where it is looked for.
    pub onnxruntime: Option<PathBuf>,
    /// Threads a model may use.
    pub threads: usize,
    /// Lease of a claimed job.
    pub lease: Duration,
    /// Attempts before a job is given up.
    pub max_attempts: u32,
    /// Hours in which infer jobs of priority off-peak run, seconds of the local day: from, to; `None`: any.
    pub off_peak: Option<(u32, u32)>,
    /// First series number of results: base + index of the pipeline.
    pub series_number_base: u32,
    /// What reports are printed on.
    pub paper: Paper,
    /// Folders with the fonts of reports.
    pub fonts: Vec<PathBuf>,
    /// How long a loaded session is kept without use.
    pub session_ttl: Duration,
    /// Peers that are called by their AE title and are no destinations.
    pub peers: BTreeMap<AeTitle, KnownPeer>,
    /// Those who are told what happened.
    pub recipients: BTreeMap<String, Recipient>,
    /// The names of all tables of `[notify]`, faulty ones included.
    pub(super) recipients_named: BTreeSet<String>,
}

/// How long what is over is kept; `None`: until the quota wants the room, and history for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Instances, after the work on their series was over.
    pub inputs: Option<Duration>,
    /// Results, after the last destination took them.
    pub results: Option<Duration>,
    /// Jobs, and what was decided about series.
    pub history: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatePolicy {
    Rerun,
    Ignore,
}

/// What is done with an instance whose SOP Instance UID is held already, with other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// The newest counts.
    Replace,
    /// The first counts; the sender is told that all is well, and the other bytes go to the quarantine.
    KeepFirst,
    /// The first counts; the sender is answered 0111, and the other bytes go to the quarantine.
    Refuse,
}

/// What reports are printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    A4,
    Letter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    PowerLoss,
    ProcessCrash,
}

/// Takes one table of the file into the configuration; relative paths start at the configuration folder.
type ReadTable = fn(&mut NodeConfig, &Section<'_>, &Surroundings<'_>);

/// The AE title of a node that is given no other.
const OWN_TITLE: &str = "SAGITTAL";

impl NodeConfig {
    /// What holds for every key that `node.toml` leaves out; `data` and `models` lie beside `folder`.
    #[must_use]
    pub fn new(ae_title: AeTitle, folder: &Path) -> NodeConfig {
        NodeConfig {
            reception: Reception::new(ae_title),
            listen: SocketAddr::from(([127, 0, 0, 1], 11112)),
            tls: None,
            http: None,
            log: LogSettings::default(),
            audit: None,
            durability: Durability::PowerLoss,
            duplicates: Duplicates::Replace,
            reserve: 256 << 20,
            quiet: Duration::from_secs(30),
            quiet_after_release: Duration::from_secs(5),
            late: LatePolicy::Rerun,
            data: folder.join("../data"),
            keep_free: 1 << 30,
            quota: None,
            committed_for: Duration::from_hours(7 * 24),
            keep: Keep::default(),
            models: folder.join("../models"),
            onnxruntime: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            lease: Duration::from_mins(1),
            max_attempts: 10,
            off_peak: None,
            series_number_base: 9000,
            paper: Paper::A4,
            fonts: ["/usr/share/fonts", "/usr/local/share/fonts"].map(PathBuf::from).into(),
            session_ttl: Duration::from_mins(10),
            peers: BTreeMap::new(),
            recipients: BTreeMap::new(),
            recipients_named: BTreeSet::new(),
        }
    }

    /// The profile behind a called AE title; the own one for a title that is none of ours.
    #[must_use]
    pub fn profile_of(&self, called: &str) -> &AeProfile {
        self.reception.profile_of(called).unwrap_or(&self.reception.profile)
    }

    /// Reads `node.toml`; a key with a fault keeps its default, so that the rest is checked too.
    pub(super) fn read(root: &Section<'_>, around: &Surroundings<'_>) -> Option<NodeConfig> {
        let stand_in = AeTitle::parse(OWN_TITLE).ok()?;
        let mut config = NodeConfig::new(stand_in, around.folder());
        let tables: [(&'static str, ReadTable); 14] = [
            ("node", read_node),
            ("tls", tls::read),
            ("receive", read_receive),
            ("http", http::read),
            ("log", log::read),
            ("audit", audit::read),
            ("ae", read_ae),
            ("storage", read_storage),
            ("completion", read_completion),
            ("jobs", read_jobs),
            ("inference", read_inference),
            ("results", read_results),
            ("peer", peer::read),
            ("notify", notify::read),
        ];
        for (name, read) in tables {
            if let Some(section) = root.section(name) {
                read(&mut config, &section, around);
                // The keys of these are titles and names, read one by one.
                if !matches!(name, "ae" | "peer" | "notify") {
                    section.finish();
                }
            }
        }
        Some(config)
    }
}

pub(super) fn host_name(text: &str) -> Result<String, String> {
    let fits = !text.contains(|c: char| c.is_whitespace() || c == '/') && text.matches(':').count() != 1;
    if fits { Ok(text.to_owned()) } else { Err("a host name or IP address alone; the port has its own key".to_owned()) }
}

fn read_node(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    set(&mut config.reception.ae_title, section.get("ae_title").and_then(|e| ae_title(&e)));
    set(&mut config.data, section.get("data").and_then(|e| path(&e, around.folder())));
    set(&mut config.models, section.get("models").and_then(|e| path(&e, around.folder())));
}

fn read_receive(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    set(&mut config.listen, section.get("listen").and_then(|e| address(&e, "127.0.0.1:11112")));
    config.reception.read_limits(section);
    let levels = [("power-loss", Durability::PowerLoss), ("process-crash", Durability::ProcessCrash)];
    set(&mut config.durability, section.get("durability").and_then(|e| e.choice(&levels)));
    let policies =
        [("replace", Duplicates::Replace), ("keep-first", Duplicates::KeepFirst), ("refuse", Duplicates::Refuse)];
    set(&mut config.duplicates, section.get("duplicates").and_then(|e| e.choice(&policies)));
    set(&mut config.reserve, section.get("reserve").and_then(|e| size(&e, 0.0, 17_179_869_184.0)));
    let open = open_to_others(config);
    access::read_own(&mut config.reception, section, open.as_deref(), around);
}

/// The address that other machines can reach, if the node listens on one.
fn open_to_others(config: &NodeConfig) -> Option<String> {
    let mut addresses = [Some(config.listen), config.tls.as_ref().map(|tls| tls.listen)].into_iter().flatten();
    addresses.find(|address| !address.ip().is_loopback()).map(|address| address.to_string())
}

fn read_ae(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    let open = open_to_others(config);
    config.reception.profiles = access::read_others(&config.reception, section, open.as_deref(), around);
}

fn read_storage(config: &mut NodeConfig, section: &Section<'_>, _: &Surroundings<'_>) {
    set(&mut config.keep_free, section.get("keep_free").and_then(|e| size(&e, 0.0, 1_125_899_906_842_624.0)));
    let longest = 10.0 * 366.0 * 86400.0;
    set(&mut config.committed_for, section.get("committed_for").and_then(|e| duration(&e, 0.0, longest)));
    let kept = |key: &'static str| section.get(key).and_then(|e| duration(&e, 60.0, longest));
    config.keep = Keep { inputs: kept("inputs_for"), results: kept("results_for"), history: kept("history_for") };
    config.quota = section.get("quota").and_then(|e| size(&e, 1_048_576.0, 1_125_899_906_842_624.0));
}

fn read_completion(config: &mut NodeConfig, section: &Section<'_>, _: &Surroundings<'_>) {
    let policies = [("rerun", LatePolicy::Rerun), ("ignore", LatePolicy::Ignore)];
    let after_release = section.get("quiet_after_release");
    set(&mut config.quiet, section.get("quiet").and_then(|e| duration(&e, 0.1, 86400.0)));
    set(&mut config.quiet_after_release, after_release.as_ref().and_then(|e| duration(e, 0.0, 86400.0)));
    set(&mut config.late, section.get("late").and_then(|e| e.choice(&policies)));
    if let Some(entry) = after_release.filter(|_| config.quiet_after_release > config.quiet) {
        let found = format!("{:?}, longer than quiet ({:?})", config.quiet_after_release, config.quiet);
        entry.report(Severity::Warning, &found, "at most quiet: a longer time has no effect", None);
    }
}

fn read_jobs(config: &mut NodeConfig, section: &Section<'_>, _: &Surroundings<'_>) {
    set(&mut config.lease, section.get("lease").and_then(|e| duration(&e, 5.0, 3600.0)));
    set(&mut config.max_attempts, section.get("max_attempts").and_then(|e| Some(e.whole(1, 1000)? as u32)));
    config.off_peak = section.get("off_peak").and_then(|e| e.parsed(hours));
}

/// `20:00-06:00` as seconds of the day.
fn hours(text: &str) -> Result<(u32, u32), String> {
    let time = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 3600 + minute * 60)
    };
    let both = text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
    both.filter(|(from, to)| from != to).ok_or_else(|| "two times of the day, such as \"20:00-06:00\"".to_owned())
}

fn read_inference(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    set(&mut config.threads, section.get("threads").and_then(|e| Some(e.whole(1, 1024)? as usize)));
    set(&mut config.session_ttl, section.get("session_ttl").and_then(|e| duration(&e, 0.0, 86400.0)));
    config.onnxruntime = section.get("onnxruntime").and_then(|e| path(&e, around.folder()));
}

fn read_results(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    // SeriesNumber is an IS: at most 2^31 - 1, and the position of the pipeline is added to the base.
    let base = section.get("series_number_base").and_then(|e| Some(e.whole(1, 2_000_000_000)? as u32));
    set(&mut config.series_number_base, base);
    let papers = [("a4", Paper::A4), ("letter", Paper::Letter)];
    set(&mut config.paper, section.get("paper").and_then(|e| e.choice(&papers)));
    set(&mut config.fonts, section.get("fonts").and_then(|e| folders(&e, around.folder())));
}

pub(super) fn set<T>(slot: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *slot = value;
    }
}

pub(super) fn ae_title(entry: &Entry<'_>) -> Option<AeTitle> {
    entry.parsed(|text| AeTitle::parse(text).map_err(|e| format!("1 to 16 ASCII characters without backslash: {e}")))
}

/// One folder or several.
fn folders(entry: &Entry<'_>, folder: &Path) -> Option<Vec<PathBuf>> {
    entry.items().iter().map(|item| path(item, folder)).collect()
}

/// A path; a relative one starts at the configuration folder.
pub(super) fn path(entry: &Entry<'_>, folder: &Path) -> Option<PathBuf> {
    entry.text().map(|text| folder.join(text))
}
