//! Runs model packages on volumes: one permit, one runtime, sessions kept for a while.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ndarray::Array3;
use sha2::{Digest, Sha256};

use super::InferenceError;
use super::cascade::Cascade;
use super::device::{Device, check_memory};
use super::package::{ModelKind, ModelPackage};
use super::runtime::{Search, environment};
use super::session::{Loaded, SessionCache};
use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::dicom::hexadecimal;
use crate::volume::{Algorithm, Finding, Segmentation, Volume};

/// How models are run.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// ONNX Runtime's shared library, or its folder, when it is not where it is looked for.
    pub onnxruntime: Option<PathBuf>,
    /// Threads that a network may use.
    pub threads: usize,
    /// How long a loaded network is kept without use.
    pub session_ttl: Duration,
    pub clock: Arc<dyn Clock>,
}

impl EngineOptions {
    /// As `node.toml` says.
    #[must_use]
    pub fn of_node(node: &NodeConfig, clock: Arc<dyn Clock>) -> EngineOptions {
        EngineOptions {
            onnxruntime: node.onnxruntime.clone(),
            threads: node.threads,
            session_ttl: node.session_ttl,
            clock,
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Name of the stage.
    pub stage: &'a str,
    /// Its number, from 0, of `count`.
    pub index: usize,
    pub count: usize,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Resampling and intensities.
    Preparing,
    /// The network itself; nearly all of the time.
    Running,
    /// Components, and the way back to the source's grid.
    Finishing,
}

/// Runs models. Share one for a process; it may be used from several threads, and runs one model at a time.
pub struct Engine {
    search: Search,
    threads: usize,
    sessions: SessionCache,
    device: Device,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads nothing yet: the runtime is looked for when the first model runs.
    #[must_use]
    pub fn new(options: EngineOptions) -> Engine {
        Engine {
            search: Search::of_process(options.onnxruntime),
            threads: options.threads.max(1),
            sessions: SessionCache::new(options.session_ttl, options.clock),
            device: Device::default(),
        }
    }

    /// Runs `package` on `volume`, which is freed as soon as the model's own tensor is made. Blocks for as long as the
    /// model takes; `cancelled` is asked about five times a second, on the calling thread.
    pub fn run(
        &self,
        package: &ModelPackage,
        volume: Volume,
        progress: &(dyn Fn(Progress<'_>) + Sync),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<Finding>, InferenceError> {
        self.run_with(package, volume, Vec::new(), progress, cancelled)
    }

    /// The same with the further channels of a package that has several `inputs`, in its order.
    pub fn run_with(
        &self,
        package: &ModelPackage,
        volume: Volume,
        further: Vec<Volume>,
        progress: &(dyn Fn(Progress<'_>) + Sync),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<Finding>, InferenceError> {
        let _permit = self.device.acquire(cancelled)?;
        self.sessions.evict_idle();
        if check_memory(&package.id, package.memory).is_err() {
            self.sessions.clear();
            check_memory(&package.id, package.memory)?;
        }
        let networks = self.networks(package)?;
        let algorithm = algorithm(package, &networks);
        let grid = volume.grid.clone();
        let networks = networks.into_iter().map(Some).collect();
        let mut labels = match package.kind {
            ModelKind::Volume => Cascade { package, networks, progress, cancelled }.run(volume, further)?,
        };
        drop_unlisted(&mut labels, package);
        let segments = package.segments.clone();
        let thresholds = package.stages.last().into_iter().filter_map(|stage| stage.decision.threshold()).collect();
        let found = Segmentation::of_labels(labels, grid, segments, algorithm);
        Ok(vec![Finding::Segmentation(Segmentation { thresholds, ..found })])
    }

    /// Checks and loads every network of a package, as a run would.
    pub fn load(&self, package: &ModelPackage) -> Result<(), InferenceError> {
        self.networks(package).map(drop)
    }

    /// Lets go of networks that were not used for their time to live; says how many stay.
    pub fn evict_idle(&self) -> usize {
        self.sessions.evict_idle()
    }

    /// How many networks are in memory.
    pub fn loaded(&self) -> usize {
        self.sessions.count()
    }

    /// Models that run, and how many may run at a time.
    pub fn permits(&self) -> (u64, u64) {
        self.device.permits()
    }

    /// Whether the runtime can be loaded, and if not, why.
    pub fn runtime(&self) -> Result<(), InferenceError> {
        environment(&self.search).map(drop)
    }

    fn networks(&self, package: &ModelPackage) -> Result<Vec<Loaded>, InferenceError> {
        let environment = environment(&self.search)?;
        package.stages.iter().map(|stage| self.sessions.get(&environment, package, stage, self.threads)).collect()
    }
}

/// Classes that `model.toml` gives no label are background.
fn drop_unlisted(labels: &mut Array3<u8>, package: &ModelPackage) {
    let classes = package.stages.last().map_or(0, |s| s.decision.classes());
    let listed = |label: u8| label == 0 || package.segments.iter().any(|s| s.label == label);
    let unlisted: Vec<u8> = (0..=u8::MAX).take(classes).filter(|label| !listed(*label)).collect();
    if !unlisted.is_empty() {
        labels.mapv_inplace(|label| if unlisted.contains(&label) { 0 } else { label });
    }
}

/// The digest covers `model.toml` and the networks: whatever changes the labels changes it.
fn algorithm(package: &ModelPackage, networks: &[Loaded]) -> Algorithm {
    let mut digest = Sha256::new();
    digest.update(&package.manifest_sha256);
    for network in networks {
        digest.update(&network.sha256);
    }
    Algorithm {
        name: package.notes.algorithm.clone().unwrap_or_else(|| package.id.clone()),
        version: package.version.clone(),
        manufacturer: package.manufacturer.clone(),
        digest: hexadecimal(&digest.finalize()),
    }
}
