//! The accepting side: settings that follow their files, and the choice among several certificates.
//!
//! A peer that names the server it wants (SNI) is shown the first certificate of that name; otherwise the first
//! whose kind of key the peer can verify. Never keeps settings that could not be read whole.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;

use super::{Identity, TlsError, authorities, provider, revocations};

/// What the port for TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Certificates of this node, at least one, in order of preference.
    pub identities: Vec<Identity>,
    /// Certificates that sign the senders'.
    pub client_ca: Option<PathBuf>,
    /// Turn away senders that show no certificate; those that show a wrong one are turned away always.
    pub require_client: bool,
    /// What those authorities no longer stand by; with any list, a certificate of which none speaks is turned away.
    pub revocation_lists: Vec<PathBuf>,
}

/// Modification time and length of each file: another pair means that it was replaced.
type Stamp = Vec<Option<(SystemTime, u64)>>;

/// The settings in force.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerFiles,
    current: Mutex<(Stamp, Arc<ServerConfig>)>,
}

impl ServerTls {
    pub fn load(files: ServerFiles) -> Result<ServerTls, TlsError> {
        let stamp = files.stamp();
        let config = files.read()?;
        Ok(ServerTls { files, current: Mutex::new((stamp, config)) })
    }

    /// Reads the files again, replaced or not: what an administrator asks for by SIGHUP. Blocking.
    ///
    /// # Errors
    /// What is wrong with them; the old settings stay in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let (stamp, config) = (self.files.stamp(), self.files.read()?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = (stamp, config);
        Ok(())
    }

    /// The settings for the next connection, read again if a file was replaced. A replacement that cannot be
    /// used (half copied, say) is logged and leaves the old settings in force. Blocking.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.files.stamp();
        if stamp != current.0 {
            match self.files.read() {
                Ok(config) => {
                    tracing::info!("the certificates of the TLS port were replaced");
                    *current = (stamp, config);
                }
                Err(error) => tracing::error!(%error, "the TLS port keeps its old certificates"),
            }
        }
        Arc::clone(&current.1)
    }
}

impl ServerFiles {
    fn stamp(&self) -> Stamp {
        let stamp = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        let own = self.identities.iter().flat_map(|identity| [&identity.certificate, &identity.key]);
        own.chain(&self.client_ca).chain(&self.revocation_lists).map(|path| stamp(path)).collect()
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let keys = self.identities.iter().map(Identity::certified).collect::<Result<Vec<_>, _>>()?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Provider(error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut made = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider());
                for list in &self.revocation_lists {
                    made = made.with_crls(revocations(list)?).only_check_end_entity_revocation();
                }
                let made = if self.require_client { made } else { made.allow_unauthenticated() };
                let verifier = made.build();
                let fault = |reason: String| TlsError::Authority { path: path.clone(), reason };
                builder.with_client_cert_verifier(verifier.map_err(|error| fault(error.to_string()))?)
            }
        };
        Ok(Arc::new(builder.with_cert_resolver(Arc::new(Certificates(keys)))))
    }
}

/// The node's certificates with their keys, in order of preference.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let wanted = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = wanted.and_then(|name| self.0.iter().filter(usable).find(|key| is_issued_to(key, &name)));
        named.or_else(|| self.0.iter().find(usable)).or(self.0.first()).cloned()
    }
}

fn is_issued_to(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}
