//! TLS in the configuration: `[tls]` of `node.toml`, and the TLS keys of a DICOM destination.
//!
//! The files are opened when the configuration is read, so that `sagittal check` finds a certificate that is
//! missing, unreadable or not the key's; the connections open them again. Never keeps a key in memory.

use std::net::SocketAddr;
use std::path::Path;

use super::node::{NodeConfig, path};
use super::reception::address;
use super::secret::Surroundings;
use crate::rules::section::{Entry, Section};
use crate::tls::{self, ClientFiles, Identity, ServerFiles, TlsError};

/// A port for DICOM over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsListener {
    pub listen: SocketAddr,
    pub files: ServerFiles,
}

/// Reads `[tls]` into `config.tls`.
pub(super) fn read(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    let folder = around.folder();
    let listen = section.required("listen", "an IP address and a port, such as \"0.0.0.0:2762\"");
    let listen = listen.and_then(|entry| address(&entry, "0.0.0.0:2762"));
    let certificate = section.required("certificate", "the file of the node's certificate, PEM");
    let key = section.required("key", "the file of the certificate's private key, PEM");
    let client_ca = section.get("client_ca");
    let lists = section.get("revocation_lists");
    let require = section.get("require_client_certificate");
    let identities = identities(certificate, key, folder);
    let required = require.as_ref().and_then(Entry::boolean).unwrap_or(client_ca.is_some());
    if required && client_ca.is_none() {
        let hint = "name the file of the certificates that sign the senders' ones".to_owned();
        section.lacks("client_ca", "require_client_certificate without it", "a file, PEM", Some(hint));
    }
    if lists.is_some() && client_ca.is_none() {
        section.lacks("client_ca", "revocation_lists without it", "a file, PEM", None);
    }
    let authority = client_ca.map(|entry| authority(&entry, folder));
    let lists = lists.map_or(Some(Vec::new()), |entry| revocation_lists(&entry, folder));
    let (Some(listen), Some(identities), Some(revocation_lists)) = (listen, identities, lists) else { return };
    let client_ca = match authority {
        None => None,
        Some(Some(path)) => Some(path),
        Some(None) => return,
    };
    let files = ServerFiles { identities, client_ca, require_client: required, revocation_lists };
    config.tls = Some(TlsListener { listen, files });
}

/// The TLS keys of a DICOM destination; the outer `None` stands for a fault.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub(super) fn of_destination(section: &Section<'_>, host: Option<&str>, folder: &Path) -> Option<Option<ClientFiles>> {
    let wanted = section.get("tls").map_or(Some(false), |entry| entry.boolean());
    let (ca, name) = (section.get("ca"), section.get("server_name"));
    let (certificate, key) = (section.get("certificate"), section.get("key"));
    let wanted = wanted?;
    if !wanted {
        let mut unused = [&ca, &name, &certificate, &key].into_iter().flatten();
        return match unused.next() {
            None => Some(None),
            Some(entry) => entry.refuse_key("a TLS key without tls = true", "tls = true beside it", None),
        };
    }
    let Some(ca) = ca else {
        let hint = "name the file of the certificate that signed the peer's one".to_owned();
        section.lacks("ca", "nothing: tls = true requires the key", "a file, PEM", Some(hint));
        return None;
    };
    let ca = authority(&ca, folder);
    let identity = match (certificate, key) {
        (None, None) => Some(None),
        (certificate, key) => pair(section, certificate, key, folder).map(Some),
    };
    let server_name = match name {
        Some(entry) => server_name(&entry),
        None => host.map(str::to_owned),
    };
    Some(Some(ClientFiles { ca: ca?, identity: identity?, server_name: server_name? }))
}

