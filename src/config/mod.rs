//! The configuration folder: text -> raw -> checked. All faults are reported at once.
//!
//! `node.toml`, `destinations.toml`, `pipelines.toml`, `rules.toml`, each read through
//! [`crate::rules::section`], so that every fault has its file, line, key path, what was found, what is
//! allowed and a hint. The checked form is what the rest of the crate sees. Reading these files, and those
//! and the environment variables that hold secrets, is the only I/O.

mod access;
mod audit;
mod destination;
mod files;
#[cfg(test)]
mod golden_tests;
mod http;
mod log;
mod node;
mod notify;
mod peer;
mod pipeline;
mod reception;
mod results;
mod retrieve;
pub mod schema;
mod secret;
#[cfg(test)]
mod tests;
mod tls;
mod users;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use access::AeProfile;
pub use audit::{AuditSettings, SyslogServer, Transport};
pub use destination::{Confirm, Destination, DestinationKind, OrthancPeer};
pub use files::{ConfigFiles, replace_rules, rules_owner};
pub use http::HttpListener;
pub use log::LogSettings;
pub use node::{Duplicates, Durability, Keep, LatePolicy, NodeConfig, Paper};
pub use notify::{Channel, Mail, Recipient, Security, SigningKey, Tells};
pub use peer::{Expected, KnownPeer, Retrieve};
pub use pipeline::Pipeline;
pub use reception::Reception;
pub use results::ResultKind;
pub use retrieve::Fetch;
pub use secret::Secret;
pub use tls::TlsListener;
pub use users::Users;
pub use web::{Login, WebPeer};

use crate::dicom::AeTitle;
use crate::rules::quantity;
use crate::rules::section::Section;
use crate::rules::{CaseResult, Names, RuleSet, SeriesFacts, check_cases};
pub use crate::rules::{Fault, Severity, section};
use secret::Surroundings;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub node: NodeConfig,
    pub destinations: BTreeMap<String, Destination>,
    pub pipelines: BTreeMap<String, Pipeline>,
    pub rules: RuleSet,
    /// What all this was read from.
    pub files: Arc<ConfigFiles>,
}

/// Everything that is wrong with a configuration folder, warnings included, file by file.
#[derive(Debug, Clone, thiserror::Error)]
pub struct ConfigFaults(pub Vec<Fault>);

/// One block a fault.
impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|fault| writeln!(f, "{fault}\n"))?;
        match self.0.iter().filter(|fault| !fault.is_warning()).count() {
            1 => f.write_str("1 fault: the configuration cannot be used"),
            n => write!(f, "{n} faults: the configuration cannot be used"),
        }
    }
}

impl Config {
    /// Reads and checks the four files of `folder`; warnings go to the log.
    ///
    /// # Errors
    /// All faults of all files.
    pub fn load(folder: &Path) -> Result<Config, ConfigFaults> {
        let (config, warnings) = Config::check(folder)?;
        log_warnings(&warnings);
        Ok(config)
    }

    /// Reads and checks the four files of `folder`; also gives the warnings.
    ///
    /// # Errors
    /// All faults of all files, and the warnings.
    pub fn check(folder: &Path) -> Result<(Config, Vec<Fault>), ConfigFaults> {
        ConfigFiles::read(folder).check()
    }
}

impl Config {
    /// A node without destinations, pipelines and rules.
    #[must_use]
    pub fn without_work(node: NodeConfig, files: ConfigFiles) -> Config {
        let (destinations, pipelines, rules) = (BTreeMap::new(), BTreeMap::new(), RuleSet::default());
        Config { node, destinations, pipelines, rules, files: Arc::new(files) }
    }

    /// `rules.toml` as faults name it.
    #[must_use]
    pub fn rules_file(&self) -> String {
        self.files.text("rules.toml").0
    }

    /// Runs the cases of `rules.test.toml`, where there is one; a case that fails is a fault.
    #[must_use]
    pub fn check_cases(&self) -> (Vec<CaseResult>, Vec<Fault>) {
        let seen = |facts: &SeriesFacts| self.node.profile_of(&facts.called_ae).rules.as_ref();
        match self.files.cases() {
            (_, None) => (Vec::new(), Vec::new()),
            (file, Some(Err(error))) => (Vec::new(), vec![Fault::of_file(&file, error, "a readable text file")]),
            (file, Some(Ok(text))) => check_cases(&file, &text, &self.rules, &seen),
        }
    }

