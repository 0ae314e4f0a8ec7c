//! Carrying voxels from one grid to another: trilinear for values, nearest for labels, and the
//! index-only `nearest-exact` resize of torch.
//!
//! Trilinear follows `scipy.ndimage.affine_transform(order=1, mode="constant")`: a position outside
//! `[0, n-1]` on any axis gets the outside value; nothing is mixed with it. One deviation: positions
//! within 1e-6 voxel of the edge count as on it, so that rounding does not blank the border of a grid
//! resampled onto itself. Arithmetic is in f64. Never extrapolates, never smooths before shrinking.

// Lanes are written as loops over an index: the one form that the compiler turns into arithmetic on all of them at once.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use ndarray::Array3;
use rayon::prelude::*;

use super::orient::inverse;
use super::{Grid, Orientation, Volume, VolumeError, bounding_box};
use crate::dicom::{Vec3, add, dot, scale, sub};

const EDGE: f64 = 1e-6;
/// Grids are walked in blocks of this edge: what a block reads of the source stays in the processor's cache, whichever way
/// the two grids lie to each other.
const BLOCK: usize = 16;

impl Grid {
    /// A straight grid of `size` voxels (i, j, k) of `spacing` mm, oriented exactly as `orientation` says and centred
    /// on the centre of `source`: FreeSurfer's "conform" is `conformed(source, [256; 3], 1.0, LIA)`.
    #[must_use]
    pub fn conformed(source: &Grid, size: [usize; 3], spacing: f64, orientation: Orientation) -> Grid {
        let middle = |size: [usize; 3]| size.map(|n| (n as f64 - 1.0) / 2.0);
        let axes = orientation.directions().map(|d| scale(d, spacing));
        let mut grid = Grid { size, origin: [0.0; 3], axes };
        grid.origin = sub(source.position(middle(source.size)), grid.position(middle(size)));
        grid
    }

    /// The fractional voxel index of an LPS position.
    pub fn index_of(&self, position: Vec3) -> Result<[f64; 3], VolumeError> {
        let rows = inverse(self.axes).ok_or(VolumeError::FlatGrid)?;
        Ok(rows.map(|row| dot(row, sub(position, self.origin))))
    }
}

/// Source index of a row's first voxel, and its voxels that have a source.
type Row = (Vec3, Range<usize>);

/// Voxels next to each other in a row, worked on together: arithmetic on all of them at once is what the processor is best at.
const LANES: usize = 4;
/// One coordinate of [`LANES`] voxels.
type Lanes = [f64; LANES];

/// Index of the source as an affine function of the target's index: `base + i*steps[0] + j*steps[1] + k*steps[2]`.
struct Mapping {
    base: Vec3,
    steps: [Vec3; 3],
}

impl Mapping {
    fn new(source: &Grid, target: &Grid) -> Result<Mapping, VolumeError> {
        let rows = inverse(source.axes).ok_or(VolumeError::FlatGrid)?;
        let steps = target.axes.map(|axis| rows.map(|row| dot(row, axis)));
        Ok(Mapping { base: source.index_of(target.origin)?, steps })
    }

    fn row_start(&self, j: usize, k: usize) -> Vec3 {
        add(self.base, add(scale(self.steps[1], j as f64), scale(self.steps[2], k as f64)))
    }

    /// Gives `voxels(source indices)` to all voxels of `values` (`[k][j][i]` of `size`) whose source index lies within
    /// `reach`, lowest and highest, on every axis. Slabs of blocks are walked in parallel.
    fn walk<T: Copy + Send>(
        &self,
        values: &mut [T],
        size: [usize; 3],
        reach: [Vec3; 2],
        voxels: impl Fn([Lanes; 3]) -> [T; LANES] + Sync,
    ) {
        let [ni, nj, _] = size;
        let blocks = || (0..nj).step_by(BLOCK).flat_map(|j| (0..ni).step_by(BLOCK).map(move |i| (j, i)));
        values.par_chunks_mut(ni * nj * BLOCK).enumerate().for_each(|(slab, planes)| {
            let rows = (0..planes.len() / ni).map(|row| {
                let start = self.row_start(row % nj, slab * BLOCK + row / nj);
                (start, self.inside(start, ni, reach))
            });
            let rows: Vec<Row> = rows.collect();
            for (j, i) in blocks() {
                let across = (j..(j + BLOCK).min(nj), i..i + BLOCK);
                self.block(planes, [ni, nj], &rows, across, &voxels);
            }
        });
    }

