//! What the pixels of a capture show, worked out anew: everywhere the source's grey, and above it the colours of what was
//! found, in the share that they should have.

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use super::{Capture, Drawn};
use crate::dicom::{CaptureDrawing, CaptureLayout};
use crate::results::SourceSeries;
use crate::results::verify::Fault;

/// Rounding of a blended pixel, and of differences of two.
const ROUNDING: f64 = 1.6;
/// Tiles of a montage have at most so many pixels along both sides of all of them.
const LONGEST: usize = 2560;
/// Greys that are compared in their order, at most.
const COMPARED: usize = 1 << 16;

/// What lies over a pixel: how much of the grey is left, and the colour that is added.
#[derive(Clone, Copy)]
struct Veil {
    left: f64,
    added: [f64; 3],
}

const CLEAR: Veil = Veil { left: 1.0, added: [0.0; 3] };

impl Veil {
    fn under(self, color: [u8; 3], opacity: f64) -> Veil {
        let added = std::array::from_fn(|c| self.added[c] * (1.0 - opacity) + f64::from(color[c]) * opacity);
        Veil { left: self.left * (1.0 - opacity), added }
    }
}

/// On which slices something is to be seen.
pub(super) fn marked(drawn: &Drawn) -> Vec<bool> {
    let finding = drawn.finding;
    let by_shares = drawn.form.drawing == CaptureDrawing::Heatmap && !finding.probabilities.is_empty();
    let maps: Vec<_> = if by_shares { finding.probabilities.iter().collect() } else { finding.layers().collect() };
    let slices = 0..finding.labels.len_of(Axis(0));
    slices.map(|k| maps.iter().any(|map| map.index_axis(Axis(0), k).iter().any(|value| *value > 0))).collect()
}

/// What is wrong with the pixels, if anything; nothing where they cannot be judged for other faults.
pub(super) fn check(capture: &Capture<'_>, source: &SourceSeries, drawn: &Drawn) -> Option<Fault> {
    let slices: Vec<usize> = capture.slices.iter().copied().collect::<Option<_>>()?;
    let area = capture.size[0] * capture.size[1];
    let frame = |index: usize| capture.pixel_data.as_ref().and_then(|data| data.color_frame(index, area));
    let unreadable = || Some(Fault::new("V8", "a frame's pixels cannot be decoded"));
    if capture.layout == CaptureLayout::Montage || drawn.form.layout == CaptureLayout::Montage {
        let Some(pixels) = frame(0) else { return unreadable() };
        return montage(&pixels, capture.size[0], &slices, drawn);
    }
    let judged = slices.par_iter().enumerate().map(|(index, k)| {
        let Some(pixels) = frame(index) else { return unreadable() };
        let frame = Frame { pixels: &pixels, width: capture.size[0], k: *k, veils: veils(*k, drawn), drawn };
        frame.overlay().or_else(|| frame.greys(source))
    });
    judged.collect::<Vec<_>>().into_iter().flatten().next()
}

fn pixel(pixels: &[u8], at: usize) -> [f64; 3] {
    std::array::from_fn(|channel| f64::from(pixels.get(at * 3 + channel).copied().unwrap_or(0)))
}

/// Whether the channels differ from each other as the veil alone makes them.
fn is_so(seen: [f64; 3], veil: &Veil, tolerance: f64) -> bool {
    let differs = |a: usize, b: usize| ((seen[a] - seen[b]) - (veil.added[a] - veil.added[b])).abs() > tolerance;
    let is_opaque = veil.left < 1e-9;
    let is_other = (0..3).any(|c| (seen[c] - veil.added[c]).abs() > tolerance);
    !(differs(0, 1) || differs(1, 2) || is_opaque && is_other)
}

/// One picture of source image `k`.
struct Frame<'a> {
    pixels: &'a [u8],
    width: usize,
    k: usize,
    veils: Vec<Veil>,
    drawn: &'a Drawn<'a>,
}

impl Frame<'_> {
    /// The pixel at place `at` of the source image.
    fn seen(&self, at: usize) -> [f64; 3] {
        let (_, _, columns) = self.drawn.voxels.dim();
        pixel(self.pixels, at / columns * self.width + at % columns)
    }

    fn overlay(&self) -> Option<Fault> {
        let is_wrong = |(at, veil): &(usize, &Veil)| !is_so(self.seen(*at), veil, ROUNDING);
        let wrong = self.veils.iter().enumerate().filter(is_wrong).count();
        let message = || format!("slice {}: {wrong} pixels have other colours than what was found there", self.k);
        (wrong > 0).then(|| Fault::new("V8", message()))
    }

    /// Uncoloured pixels are ordered as the source's voxels, and black and white where its window ends.
    fn greys(&self, source: &SourceSeries) -> Option<Fault> {
        let voi = &source.slices()[self.k].voi;
        let shades = self.shades(voi.is_inverted());
        let falls = |pair: &[(f32, f64)]| {
            let [(value, grey), (next, other)] = [pair[0], pair[1]];
            other < grey || (next <= value && other > grey)
        };
        if shades.windows(2).any(falls) {
            return Some(Fault::new("V8", format!("slice {}: the greys beneath are not the source's", self.k)));
        }
        let [center, width] = voi.window().filter(|[_, width]| *width > 2.0)?;
        let is_off = |(value, grey): &(f32, f64)| {
            let from_center = (f64::from(*value) - center) / width;
            // A sigmoid is at 12 and 88 percent where a line ends.
            (from_center < -0.52 && *grey > 32.0) || (from_center > 0.52 && *grey < 223.0)
        };
        let message = || format!("slice {}: the source is shown in another window than its own", self.k);
        shades.iter().any(is_off).then(|| Fault::new("V8", message()))
    }

    /// Values of the source and their greys, ascending, where nothing lies over them.
    fn shades(&self, is_inverted: bool) -> Vec<(f32, f64)> {
        let voxels = self.drawn.voxels.index_axis(Axis(0), self.k);
        let every = self.veils.len().div_ceil(COMPARED).max(1);
        let all = voxels.iter().enumerate().step_by(every).filter(|(at, _)| self.veils[*at].left > 0.999);
        let shade = |(at, value): (usize, &f32)| {
            let grey = self.seen(at)[0];
            (*value, if is_inverted { 255.0 - grey } else { grey })
        };
        let mut shades: Vec<(f32, f64)> = all.map(shade).collect();
        shades.sort_by(|a, b| a.0.total_cmp(&b.0));
        shades
    }
}

