//! `[audit]` of `node.toml`: where the audit trail goes, and whether it names patients.

use std::path::PathBuf;

use super::node::{NodeConfig, host_name, path, set};
use super::secret::Surroundings;
use super::tls;
use crate::rules::section::Section;
use crate::tls::ClientFiles;

/// The audit trail of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// A message a line.
    pub file: Option<PathBuf>,
    pub syslog: Option<SyslogServer>,
    /// Messages name patients, as PS3.15 asks.
    pub patients: bool,
}

/// `[audit.syslog]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogServer {
    pub host: String,
    pub port: u16,
    pub transport: Transport,
    pub tls: Option<ClientFiles>,
}

/// How syslog messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

pub(super) fn read(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    let mut settings = AuditSettings { file: None, syslog: None, patients: true };
    settings.file = section.get("file").and_then(|e| path(&e, around.folder()));
    set(&mut settings.patients, section.get("patients").and_then(|e| e.boolean()));
    let server = section.section("syslog");
    settings.syslog = server.as_ref().and_then(|server| syslog(server, around));
    if settings.file.is_none() && server.is_none() {
        section.lacks(
            "file",
            "neither file nor syslog",
            "where the audit trail goes: file, [audit.syslog], or both",
            None,
        );
    }
    config.audit = Some(settings);
}

fn syslog(section: &Section<'_>, around: &Surroundings<'_>) -> Option<SyslogServer> {
    let host = section.required("host", "a host name or IP address").and_then(|e| e.parsed(host_name));
    let port = section.required("port", "a port, such as 6514").and_then(|e| e.whole(1, 65535));
    let entry = section.get("transport");
    let transport = match &entry {
        Some(entry) => entry.choice(&[("tcp", Transport::Tcp), ("udp", Transport::Udp)]),
        None => Some(Transport::Tcp),
    };
    let tls = tls::of_destination(section, host.as_deref(), around.folder());
    section.finish();
    if let (Some(entry), Some(Transport::Udp), Some(Some(_))) = (&entry, transport, &tls) {
        return entry.refuse("\"tcp\" beside tls = true", None);
    }
    Some(SyslogServer { host: host?, port: port? as u16, transport: transport?, tls: tls? })
}