    /// The part of [`Mapping::walk`] for one block: rows and columns `across` of each plane.
    fn block<T: Copy>(
        &self,
        planes: &mut [T],
        [ni, nj]: [usize; 2],
        rows: &[Row],
        (across, along): (Range<usize>, Range<usize>),
        voxels: &impl Fn([Lanes; 3]) -> [T; LANES],
    ) {
        for (plane, rows) in planes.chunks_exact_mut(ni * nj).zip(rows.chunks_exact(nj)) {
            for j in across.clone() {
                let (start, inside) = &rows[j];
                let columns = inside.start.max(along.start)..inside.end.min(along.end);
                if columns.is_empty() {
                    continue;
                }
                let last = columns.end - 1;
                let line = &mut plane[j * ni..][columns.clone()];
                for (part, first) in line.chunks_mut(LANES).zip(columns.step_by(LANES)) {
                    // Lanes beyond the end repeat the last voxel, so that they have a source, too.
                    let mut at = [[0.0; LANES]; 3];
                    for lane in 0..LANES {
                        let i = (first + lane).min(last) as f64;
                        for a in 0..3 {
                            at[a][lane] = start[a] + i * self.steps[0][a];
                        }
                    }
                    part.copy_from_slice(&voxels(at)[..part.len()]);
                }
            }
        }
    }

    /// The target indices i of a row whose source index lies within `[low, high]` on every axis.
    fn inside(&self, start: Vec3, count: usize, [low, high]: [Vec3; 2]) -> Range<usize> {
        let (mut from, mut to) = (0.0_f64, count as f64 - 1.0);
        for axis in 0..3 {
            let step = self.steps[0][axis];
            if step.abs() < 1e-12 {
                if start[axis] < low[axis] || start[axis] > high[axis] {
                    return 0..0;
                }
                continue;
            }
            let (a, b) = ((low[axis] - start[axis]) / step, (high[axis] - start[axis]) / step);
            from = from.max(a.min(b));
            to = to.min(a.max(b));
        }
        if from > to { 0..0 } else { from.ceil() as usize..to.floor() as usize + 1 }
    }
}

/// Added to a small number, it leaves that number rounded to a whole one, halves to even, in the lowest bits of the sum:
/// the unit of its last place is 1. Rounding and conversion are an addition each, for all lanes at once.
const WHOLE: f64 = 6_755_399_441_055_744.0;

#[inline]
fn round(lanes: Lanes) -> Lanes {
    lanes.map(|v| (v + WHOLE) - WHOLE)
}

/// The offset of cell `[x, y, z]`, whole numbers, in an array of `size`.
#[inline]
fn offsets(cell: &[Lanes; 3], size: [usize; 3]) -> [usize; LANES] {
    let (row, plane) = (size[0] as f64, (size[0] * size[1]) as f64);
    let mut offsets = [0; LANES];
    for lane in 0..LANES {
        let offset = cell[0][lane] + row * cell[1][lane] + plane * cell[2][lane];
        offsets[lane] = ((offset + WHOLE).to_bits() - WHOLE.to_bits()) as usize;
    }
    offsets
}

/// Trilinear resampling of `volume` onto `target`; positions outside the source get `outside`.
pub fn resample(volume: &Volume, target: &Grid, outside: f32) -> Result<Volume, VolumeError> {
    let mapping = Mapping::new(&volume.grid, target)?;
    let layout = volume.voxels.as_standard_layout();
    let source = layout.as_slice().unwrap_or_default();
    let [ni, nj, nk] = target.size;
    let mut voxels = Array3::from_elem((nk, nj, ni), outside);
    let size = volume.grid.size;
    let reach = [[-EDGE; 3], size.map(|n| n as f64 - 1.0 + EDGE)];
    if let Some(values) = voxels.as_slice_mut().filter(|v| !v.is_empty() && !source.is_empty()) {
        mapping.walk(values, target.size, reach, |at| trilinear(source, size, at));
    }
    Ok(Volume { voxels, grid: target.clone(), sources: Vec::new() })
}

