//! The referee of presentation states: identity and references as for any result; the source's own greys; layers that tell
//! segments apart; and lines that, filled, give back the voxels that were found.

use std::collections::{BTreeMap, HashSet};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use rayon::prelude::*;

use super::raster::fill;
use super::reader::{Image, items, named, number, places, referenced_frame};
use super::truth::Truth;
use super::values::Lengths;
use super::{Fault, identity, judged};
use crate::dicom::{Dataset, SegmentationType, decimals, keyword_of, text};
use crate::results::color::srgb;
use crate::results::{Scale, SourceSeries};
use crate::volume;

const FIXED: &[(Tag, &str)] =
    &[(tags::SOP_CLASS_UID, uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE), (tags::MODALITY, "PR")];
const FILLED: &[Tag] = &[tags::PRESENTATION_CREATION_DATE, tags::PRESENTATION_CREATION_TIME, tags::CONTENT_LABEL];
const LINE: &[(Tag, &str)] = &[
    (tags::GRAPHIC_ANNOTATION_UNITS, "PIXEL"),
    (tags::GRAPHIC_DIMENSIONS, "2"),
    (tags::GRAPHIC_TYPE, "POLYLINE"),
    (tags::GRAPHIC_FILLED, "N"),
];

/// Checks a presentation state (Part 10 bytes) made over `source`; with `expected`, also that its lines go around exactly
/// that finding's voxels on the images it names. An empty answer means that it may be sent.
#[must_use]
pub fn presentation_state(bytes: &[u8], source: &SourceSeries, expected: Option<&volume::Segmentation>) -> Vec<Fault> {
    judged(bytes, source, &[tags::CONTENT_CREATOR_NAME], Lengths::Short, |object| {
        let mut faults = identity::filled(object, FILLED);
        let wrong = FIXED.iter().filter(|(tag, value)| text(object, *tag).as_deref() != Some(value));
        faults.extend(wrong.map(|(tag, value)| Fault::new("G1", format!("{} is not {value}", keyword_of(*tag)))));
        let state = State::read(object, source);
        faults.extend(state.references());
        faults.extend(state.area());
        faults.extend(state.greys());
        faults.extend(state.layers());
        faults.extend(state.drawn());
        faults.extend(state.tracking());
        faults.extend(expected.map(|finding| state.as_found(finding)).unwrap_or_default());
        faults
    })
}

/// What is drawn of one segment on one image.
struct Annotation<'d> {
    item: &'d Dataset,
    /// Source slice; `None` where it names none, several, or one that the state does not show.
    slice: Option<usize>,
    layer: String,
}

struct State<'d> {
    dataset: &'d Dataset,
    source: &'d SourceSeries,
    /// The images it is for; `None` where one is no source image.
    slices: Vec<Option<usize>>,
    annotations: Vec<Annotation<'d>>,
}

