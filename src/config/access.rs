//! Who may send to a called AE title, and what: `[receive]` for the node's own, `[ae.<title>]` for further ones.
//!
//! Several called titles separate senders on one node ("CT-AI" from "MR-AI"); the rules see the called title.
//! A profile only answers questions; the negotiation that asks them is in `scp` (PS3.8 section 7.1.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::node::ae_title;
use super::reception::Reception;
use super::secret::Surroundings;
use super::users::Users;
use crate::dicom::{AeTitle, Uid, tables};
use crate::rules::Priority;
use crate::rules::section::{Entry, Section};

/// What a called AE title takes, and from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AeProfile {
    /// Calling AE titles; empty: any, from `networks`, and without these from loopback only.
    pub allow: Vec<AeTitle>,
    /// Networks a peer must be in; empty: any.
    pub networks: Vec<IpNet>,
    /// With both lists empty, take associations from every calling AE title and address.
    pub allow_any: bool,
    /// Calling AE titles that may verify and store nothing (0124), beside those of `allow`.
    pub verify_only: Vec<AeTitle>,
    /// Storage SOP classes of the standard that are taken; `None`: all of the table.
    pub classes: Option<BTreeSet<Uid>>,
    /// SOP classes outside the standard that are taken as storage.
    pub private_classes: BTreeSet<Uid>,
    /// Transfer syntaxes chosen before the requestor's own order, best first.
    pub prefer: Vec<Uid>,
    /// Priority of jobs whose rule names none.
    pub priority: Priority,
    /// The rules that see the series; `None`: all.
    pub rules: Option<BTreeSet<String>>,
    /// Whom a peer must say it is; empty: nobody, and any identity is accepted.
    pub users: Users,
}

impl Default for AeProfile {
    fn default() -> AeProfile {
        AeProfile {
            allow: Vec::new(),
            networks: Vec::new(),
            allow_any: false,
            verify_only: Vec::new(),
            classes: None,
            private_classes: BTreeSet::new(),
            prefer: Vec::new(),
            priority: Priority::Routine,
            rules: None,
            users: Users::default(),
        }
    }
}

impl AeProfile {
    /// May `calling` at `peer` associate?
    #[must_use]
    pub fn admits(&self, calling: &str, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        if !self.is_limited() {
            return self.allow_any || peer.is_loopback();
        }
        let listed = self.allow.iter().chain(&self.verify_only).any(|title| title.as_str() == calling);
        let titled = self.allow.is_empty() || listed;
        let near = self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&peer));
        titled && near
    }

    /// May `calling`, which was admitted, store?
    #[must_use]
    pub fn may_store(&self, calling: &str) -> bool {
        self.verify_only.iter().all(|title| title.as_str() != calling)
    }

    /// Is `class` a SOP class that is stored here?
    #[must_use]
    pub fn stores(&self, class: &str) -> bool {
        let named = |set: &BTreeSet<Uid>| set.iter().any(|uid| uid.as_str() == class);
        let standard = self.classes.as_ref().map_or_else(|| tables::is_storage_class(class), named);
        standard || named(&self.private_classes)
    }

    fn is_limited(&self) -> bool {
        !self.allow.is_empty() || !self.networks.is_empty()
    }

    /// Reads the keys of a profile; one that is left out keeps its present value.
    fn read(&mut self, section: &Section<'_>, open_to_others: Option<&str>, around: &Surroundings<'_>) {
        let listed = (section.get("allow"), section.get("networks"));
        let any = section.get("allow_any");
        if listed.0.is_some() || listed.1.is_some() || any.is_some() {
            // Access is said in one place: a table that says anything about it inherits nothing of it.
            (self.allow, self.networks, self.allow_any) = (Vec::new(), Vec::new(), false);
        }
        read_list(&mut self.allow, listed.0.as_ref(), "every AE title once", ae_title);
        read_list(&mut self.networks, listed.1.as_ref(), "every network once", network);
        self.allow_any = any.as_ref().and_then(Entry::boolean).unwrap_or(self.allow_any);
        if let Some(entry) = section.get("verify_only") {
            self.verify_only = Vec::new();
            read_list(&mut self.verify_only, Some(&entry), "every AE title once", ae_title);
        }
        if let Some(entry) = section.get("classes") {
            self.classes = classes(&entry);
        }
        if let Some(entry) = section.get("private_classes") {
            self.private_classes = entry.items().iter().filter_map(private_class).collect();
        }
        if let Some(entry) = section.get("prefer") {
            self.prefer = Vec::new();
            read_list(&mut self.prefer, Some(&entry), "every transfer syntax once", transfer_syntax);
        }
        if let Some(priority) = section.get("priority").and_then(|entry| entry.choice(&Priority::NAMES)) {
            self.priority = priority;
        }
        if let Some(entry) = section.get("rules") {
            self.rules = rules(&entry, around);
        }
        if let Some(entry) = section.get("users") {
            self.users = Users::read(&entry, around);
        }
        let named = listed.0.iter().chain(&listed.1).any(|entry| !entry.items().is_empty()) || self.is_limited();
        if named && self.allow_any {
            let found = "allow_any = true beside a list in allow or networks";
            any.and_then(|entry| entry.refuse_key::<()>(found, "one of the two", None));
        } else if let Some(listen) = open_to_others.filter(|_| !named && !self.allow_any) {
            let found = format!("nobody, while listen = \"{listen}\" is open to other machines");
            let hint = "list the AE titles that may send, or say allow_any = true".to_owned();
            section.lacks("allow", &found, "calling AE titles, such as [\"MR1\", \"PACS\"]", Some(hint));
        }
    }
}

