//! `[notify.<name>]` of `node.toml`: who is told what happened, by a webhook or by e-mail.
//!
//! Rules name these in `notify`. What is said holds no patient's attribute unless `patient_data` says so. Sends nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;

use super::destination::check_name;
use super::node::{NodeConfig, host_name};
use super::quantity::duration;
use super::secret::{self, Secret, Surroundings};
use super::tls;
use super::web::{self, WebPeer};
use crate::rules::Severity;
use crate::rules::section::{Entry, Section};

/// One `[notify.<name>]`.
#[derive(Debug, Clone)]
pub struct Recipient {
    pub name: String,
    pub channel: Channel,
    pub tells: Vec<Tells>,
    /// Is told of every rule, also of those that do not name it.
    pub of_all_rules: bool,
    /// Notices may name patients.
    pub patient_data: bool,
    pub timeout: Duration,
    /// Tries before a notice is given up.
    pub max_attempts: u32,
}

/// How somebody is told.
#[derive(Debug, Clone)]
pub enum Channel {
    /// An HTTP request, signed as Standard Webhooks 1.0 says.
    Webhook {
        at: WebPeer,
        key: SigningKey,
    },
    Email(Mail),
}

/// The bytes that sign a webhook's requests.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

/// `kind = "email"`.
#[derive(Debug, Clone)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Certificates that sign the server's; `None`: the system's authorities.
    pub ca: Option<std::path::PathBuf>,
    pub login: Option<(String, Secret)>,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    /// At most one message in this time: what happens meanwhile is told together.
    pub every: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// The server must offer STARTTLS (RFC 3207).
    StartTls,
    None,
}

/// What somebody can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tells {
    Failed,
    Held,
    GaveUp,
    Delivered,
    Unreachable,
    Reachable,
}

