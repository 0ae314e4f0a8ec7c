//! The accepting side: settings that follow their files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::{Identity, TlsError, authorities, provider};

/// What the port for TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    pub identity: Identity,
    /// Certificates that sign the senders'.
    pub client_ca: Option<PathBuf>,
    /// Turn away senders that show no certificate; those that show a wrong one are turned away always.
    pub require_client: bool,
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
        let own = [&self.identity.certificate, &self.identity.key];
        own.into_iter().chain(&self.client_ca).map(|path| stamp(path)).collect()
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let fault = |error: &rustls::Error| self.identity.mismatch(error);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(&error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let made = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider());
                let made = if self.require_client { made } else { made.allow_unauthenticated() };
                let verifier = made.build();
                let fault = |reason: String| TlsError::Authority { path: path.clone(), reason };
                builder.with_client_cert_verifier(verifier.map_err(|error| fault(error.to_string()))?)
            }
        };
        let (chain, key) = self.identity.read()?;
        Ok(Arc::new(builder.with_single_cert(chain, key).map_err(|error| fault(&error))?))
    }
}