/// `at` lies within the source but for rounding.
#[inline]
fn trilinear(source: &[f32], size: [usize; 3], at: [Lanes; 3]) -> [f32; LANES] {
    let next = usize::from(size[0] > 1);
    let row = if size[1] > 1 { size[0] } else { 0 };
    let plane = if size[2] > 1 { size[0] * size[1] } else { 0 };
    let mut cell = [[0.0; LANES]; 3];
    let mut part = [[0.0; LANES]; 3];
    for a in 0..3 {
        // The last cell is entered from below, so that `cell + 1` stays a voxel wherever there are two.
        let last = size[a].saturating_sub(2) as f64;
        for lane in 0..LANES {
            let v = at[a][lane].max(0.0);
            let whole = (v - 0.5 + WHOLE - WHOLE).min(last);
            cell[a][lane] = whole;
            part[a][lane] = (v - whole).min(1.0);
        }
    }
    let corners = offsets(&cell, size);
    let mut ends = [[0.0_f64; LANES]; 8];
    for lane in 0..LANES {
        for (edge, offset) in [0, row, plane, plane + row].into_iter().enumerate() {
            ends[2 * edge][lane] = f64::from(source[corners[lane] + offset]);
            ends[2 * edge + 1][lane] = f64::from(source[corners[lane] + offset + next]);
        }
    }
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        let edge = |e: usize| between(ends[2 * e][lane], ends[2 * e + 1][lane], part[0][lane]);
        let (front, back) = (between(edge(0), edge(1), part[1][lane]), between(edge(2), edge(3), part[1][lane]));
        out[lane] = between(front, back, part[2][lane]) as f32;
    }
    out
}

#[inline]
fn between(low: f64, high: f64, part: f64) -> f64 {
    low + part * (high - low)
}

/// Labels `[k][j][i]` on grid `from` carried to grid `to`: each voxel takes the label of the voxel its centre
/// lies in (half a voxel beyond the outermost centres belongs to the grid), 0 outside.
pub fn resample_labels(labels: &Array3<u8>, from: &Grid, to: &Grid) -> Result<Array3<u8>, VolumeError> {
    let mapping = Mapping::new(from, to)?;
    let layout = labels.as_standard_layout();
    let source = layout.as_slice().unwrap_or_default();
    let [ni, nj, nk] = to.size;
    let last = from.size.map(|n| n.saturating_sub(1) as f64);
    let mut out = Array3::zeros((nk, nj, ni));
    // Only the box that holds labels is looked at: all else is 0 already.
    let Some(part) = bounding_box(labels) else { return Ok(out) };
    let reach = [part.each_ref().map(|r| r.start as f64 - 0.5), part.map(|r| r.end as f64 - 0.5)];
    if let Some(values) = out.as_slice_mut().filter(|v| !v.is_empty()) {
        mapping.walk(values, to.size, reach, |at| {
            let voxel = std::array::from_fn(|a| round(at[a]).map(|v| v.clamp(0.0, last[a])));
            offsets(&voxel, from.size).map(|offset| source[offset])
        });
    }
    Ok(out)
}

/// Resizes an array to `size` (in the array's own axis order) as torch's `nearest-exact`: index
/// `floor((x + 0.5) * old / new)`, here in exact integer arithmetic.
#[must_use]
pub fn nearest_exact<T: Copy + Default + Send + Sync>(array: &Array3<T>, size: [usize; 3]) -> Array3<T> {
    let (s0, s1, s2) = array.dim();
    let pick = |old: usize, new: usize| -> Vec<usize> {
        (0..new).map(|x| ((2 * x + 1) * old / (2 * new)).min(old.saturating_sub(1))).collect()
    };
    let (first, second, third) = (pick(s0, size[0]), pick(s1, size[1]), pick(s2, size[2]));
    let layout = array.as_standard_layout();
    let source = layout.as_slice().unwrap_or_default();
    let mut out = Array3::default((size[0], size[1], size[2]));
    if let Some(values) = out.as_slice_mut().filter(|v| !v.is_empty() && !source.is_empty()) {
        values.par_chunks_mut(size[2]).enumerate().for_each(|(row, line)| {
            let begin = (first[row / size[1]] * s1 + second[row % size[1]]) * s2;
            for (value, at) in line.iter_mut().zip(&third) {
                *value = source[begin + at];
            }
        });
    }
    out
}

#[cfg(test)]
#[path = "resample_tests.rs"]
mod tests;