/// The TLS keys of a destination that is reached by HTTP; none of them: what the system trusts, and no certificate of ours.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub(super) fn of_web(section: &Section<'_>, url: Option<&reqwest::Url>, folder: &Path) -> Option<Option<ClientFiles>> {
    let (ca, certificate, key) = (section.get("ca"), section.get("certificate"), section.get("key"));
    let named = [&ca, &certificate, &key].into_iter().flatten().next();
    let Some(first) = named else { return Some(None) };
    let url = url?;
    if url.scheme() != "https" {
        return first.refuse_key("a TLS key beside a URL without TLS", "a URL that starts with https://", None);
    }
    let Some(ca) = ca else {
        section.lacks("ca", "a certificate without the authority that signs the peer's one", "a file, PEM", None);
        return None;
    };
    let ca = authority(&ca, folder);
    let identity = match (certificate, key) {
        (None, None) => Some(None),
        (certificate, key) => pair(section, certificate, key, folder).map(Some),
    };
    let server_name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    Some(Some(ClientFiles { ca: ca?, identity: identity?, server_name }))
}

fn pair(
    section: &Section<'_>,
    certificate: Option<Entry<'_>>,
    key: Option<Entry<'_>>,
    folder: &Path,
) -> Option<Identity> {
    for (name, other) in [("certificate", &certificate), ("key", &key)] {
        if other.is_none() {
            section.lacks(name, "one of certificate and key", "both of them", None);
        }
    }
    identity(certificate, key, folder)
}

/// Certificates and their keys, one file each or lists of as many.
fn identities(certificates: Option<Entry<'_>>, keys: Option<Entry<'_>>, folder: &Path) -> Option<Vec<Identity>> {
    let (certificates, keys) = (certificates?, keys?);
    let (ours, theirs) = (certificates.items(), keys.items());
    if ours.is_empty() {
        return certificates.refuse("at least one certificate", None);
    }
    if ours.len() != theirs.len() {
        let hint = format!("certificate names {} files, key {}", ours.len(), theirs.len());
        return keys.refuse("a key for each certificate, in the same order", Some(hint));
    }
    let read: Vec<Option<Identity>> =
        ours.into_iter().zip(theirs).map(|(certificate, key)| identity(Some(certificate), Some(key), folder)).collect();
    read.into_iter().collect()
}

/// A certificate and its key, both readable and of each other.
fn identity(certificate: Option<Entry<'_>>, key: Option<Entry<'_>>, folder: &Path) -> Option<Identity> {
    let (certificate, key) = (certificate?, key?);
    let files = (path(&certificate, folder), path(&key, folder));
    let identity = Identity { certificate: files.0?, key: files.1? };
    let read =
        (faultless(&certificate, tls::certificates(&identity.certificate)), faultless(&key, tls::key(&identity.key)));
    read.0.and(read.1)?;
    faultless(&key, identity.check())?;
    Some(identity)
}

/// A file of certificates that sign others.
pub(super) fn authority(entry: &Entry<'_>, folder: &Path) -> Option<std::path::PathBuf> {
    let path = path(entry, folder)?;
    faultless(entry, tls::authorities(&path))?;
    Some(path)
}

/// One file or a list of them, all readable.
fn revocation_lists(entry: &Entry<'_>, folder: &Path) -> Option<Vec<std::path::PathBuf>> {
    let list = |entry: Entry<'_>| {
        let path = path(&entry, folder)?;
        faultless(&entry, tls::revocations(&path))?;
        Some(path)
    };
    let read: Vec<Option<_>> = entry.items().into_iter().map(list).collect();
    read.into_iter().collect()
}

fn server_name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let allowed = "the host name or IP address in the peer's certificate";
    if tls::is_server_name(text) { Some(text.to_owned()) } else { entry.refuse(allowed, None) }
}

fn faultless<T>(entry: &Entry<'_>, read: Result<T, TlsError>) -> Option<T> {
    read.map_err(|error| {
        let allowed = error.allowed();
        entry.refuse::<()>(&format!("{allowed} ({})", error.reason()), None);
    })
    .ok()
}
