//! Which frames a segmentation has, in which order, and their functional groups (PS3.3 section C.7.6.16).
//!
//! Order: segment by segment, each ascending along the slice normal; slices without a voxel of the segment
//! have no frame. A label map has one frame for each slice with a voxel of any segment.

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::census::Census;
use crate::dicom::{Code, Dataset, SegForm, SegmentationType, Uid, decimals};
use crate::results::elements::{code_item, decimal_string, put, put_decimals, put_item, put_items, put_uid, reference};
use crate::results::source::{Slice, decimal_texts};
use crate::results::{ResultError, SourceSeries};
use crate::volume::Segment;

/// One frame: a segment on a slice, or a slice of a label map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// From 1; `None` in a label map, whose frames hold all segments.
    pub segment: Option<u16>,
    /// The segment's label in the finding; 0 in a label map.
    pub label: u8,
    /// Slice `k` of the source.
    pub slice: usize,
    /// Rank of the slice's position along the normal among all slices that have a frame, from 1.
    pub rank: u32,
}

/// The frames in their order in the object.
pub(super) fn plan(census: &Census, segments: &[&Segment], source: &SourceSeries, form: SegForm) -> Vec<Frame> {
    let has = |k: usize, s: &Segment| census.present[k][usize::from(s.label)];
    let marked: Vec<usize> = source.ascending().into_iter().filter(|k| segments.iter().any(|s| has(*k, s))).collect();
    let ranked = (1_u32..).zip(marked);
    if form.stored == SegmentationType::Labelmap {
        return ranked.map(|(rank, slice)| Frame { segment: None, label: 0, slice, rank }).collect();
    }
    let frames_of = |(number, s): (u16, &&Segment)| {
        let (segment, label) = (Some(number), s.label);
        let own = ranked.clone().filter(|(_, k)| has(*k, s));
        own.map(|(rank, slice)| Frame { segment, label, slice, rank }).collect::<Vec<_>>()
    };
    (1_u16..).zip(segments).flat_map(frames_of).collect()
}

/// Adds the multi-frame dimension module; frames are indexed by segment, where they have one, then position.
pub(super) fn dimensions(dataset: &mut Dataset, organization: &Uid, form: SegForm) {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::DIMENSION_ORGANIZATION_UID, organization);
    put_item(dataset, tags::DIMENSION_ORGANIZATION_SEQUENCE, item);
    let index = |pointer: Tag, group: Tag, label: &str| {
        let mut item = InMemDicomObject::new_empty();
        put_uid(&mut item, tags::DIMENSION_ORGANIZATION_UID, organization);
        put(&mut item, tags::DIMENSION_INDEX_POINTER, VR::AT, PrimitiveValue::from(pointer));
        put(&mut item, tags::FUNCTIONAL_GROUP_POINTER, VR::AT, PrimitiveValue::from(group));
        put(&mut item, tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label);
        item
    };
    let by_segment =
        index(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "ReferencedSegmentNumber");
    let by_position = index(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "ImagePositionPatient");
    let indices = match form.stored {
        SegmentationType::Labelmap => vec![by_position],
        SegmentationType::Binary | SegmentationType::Fractional => vec![by_segment, by_position],
    };
    put_items(dataset, tags::DIMENSION_INDEX_SEQUENCE, indices);
}

/// Adds the shared groups: orientation and pixel measures of the source.
pub(super) fn shared_groups(dataset: &mut Dataset, source: &SourceSeries) {
    let header = source.header();
    let mut orientation = InMemDicomObject::new_empty();
    put_decimals(
        &mut orientation,
        tags::IMAGE_ORIENTATION_PATIENT,
        decimal_texts(header, tags::IMAGE_ORIENTATION_PATIENT),
    );
    let mut measures = InMemDicomObject::new_empty();
    put_decimals(&mut measures, tags::PIXEL_SPACING, decimal_texts(header, tags::PIXEL_SPACING));
    let distance = source.slice_distance();
    let thickness = decimal_texts(header, tags::SLICE_THICKNESS);
    if decimals(header, tags::SLICE_THICKNESS).is_some_and(|t| t[0] > 0.0) {
        put_decimals(&mut measures, tags::SLICE_THICKNESS, thickness);
    } else {
        put_decimals(&mut measures, tags::SLICE_THICKNESS, vec![decimal_string(distance.unwrap_or(1.0))]);
    }
    if let Some(distance) = distance {
        put_decimals(&mut measures, tags::SPACING_BETWEEN_SLICES, vec![spacing_text(header, distance)]);
    }
    let mut groups = InMemDicomObject::new_empty();
    put_item(&mut groups, tags::PLANE_ORIENTATION_SEQUENCE, orientation);
    put_item(&mut groups, tags::PIXEL_MEASURES_SEQUENCE, measures);
    put_item(dataset, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, groups);
}

/// The source's own text where it agrees with the positions; some sources state a signed or a wrong distance.
fn spacing_text(header: &Dataset, distance: f64) -> String {
    let stated = decimals(header, tags::SPACING_BETWEEN_SLICES).is_some_and(|d| (d[0] - distance).abs() < 1e-4);
    let own = decimal_texts(header, tags::SPACING_BETWEEN_SLICES).into_iter().next().filter(|_| stated);
    own.unwrap_or_else(|| decimal_string((distance * 1e6).round() / 1e6))
}

/// Adds one item a frame.
pub(super) fn frame_groups(dataset: &mut Dataset, frames: &[Frame], source: &SourceSeries) -> Result<(), ResultError> {
    let derivation = derivations(source)?;
    let items = frames.iter().map(|frame| {
        let mut content = InMemDicomObject::new_empty();
        let index = frame.segment.map(u32::from).into_iter().chain([frame.rank]);
        let index = PrimitiveValue::U32(index.collect());
        put(&mut content, tags::DIMENSION_INDEX_VALUES, VR::UL, index);
        let mut position = InMemDicomObject::new_empty();
        put_decimals(&mut position, tags::IMAGE_POSITION_PATIENT, source.slices()[frame.slice].position.clone());
        let mut item = InMemDicomObject::new_empty();
        put_item(&mut item, tags::DERIVATION_IMAGE_SEQUENCE, derivation[frame.slice].clone());
        put_item(&mut item, tags::FRAME_CONTENT_SEQUENCE, content);
        put_item(&mut item, tags::PLANE_POSITION_SEQUENCE, position);
        if let Some(number) = frame.segment {
            let mut segment = InMemDicomObject::new_empty();
            put(&mut segment, tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(number));
            put_item(&mut item, tags::SEGMENT_IDENTIFICATION_SEQUENCE, segment);
        }
        item
    });
    put_items(dataset, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, items.collect());
    Ok(())
}

/// For each slice, the item that says the frame was made from it.
fn derivations(source: &SourceSeries) -> Result<Vec<Dataset>, ResultError> {
    let made = code_item(&Code::new("113076", "DCM", "Segmentation"), "the derivation")?;
    let purpose = Code::new("121322", "DCM", "Source image for image processing operation");
    let purpose = code_item(&purpose, "the purpose of reference")?;
    let of_slice = |slice: &Slice| {
        let mut image = reference(&slice.class, &slice.instance);
        put(&mut image, tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES");
        put_item(&mut image, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose.clone());
        let mut item = InMemDicomObject::new_empty();
        put_item(&mut item, tags::SOURCE_IMAGE_SEQUENCE, image);
        put_item(&mut item, tags::DERIVATION_CODE_SEQUENCE, made.clone());
        item
    };
    Ok(source.slices().iter().map(of_slice).collect())
}
