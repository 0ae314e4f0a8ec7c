//! What can be measured of a segmentation: volume, place, size across, and the statistics of the original voxels.
//!
//! Distances are taken between voxel centres, volumes from voxel counts and the distance of slice positions, never
//! from SliceThickness. Nothing is resampled. Positions are LPS millimetres.

use ndarray::{Array3, Axis, AxisDescription, Slice};
use rayon::prelude::*;

use super::caliper::{Caliper, Marks};
use super::finding::Segmentation;
use crate::dicom::{Plane, Vec3, add, scale};

/// A slice of the source: where it lies, and how much of the patient it stands for along the normal, mm.
#[derive(Debug, Clone)]
pub struct Slab<'a> {
    pub plane: &'a Plane,
    pub thickness: f64,
}

/// One segment, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub label: u8,
    pub voxels: u64,
    /// mm3.
    pub volume: f64,
    /// Centre of mass.
    pub centre: Vec3,
    /// First and last index along i, j, k.
    pub bounds: [[usize; 2]; 3],
    /// Whether a voxel lies in the first or last column, row or slice: it may go on outside.
    pub touches_border: bool,
    /// The longest distance within one slice, and the extent across it.
    pub caliper: Caliper,
    /// Of the original voxels, where they are at hand.
    pub values: Option<Values>,
}

/// Statistics of voxel values; NaN never counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Values {
    pub mean: f64,
    /// Of the population.
    pub deviation: f64,
    pub minimum: f64,
    pub maximum: f64,
    pub median: f64,
    /// The 5th and 95th percentile, linearly interpolated.
    pub percentiles: [f64; 2],
}

/// Measures every segment that has voxels, in the order of the finding. `slabs[k]` is slice `k`; `voxels` are the
/// original ones, in their unit, on the same grid.
#[must_use]
pub fn measure(finding: &Segmentation, voxels: Option<&Array3<f32>>, slabs: &[Slab<'_>]) -> Vec<Measured> {
    let marks: Vec<Vec<Marks>> = slabs.par_iter().enumerate().map(|(k, _)| Marks::of_slice(finding, k)).collect();
    let measured = finding.segments.par_iter().filter_map(|segment| {
        let own = |k: usize| marks[k].iter().find(|marks| marks.label == segment.label);
        let mut measured = place(segment.label, (0..slabs.len()).filter_map(|k| Some((k, own(k)?))), finding, slabs)?;
        measured.values = voxels.and_then(|voxels| values(&measured, finding, voxels));
        Some(measured)
    });
    measured.collect()
}

/// Everything but the values, from the marks of a segment slice by slice.
fn place<'m>(
    label: u8,
    marks: impl Iterator<Item = (usize, &'m Marks)>,
    finding: &Segmentation,
    slabs: &[Slab<'_>],
) -> Option<Measured> {
    let (slices, rows, columns) = finding.labels.dim();
    let (mut voxels, mut volume, mut weighted) = (0, 0.0, [0.0; 3]);
    let mut bounds: Option<[[usize; 2]; 3]> = None;
    let mut caliper: Option<Caliper> = None;
    for (k, marks) in marks {
        let plane = slabs[k].plane;
        let count = marks.count as f64;
        let part = count * plane.spacing[0] * plane.spacing[1] * slabs[k].thickness;
        let [column, row] = marks.sums.map(|sum| sum as f64 / count);
        weighted = add(weighted, scale(position(plane, [column, row]), part));
        voxels += marks.count;
        volume += part;
        let here = [marks.columns, marks.rows, [k, k]];
        bounds = Some(bounds.map_or(here, |all| joined(all, here)));
        let across = Caliper::of(marks, k, plane.spacing);
        caliper = Some(caliper.filter(|longest| longest.long >= across.long).unwrap_or(across));
    }
    let bounds = bounds?;
    let touches_border =
        bounds.iter().zip([columns, rows, slices]).any(|([first, last], n)| *first == 0 || last + 1 == n);
    let centre = scale(weighted, 1.0 / volume);
    Some(Measured { label, voxels, volume, centre, bounds, touches_border, caliper: caliper?, values: None })
}

fn joined(a: [[usize; 2]; 3], b: [[usize; 2]; 3]) -> [[usize; 2]; 3] {
    std::array::from_fn(|axis| [a[axis][0].min(b[axis][0]), a[axis][1].max(b[axis][1])])
}

fn position(plane: &Plane, [column, row]: [f64; 2]) -> Vec3 {
    let along = add(scale(plane.row, column * plane.spacing[1]), scale(plane.column, row * plane.spacing[0]));
    add(plane.position, along)
}

fn values(measured: &Measured, finding: &Segmentation, voxels: &Array3<f32>) -> Option<Values> {
    let part = |axis: AxisDescription| {
        let [first, last] = measured.bounds[2 - axis.axis.index()];
        Slice::from(first..=last)
    };
    let mut own = Vec::with_capacity(measured.voxels as usize);
    for layer in finding.layers() {
        let pairs = layer.slice_each_axis(part).into_iter().zip(voxels.slice_each_axis(part));
        own.extend(
            pairs.filter(|(label, value)| **label == measured.label && !value.is_nan()).map(|(_, value)| *value),
        );
    }
    Values::of(&mut own)
}

impl Values {
    /// Reorders `values`; `None` when there are none.
    fn of(values: &mut [f32]) -> Option<Values> {
        let count = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
        values.sort_unstable_by(f32::total_cmp);
        let (minimum, maximum) = (f64::from(*values.first()?), f64::from(*values.last()?));
        let quantile = |q: f64| {
            let place = q * (count - 1.0);
            let [low, high] = [place.floor(), place.ceil()].map(|at| f64::from(values[at as usize]));
            low + place.fract() * (high - low)
        };
        let (median, percentiles) = (quantile(0.5), [quantile(0.05), quantile(0.95)]);
        Some(Values { mean, deviation: variance.sqrt(), minimum, maximum, median, percentiles })
    }
}

impl Marks {
    /// The segments of slice `k`, by label.
    fn of_slice(finding: &Segmentation, k: usize) -> Vec<Marks> {
        let mut found: Vec<Option<Marks>> = (0..256).map(|_| None).collect();
        for layer in finding.layers() {
            for (row, line) in layer.index_axis(Axis(0), k).rows().into_iter().enumerate() {
                for (column, label) in line.iter().enumerate().filter(|(_, label)| **label > 0) {
                    found[usize::from(*label)].get_or_insert_with(|| Marks::new(*label, column, row)).add(column, row);
                }
            }
        }
        found.into_iter().flatten().collect()
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
