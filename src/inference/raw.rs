//! The literal shape of `model.toml`, before any of it is checked. Never seen outside `manifest`.

use serde::Deserialize;

use crate::dicom::Code;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
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
    #[serde(default)]
    pub channel: Vec<RawChannel>,
    pub stage: Vec<RawStage>,
    pub label: Vec<RawLabel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInput {
    pub modality: Vec<String>,
    pub expects: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChannel {
    pub name: String,
    #[serde(default)]
    pub intensity: Vec<RawIntensity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStage {
    pub name: String,
    pub file: String,
    pub sha256: Vec<String>,
    pub input: String,
    pub output: String,
    pub grid: RawGrid,
    #[serde(default)]
    pub intensity: Vec<RawIntensity>,
    pub decide: RawDecision,
    #[serde(default)]
    pub cleanup: Vec<RawCleanup>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RawGrid {
    Conform { axes: String, size: usize, spacing: f64 },
    Crop { around: String, margin: usize },
    Resize { axes: String, size: usize },
    Part { around: String, size: usize, occupancy: f64, scale: f64 },
}

#[derive(Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RawIntensity {
    Bytes { quantile: f64 },
    FixedWindow { low: f64, high: f64 },
    MinMax {},
    Window { low: f64, high: f64 },
    WindowOf { stage: String },
    Standardise { mean: f64, deviation: f64 },
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RawDecision {
    Argmax { classes: usize },
    Threshold { classes: usize, channel: usize, above: f32 },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawCleanup {
    LargestComponent,
    LargestComponentCorners,
    FillHoles,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLabel {
    pub value: u8,
    pub name: String,
    #[serde(default = "anatomical_structure")]
    pub category: Code,
    pub code: Code,
    pub modifier: Option<Code>,
    pub region: Option<Code>,
    pub color: [u8; 3],
}

/// Segmented Property Category of CID 7150 that most labels have.
fn anatomical_structure() -> Code {
    Code::new("91723000", "SCT", "Anatomical Structure")
}
