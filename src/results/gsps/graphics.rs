//! Lines and labels of a presentation state (PS3.3 sections C.10.5 and C.10.7): of each segment a layer in its colour, on
//! each image the borders of its voxels, and its name beside them.
//!
//! In pixels, the outer corner of the first one being 0\0.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use rayon::prelude::*;

use crate::dicom::Dataset;
use crate::results::areas::slice_of;
use crate::results::color::cielab;
use crate::results::elements::{code_string, plain, put, put_item, put_items, put_short, put_text, put_uid};
use crate::results::rtstruct::{Outline, borders};
use crate::results::seg::Census;
use crate::results::{ResultContext, SourceSeries};
use crate::volume::{Segment, Segmentation};

/// The most points of a line: two 4-byte coordinates each in a value of at most 65534 bytes.
const LONGEST: usize = 8191;

/// What lines are drawn of.
pub(super) struct Graphics<'a> {
    pub source: &'a SourceSeries,
    pub finding: &'a Segmentation,
    pub context: &'a ResultContext,
    /// Label and number of each segment that was found, as in a SEG.
    pub numbers: Vec<(u8, u16)>,
    pub census: Census,
}

impl Graphics<'_> {
    fn segments(&self) -> impl Iterator<Item = (u16, &Segment)> {
        let of = |label: u8| self.finding.segments.iter().find(move |segment| segment.label == label);
        self.numbers.iter().filter_map(move |(label, number)| Some((*number, of(*label)?)))
    }

    /// Whether there is anything on one of these slices.
    pub fn any_on(&self, slices: &[usize]) -> bool {
        slices.iter().any(|k| !self.census.marked[*k].is_empty())
    }

    /// A layer for each segment on these slices.
    pub fn layers(&self, slices: &[usize]) -> Vec<Dataset> {
        let is_here = |label: u8| slices.iter().any(|k| self.census.area(*k, label).is_some());
        let here = self.segments().filter(|(_, segment)| is_here(segment.label));
        here.map(|(number, segment)| layer(number, segment)).collect()
    }

    /// Annotations, image by image in the order of `slices`.
    pub fn annotations(&self, slices: &[usize]) -> Vec<Dataset> {
        slices.par_iter().map(|k| self.on(*k)).collect::<Vec<_>>().concat()
    }

    fn on(&self, k: usize) -> Vec<Dataset> {
        let slice = &self.source.slices()[k];
        let mut drawn: Vec<(u8, Vec<Outline>)> = Vec::new();
        for layer in self.finding.layers() {
            drawn.extend(borders(&slice_of(layer, k), slice.plane.columns));
        }
        let annotation = |(number, segment): (u16, &Segment)| {
            let (_, outlines) = drawn.iter().find(|(label, _)| *label == segment.label)?;
            let mut item = InMemDicomObject::new_empty();
            put_item(&mut item, tags::REFERENCED_IMAGE_SEQUENCE, slice.reference());
            put(&mut item, tags::GRAPHIC_LAYER, VR::CS, layer_name(number, segment));
            let lines = outlines.iter().flat_map(|outline| self.lines(outline, segment)).collect();
            put_items(&mut item, tags::GRAPHIC_OBJECT_SEQUENCE, lines);
            put_item(&mut item, tags::TEXT_OBJECT_SEQUENCE, self.label(outlines.first()?, segment));
            Some(item)
        };
        self.segments().filter_map(annotation).collect()
    }

    /// A closed outline, in parts where it has too many points for one value.
    fn lines(&self, outline: &Outline, segment: &Segment) -> Vec<Dataset> {
        let mut points: Vec<[f64; 2]> = outline.clone();
        points.extend(outline.first().copied());
        let steps = points.len() - 1;
        let starts = (0..steps).step_by(LONGEST - 1);
        starts.map(|start| self.line(&points[start..=(start + LONGEST - 1).min(steps)], segment)).collect()
    }

    fn line(&self, points: &[[f64; 2]], segment: &Segment) -> Dataset {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::GRAPHIC_ANNOTATION_UNITS, VR::CS, "PIXEL");
        put_short(&mut item, tags::GRAPHIC_DIMENSIONS, 2);
        put_short(&mut item, tags::NUMBER_OF_GRAPHIC_POINTS, points.len());
        put(&mut item, tags::GRAPHIC_DATA, VR::FL, floats(points));
        put(&mut item, tags::GRAPHIC_TYPE, VR::CS, "POLYLINE");
        put(&mut item, tags::GRAPHIC_FILLED, VR::CS, "N");
        self.track(&mut item, segment);
        item
    }

    /// The segment's name where its outline begins.
    fn label(&self, outline: &Outline, segment: &Segment) -> Dataset {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::ANCHOR_POINT_ANNOTATION_UNITS, VR::CS, "PIXEL");
        let name = plain(&segment.name, 64);
        let name = if name.is_empty() { plain(&segment.property.meaning, 64) } else { name };
        put(&mut item, tags::UNFORMATTED_TEXT_VALUE, VR::ST, name);
        put(&mut item, tags::ANCHOR_POINT, VR::FL, floats(&outline[..1]));
        put(&mut item, tags::ANCHOR_POINT_VISIBILITY, VR::CS, "N");
        self.track(&mut item, segment);
        item
    }

    fn track(&self, item: &mut Dataset, segment: &Segment) {
        put(item, tags::TRACKING_ID, VR::UT, ResultContext::tracking_id(segment));
        put_uid(item, tags::TRACKING_UID, &self.context.tracking_uid(self.source, &self.finding.algorithm, segment));
    }
}

fn layer(number: u16, segment: &Segment) -> Dataset {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::GRAPHIC_LAYER, VR::CS, layer_name(number, segment));
    put(&mut item, tags::GRAPHIC_LAYER_ORDER, VR::IS, number.to_string());
    let lab = PrimitiveValue::U16(cielab(segment.color).into_iter().collect());
    put(&mut item, tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE, VR::US, lab);
    put_text(&mut item, tags::GRAPHIC_LAYER_DESCRIPTION, VR::LO, &segment.name);
    item
}

/// Numbered, so that names that begin alike stay apart, behind a letter, with which some readers want code strings to begin.
fn layer_name(number: u16, segment: &Segment) -> String {
    code_string(&format!("S{number}_{}", segment.name))
}

/// From the centre of the first pixel being 0\0 to its corner.
fn floats(points: &[[f64; 2]]) -> PrimitiveValue {
    PrimitiveValue::F32(points.as_flattened().iter().map(|place| (place + 0.5) as f32).collect())
}
