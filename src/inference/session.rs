//! Loaded networks, kept for a while with the memory they worked in: touching it anew is a twentieth of a run. A file is hashed before it is loaded, and the bytes that were hashed are the bytes
//! that are loaded; a file that `model.toml` does not know is never given to the runtime.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ort::environment::Environment;
use ort::session::Session;

use super::package::{ModelPackage, Stage};
use super::{InferenceError, network};
use crate::clock::{Clock, Millis};
use crate::dicom::sha256;

/// A network ready to run.
#[derive(Clone)]
pub(super) struct Loaded {
    pub session: Arc<Mutex<Session>>,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

struct Entry {
    loaded: Loaded,
    used: Millis,
}

/// Sessions by file digest and number of threads.
pub(super) struct SessionCache {
    ttl: Duration,
    clock: Arc<dyn Clock>,
    entries: Mutex<HashMap<(String, usize), Entry>>,
}

impl SessionCache {
    pub fn new(ttl: Duration, clock: Arc<dyn Clock>) -> SessionCache {
        SessionCache { ttl, clock, entries: Mutex::default() }
    }

    /// The stage's network, loaded now unless it is kept already.
    pub fn get(
        &self,
        environment: &Environment,
        package: &ModelPackage,
        stage: &Stage,
        threads: usize,
    ) -> Result<Loaded, InferenceError> {
        let now = self.clock.now();
        let mut entries = self.lock();
        for digest in &stage.file.sha256 {
            if let Some(entry) = entries.get_mut(&(digest.clone(), threads)) {
                entry.used = now;
                network::check_signature(
                    &lock(&entry.loaded.session),
                    stage,
                    package.channel_count(),
                    &package.file(stage),
                )?;
                return Ok(entry.loaded.clone());
            }
        }
        let (bytes, sha256) = read_verified(package, stage)?;
        let session = load(environment, &bytes, &package.file(stage), threads)?;
        network::check_signature(&session, stage, package.channel_count(), &package.file(stage))?;
        let loaded = Loaded { session: Arc::new(Mutex::new(session)), sha256: sha256.clone() };
        entries.insert((sha256, threads), Entry { loaded: loaded.clone(), used: now });
        Ok(loaded)
    }

    /// Drops every network, and with it the memory it worked in.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Drops what was not used for the time to live; says how many stay.
    pub fn evict_idle(&self) -> usize {
        let now = self.clock.now();
        let mut entries = self.lock();
        entries.retain(|_, entry| entry.used.plus(self.ttl) > now);
        entries.len()
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, usize), Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session, also after a run that panicked: the runtime keeps no state between runs.
pub(super) fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stage's file and its digest, which `model.toml` accepts.
pub(super) fn read_verified(package: &ModelPackage, stage: &Stage) -> Result<(Vec<u8>, String), InferenceError> {
    let file = package.file(stage);
    let bytes = std::fs::read(&file).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            InferenceError::FileMissing { file: file.clone(), install: package.install.clone() }
        }
        _ => InferenceError::Io { file: file.clone(), source },
    })?;
    let found = sha256(&bytes);
    if stage.file.sha256.contains(&found) {
        return Ok((bytes, found));
    }
    Err(InferenceError::DigestDiffers { file, expected: stage.file.sha256.join(" or "), found })
}

fn load(environment: &Environment, bytes: &[u8], file: &Path, threads: usize) -> Result<Session, InferenceError> {
    let failed = |reason: String| InferenceError::NotLoadable { file: file.to_owned(), reason };
    let builder = Session::builder(environment).map_err(|e| failed(e.to_string()))?;
    let builder = builder.with_intra_threads(threads).map_err(|e| failed(e.to_string()))?;
    // With a pattern, a second run takes the memory of the first once more, and is no faster.
    let builder = builder.with_memory_pattern(false).map_err(|e| failed(e.to_string()))?;
    // Idle threads of the runtime would spin while its labels are being carried back.
    let stop = builder.with_config_entry("session.force_spinning_stop", "1");
    let mut builder = stop.map_err(|e| failed(e.to_string()))?;
    builder.commit_from_memory(bytes).map_err(|e| failed(e.to_string()))
}
