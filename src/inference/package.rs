//! A model package: what `models/<id>/model.toml` says, checked.
//!
//! Values only; `manifest` makes them from text, `store` finds them on disk, `engine` runs them.

use std::path::PathBuf;

use super::metadata::Notes;
use crate::volume::Segment;

/// A model that was read and found consistent. Its ONNX files may still be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPackage {
    /// Equal to the folder's name, `[a-z0-9-]`, at most 64 characters.
    pub id: String,
    pub name: String,
    pub version: String,
    pub manufacturer: String,
    pub licence: String,
    /// Where the weights come from, for people.
    pub source: String,
    /// The command that puts the ONNX files in place, for people.
    pub install: String,
    pub kind: ModelKind,
    /// Peak memory of a run, bytes.
    pub memory: u64,
    pub input: InputNeeds,
    /// The series that it sees side by side, the first one giving the grid; empty: one, whatever its name.
    pub channels: Vec<Channel>,
    /// Run in order; the last one's labels are the finding.
    pub stages: Vec<Stage>,
    /// In the order of `label`.
    pub segments: Vec<Segment>,
    /// What metadata of other tools says beside them.
    pub notes: Notes,
    pub folder: PathBuf,
    /// SHA-256 of `model.toml` and of what labels mean where it does not say so itself, hexadecimal.
    pub manifest_sha256: String,
}

impl ModelPackage {
    /// How many series a network sees side by side.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.channels.len().max(1)
    }

    /// Where a stage's network lies.
    #[must_use]
    pub fn file(&self, stage: &Stage) -> PathBuf {
        self.folder.join(&stage.file.name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// Whole volume in, label map out.
    Volume,
}

impl ModelKind {
    /// As written in `model.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Volume => "volume",
        }
    }
}

/// What a series must be for the model to make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputNeeds {
    /// Modality (0008,0060) values the model was made for.
    pub modality: Vec<String>,
    /// For people: body part, sequence, contrast.
    pub expects: String,
}

/// One of several series that a network sees side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// As in `inputs` of the study rule that chooses the series.
    pub name: String,
    /// Its own steps, or those of the stage; `Window` and the like look at this channel alone.
    pub intensity: Vec<IntensityStep>,
}

/// One network of a package.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    pub name: String,
    pub file: ModelFile,
    /// Tensor `[1, channels, a, b, c]`, f32.
    pub input: String,
    /// Tensor `[1, classes, a, b, c]`, f32.
    pub output: String,
    pub grid: GridRule,
    pub intensity: Vec<IntensityStep>,
    pub decision: Decision,
    pub cleanup: Vec<Cleanup>,
}

/// An ONNX file and the digests that are accepted for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// Plain file name in the package's folder.
    pub name: String,
    /// SHA-256, lower-case hexadecimal; several where equal weights exist in several encodings.
    pub sha256: Vec<String>,
}

/// Directions of a tensor's three axes, e.g. `LIA`: axis 0 runs to Left, 1 to Inferior, 2 to Anterior.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisCodes(pub [char; 3]);

/// How the source volume becomes the network's tensor, and its labels a map on the stage's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GridRule {
    /// Trilinear onto a cube of `size` voxels of `spacing` mm around the volume's centre; zero outside.
    Conform { axes: AxisCodes, size: usize, spacing: f64 },
    /// The tensor of the conforming stage before, cropped to the bounding box of stage `around` plus `margin` voxels;
    /// labels are pasted back.
    Crop { around: usize, margin: usize },
    /// The whole volume turned to `axes`, nearest-exact to a cube of `size` voxels.
    Resize { axes: AxisCodes, size: usize },
    /// The part of the turned volume that stage `around` found, nearest-exact to `size` voxels; labels are brought back
    /// onto the turned volume. An edge of the part is where a plane's share of mask voxels first exceeds `occupancy`;
    /// its length is then multiplied by `scale`.
    Part { around: usize, size: usize, occupancy: f64, scale: f64 },
}

/// One step of intensity preparation; steps run in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntensityStep {
    /// Minimum to 0, the `quantile` of voxels above 0 to 255, clipped and rounded to whole numbers.
    Bytes { quantile: f64 },
    /// `low` to 0, `high` to 1, clipped; in the modality's own units, such as HU.
    FixedWindow { low: f64, high: f64 },
    /// Minimum to 0, maximum to 1.
    MinMax,
    /// Quantile `low` to 0, `high` to 1, clipped.
    Window { low: f64, high: f64 },
    /// As `Window`, with the two values that stage `of` found on its own tensor.
    WindowOf { of: usize },
    /// To this mean and (sample) standard deviation.
    Standardise { mean: f64, deviation: f64 },
}

/// How an output tensor becomes labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// The class with the largest value; ties go to the lower class.
    Argmax { classes: usize },
    /// Label 1 where `channel` exceeds `above`.
    Threshold { classes: usize, channel: usize, above: f32 },
}

impl Decision {
    /// Channels that the output tensor must have.
    #[must_use]
    pub fn classes(self) -> usize {
        match self {
            Decision::Argmax { classes } | Decision::Threshold { classes, .. } => classes,
        }
    }

    /// The label that is given by a threshold, and what its output has to exceed.
    #[must_use]
    pub fn threshold(self) -> Option<(u8, f32)> {
        match self {
            Decision::Argmax { .. } => None,
            Decision::Threshold { above, .. } => Some((1, above)),
        }
    }
}

/// Cleaning of a stage's labels, on its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Only the largest component of all labels together keeps its labels: joined by faces, or by `corners` too.
    LargestComponent { corners: bool },
    /// Background that does not reach the border becomes label 1.
    FillHoles,
}