impl Tells {
    pub const NAMES: [(&'static str, Tells); 6] = [
        ("failed", Tells::Failed),
        ("held", Tells::Held),
        ("gave-up", Tells::GaveUp),
        ("delivered", Tells::Delivered),
        ("unreachable", Tells::Unreachable),
        ("reachable", Tells::Reachable),
    ];
    const USUAL: [Tells; 3] = [Tells::Failed, Tells::Held, Tells::GaveUp];
}

/// A mail server that is down over the night is not the end of a notice.
const ATTEMPTS: u64 = 30;
const TIMEOUT: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_mins(1);
/// Standard Webhooks asks for keys of 24 to 64 bytes.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;
const KEY_PREFIX: &str = "whsec_";

impl SigningKey {
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// `whsec_` and base64, as Standard Webhooks writes secrets.
    #[must_use]
    pub fn parse(text: &str) -> Option<SigningKey> {
        let key = STANDARD.decode(text.trim().strip_prefix(KEY_PREFIX)?).ok()?;
        KEY.contains(&key.len()).then_some(SigningKey(key))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Reads the entries of `[notify]` into `config.recipients`.
pub(super) fn read(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    let named = around.notified();
    let entries = section.entries();
    let read = entries.iter().filter_map(|(name, entry)| {
        let recipient = read_one(name, entry, around)?;
        if !recipient.of_all_rules && named.as_ref().is_some_and(|named| !named.contains(*name)) {
            let hint = "name it in a rule's notify, or say rules = \"all\" here".to_owned();
            let found = format!("\"{name}\", which no rule names");
            entry.report(Severity::Warning, &found, "a recipient that a rule names in notify", Some(hint));
        }
        Some((recipient.name.clone(), recipient))
    });
    config.recipients_named = entries.iter().map(|(name, _)| (*name).to_owned()).collect();
    config.recipients = read.collect::<BTreeMap<_, _>>();
}

#[derive(Clone, Copy)]
enum Kind {
    Webhook,
    Email,
}

fn read_one(name: &str, entry: &Entry<'_>, around: &Surroundings<'_>) -> Option<Recipient> {
    let named = check_name(name, entry);
    let section = entry.section()?;
    let kinds = [("webhook", Kind::Webhook), ("email", Kind::Email)];
    let kind = section.required("kind", "\"webhook\", \"email\"")?.choice(&kinds)?;
    let tells = section.get("events").map_or(Some(Tells::USUAL.to_vec()), |entry| tells(&entry));
    let of_all_rules =
        section.get("rules").map_or(Some(false), |entry| entry.choice(&[("naming", false), ("all", true)]));
    let patient_data = section.get("patient_data").map_or(Some(false), |entry| entry.boolean());
    let timeout = section.get("timeout").map_or(Some(TIMEOUT), |entry| duration(&entry, 1.0, 600.0));
    let attempts = section.get("max_attempts").map_or(Some(ATTEMPTS), |entry| entry.whole(1, 1000));
    let channel = match kind {
        Kind::Webhook => webhook(&section, around),
        Kind::Email => email(&section, around).map(Channel::Email),
    };
    section.finish();
    Some(Recipient {
        name: named?,
        channel: channel?,
        tells: tells?,
        of_all_rules: of_all_rules?,
        patient_data: patient_data?,
        timeout: timeout?,
        max_attempts: attempts? as u32,
    })
}

fn tells(entry: &Entry<'_>) -> Option<Vec<Tells>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one kind of event", None);
    }
    items.iter().map(|item| item.choice(&Tells::NAMES)).collect()
}

fn webhook(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Channel> {
    let at = web::read(section, around, "the URL of the receiver, such as \"https://alerts.example/sagittal\"");
    let secret = secret::signing_secret(section, around);
    let source = section.get("secret_file").or_else(|| section.get("secret_env"));
    let Some((secret, source)) = secret?.zip(source) else {
        let hint = "without one, a receiver cannot know who speaks".to_owned();
        section.lacks("secret_file", "no secret to sign with", "secret_file or secret_env", Some(hint));
        return None;
    };
    let key = SigningKey::parse(secret.reveal()).or_else(|| {
        // the secret itself is not repeated
        let hint = "make one: echo whsec_$(openssl rand -base64 32)".to_owned();
        let allowed = "whsec_ and 24 to 64 bytes in base64, as the receiver has it";
        source.report(Severity::Fault, "another secret", allowed, Some(hint));
        None
    });
    Some(Channel::Webhook { at: at?, key: key? })
}

fn email(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Mail> {
    let host = section.required("host", "the mail server").and_then(|entry| entry.parsed(host_name));
    let choices = [("starttls", Security::StartTls), ("tls", Security::Tls), ("none", Security::None)];
    let security = section.get("security").map_or(Some(Security::StartTls), |entry| entry.choice(&choices));
    let usual = match security {
        Some(Security::Tls) => 465,
        Some(Security::None) => 25,
        _ => 587,
    };
    let port = section.get("port").map_or(Some(usual), |entry| entry.whole(1, 65535));
    let ca = section.get("ca").map_or(Some(None), |entry| authority(&entry, security, around).map(Some));
    let login = web::basic(section, around);
    let from = section.required("from", "an address, such as \"sagittal@hospital.example\"");
    let from = from.and_then(|entry| mailbox(&entry));
    let to = section.required("to", "one address or a list of them").and_then(|entry| mailboxes(&entry));
    let every = section.get("every").map_or(Some(EVERY), |entry| duration(&entry, 0.0, 86400.0));
    let (host, security) = (host?, security?);
    let login = login?;
    if login.is_some() {
        refuse_in_clear(section, &host, security)?;
    }
    Some(Mail { host, port: port? as u16, security, ca: ca?, login, from: from?, to: to?, every: every? })
}

/// A password goes to another machine under TLS or not at all.
fn refuse_in_clear(section: &Section<'_>, host: &str, security: Security) -> Option<()> {
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if security != Security::None || here {
        return Some(());
    }
    let allowed = "security = \"starttls\" or \"tls\" beside a password";
    section.get("security").and_then(|entry| entry.refuse(allowed, None))
}

fn authority(entry: &Entry<'_>, security: Option<Security>, around: &Surroundings<'_>) -> Option<std::path::PathBuf> {
    if security == Some(Security::None) {
        return entry.refuse_key("ca beside security = \"none\"", "\"starttls\" or \"tls\" beside it", None);
    }
    tls::authority(entry, around.folder())
}

fn mailbox(entry: &Entry<'_>) -> Option<Mailbox> {
    entry.parsed(|text| {
        text.parse::<Mailbox>().map_err(|_| "an address: name@domain, or \"Name <name@domain>\"".to_owned())
    })
}

fn mailboxes(entry: &Entry<'_>) -> Option<Vec<Mailbox>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one address", None);
    }
    let read: Vec<Option<Mailbox>> = items.iter().map(mailbox).collect();
    read.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_is_base64_behind_its_prefix() {
        let long = STANDARD.encode([7_u8; 24]);
        assert_eq!(SigningKey::parse(&format!("{KEY_PREFIX}{long}\n")), Some(SigningKey(vec![7; 24])));
        for text in [long.as_str(), "whsec_c2hvcnQ=", "whsec_!", "open sesame"] {
            assert_eq!(SigningKey::parse(text), None, "{text}");
        }
    }
}
