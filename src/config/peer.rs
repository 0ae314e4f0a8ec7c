//! `[peer.<AE title>]` of `node.toml`: other application entities that the node calls by their title, where they
//! listen and how studies are got from them. Destinations have tables of their own.

use std::collections::BTreeMap;
use std::path::Path;

use super::node::{NodeConfig, host_name};
use super::secret::Surroundings;
use super::tls;
use crate::dicom::AeTitle;
use crate::rules::section::{Entry, Section};
use crate::tls::ClientFiles;

/// One `[peer.<AE title>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    pub host: String,
    pub port: u16,
    pub tls: Option<ClientFiles>,
    pub retrieve: Retrieve,
    /// Whether it is asked how many instances a series has that it sends.
    pub expected: Option<Expected>,
}

/// How the number of instances of a series is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// NumberOfSeriesRelatedInstances (0020,1209) by C-FIND.
    Find,
}

/// How `sagittal fetch` gets a study from a peer (PS3.4 annex C).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retrieve {
    /// C-MOVE: the peer sends to our AE title, which it must know.
    #[default]
    Move,
    /// C-GET: over our own association.
    Get,
}

/// Reads the entries of `[peer]` into `config.peers`.
pub(super) fn read(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    let peers = section.entries();
    config.peers =
        peers.iter().filter_map(|(title, entry)| read_one(title, entry, around.folder())).collect::<BTreeMap<_, _>>();
}

fn read_one(title: &str, entry: &Entry<'_>, folder: &Path) -> Option<(AeTitle, KnownPeer)> {
    let named = match AeTitle::parse(title) {
        Ok(title) => Some(title),
        Err(error) => entry.refuse_key(&format!("the AE title {title:?}"), &error.to_string(), None),
    };
    let section = entry.section()?;
    let host = section.required("host", "a host name or IP address").and_then(|e| e.parsed(host_name));
    let port = section.required("port", "a TCP port, such as 104").and_then(|e| e.whole(1, 65535));
    let tls = tls::of_destination(&section, host.as_deref(), folder);
    let retrieve = match section.get("retrieve") {
        Some(entry) => entry.choice(&[("move", Retrieve::Move), ("get", Retrieve::Get)]),
        None => Some(Retrieve::default()),
    };
    let expected = match section.get("expected") {
        Some(entry) => entry.choice(&[("c-find", Some(Expected::Find)), ("none", None)]),
        None => Some(None),
    };
    section.finish();
    let (host, port, tls, retrieve, expected) = (host?, port? as u16, tls?, retrieve?, expected?);
    Some((named?, KnownPeer { host, port, tls, retrieve, expected }))
}
