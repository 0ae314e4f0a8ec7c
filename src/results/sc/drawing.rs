//! One source image in its own window, and a finding over it.

use ndarray::Array3;

use super::counted_as;
use super::strip::Legend;
use crate::dicom::{CaptureDrawing, CaptureForm};
use crate::results::areas::slice_of;
use crate::results::seg::{Census, census_of};
use crate::results::voi::Voi;
use crate::results::{ResultError, SourceSeries, segment_numbers};
use crate::volume::{Picture, Segmentation, blend, usual_window};

/// Share of a segment's colour where segments are drawn translucent, without and with their outline.
const FILL: f32 = 0.4;
const FILL_UNDER_OUTLINE: f32 = 0.25;
/// Share of a heatmap's colour where it is hottest.
const HEAT: f32 = 0.6;

/// Everything that pictures are made from.
pub(super) struct Painter<'a> {
    voxels: &'a Array3<f32>,
    finding: &'a Segmentation,
    form: CaptureForm,
    /// What is drawn in truth: no heat without probabilities.
    drawing: CaptureDrawing,
    /// `[k]`
    voi: Vec<Voi>,
    /// `[label]`
    colors: [Option<[u8; 3]>; 256],
    census: Census,
    /// Slices in ascending order along the normal.
    order: Vec<usize>,
}

impl<'a> Painter<'a> {
    pub fn new(
        source: &SourceSeries,
        voxels: &'a Array3<f32>,
        finding: &'a Segmentation,
        form: CaptureForm,
    ) -> Result<Painter<'a>, ResultError> {
        let counted = counted_as(finding, form.drawing);
        // Also refuses labels that nobody describes.
        segment_numbers(finding, counted)?;
        let is_heatless = form.drawing == CaptureDrawing::Heatmap && finding.probabilities.is_empty();
        let silent = source.slices().iter().any(|slice| slice.voi.is_silent());
        let usual = if silent { usual_window(voxels) } else { [0.0, 1.0] };
        let mut colors = [None; 256];
        finding.segments.iter().for_each(|segment| colors[usize::from(segment.label)] = Some(segment.color));
        Ok(Painter {
            voxels,
            finding,
            form,
            drawing: if is_heatless { CaptureDrawing::Fill } else { form.drawing },
            voi: source.slices().iter().map(|slice| slice.voi.or_range(usual)).collect(),
            colors,
            census: census_of(finding, counted),
            order: source.ascending(),
        })
    }

    /// The slices that there are pictures of, in their order.
    pub fn shown(&self) -> Vec<usize> {
        let found = |k: &usize| self.form.every_slice || !self.census.marked[*k].is_empty();
        self.order.iter().copied().filter(found).collect()
    }

    /// Columns and rows of a source image.
    pub fn size(&self) -> [usize; 2] {
        let (_, rows, columns) = self.voxels.dim();
        [columns, rows]
    }

    /// Thickness of lines and size of text: what is one pixel of a usual slice is more of a radiograph.
    pub fn scale(&self) -> usize {
        (self.size()[0] / 512).clamp(1, 4)
    }

    /// What there is to say about these slices; `None` where nothing is burnt in.
    pub fn legend(&self, slices: &[usize]) -> Option<Legend> {
        let first = slices.first()?;
        let is_here = |label: u8| slices.iter().any(|k| self.census.area(*k, label).is_some());
        let is_heat = self.drawing == CaptureDrawing::Heatmap;
        let named = self.finding.segments.iter().filter(|segment| is_here(segment.label));
        let legend = Legend {
            model: format!("{} {}", self.finding.algorithm.name, self.finding.algorithm.version),
            window: self.voi[*first].window(),
            heat: is_heat.then(|| (0..=100).map(|percent| heat(percent as f32 / 100.0)).collect()),
            entries: named.map(|segment| (segment.color, segment.name.clone())).collect(),
        };
        self.form.burn_in.then_some(legend)
    }

    /// Source image `k` with the finding over it, without a strip.
    pub fn slice(&self, k: usize) -> Picture {
        let [columns, rows] = self.size();
        let mut picture = Picture::black(columns, rows);
        let voxels = self.voxels.index_axis(ndarray::Axis(0), k);
        for (pixel, value) in picture.pixels.chunks_exact_mut(3).zip(voxels) {
            pixel.fill(self.voi[k].grey(*value));
        }
        match self.drawing {
            CaptureDrawing::Outline => self.outline(k, &mut picture),
            CaptureDrawing::Fill => self.fill(k, FILL, &mut picture),
            CaptureDrawing::Both => {
                self.fill(k, FILL_UNDER_OUTLINE, &mut picture);
                self.outline(k, &mut picture);
            }
            CaptureDrawing::Heatmap => self.heat(k, &mut picture),
        }
        picture
    }

    /// The maps that go first where segments overlap are drawn last.
    fn layers(&self) -> impl Iterator<Item = &Array3<u8>> {
        self.finding.layers().collect::<Vec<_>>().into_iter().rev()
    }

    fn fill(&self, k: usize, opacity: f32, picture: &mut Picture) {
        for layer in self.layers() {
            let labels = slice_of(layer, k);
            for (pixel, label) in picture.pixels.as_chunks_mut::<3>().0.iter_mut().zip(labels.iter()) {
                if let Some(color) = self.colors[usize::from(*label)] {
                    *pixel = blend(*pixel, color, opacity);
                }
            }
        }
    }

    fn outline(&self, k: usize, picture: &mut Picture) {
        let [columns, rows] = self.size();
        let reach = self.scale();
        for layer in self.layers() {
            let labels = slice_of(layer, k);
            let differs = |own: u8, x: usize, y: usize| labels[y * columns + x] != own;
            let is_border = |x: usize, y: usize| {
                let own = labels[y * columns + x];
                (1..=reach).any(|step| {
                    x < step
                        || y < step
                        || x + step >= columns
                        || y + step >= rows
                        || differs(own, x - step, y)
                        || differs(own, x + step, y)
                        || differs(own, x, y - step)
                        || differs(own, x, y + step)
                })
            };
            for (at, label) in labels.iter().enumerate() {
                let Some(color) = self.colors[usize::from(*label)] else { continue };
                if is_border(at % columns, at / columns) {
                    picture.set(at % columns, at / columns, color);
                }
            }
        }
    }

    fn heat(&self, k: usize, picture: &mut Picture) {
        let mut hottest = vec![0_u8; picture.pixels.len() / 3];
        for shares in &self.finding.probabilities {
            hottest.iter_mut().zip(slice_of(shares, k).iter()).for_each(|(most, share)| *most = (*most).max(*share));
        }
        for (pixel, share) in picture.pixels.as_chunks_mut::<3>().0.iter_mut().zip(hottest) {
            let (color, opacity) = heat(f32::from(share) / 255.0);
            *pixel = blend(*pixel, color, opacity);
        }
    }
}

/// Colour and opacity of a share: from nothing over red to yellow.
fn heat(share: f32) -> ([u8; 3], f32) {
    ([255, (255.0 * share).round() as u8, 0], HEAT * share)
}
