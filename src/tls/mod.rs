//! DICOM over TLS: certificates from files, settings for both ends (PS3.15 annex B.12, BCP 195).
//!
//! TLS 1.2 and 1.3 with AEAD suites and ephemeral keys only, which is what rustls with ring offers. Files that
//! change are read again at the next connection, so that a renewed certificate needs no restart. Never opens a
//! connection, and never logs what a key file holds.

mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};

pub use server::{ServerFiles, ServerTls};

/// Why a file of TLS material is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: no certificate can be read: {reason}; give a PEM file", path.display())]
    Certificate { path: PathBuf, reason: String },
    #[error("{}: no private key can be read: {reason}; give a PEM file that is not encrypted", path.display())]
    Key { path: PathBuf, reason: String },
    #[error("{} is not the key of {}: {reason}", key.display(), certificate.display())]
    Pair { certificate: PathBuf, key: PathBuf, reason: String },
    #[error("{}: no certificate authority: {reason}", path.display())]
    Authority { path: PathBuf, reason: String },
    #[error("{}: no revocation list can be read: {reason}; give a PEM file", path.display())]
    Revocations { path: PathBuf, reason: String },
    #[error("TLS cannot be used: {0}")]
    Provider(String),
    #[error("\"{0}\" is no host name; set server_name to the name in the peer's certificate")]
    ServerName(String),
}

impl TlsError {
    /// What should have been there, for a fault of the configuration.
    #[must_use]
    pub fn allowed(&self) -> &'static str {
        match self {
            TlsError::Certificate { .. } => "a file of certificates, PEM",
            TlsError::Key { .. } => "a file with a private key, PEM, not encrypted",
            TlsError::Pair { .. } => "the private key of the certificate",
            TlsError::Authority { .. } => "a file of certificates of authorities, PEM",
            TlsError::Revocations { .. } => "a file of certificate revocation lists, PEM",
            TlsError::Provider(_) => "settings of TLS that can be used",
            TlsError::ServerName(_) => "a host name or IP address",
        }
    }

    /// What is wrong, without the file's name.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            TlsError::Certificate { reason, .. }
            | TlsError::Key { reason, .. }
            | TlsError::Pair { reason, .. }
            | TlsError::Authority { reason, .. }
            | TlsError::Revocations { reason, .. } => reason,
            TlsError::Provider(text) | TlsError::ServerName(text) => text,
        }
    }
}

/// A certificate with those that signed it, and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// Do certificate and key belong together?
    pub fn check(&self) -> Result<(), TlsError> {
        self.certified().map(drop)
    }

    /// Both, read from their files.
    fn certified(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let (chain, key) = self.read()?;
        let made = CertifiedKey::from_der(chain, key, &provider());
        made.map(Arc::new).map_err(|error| self.mismatch(&error))
    }

    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        Ok((certificates(&self.certificate)?, key(&self.key)?))
    }

    fn mismatch(&self, error: &rustls::Error) -> TlsError {
        let Identity { certificate, key } = self.clone();
        TlsError::Pair { certificate, key, reason: error.to_string() }
    }
}

/// The requesting side of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Certificates that sign the peer's.
    pub ca: PathBuf,
    /// What we show to a peer that asks who we are.
    pub identity: Option<Identity>,
    /// The name in the peer's certificate: a host name or an IP address.
    pub server_name: String,
}

impl ClientFiles {
    /// Reads the files, anew for every connection. Blocking.
    pub fn load(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if !is_server_name(&self.server_name) {
            return Err(TlsError::ServerName(self.server_name.clone()));
        }
        let roots = authorities(&self.ca)?;
        let fault = |error: &rustls::Error| TlsError::Authority { path: self.ca.clone(), reason: error.to_string() };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(&error))?
            .with_root_certificates(roots);
        Ok(Arc::new(match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| identity.mismatch(&error))?
            }
        }))
    }
}

/// The certificates of a PEM file, at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |reason| TlsError::Certificate { path: path.to_owned(), reason };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(fault("the file holds none".to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(fault(said(&error))),
    }
}

/// The private key of a PEM file.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let read = PrivateKeyDer::from_pem_file(path);
    read.map_err(|error| TlsError::Key { path: path.to_owned(), reason: said(&error) })
}

/// The certificates of a PEM file as those that may sign others.
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let fault = |reason| TlsError::Authority { path: path.to_owned(), reason };
    let mut store = RootCertStore::empty();
    for certificate in certificates(path).map_err(|error| fault(error.reason().to_owned()))? {
        store.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    Ok(store)
}

/// The revocation lists of a PEM file (RFC 5280 section 5), at least one.
pub fn revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let fault = |reason| TlsError::Revocations { path: path.to_owned(), reason };
    let read = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(lists) if lists.is_empty() => Err(fault("the file holds none".to_owned())),
        Ok(lists) => Ok(lists),
        Err(error) => Err(fault(said(&error))),
    }
}

/// Can a certificate be issued to `text`?
#[must_use]
pub fn is_server_name(text: &str) -> bool {
    ServerName::try_from(text).is_ok()
}

/// ring's suites: all of them AEAD, with ephemeral keys, as BCP 195 asks.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes it what every library of this process uses that was built without a choice of its own, such as reqwest.
pub fn install_provider() {
    // An error means that somebody else installed one: as good as ours.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn said(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.kind().to_string(),
        pem::Error::NoItemsFound => "the file holds none".to_owned(),
        other => other.to_string(),
    }
}
