//! A series as a volume: voxels and the grid that places them in the patient.
//!
//! Axis order everywhere: arrays are indexed `[k][j][i]` = slice, row, column; grids and sizes are given
//! as `[i, j, k]`. Positions are LPS millimetres. Pure but for the readers.

mod finding;
mod grid;

pub use finding::{Algorithm, Finding, Segment, Segmentation};
pub use grid::Grid;

use ndarray::Array3;

/// Scalar voxels on a grid, in the modality's own units (rescale slope and intercept applied).
#[derive(Debug, Clone)]
pub struct Volume {
    /// `[k][j][i]`.
    pub voxels: Array3<f32>,
    pub grid: Grid,
    /// For each slice `k`, the index of the instance it came from in the reader's input.
    pub sources: Vec<usize>,
}
