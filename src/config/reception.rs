//! How associations are received: `[receive]` and `[ae.<title>]` of `node.toml`, as the listener takes them.
//!
//! One struct serves the configuration and the receiver, so that no limit is written down twice. Who may come
//! in is in [`AeProfile`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::access::AeProfile;
use super::node::set;
use super::quantity::{duration, size};
use crate::dicom::AeTitle;
use crate::rules::section::{Entry, Section};

/// Who may come in, and how much they may send.
#[derive(Debug, Clone)]
pub struct Reception {
    /// The node's own AE title.
    pub ae_title: AeTitle,
    /// Who may send to `ae_title`, and what.
    pub profile: AeProfile,
    /// Further called AE titles.
    pub profiles: BTreeMap<AeTitle, AeProfile>,
    /// Take associations for a called AE title that is none of these, too, by `profile`.
    pub accept_any_called: bool,
    /// Largest PDU taken, bytes, announced to the peer.
    pub max_pdu: u32,
    pub max_associations: usize,
    /// Associations of one address at a time.
    pub max_associations_per_peer: usize,
    /// Largest data set taken, bytes.
    pub max_object: u64,
    /// Time for the next PDU, and for the peer to take an answer.
    pub idle_timeout: Duration,
    /// Time for the TLS handshake, for the A-ASSOCIATE-RQ, and for the peer to close after an abort (PS3.8
    /// section 9.1.4).
    pub artim_timeout: Duration,
}

impl Reception {
    /// What holds for every key that `node.toml` leaves out.
    #[must_use]
    pub fn new(ae_title: AeTitle) -> Reception {
        Reception {
            ae_title,
            profile: AeProfile::default(),
            profiles: BTreeMap::new(),
            accept_any_called: false,
            max_pdu: 131_072,
            max_associations: 64,
            max_associations_per_peer: 64,
            max_object: 4 << 30,
            idle_timeout: Duration::from_mins(1),
            artim_timeout: Duration::from_secs(10),
        }
    }

    /// A receiver for peers on this machine, with patience for large objects: embedded destinations and tests.
    #[must_use]
    pub fn loopback(ae_title: AeTitle) -> Reception {
        Reception { idle_timeout: Duration::from_mins(5), ..Reception::new(ae_title) }
    }

    /// The profile behind a called AE title, `None` for a title that is not ours.
    #[must_use]
    pub fn profile_of(&self, called: &str) -> Option<&AeProfile> {
        let own = called == self.ae_title.as_str();
        let other = || self.profiles.iter().find(|(title, _)| title.as_str() == called).map(|(_, profile)| profile);
        let any = self.accept_any_called.then_some(&self.profile);
        if own { Some(&self.profile) } else { other().or(any) }
    }

    /// Reads the limits out of `[receive]`; a key with a fault keeps its default.
    pub(super) fn read_limits(&mut self, section: &Section<'_>) {
        let seconds = |e: Entry<'_>| duration(&e, 1.0, 3600.0);
        let count = |e: Entry<'_>| Some(e.whole(1, 1000)? as usize);
        set(&mut self.accept_any_called, section.get("accept_any_called").and_then(|e| e.boolean()));
        set(&mut self.max_pdu, section.get("max_pdu").and_then(|e| Some(size(&e, 4096.0, 1_048_576.0)? as u32)));
        set(&mut self.max_associations, section.get("max_associations").and_then(count));
        set(&mut self.max_associations_per_peer, section.get("max_associations_per_peer").and_then(count));
        set(&mut self.max_object, section.get("max_object").and_then(|e| size(&e, 1_048_576.0, 1_099_511_627_776.0)));
        set(&mut self.idle_timeout, section.get("idle_timeout").and_then(seconds));
        set(&mut self.artim_timeout, section.get("artim_timeout").and_then(seconds));
    }
}

/// An address to listen on.
pub(super) fn address(entry: &Entry<'_>, example: &str) -> Option<SocketAddr> {
    entry.parsed(|text| text.parse().map_err(|_| format!("an IP address and a port, such as \"{example}\"")))
}
