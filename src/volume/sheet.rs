//! A contact sheet: slices in three orientations with a segmentation laid over them, and a legend.
//!
//! Tiles are drawn in millimetres, so anatomy keeps its proportions whatever the voxels are. Axial and coronal
//! tiles have the patient's left on the right, sagittal ones anterior on the left. Never shows a patient
//! attribute. The sheet says of itself that it is not for diagnostic use.

use std::ops::Range;

use ndarray::Array3;

use super::font;
use super::picture::{NOTICE, Picture, blend};
use super::{
    Grid, Orientation, Reorientation, Segmentation, Volume, VolumeError, bounding_box, quantiles, resample,
    resample_labels,
};
use crate::dicom::{Vec3, add, scale};

const GAP: usize = 4;
const LINE: usize = font::HEIGHT + 5;
const MARGIN: usize = 8;

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// Slices of each orientation.
    pub slices: usize,
    /// Longest side of a tile, pixels.
    pub tile: usize,
    /// Values shown black and white; `None`: the 1st and 99th percentile of the values above the least.
    pub window: Option<[f32; 2]>,
    /// Overlay's share of a pixel's colour, 0 to 1.
    pub opacity: f32,
    /// First line of the legend, e.g. the model's name; no patient data.
    pub title: String,
}

impl Default for Sheet {
    fn default() -> Sheet {
        Sheet { slices: 6, tile: 200, window: None, opacity: 0.45, title: String::new() }
    }
}

/// Draws `segmentation` over `volume` (its grid may differ from the volume's).
pub fn contact_sheet(volume: &Volume, segmentation: &Segmentation, sheet: &Sheet) -> Result<Picture, VolumeError> {
    let window = sheet.window.unwrap_or_else(|| usual_window(&volume.voxels));
    let views = ["LPS", "LIP", "PIL"].map(|word| View::new(volume, segmentation, word, sheet));
    let views = views.into_iter().collect::<Result<Vec<View>, VolumeError>>()?;
    let legend = legend(segmentation, sheet);
    let columns = legend.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
    let tiles_width = views.iter().map(|v| sheet.slices * (v.width + GAP)).max().unwrap_or(0);
    let width = (2 * MARGIN + tiles_width).max(2 * MARGIN + LINE + columns * (font::WIDTH + 1));
    let tiles_height: usize = views.iter().map(|v| v.height + GAP).sum();
    let mut picture = Picture::black(width, 2 * MARGIN + tiles_height + legend.len() * LINE);
    let mut top = MARGIN;
    for view in &views {
        view.draw(&mut picture, top, (volume, window), segmentation, sheet.opacity)?;
        top += view.height + GAP;
    }
    for (color, text) in legend {
        if let Some(color) = color {
            picture.rectangle(MARGIN..MARGIN + font::HEIGHT, top..top + font::HEIGHT, color);
        }
        let indent = if color.is_some() { LINE } else { 0 };
        picture.text(MARGIN + indent, top, &text, [230, 230, 230], 1);
        top += LINE;
    }
    Ok(picture)
}

fn legend(segmentation: &Segmentation, sheet: &Sheet) -> Vec<(Option<[u8; 3]>, String)> {
    let mut counts = [0_u64; 256];
    segmentation.labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
    let litres = segmentation.grid.voxel_volume() / 1000.0;
    let segments = segmentation.segments.iter().map(|segment| {
        let volume = counts[usize::from(segment.label)] as f64 * litres;
        (Some(segment.color), format!("{} {volume:.1} mL", segment.name))
    });
    let title = Some((None, sheet.title.clone())).filter(|(_, text)| !text.is_empty());
    title.into_iter().chain([(None, NOTICE.to_owned())]).chain(segments).collect()
}

/// The slices of one orientation: i is the tile's x, j its y, k counts the slices.
struct View {
    turned: Grid,
    /// Pixel size, mm, and tile size, pixels.
    pixel: f64,
    width: usize,
    height: usize,
    /// Slice numbers shown.
    shown: Vec<usize>,
}

