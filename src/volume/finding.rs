//! What a model says about a volume, before it becomes a DICOM object.

use ndarray::Array3;

use super::Grid;
use crate::dicom::Code;

/// One statement of a model.
#[derive(Debug, Clone)]
pub enum Finding {
    Segmentation(Segmentation),
}

/// A label map on the source series' own grid, and what its labels mean.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// `[k][j][i]`, 0 is background, other values are `Segment::label`. At most 255 labels.
    pub labels: Array3<u8>,
    pub grid: Grid,
    /// In the order of `label`; labels without voxels stay listed.
    pub segments: Vec<Segment>,
    pub algorithm: Algorithm,
}

/// One label of a segmentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub label: u8,
    /// SegmentLabel (0062,0005), at most 64 characters.
    pub name: String,
    /// Segmented Property Category, e.g. `(123037004, SCT, Anatomical Structure)`.
    pub category: Code,
    /// Segmented Property Type, e.g. `(12738006, SCT, Brain)`.
    pub property: Code,
    /// Laterality or other type modifier.
    pub modifier: Option<Code>,
    /// Anatomic Region, where it is not said by `property`.
    pub region: Option<Code>,
    /// Display colour, sRGB.
    pub color: [u8; 3],
}

/// Which model made a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithm {
    /// Model id, e.g. `meshnet-gwm`.
    pub name: String,
    pub version: String,
    /// Who made the model.
    pub manufacturer: String,
    /// SHA-256 over the model's files, hexadecimal: changes when the weights change.
    pub digest: String,
}
