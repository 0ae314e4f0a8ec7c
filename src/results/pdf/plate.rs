//! Pictures of a report: the slices that show the most of what was found, each plain and beside it with the finding laid
//! over, in the window that the source states.
//!
//! Pixels are the source's own, never resampled but for images larger than a page can show.

use std::collections::BTreeSet;

use ndarray::{Array3, ArrayView2, Axis};

use crate::dicom::{Vec3, scale};
use crate::results::SourceSeries;
use crate::results::voi::Voi;
use crate::volume::{Measured, Picture, Segmentation, blend, usual_window};

/// Slices shown at most.
const MOST: usize = 6;
/// Pixels along a side at most; a larger image is reduced by whole numbers.
const SIDE: usize = 1024;
/// The overlay's share of a pixel's colour, within a structure and at its edge.
const FILL: f32 = 0.35;
const EDGE: f32 = 0.9;
/// A probability below shows no heat, so that anatomy stays readable.
const COLD: f32 = 0.1;

/// One slice of the source, plain and marked.
#[derive(Debug, Clone)]
pub(super) struct Plate {
    pub slice: usize,
    pub plain: Picture,
    pub marked: Picture,
    /// How its values became greys.
    pub voi: Voi,
    /// Width and height on the patient, mm.
    pub extent: [f64; 2],
    /// Patient directions at the left, right, top and bottom edge.
    pub edges: [char; 4],
    /// Labels that are on it.
    pub labels: BTreeSet<u8>,
}

/// What is drawn over the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlay {
    Structures,
    /// The greatest probability of any structure.
    Heat,
}

/// Plates, and what lies over them.
#[derive(Debug, Clone)]
pub(super) struct Plates {
    pub all: Vec<Plate>,
    pub overlay: Overlay,
}

/// Draws the slices that show most of `measured`; the middle one where nothing was found.
pub(super) fn plates(
    source: &SourceSeries,
    finding: &Segmentation,
    measured: &[Measured],
    voxels: &Array3<f32>,
) -> Plates {
    let usual =
        if source.slices().iter().any(|slice| slice.voi.is_silent()) { usual_window(voxels) } else { [0.0, 1.0] };
    let overlay = if finding.probabilities.is_empty() { Overlay::Structures } else { Overlay::Heat };
    let draw = |k: usize| {
        let plane = &source.slices()[k].plane;
        let voi = source.slices()[k].voi.or_range(usual);
        let plain = grey(voxels.index_axis(Axis(0), k), &voi);
        let marked = match overlay {
            Overlay::Structures => structures(&plain, finding, k),
            Overlay::Heat => heated(&plain, finding, k),
        };
        let (right, down) = (plane.row, plane.column);
        Plate {
            slice: k,
            extent: [plane.columns as f64 * plane.spacing[1], plane.rows as f64 * plane.spacing[0]],
            edges: [scale(right, -1.0), right, scale(down, -1.0), down].map(direction),
            labels: labels_on(finding, k),
            plain: reduced(plain),
            marked: reduced(marked),
            voi,
        }
    };
    let all = chosen(finding, measured, voxels.len_of(Axis(0))).into_iter().map(draw).collect();
    Plates { all, overlay }
}

/// Slices on which some structure reaches farthest, as few as show all structures, in the order of the volume.
fn chosen(finding: &Segmentation, measured: &[Measured], slices: usize) -> Vec<usize> {
    let candidates: BTreeSet<usize> = measured.iter().map(|measured| measured.caliper.slice).collect();
    let mut candidates: Vec<(usize, BTreeSet<u8>)> =
        candidates.into_iter().map(|k| (k, labels_on(finding, k))).collect();
    let mut lacking: BTreeSet<u8> = measured.iter().map(|measured| measured.label).collect();
    let mut chosen = BTreeSet::new();
    while chosen.len() < MOST && !lacking.is_empty() {
        // Of equals the last: `max_by_key` takes it, the same in every run.
        let Some(best) = (0..candidates.len()).max_by_key(|at| candidates[*at].1.intersection(&lacking).count()) else {
            break;
        };
        let (slice, shown) = candidates.swap_remove(best);
        lacking.retain(|label| !shown.contains(label));
        chosen.insert(slice);
    }
    if chosen.is_empty() {
        chosen.insert(slices / 2);
    }
    chosen.into_iter().collect()
}

fn labels_on(finding: &Segmentation, k: usize) -> BTreeSet<u8> {
    let mut present = [false; 256];
    let slices = finding.layers().map(|layer| layer.index_axis(Axis(0), k));
    slices.for_each(|slice| slice.iter().for_each(|label| present[usize::from(*label)] = true));
    (1..=255).filter(|label| present[usize::from(*label)]).collect()
}