    /// The pipeline that a rule of this name runs.
    #[must_use]
    pub fn pipeline_of(&self, rule: &str) -> Option<&str> {
        let rule = self.rules.rules().iter().find(|known| known.name == rule)?;
        rule.pipeline()
    }

    /// Where the peer with this AE title listens: a `[peer.<AE title>]`, or else a DICOM destination of that title.
    #[must_use]
    pub fn peer(&self, title: &str) -> Option<KnownPeer> {
        let listed = self.node.peers.iter().find(|(peer, _)| peer.as_str() == title);
        let destination = || {
            self.destinations.values().find_map(|destination| match &destination.kind {
                DestinationKind::Dicom { host, port, called, tls, .. } if called.as_str() == title => {
                    let (host, tls) = (host.clone(), tls.clone());
                    Some(KnownPeer { host, port: *port, tls, retrieve: Retrieve::default(), expected: None })
                }
                _ => None,
            })
        };
        listed.map(|(_, address)| address.clone()).or_else(destination)
    }
}

/// Says in the log what `sagittal check` prints.
pub fn log_warnings(warnings: &[Fault]) {
    for warning in warnings {
        tracing::warn!(file = warning.file, line = warning.line, key = warning.key, "{}", warning.found);
    }
}

fn read(around: &Surroundings<'_>) -> Result<(Config, Vec<Fault>), ConfigFaults> {
    let mut faults = Vec::new();
    let node = read_file(around, "node.toml", &mut faults, |root| NodeConfig::read(root, around)).flatten();
    let destinations =
        read_file(around, "destinations.toml", &mut faults, |root| destination::read(root, node.as_ref(), around));
    let (destinations, destination_names) = destinations.unzip();
    let models = node.as_ref().map(|node| node.models.as_path());
    let peers = node.as_ref().zip(destinations.as_ref()).map(|(node, destinations)| known_peers(node, destinations));
    let read = |root: &Section<'_>| pipeline::read(root, models, peers.as_ref());
    let pipelines = read_file(around, "pipelines.toml", &mut faults, read);
    let (pipelines, pipeline_names) = pipelines.unzip();
    let set = |names: Option<Vec<String>>| names.map(|names| names.into_iter().collect::<BTreeSet<String>>());
    let (destination_names, pipeline_names) = (set(destination_names), set(pipeline_names));
    let recipients = node.as_ref().map(|node| node.recipients_named.clone());
    let names = Names {
        pipelines: pipeline_names.as_ref(),
        destinations: destination_names.as_ref(),
        notices: recipients.as_ref(),
    };
    let rules = text_of(around, "rules.toml", &mut faults).map(|(file, text)| {
        let (rules, found) = RuleSet::parse_with(&file, text, &names);
        faults.extend(found);
        rules
    });

    match (node, destinations, pipelines, rules) {
        (Some(node), Some(destinations), Some(pipelines), Some(rules)) if faults.iter().all(Fault::is_warning) => {
            let files = Arc::new(around.files.clone());
            Ok((Config { node, destinations, pipelines, rules, files }, faults))
        }
        _ => Err(ConfigFaults(faults)),
    }
}

/// AE titles whose address is known; see [`Config::peer`].
fn known_peers<'a>(node: &'a NodeConfig, destinations: &'a BTreeMap<String, Destination>) -> BTreeSet<&'a str> {
    let called = destinations.values().filter_map(|destination| match &destination.kind {
        DestinationKind::Dicom { called, .. } => Some(called.as_str()),
        _ => None,
    });
    node.peers.keys().map(AeTitle::as_str).chain(called).collect()
}

/// `None` when the file cannot be read at all.
fn read_file<R>(
    around: &Surroundings<'_>,
    name: &str,
    faults: &mut Vec<Fault>,
    walk: impl FnOnce(&Section<'_>) -> R,
) -> Option<R> {
    let (file, text) = text_of(around, name, faults)?;
    let (result, found) = section::read(&file, text, walk);
    faults.extend(found);
    Some(result)
}

/// The path as reported and the text of a file of the folder.
fn text_of<'s>(around: &Surroundings<'s>, name: &str, faults: &mut Vec<Fault>) -> Option<(String, &'s str)> {
    let (file, text) = around.files.text(name);
    match text {
        Ok(text) => Some((file, text)),
        Err(error) => {
            let hint = "the configuration folder holds node.toml, destinations.toml, pipelines.toml and rules.toml; \
                        --config names another folder";
            let fault = Fault::of_file(&file, error, "a readable text file");
            faults.push(Fault { hint: Some(hint.to_owned()), ..fault });
            None
        }
    }
}