impl<'d> State<'d> {
    fn read(dataset: &'d Dataset, source: &'d SourceSeries) -> State<'d> {
        let places = places(source);
        let place = |item: &Dataset| places.get(&referenced_frame(item)).copied();
        let series = items(dataset, tags::REFERENCED_SERIES_SEQUENCE);
        let images = series.iter().flat_map(|series| items(series, tags::REFERENCED_IMAGE_SEQUENCE));
        let slices: Vec<_> = images.map(place).collect();
        let annotation = |item: &'d Dataset| {
            let slice = match items(item, tags::REFERENCED_IMAGE_SEQUENCE) {
                [only] => place(only).filter(|k| slices.contains(&Some(*k))),
                _ => None,
            };
            Annotation { item, slice, layer: text(item, tags::GRAPHIC_LAYER).unwrap_or_default() }
        };
        let annotations = items(dataset, tags::GRAPHIC_ANNOTATION_SEQUENCE).iter().map(annotation).collect();
        State { dataset, source, slices, annotations }
    }

    fn references(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let distinct: HashSet<_> = self.slices.iter().collect();
        let named = match items(self.dataset, tags::REFERENCED_SERIES_SEQUENCE) {
            [only] => text(only, tags::SERIES_INSTANCE_UID),
            _ => None,
        };
        let is_ours = named.as_deref() == Some(self.source.series().as_str());
        if !is_ours || self.slices.is_empty() || self.slices.contains(&None) || distinct.len() != self.slices.len() {
            faults
                .push(Fault::new("V3", "ReferencedSeriesSequence names other images than the source's, or one twice"));
        }
        if self.annotations.iter().any(|annotation| annotation.slice.is_none()) {
            faults.push(Fault::new("V3", "an annotation is not on one of the images that the state is for"));
        }
        faults
    }

    /// All of each image is shown, in its own proportions.
    fn area(&self) -> Vec<Fault> {
        let plane = &self.source.slices()[0].plane;
        let area = items(self.dataset, tags::DISPLAYED_AREA_SELECTION_SEQUENCE);
        let corner = |tag| area.first().and_then(|item| decimals(item, tag)).unwrap_or_default();
        let whole = [plane.columns as f64, plane.rows as f64];
        let mut faults = Vec::new();
        let is_whole = area.len() == 1
            && corner(tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER) == [1.0, 1.0]
            && corner(tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER) == whole
            && text(&area[0], tags::PRESENTATION_SIZE_MODE).as_deref() == Some("SCALE TO FIT");
        if !is_whole {
            faults.push(Fault::new("G1", "the displayed area is not all of the image, scaled to fit"));
        }
        let (spacing, ratio) =
            (corner(tags::PRESENTATION_PIXEL_SPACING), corner(tags::PRESENTATION_PIXEL_ASPECT_RATIO));
        let [row, column] = plane.spacing;
        let is_sized = match self.source.scale() {
            Scale::Patient => alike(Some(&spacing), decimals(self.source.header(), tags::PIXEL_SPACING).as_ref()),
            // What lies nowhere in the patient has no lengths there, only proportions.
            Scale::Detector | Scale::Pixels => {
                spacing.is_empty() && ratio.len() == 2 && (ratio[0] / ratio[1] - row / column).abs() < 1e-2
            }
        };
        if !is_sized {
            faults
                .push(Fault::new("V5", "PresentationPixelSpacing or PresentationPixelAspectRatio is not the source's"));
        }
        faults
    }

    /// From stored values to grey as the source itself says.
    fn greys(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let slices = || self.slices.iter().flatten().map(|k| (*k, &self.source.slices()[*k]));
        let own = [tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT].map(|tag| decimals(self.dataset, tag));
        let theirs = |rescale: &Option<[String; 2]>| match rescale {
            Some(texts) => texts.each_ref().map(|text| text.trim().parse().ok().map(|value: f64| vec![value])),
            None => [None, None],
        };
        let is_own =
            |theirs: [Option<Vec<f64>>; 2]| own.iter().zip(&theirs).all(|(a, b)| alike(a.as_ref(), b.as_ref()));
        if slices().any(|(_, slice)| !is_own(theirs(&slice.rescale))) {
            faults.push(Fault::new("G3", "the rescaling is not that of every image"));
        }
        let windows = items(self.dataset, tags::SOFTCOPY_VOILUT_SEQUENCE);
        let of_image = |shown: &Image| {
            let is_for = |item: &&Dataset| {
                let images = items(item, tags::REFERENCED_IMAGE_SEQUENCE);
                images.is_empty() || images.iter().any(|image| referenced_frame(image) == *shown)
            };
            windows.iter().find(is_for)
        };
        let is_other = |(_, slice): (usize, &crate::results::source::Slice)| {
            let own = of_image(&named(slice));
            let first = |tag| own.and_then(|item| decimals(item, tag)).map(|values| values[0]);
            let stated = first(tags::WINDOW_CENTER).zip(first(tags::WINDOW_WIDTH));
            match slice.voi.window() {
                Some([center, width]) => stated.is_none_or(|(c, w)| (c - center).abs() + (w - width).abs() > 1e-6),
                // Who makes the state chooses.
                None if slice.voi.is_silent() => false,
                None => stated.is_some() || own.is_none(),
            }
        };
        if slices().any(is_other) {
            faults.push(Fault::new("G3", "an image is shown in another window than its own"));
        }
        let inverted = slices().next().is_some_and(|(_, slice)| slice.voi.is_inverted());
        let shape = if inverted { "INVERSE" } else { "IDENTITY" };
        if text(self.dataset, tags::PRESENTATION_LUT_SHAPE).as_deref() != Some(shape) {
            faults.push(Fault::new("G3", format!("PresentationLUTShape is not {shape}, the source's")));
        }
        faults
    }

    /// Segment number, which is the layer's order, and colour of each layer, by name.
    fn named_layers(&self) -> BTreeMap<String, (usize, Option<[u8; 3]>)> {
        let layer = |item: &Dataset| {
            let lab = item.get(tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE);
            let lab = lab.and_then(|lab| <[u16; 3]>::try_from(lab.to_multi_int::<u16>().ok()?).ok());
            let number = number(item, tags::GRAPHIC_LAYER_ORDER)?;
            Some((text(item, tags::GRAPHIC_LAYER)?, (number, lab.map(srgb))))
        };
        items(self.dataset, tags::GRAPHIC_LAYER_SEQUENCE).iter().filter_map(layer).collect()
    }

    fn layers(&self) -> Option<Fault> {
        let layers = self.named_layers();
        let orders: HashSet<usize> = layers.values().map(|(order, _)| *order).collect();
        let used: HashSet<&str> = self.annotations.iter().map(|annotation| annotation.layer.as_str()).collect();
        let sound = layers.len() == items(self.dataset, tags::GRAPHIC_LAYER_SEQUENCE).len()
            && orders.len() == layers.len()
            && used == layers.keys().map(String::as_str).collect()
            && layers.values().all(|(_, color)| color.is_some());
        (!sound)
            .then(|| Fault::new("G2", "layers lack a name, order or colour of their own, or are not those drawn in"))
    }

    /// Lines are closed polygons of pixels, and labels lie in the image.
    fn drawn(&self) -> Vec<Fault> {
        let plane = &self.source.slices()[0].plane;
        let is_inside = |values: &[f64]| {
            let (points, rest) = values.as_chunks::<2>();
            let inside =
                |[x, y]: &[f64; 2]| (0.0..=plane.columns as f64).contains(x) && (0.0..=plane.rows as f64).contains(y);
            rest.is_empty() && !points.is_empty() && points.iter().all(inside)
        };
        let is_line = |item: &Dataset| {
            let data = decimals(item, tags::GRAPHIC_DATA).unwrap_or_default();
            LINE.iter().all(|(tag, value)| text(item, *tag).as_deref() == Some(value))
                && number(item, tags::NUMBER_OF_GRAPHIC_POINTS) == Some(data.len() / 2)
                && is_inside(&data)
        };
        let is_label = |item: &Dataset| {
            text(item, tags::UNFORMATTED_TEXT_VALUE).is_some()
                && text(item, tags::ANCHOR_POINT_ANNOTATION_UNITS).as_deref() == Some("PIXEL")
                && decimals(item, tags::ANCHOR_POINT).is_some_and(|at| at.len() == 2 && is_inside(&at))
        };
        let (mut lines, mut labels) = (0, 0);
        for annotation in &self.annotations {
            let drawn = items(annotation.item, tags::GRAPHIC_OBJECT_SEQUENCE);
            let named = items(annotation.item, tags::TEXT_OBJECT_SEQUENCE);
            lines += usize::from(drawn.is_empty() || !drawn.iter().all(is_line) || polygons(annotation.item).is_none());
            labels += usize::from(named.len() != 1 || !named.iter().all(is_label));
        }
        let mut faults = Vec::new();
        if lines > 0 {
            faults
                .push(Fault::new("G4", format!("{lines} annotations are no closed lines of pixels within the image")));
        }
        if labels > 0 {
            faults.push(Fault::new("G4", format!("{labels} annotations have no label within the image")));
        }
        faults
    }

    /// All that is drawn in a layer, and nothing else, tracks one thing.
    fn tracking(&self) -> Option<Fault> {
        let mut tracked: BTreeMap<&str, HashSet<Option<String>>> = BTreeMap::new();
        for annotation in &self.annotations {
            let all = [tags::GRAPHIC_OBJECT_SEQUENCE, tags::TEXT_OBJECT_SEQUENCE];
            let drawn = all.iter().flat_map(|tag| items(annotation.item, *tag));
            tracked.entry(&annotation.layer).or_default().extend(drawn.map(|item| text(item, tags::TRACKING_UID)));
        }
        let sole: HashSet<_> = tracked.values().flatten().flatten().collect();
        let sound =
            sole.len() == tracked.len() && tracked.values().all(|uids| uids.len() == 1 && !uids.contains(&None));
        (!sound).then(|| Fault::new("V9", "what is drawn in a layer has no tracking identifier of its own"))
    }

    /// Filled again, the lines are the voxels that were found, each segment in its colour.
    fn as_found(&self, finding: &volume::Segmentation) -> Vec<Fault> {
        let truth = Truth::new(finding, SegmentationType::Binary);
        let layers = self.named_layers();
        let mut faults = Vec::new();
        let is_colored = |(number, color): &(usize, Option<[u8; 3]>)| {
            let segment = number.checked_sub(1).and_then(|at| truth.segments.get(at));
            segment.zip(*color).is_some_and(|(segment, color)| (0..3).all(|c| segment.color[c].abs_diff(color[c]) <= 1))
        };
        if !layers.values().all(is_colored) {
            faults.push(Fault::new("G2", "a layer is none of the segments that were found, or not in its colour"));
        }
        let slices: Vec<usize> = self.slices.iter().flatten().copied().collect();
        let wrong: usize = slices.par_iter().map(|k| self.strayed(*k, &layers, &truth)).sum();
        if wrong > 0 {
            let message = format!("filled, the lines differ from what was found in {wrong} voxels at least");
            faults.push(Fault::new("V8", message));
        }
        faults
    }

    /// How many voxels of slice `k` are within lines and should not be, or the other way round, at least.
    fn strayed(&self, k: usize, layers: &BTreeMap<String, (usize, Option<[u8; 3]>)>, truth: &Truth) -> usize {
        let (_, rows, columns) = truth.size();
        let mut drawn: BTreeMap<usize, Vec<Vec<[f64; 2]>>> = BTreeMap::new();
        for annotation in self.annotations.iter().filter(|annotation| annotation.slice == Some(k)) {
            let number = layers.get(&annotation.layer).map_or(0, |(number, _)| *number);
            drawn.entry(number).or_default().extend(polygons(annotation.item).unwrap_or_default());
        }
        let (mut set, mut wrong) = (0, 0);
        for (number, polygons) in &drawn {
            for (row, span) in fill(polygons, columns, rows) {
                set += span.len();
                wrong += span.filter(|column| truth.value(*number as u16, [k, row, *column]) == 0).count();
            }
        }
        wrong + set.abs_diff(truth.marked(k))
    }
}

