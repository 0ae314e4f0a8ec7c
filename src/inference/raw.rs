//! The literal shape of `model.toml`, before any of it is checked. Made by `shape`, never seen outside this module.
//!
//! Where a key is absent or of another type, `shape` has said so, and something stands here that the checks of
//! `manifest` let pass; `None` where they need the value itself.

use super::package::{Cleanup, Decision};
use crate::dicom::Code;

pub(super) struct RawModel {
    pub id: String,
    pub name: String,
    pub version: String,
    pub kind: String,
    pub manufacturer: String,
    pub licence: String,
    pub source: String,
    pub install: String,
    pub memory_mb: u64,
    pub input: RawInput,
    pub channel: Vec<RawChannel>,
    pub stage: Option<Vec<RawStage>>,
    pub label: Vec<RawLabel>,
    /// A label set of the terminology.
    pub labels: Option<String>,
    pub metadata: Option<RawMetadata>,
    /// How many of `label`, `labels` and `metadata` are there.
    pub descriptions: usize,
}

pub(super) struct RawInput {
    pub modality: Vec<String>,
    pub expects: String,
}

pub(super) struct RawChannel {
    pub name: String,
    pub intensity: Vec<RawIntensity>,
}

pub(super) struct RawStage {
    pub name: String,
    pub file: String,
    pub sha256: Vec<String>,
    pub input: String,
    pub output: String,
    pub grid: Option<RawGrid>,
    pub intensity: Option<Vec<RawIntensity>>,
    pub decide: Option<Decision>,
    pub cleanup: Vec<Cleanup>,
    /// What other stages look at has been read.
    pub whole: bool,
}

pub(super) enum RawGrid {
    Conform { axes: String, size: usize, spacing: f64 },
    Crop { around: String, margin: usize },
    Resize { axes: String, size: usize },
    Part { around: String, size: usize, occupancy: f64, scale: f64 },
}

pub(super) enum RawIntensity {
    Bytes { quantile: f64 },
    FixedWindow { low: f64, high: f64 },
    MinMax,
    Window { low: f64, high: f64 },
    WindowOf { stage: String },
    Standardise { mean: f64, deviation: f64 },
}

pub(super) struct RawLabel {
    pub value: Option<u8>,
    /// A structure of the terminology, of which the other keys say something otherwise.
    pub structure: Option<String>,
    pub name: Option<String>,
    pub category: Option<Code>,
    pub code: Option<Code>,
    pub modifier: Option<Code>,
    pub region: Option<Code>,
    pub region_modifier: Option<Code>,
    pub color: Option<[u8; 3]>,
}

/// As in the model-serve-spec of nnunet_serve.
#[derive(Default, PartialEq)]
pub(super) struct RawMetadata {
    pub path: Option<String>,
    pub algorithm_name: Option<String>,
    pub algorithm_version: Option<String>,
    pub manufacturer: Option<String>,
    pub manufacturer_model_name: Option<String>,
    pub series_description: Option<String>,
    pub body_part_examined: Option<String>,
    pub clinical_trial_series_id: Option<String>,
    /// Checked, and not written: the time point belongs to the study, whose attributes are the source's.
    pub clinical_trial_time_point_id: Option<String>,
    pub segment_names: Vec<RawSegmentName>,
}

#[derive(PartialEq)]
pub(super) enum RawSegmentName {
    Name(String),
    Full(RawNamed),
}

#[derive(Default, PartialEq)]
pub(super) struct RawNamed {
    pub name: String,
    pub number: Option<u64>,
    pub label: Option<String>,
    /// Accepted, and not written: tracking identifiers follow from the series.
    pub tracking_id: Option<String>,
    pub code: Option<TextOrNumber>,
    pub scheme: Option<String>,
    pub category_number: Option<TextOrNumber>,
}

#[derive(PartialEq)]
pub(super) enum TextOrNumber {
    Text(String),
    Number(u64),
}

impl TextOrNumber {
    pub fn text(&self) -> String {
        match self {
            TextOrNumber::Text(text) => text.clone(),
            TextOrNumber::Number(number) => number.to_string(),
        }
    }
}
