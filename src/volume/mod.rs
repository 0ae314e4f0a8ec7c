//! A series as a volume: voxels and the grid that places them in the patient; and the arithmetic that
//! carries voxels from the source's grid to a model's and labels back.
//!
//! Axis order everywhere: arrays are indexed `[k][j][i]` = slice, row, column, `i` fastest in memory; grids,
//! sizes and ranges are given as `[i, j, k]`. Positions are LPS millimetres. An orientation word such as
//! `LIA` names the patient directions of i, j, k in that order. A model's tensor is indexed
//! `[axis 0][axis 1][axis 2]` with its last axis fastest, so a model that wants "axes L, I, A" is fed either
//! `Orientation::of_tensor("LIA")` (its grid's voxels ARE the tensor, no copy) or a grid oriented `LIA`
//! turned by [`transposed`]. Never talks to the network or the ledger; pure but for the readers.

mod caliper;
mod components;
mod error;
mod finding;
mod font;
mod grid;
mod measure;
mod multiframe;
mod nifti;
mod orient;
mod picture;
mod pixels;
mod quantile;
#[cfg(test)]
mod real_tests;
mod region;
mod resample;
mod series;
mod sheet;

pub use caliper::Caliper;
pub use components::{Connectivity, fill_holes, largest_component};
pub use error::VolumeError;
pub use finding::{Algorithm, Finding, Segment, Segmentation};
pub use grid::Grid;
pub use measure::{Measured, Slab, Values, measure};
pub use nifti::{read_nifti, write_labels, write_nifti};
pub use orient::{Orientation, Reorientation, reorient, transposed};
pub use picture::{NOTICE, Picture, blend};
pub use quantile::quantiles;
pub use region::{bounding_box, crop, paste};
pub use resample::{nearest_exact, resample, resample_labels};
pub use series::{InstanceSource, SeriesVolume, read_series};
pub use sheet::{Sheet, contact_sheet, usual_window};

use ndarray::Array3;

/// Scalar voxels on a grid, in the modality's own units (rescale slope and intercept applied).
#[derive(Debug, Clone)]
pub struct Volume {
    /// `[k][j][i]`, in standard (C) layout.
    pub voxels: Array3<f32>,
    pub grid: Grid,
    /// For each slice `k`, the index of the instance it came from in the reader's input; empty once the
    /// slices are no longer those of the source (resampled, turned, read from NIfTI).
    pub sources: Vec<usize>,
}
