//! Models: packages on disk, ONNX Runtime, loaded sessions, and running a package on a volume.
//!
//! Knows volumes and findings; never a DICOM object, a job or a network peer. Everything here is plain blocking code:
//! callers put it on a thread of their own.

mod cascade;
mod device;
mod engine;
mod intensity;
mod labels;
mod manifest;
mod metadata;
mod network;
mod package;
mod raw;
mod runtime;
mod session;
mod shape;
mod store;
mod terminology;

use std::io;
use std::path::PathBuf;

pub use engine::{Engine, EngineOptions, Progress, Step};
pub use labels::Beside;
pub use manifest::parse;
pub use metadata::Notes;
pub use package::{
    AxisCodes, Channel, Cleanup, Decision, GridRule, InputNeeds, IntensityStep, ModelFile, ModelKind, ModelPackage,
    Stage,
};
pub use runtime::{Search, locate};
pub use store::{FileState, ModelStore};
pub use terminology::{Labelled, Terminology};

use crate::volume::VolumeError;

/// Why a model gave no finding. Messages name the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    #[error("ONNX Runtime is not installed (looked for it in {searched}); run `make runtime`, or set ORT_DYLIB_PATH")]
    RuntimeMissing { searched: String },
    #[error("{path}: cannot be used as ONNX Runtime: {reason}; run `make runtime`", path = path.display())]
    RuntimeUnusable { path: PathBuf, reason: String },
    /// A line for each fault, with its place.
    #[error("{faults}")]
    Package { file: PathBuf, faults: String },
    #[error("there is no model `{id}` in {folder}; there are: {known}", folder = folder.display())]
    UnknownModel { id: String, folder: PathBuf, known: String },
    #[error("{file} is missing; install it: {install}", file = file.display())]
    FileMissing { file: PathBuf, install: String },
    #[error("{file}: {source}", file = file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error(
        "{file}: refused, its sha256 is {found}, model.toml expects {expected}; install the file again",
        file = file.display()
    )]
    DigestDiffers { file: PathBuf, expected: String, found: String },
    #[error("{file}: ONNX Runtime cannot load it: {reason}; export the model again", file = file.display())]
    NotLoadable { file: PathBuf, reason: String },
    #[error("{file}: {reason}; correct model.toml or export the model again", file = file.display())]
    Signature { file: PathBuf, reason: String },
    #[error("{file}: the network failed: {reason}", file = file.display())]
    Failed { file: PathBuf, reason: String },
    #[error("model `{model}` needs {needed} MB of memory, {available} MB are free; it runs when memory is free again")]
    OutOfMemory { model: String, needed: u64, available: u64 },
    #[error("{file}: no memory left while the network ran: {reason}", file = file.display())]
    MemoryExhausted { file: PathBuf, reason: String },
    #[error(
        "{file}: output `{output}` has shape {found:?}, model.toml asks for {expected:?}; correct decide.classes or grid",
        file = file.display()
    )]
    WrongShape { file: PathBuf, output: String, expected: Vec<usize>, found: Vec<i64> },
    #[error("{file}: output `{output}` holds values that are not numbers; the weights are broken", file = file.display())]
    NotFinite { file: PathBuf, output: String },
    #[error("model `{model}` cannot work on this series: {reason}")]
    Unsuitable { model: String, reason: String },
    #[error("model `{model}` cannot work on this series: {source}")]
    Geometry { model: String, source: VolumeError },
    #[error("stopped before the model was done")]
    Cancelled,
}

impl InferenceError {
    /// Whether the same model on the same series may succeed later without anybody changing model or series.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            InferenceError::RuntimeMissing { .. }
            | InferenceError::RuntimeUnusable { .. }
            | InferenceError::FileMissing { .. }
            | InferenceError::Io { .. }
            | InferenceError::Failed { .. }
            | InferenceError::OutOfMemory { .. }
            | InferenceError::MemoryExhausted { .. }
            | InferenceError::Cancelled => true,
            InferenceError::Package { .. }
            | InferenceError::UnknownModel { .. }
            | InferenceError::DigestDiffers { .. }
            | InferenceError::NotLoadable { .. }
            | InferenceError::Signature { .. }
            | InferenceError::WrongShape { .. }
            | InferenceError::NotFinite { .. }
            | InferenceError::Unsuitable { .. }
            | InferenceError::Geometry { .. } => false,
        }
    }
}
