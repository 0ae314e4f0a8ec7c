//! All contours of a finding, slice by slice, as Contour Data: LPS millimetres on the slice's own plane.

use std::fmt::Write;

use rayon::prelude::*;

use super::contour::{Outline, outlines, rings};
use crate::dicom::{Plane, add, scale};
use crate::results::SourceSeries;
use crate::results::areas::{Area, Marked, marked, slice_of};
use crate::volume::Segmentation;

/// From a mask of columns and rows to its outlines.
type Trace = fn([usize; 2], &dyn Fn(usize, usize) -> bool) -> Vec<Outline>;

/// The contours of one slice, by label.
pub(super) struct SliceContours(Vec<(u8, Vec<Contour>)>);

/// One closed contour, ready to be written.
pub(super) struct Contour {
    pub points: usize,
    /// `x\y\z\x\y\z...`
    pub data: String,
}

impl SliceContours {
    /// In the order in which their first voxels are read.
    pub fn of(&self, label: u8) -> impl Iterator<Item = &Contour> {
        self.0.iter().filter(move |(own, _)| *own == label).flat_map(|(_, contours)| contours)
    }
}

/// `[k]`: the contours on slice `k` of the source.
pub(super) fn contours(finding: &Segmentation, source: &SourceSeries) -> Vec<SliceContours> {
    let slices = source.slices().par_iter().enumerate();
    let of_slice = |(k, slice): (usize, &crate::results::source::Slice)| {
        let mut found = Vec::new();
        for layer in finding.layers() {
            let labels = slice_of(layer, k);
            for marked in marked(&labels, slice.plane.columns) {
                let drawn = drawn(&labels, &marked, slice.plane.columns, |size, mask| outlines(size, mask));
                found.push((marked.label, drawn.iter().map(|outline| contour(outline, &slice.plane)).collect()));
            }
        }
        SliceContours(found)
    };
    slices.map(of_slice).collect()
}

/// The borders of each label of a slice, around its voxels and around its holes, in columns and rows.
pub(in crate::results) fn borders(labels: &[u8], width: usize) -> Vec<(u8, Vec<Outline>)> {
    let of = |marked: &Marked| (marked.label, drawn(labels, marked, width, |size, mask| rings(size, mask)));
    marked(labels, width).iter().map(of).collect()
}

/// What `trace` makes of the mask of a label, in columns and rows of the whole slice.
fn drawn(labels: &[u8], marked: &Marked, width: usize, trace: Trace) -> Vec<Outline> {
    let Area { columns: [left, right], rows: [top, bottom] } = marked.area;
    let size = [right - left + 1, bottom - top + 1];
    let mut drawn = trace(size, &|column, row| labels[(top + row) * width + left + column] == marked.label);
    let moved = |point: &mut [f64; 2]| *point = [point[0] + left as f64, point[1] + top as f64];
    drawn.iter_mut().flatten().for_each(moved);
    drawn
}

fn contour(outline: &Outline, plane: &Plane) -> Contour {
    let steps = [scale(plane.row, plane.spacing[1]), scale(plane.column, plane.spacing[0])];
    // A tenth of a micrometre; less where voxels are small, so that drawing in survives rounding.
    let digits = if plane.spacing.iter().any(|mm| *mm < 0.1) { 6 } else { 4 };
    let mut data = String::with_capacity(outline.len() * 27);
    for [column, row] in outline {
        let point = add(plane.position, add(scale(steps[0], *column), scale(steps[1], *row)));
        for coordinate in point {
            put_decimal(&mut data, coordinate, digits);
        }
    }
    data.pop();
    Contour { points: outline.len(), data }
}

/// A number of at most 16 characters with up to `digits` decimals, and a backslash.
fn put_decimal(data: &mut String, value: f64, digits: u32) {
    let unit = 10_i64.pow(digits);
    let scaled = (value * unit as f64).round() as i64;
    let (whole, mut part) = (scaled.unsigned_abs() / unit as u64, scaled.unsigned_abs() % unit as u64);
    let sign = if scaled < 0 { "-" } else { "" };
    let _ = write!(data, "{sign}{whole}");
    if part > 0 {
        let mut width = digits as usize;
        while part % 10 == 0 {
            part /= 10;
            width -= 1;
        }
        let _ = write!(data, ".{part:0width$}");
    }
    data.push('\\');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_short() {
        let check = |value: f64, digits, expected: &str| {
            let mut data = String::new();
            put_decimal(&mut data, value, digits);
            assert_eq!(data, expected);
        };
        check(-125.0, 4, "-125\\");
        check(0.007_49, 4, "0.0075\\");
        check(-0.000_01, 4, "0\\");
        check(-142.505_487_236_053, 4, "-142.5055\\");
        check(12.000_123_4, 6, "12.000123\\");
    }
}