/// The own profile out of `[receive]`. `open`: the address that other machines can reach, if one is.
pub(super) fn read_own(
    reception: &mut Reception,
    section: &Section<'_>,
    open: Option<&str>,
    around: &Surroundings<'_>,
) {
    reception.profile.read(section, open, around);
}

/// The tables `[ae.<title>]`; what they leave out is as in `[receive]`.
pub(super) fn read_others(
    own: &Reception,
    all: &Section<'_>,
    open: Option<&str>,
    around: &Surroundings<'_>,
) -> BTreeMap<AeTitle, AeProfile> {
    let mut profiles = BTreeMap::new();
    for (name, entry) in all.entries() {
        let mut profile = own.profile.clone();
        if let Some(section) = entry.section() {
            profile.read(&section, open, around);
            section.finish();
        }
        let found = format!("the AE title \"{name}\"");
        match AeTitle::parse(name) {
            Ok(title) if title == own.ae_title => {
                let hint = "its profile is made of the keys of [receive]".to_owned();
                entry.refuse_key::<()>(&found, "a title other than ae_title in [node]", Some(hint));
            }
            Ok(title) => {
                if profiles.insert(title, profile).is_some() {
                    entry.refuse_key::<()>(&found, "every AE title once", None);
                }
            }
            Err(error) => {
                let allowed = format!("1 to 16 ASCII characters without backslash: {error}");
                entry.refuse_key::<()>(&found, &allowed, None);
            }
        }
    }
    profiles
}

fn read_list<T: PartialEq>(
    into: &mut Vec<T>,
    entry: Option<&Entry<'_>>,
    once: &str,
    read: impl Fn(&Entry<'_>) -> Option<T>,
) {
    for item in entry.into_iter().flat_map(Entry::items) {
        match read(&item) {
            Some(value) if into.contains(&value) => {
                item.refuse::<()>(once, None);
            }
            value => into.extend(value),
        }
    }
}

/// `10.1.0.0/16`, or one address.
fn network(entry: &Entry<'_>) -> Option<IpNet> {
    let allowed = "an IP address or a network, such as \"10.1.2.3\" or \"10.1.0.0/16\"";
    let network = entry.parsed(|text| {
        let alone = text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
        alone.or_else(|_| text.parse::<IpNet>()).map_err(|_| allowed.to_owned())
    })?;
    if network.trunc() == network {
        return Some(network);
    }
    entry.refuse(allowed, Some(format!("the network is {}, the address alone {}", network.trunc(), network.addr())))
}

/// `"all"`, or a list of storage classes by name or UID; the outer `None` stands for all.
fn classes(entry: &Entry<'_>) -> Option<BTreeSet<Uid>> {
    if entry.value().as_str() == Some("all") {
        return None;
    }
    let known = |item: &Entry<'_>| {
        let uid = known_uid(item, tables::STORAGE_CLASSES, "\"all\", or storage SOP classes by name or UID")?;
        Uid::parse(uid).ok()
    };
    Some(entry.items().iter().filter_map(known).collect())
}