/// The same numbers, but for what rounding to the 16 characters of a DS costs: sources state longer ones.
fn alike(own: Option<&Vec<f64>>, theirs: Option<&Vec<f64>>) -> bool {
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-8 * b.abs();
    match (own, theirs) {
        (Some(own), Some(theirs)) => own.len() == theirs.len() && own.iter().zip(theirs).all(is_near),
        (own, theirs) => own == theirs,
    }
}

/// The lines of an annotation as polygons, 0 being the centre of the first pixel; lines that follow each other are one
/// where they meet. `None` where one is not closed.
fn polygons(annotation: &Dataset) -> Option<Vec<Vec<[f64; 2]>>> {
    let mut closed = Vec::new();
    let mut open: Vec<[f64; 2]> = Vec::new();
    for item in items(annotation, tags::GRAPHIC_OBJECT_SEQUENCE) {
        let data = decimals(item, tags::GRAPHIC_DATA)?;
        let points = data.as_chunks::<2>().0.iter().map(|point| point.map(|place| place - 0.5));
        let joined = usize::from(!open.is_empty());
        open.extend(points.skip(joined));
        if open.len() > 3 && open.first() == open.last() {
            open.pop();
            closed.push(std::mem::take(&mut open));
        }
    }
    open.is_empty().then_some(closed)
}
