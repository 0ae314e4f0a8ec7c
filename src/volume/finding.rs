//! What a model says about a volume, before it becomes a DICOM object.

use std::collections::BTreeMap;

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
    /// Further label maps of the same shape, for segments that share voxels with others. Usually none; where one
    /// voxel may have one label only, `labels` goes before the first of these, and so on.
    pub overlays: Vec<Array3<u8>>,
    /// How probable each of `segments` is in each voxel, 255 being certain; empty where the model does not say.
    pub probabilities: Vec<Array3<u8>>,
    /// By label, what the model's output has to exceed where a voxel is to have it, in the output's own scale; without
    /// those that are chosen otherwise, such as by the greatest output.
    pub thresholds: BTreeMap<u8, f32>,
    pub grid: Grid,
    /// In the order of `label`, each label in one map only; labels without voxels stay listed.
    pub segments: Vec<Segment>,
    pub algorithm: Algorithm,
}

impl Segmentation {
    /// A label map whose segments share no voxel, without probabilities and thresholds.
    #[must_use]
    pub fn of_labels(labels: Array3<u8>, grid: Grid, segments: Vec<Segment>, algorithm: Algorithm) -> Segmentation {
        let (overlays, probabilities, thresholds) = (Vec::new(), Vec::new(), BTreeMap::new());
        Segmentation { labels, overlays, probabilities, thresholds, grid, segments, algorithm }
    }

    /// Whether no voxel has a label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers().all(|labels| labels.iter().all(|label| *label == 0))
    }

    /// All label maps, `labels` first.
    pub fn layers(&self) -> impl Iterator<Item = &Array3<u8>> + Clone {
        std::iter::once(&self.labels).chain(&self.overlays)
    }
}

/// One label of a segmentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub label: u8,
    /// SegmentLabel (0062,0005), at most 64 characters.
    pub name: String,
    /// Segmented Property Category, e.g. `(91723000, SCT, Anatomical Structure)`.
    pub category: Code,
    /// Segmented Property Type, e.g. `(12738006, SCT, Brain)`.
    pub property: Code,
    /// Laterality or other type modifier.
    pub modifier: Option<Code>,
    /// Anatomic Region, where it is not said by `property`.
    pub region: Option<Code>,
    /// The region's side.
    pub region_modifier: Option<Code>,
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