/// `"all"`, or a list of names of rules; the outer `None` stands for all.
fn rules(entry: &Entry<'_>, around: &Surroundings<'_>) -> Option<BTreeSet<String>> {
    if entry.value().as_str() == Some("all") {
        return None;
    }
    let known = around.rule_names();
    let names = entry.items().into_iter().filter_map(|item| {
        let name = item.text()?;
        if known.as_ref().is_some_and(|known| !known.contains(name)) {
            let near = crate::rules::did_you_mean(name, known.iter().flatten().map(String::as_str));
            return item.refuse("\"all\", or names of rules in rules.toml", near);
        }
        Some(name.to_owned())
    });
    Some(names.collect())
}

fn transfer_syntax(entry: &Entry<'_>) -> Option<Uid> {
    let uid = known_uid(entry, tables::TRANSFER_SYNTAXES, "transfer syntaxes by name or UID")?;
    Uid::parse(uid).ok()
}

/// The UID of an entry of `table`, given by name or by UID.
fn known_uid(entry: &Entry<'_>, table: &'static [(&str, &str)], allowed: &str) -> Option<&'static str> {
    let text = entry.text()?.trim();
    let hit = table.iter().find(|(uid, name)| *uid == text || name.eq_ignore_ascii_case(text));
    hit.map(|(uid, _)| *uid).or_else(|| {
        let near = crate::rules::did_you_mean(text, table.iter().map(|(_, name)| *name));
        let hint = near.unwrap_or_else(|| "the names are in section 3 of conformance-statement.md".to_owned());
        entry.refuse(allowed, Some(hint))
    })
}

fn private_class(entry: &Entry<'_>) -> Option<Uid> {
    let uid = entry.parsed(|text| Uid::parse(text).map_err(|error| format!("UIDs of SOP classes: {error}")))?;
    if uid.as_str().starts_with("1.2.840.10008.") {
        let hint = "UIDs below 1.2.840.10008 are the standard's: use classes".to_owned();
        return entry.refuse("UIDs of SOP classes outside the standard", Some(hint));
    }
    Some(uid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn titles_and_networks_must_both_fit() {
        let check = |allow: &[&str], networks: &[&str], allow_any: bool, peer: (&str, &str), expected: bool| {
            let profile = AeProfile {
                allow: allow.iter().map(|text| AeTitle::parse(text).unwrap()).collect(),
                networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
                allow_any,
                ..AeProfile::default()
            };
            assert_eq!(profile.admits(peer.0, peer.1.parse().unwrap()), expected, "{allow:?} {networks:?} {peer:?}");
        };
        let lan = ["10.1.0.0/16", "fd00::/8"];
        check(&[], &[], false, ("A", "10.1.0.7"), false);
        check(&[], &[], true, ("A", "10.1.0.7"), true);
        check(&[], &[], false, ("A", "::ffff:127.0.0.1"), true);
        check(&["A"], &[], false, ("A", "10.2.0.7"), true);
        check(&["A"], &lan, false, ("A", "10.2.0.7"), false);
        check(&["A"], &lan, false, ("B", "10.1.0.7"), false);
        check(&["A"], &lan, false, ("A", "::ffff:10.1.0.7"), true);
        check(&[], &lan, false, ("B", "fd00::1"), true);
        check(&[], &lan, false, ("B", "127.0.0.1"), false);
    }

    #[test]
    fn classes_are_those_listed_and_private_ones() {
        let uids = |texts: &[&str]| texts.iter().map(|text| Uid::parse(text).unwrap()).collect::<BTreeSet<_>>();
        let (ct, mr) = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4");
        let all = AeProfile::default();
        assert_eq!([ct, mr, "1.2.3"].map(|class| all.stores(class)), [true, true, false]);
        let some = AeProfile { classes: Some(uids(&[ct])), private_classes: uids(&["1.2.3"]), ..all };
        assert_eq!([ct, mr, "1.2.3"].map(|class| some.stores(class)), [true, false, true]);
    }
}