impl View {
    fn new(volume: &Volume, segmentation: &Segmentation, word: &str, sheet: &Sheet) -> Result<View, VolumeError> {
        let turned = Reorientation::new(&volume.grid, Orientation::parse(word)?)?.grid;
        let spacing = turned.spacing();
        let extent: [f64; 2] = std::array::from_fn(|a| turned.size[a] as f64 * spacing[a]);
        // One scale for all views, so that the rows of the sheet can be compared.
        let longest = (0..3).map(|a| turned.size[a] as f64 * spacing[a]).fold(0.0, f64::max);
        let pixel = longest / sheet.tile.max(1) as f64;
        let side = |length: f64| ((length / pixel).round() as usize).max(1);
        let shown = spread(slices_of_interest(&turned, segmentation)?, sheet.slices);
        Ok(View { pixel, width: side(extent[0]), height: side(extent[1]), shown, turned })
    }

    /// The tile of slice `k` as a grid of one slice.
    fn tile(&self, k: usize) -> Grid {
        let spacing = self.turned.spacing();
        let axes = self.turned.axes;
        let direction = |a: usize| scale(axes[a], self.pixel / spacing[a]);
        // Pixels start at the volume's edge, which lies half a voxel before the first centre.
        let shift = |a: usize| -> Vec3 { scale(axes[a], -0.5 + 0.5 * self.pixel / spacing[a]) };
        let corner = self.turned.position([0.0, 0.0, k as f64]);
        Grid {
            size: [self.width, self.height, 1],
            origin: add(corner, add(shift(0), shift(1))),
            axes: [direction(0), direction(1), axes[2]],
        }
    }

    fn draw(
        &self,
        picture: &mut Picture,
        top: usize,
        (volume, window): (&Volume, [f32; 2]),
        segmentation: &Segmentation,
        opacity: f32,
    ) -> Result<(), VolumeError> {
        let mut colors = [None; 256];
        for segment in &segmentation.segments {
            colors[usize::from(segment.label)] = Some(segment.color);
        }
        for (column, k) in self.shown.iter().enumerate() {
            let left = MARGIN + column * (self.width + GAP);
            let grid = self.tile(*k);
            let values = resample(volume, &grid, window[0])?.voxels;
            let labels = resample_labels(&segmentation.labels, &segmentation.grid, &grid)?;
            for ((_, y, x), value) in values.indexed_iter() {
                let color = colors[usize::from(labels[[0, y, x]])];
                picture.set(left + x, top + y, tint(grey(*value, window), color, opacity));
            }
        }
        Ok(())
    }
}

fn grey(value: f32, [black, white]: [f32; 2]) -> f32 {
    ((value - black) / (white - black).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0) * 255.0
}

fn tint(grey: f32, color: Option<[u8; 3]>, opacity: f32) -> [u8; 3] {
    let grey = [grey.round() as u8; 3];
    color.map_or(grey, |color| blend(grey, color, opacity))
}

/// The values shown black and white where nobody says: the 1st and 99th percentile of those above the least.
#[must_use]
pub fn usual_window(voxels: &Array3<f32>) -> [f32; 2] {
    // About a million voxels tell the window of any volume.
    let values: Vec<f32> = voxels.iter().copied().step_by(voxels.len() / 1_000_000 + 1).collect();
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let found = quantiles(&values, |v| v > least, &[0.01, 0.99]);
    found.map_or([least, least + 1.0], |q| [q[0] as f32, q[1] as f32])
}

/// The slices of `turned` that the labels reach; all of them when there is no label.
fn slices_of_interest(turned: &Grid, segmentation: &Segmentation) -> Result<Range<usize>, VolumeError> {
    let last = turned.size[2].saturating_sub(1);
    let Some(ranges) = bounding_box(&segmentation.labels) else { return Ok(0..last + 1) };
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for corner in 0..8_usize {
        let index = std::array::from_fn(|a| match corner >> a & 1 {
            0 => ranges[a].start as f64,
            _ => ranges[a].end as f64 - 1.0,
        });
        let k = turned.index_of(segmentation.grid.position(index))?[2];
        (low, high) = (low.min(k), high.max(k));
    }
    let clamp = |k: f64| (k.round().max(0.0) as usize).min(last);
    Ok(clamp(low)..clamp(high) + 1)
}

/// `count` numbers in the middle of equal parts of `range`.
fn spread(range: Range<usize>, count: usize) -> Vec<usize> {
    (0..count).map(|n| range.start + (2 * n + 1) * range.len() / (2 * count)).collect()
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