/// What lies over each pixel of slice `k`.
fn veils(k: usize, drawn: &Drawn) -> Vec<Veil> {
    let finding = drawn.finding;
    let (_, rows, columns) = drawn.voxels.dim();
    let place = |at: usize| [k, at / columns, at % columns];
    let is_hot = drawn.form.drawing == CaptureDrawing::Heatmap && !finding.probabilities.is_empty();
    if is_hot {
        let hottest = |at: usize| finding.probabilities.iter().map(|shares| shares[place(at)]).max().unwrap_or(0);
        let veil = |share: u8| CLEAR.under([255, share, 0], f64::from(share) * 0.6 / 255.0);
        return (0..rows * columns).map(|at| veil(hottest(at))).collect();
    }
    let mut colors = [None; 256];
    finding.segments.iter().for_each(|segment| colors[usize::from(segment.label)] = Some(segment.color));
    let opacity = match drawn.form.drawing {
        CaptureDrawing::Outline => 0.0,
        CaptureDrawing::Both => 0.25,
        CaptureDrawing::Fill | CaptureDrawing::Heatmap => 0.4,
    };
    let has_lines = matches!(drawn.form.drawing, CaptureDrawing::Outline | CaptureDrawing::Both);
    let of = |at: usize| {
        let colored = finding.layers().filter_map(|layer| Some((layer, colors[usize::from(layer[place(at)])]?)));
        let below: Vec<(&Array3<u8>, [u8; 3])> = colored.collect();
        let veil = below.iter().rev().fold(CLEAR, |veil, (_, color)| veil.under(*color, opacity));
        let line = below.iter().find(|(layer, _)| has_lines && is_edge(layer, place(at)));
        line.map_or(veil, |(_, color)| veil.under(*color, 1.0))
    };
    (0..rows * columns).map(of).collect()
}

/// Whether another label, or the image's border, is as near as lines are thick.
fn is_edge(layer: &Array3<u8>, [k, row, column]: [usize; 3]) -> bool {
    let (_, rows, columns) = layer.dim();
    let reach = (columns / 512).clamp(1, 4) as isize;
    let is_alike = |down: isize, right: isize| {
        let (row_there, column_there) = (row.checked_add_signed(down), column.checked_add_signed(right));
        let inside = row_there.zip(column_there).filter(|(row, column)| *row < rows && *column < columns);
        inside.is_some_and(|(row_there, column_there)| layer[[k, row_there, column_there]] == layer[[k, row, column]])
    };
    !(-reach..=reach).all(|step| is_alike(step, 0) && is_alike(0, step))
}

/// Tiles, each pixel of which is the mean of a block.
fn montage(pixels: &[u8], width: usize, slices: &[usize], drawn: &Drawn) -> Option<Fault> {
    let (_, rows, columns) = drawn.voxels.dim();
    let across = (1..=slices.len()).find(|across| across * across >= slices.len()).unwrap_or(1);
    let down = slices.len().div_ceil(across);
    let reduced = (across * columns).max(down * rows).div_ceil(LONGEST).clamp(1, columns.min(rows));
    let (tile_columns, tile_rows) = (columns / reduced, rows / reduced);
    let wrong_of = |(index, k): (usize, &usize)| {
        let veils = veils(*k, drawn);
        let corner = [index % across * tile_columns, index / across * tile_rows];
        let is_wrong = |at: &usize| {
            let (x, y) = (at % tile_columns, at / tile_columns);
            let block = (0..reduced * reduced)
                .map(|n| &veils[(y * reduced + n / reduced) * columns + x * reduced + n % reduced]);
            let share = 1.0 / (reduced * reduced) as f64;
            let mut mean = Veil { left: 0.0, added: [0.0; 3] };
            for veil in block {
                mean.left += veil.left * share;
                (0..3).for_each(|c| mean.added[c] += veil.added[c] * share);
            }
            !is_so(pixel(pixels, (corner[1] + y) * width + corner[0] + x), &mean, 2.0 * ROUNDING)
        };
        (0..tile_columns * tile_rows).filter(is_wrong).count()
    };
    let wrong: usize = slices.par_iter().enumerate().map(wrong_of).sum();
    let message = || format!("{wrong} pixels of the montage have other colours than what was found there");
    (wrong > 0).then(|| Fault::new("V8", message()))
}