fn grey(slice: ArrayView2<'_, f32>, voi: &Voi) -> Picture {
    let (height, width) = slice.dim();
    Picture { width, height, pixels: slice.iter().flat_map(|value| [voi.grey(*value); 3]).collect() }
}

/// Every structure in its colour, its edge stronger. Of structures that share a voxel the last is seen.
fn structures(plain: &Picture, finding: &Segmentation, k: usize) -> Picture {
    let mut colors = [None; 256];
    finding.segments.iter().for_each(|segment| colors[usize::from(segment.label)] = Some(segment.color));
    let mut drawn = plain.clone();
    for layer in finding.layers() {
        let labels = layer.index_axis(Axis(0), k);
        for ((row, column), label) in labels.indexed_iter() {
            let Some(color) = colors[usize::from(*label)] else { continue };
            let near =
                [(row.wrapping_sub(1), column), (row + 1, column), (row, column.wrapping_sub(1)), (row, column + 1)];
            let inside = near.iter().all(|at| labels.get(*at).is_none_or(|other| other == label));
            tint(&mut drawn, [column, row], color, if inside { FILL } else { EDGE });
        }
    }
    drawn
}

fn heated(plain: &Picture, finding: &Segmentation, k: usize) -> Picture {
    let mut drawn = plain.clone();
    for row in 0..plain.height {
        for column in 0..plain.width {
            let most = finding.probabilities.iter().map(|shares| shares[[k, row, column]]).max().unwrap_or(0);
            let share = f32::from(most) / 255.0;
            if share >= COLD {
                tint(&mut drawn, [column, row], heat(share), 0.25 + 0.3 * share);
            }
        }
    }
    drawn
}

/// From blue over green and yellow to red, for 0 to 1.
pub(super) fn heat(share: f32) -> [u8; 3] {
    [3.0, 2.0, 1.0].map(|peak| ((1.5 - (4.0 * share - peak).abs()).clamp(0.0, 1.0) * 255.0).round() as u8)
}

/// The patient's direction that `towards` points to most: R, L, A, P, F or H.
fn direction(towards: Vec3) -> char {
    let axis = (0..3).max_by(|a, b| towards[*a].abs().total_cmp(&towards[*b].abs())).unwrap_or(0);
    let [negative, positive] = [['R', 'L'], ['A', 'P'], ['F', 'H']][axis];
    if towards[axis] < 0.0 { negative } else { positive }
}

fn tint(picture: &mut Picture, [x, y]: [usize; 2], color: [u8; 3], opacity: f32) {
    let pixel = &mut picture.pixels.as_chunks_mut::<3>().0[y * picture.width + x];
    *pixel = blend(*pixel, color, opacity);
}

/// Averaged over squares of pixels until it fits [`SIDE`].
fn reduced(picture: Picture) -> Picture {
    let factor = picture.width.max(picture.height).div_ceil(SIDE);
    if factor <= 1 {
        return picture;
    }
    let (width, height) = (picture.width / factor, picture.height / factor);
    let area = (factor * factor) as u32;
    let mean = |x: usize, y: usize, channel: usize| {
        let square = (0..factor * factor).map(|n| (x * factor + n % factor, y * factor + n / factor));
        let sum: u32 = square.map(|(x, y)| u32::from(picture.pixels[(y * picture.width + x) * 3 + channel])).sum();
        (sum / area) as u8
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels = places.flat_map(|(x, y)| [0, 1, 2].map(|channel| mean(x, y, channel))).collect();
    Picture { width, height, pixels }
}

/// RGBA, as images are embedded.
pub(super) fn opaque(picture: &Picture) -> Vec<u8> {
    picture.pixels.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_goes_from_blue_to_red() {
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(heat),
            [[0, 0, 128], [0, 128, 255], [128, 255, 128], [255, 128, 0], [128, 0, 0]]
        );
    }

    #[test]
    fn directions_are_the_patients() {
        assert_eq!(direction([0.9, 0.3, -0.1]), 'L');
        assert_eq!(direction([-0.2, -0.9, 0.1]), 'A');
        assert_eq!(direction([0.0, 0.1, -1.0]), 'F');
    }

    #[test]
    fn large_images_are_averaged() {
        let pixels = (0..2050 * 4).flat_map(|n| [if n % 2 == 0 { 10 } else { 30 }, 0, 255]).collect();
        let reduced = reduced(Picture { width: 2050, height: 4, pixels });
        assert_eq!((reduced.width, reduced.height), (683, 1));
        assert_eq!(&reduced.pixels[..3], &[16, 0, 255]);
    }
}
