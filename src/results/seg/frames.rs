//! Which frames a segmentation has, in which order, and their functional groups (PS3.3 section C.7.6.16).
//!
//! Order: segment by segment, each ascending along the slice normal; slices without a voxel of the segment have no frame,
//! but for a few where a viewer would take the frames of unaligned sizes to begin elsewhere. A label map has one frame for
//! each slice with a voxel of any segment.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::bits;
use super::census::Census;
use crate::dicom::{Code, Dataset, SegForm, SegmentationType, Uid, decimals};
use crate::results::areas::Area;
use crate::results::elements::{decimal_string, put, put_code, put_decimals, put_item, put_items, put_uid};
use crate::results::source::{Scale, Slice, decimal_texts};
use crate::results::{ResultError, SourceSeries, encode};
use crate::volume::Segment;

/// Where a frame without voxels of its label is looked through.
const CORNER: Area = Area { columns: [0; 2], rows: [0; 2] };

/// One frame: a segment on a slice, or a slice of a label map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// From 1; `None` in a label map, whose frames hold all segments.
    pub segment: Option<u16>,
    /// The segment's label in the finding; 0 in a label map.
    pub label: u8,
    /// Slice `k` of the source.
    pub slice: usize,
    /// Where the label lies on the slice; of no meaning in a label map.
    pub area: Area,
    /// Rank of the slice's position along the normal among all slices that have a frame, from 1.
    pub rank: u32,
}

/// The frames in their order in the object.
pub(super) fn plan(census: &Census, segments: &[&Segment], source: &SourceSeries, form: SegForm) -> Vec<Frame> {
    let order = source.ascending();
    let is_marked = |place: &usize| segments.iter().any(|s| census.area(order[*place], s.label).is_some());
    if form.stored == SegmentationType::Labelmap {
        let marked = (0..order.len()).filter(is_marked).zip(1..);
        let frame = |(place, rank)| Frame { segment: None, label: 0, slice: order[place], area: CORNER, rank };
        return marked.map(frame).collect();
    }
    let area = |(segment, place): (usize, usize)| census.area(order[place], segments[segment].label);
    let all = (0..segments.len()).flat_map(|segment| (0..order.len()).map(move |place| (segment, place)));
    let (mut shown, empty): (Vec<_>, Vec<_>) = all.partition(|frame| area(*frame).is_some());
    if form.stored == SegmentationType::Binary {
        let plane = &source.slices()[0].plane;
        let more = bits::frames_to_add(shown.len(), plane.rows * plane.columns);
        shown.extend(empty.iter().take(if more <= empty.len() { more } else { 0 }));
        shown.sort_unstable();
    }
    let places: BTreeSet<usize> = shown.iter().map(|(_, place)| *place).collect();
    let ranks: BTreeMap<usize, u32> = places.into_iter().zip(1..).collect();
    let frame = |(segment, place): &(usize, usize)| Frame {
        segment: Some(*segment as u16 + 1),
        label: segments[*segment].label,
        slice: order[*place],
        area: area((*segment, *place)).unwrap_or(CORNER),
        rank: ranks[place],
    };
    shown.iter().map(frame).collect()
}

/// Adds the multi-frame dimension module; frames are indexed by segment, where they have one, then position.
pub(super) fn dimensions(dataset: &mut Dataset, organization: &Uid, source: &SourceSeries, form: SegForm) {
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
    // Without a place in the patient, the one image is a stack of one.
    let in_stack = index(tags::IN_STACK_POSITION_NUMBER, tags::FRAME_CONTENT_SEQUENCE, "InStackPositionNumber");
    let by_place = if source.frame_of_reference().is_some() { by_position } else { in_stack };
    let indices = match form.stored {
        SegmentationType::Labelmap => vec![by_place],
        SegmentationType::Binary | SegmentationType::Fractional => vec![by_segment, by_place],
    };
    put_items(dataset, tags::DIMENSION_INDEX_SEQUENCE, indices);
}

/// Adds the shared groups: orientation and pixel measures of the source; of a projection image only the spacing, where it
/// is one in the patient (PS3.3 table A.51-2 asks for planes only where a frame is not derived from an image).
pub(in crate::results) fn shared_groups(dataset: &mut Dataset, source: &SourceSeries) {
    let header = source.header();
    if source.frame_of_reference().is_none() {
        let mut groups = InMemDicomObject::new_empty();
        if source.scale() == Scale::Patient {
            let mut measures = InMemDicomObject::new_empty();
            put_decimals(&mut measures, tags::PIXEL_SPACING, decimal_texts(header, tags::PIXEL_SPACING));
            put_item(&mut groups, tags::PIXEL_MEASURES_SEQUENCE, measures);
        }
        put_item(dataset, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, groups);
        return;
    }
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

/// The per-frame groups, one item a frame, as they stand in the file: what frames of a slice share is encoded once, and
/// thousands of frames need no data set each.
pub(super) fn frame_groups(frames: &[Frame], source: &SourceSeries) -> Result<Vec<u8>, ResultError> {
    let placed = source.frame_of_reference().is_some();
    let of_slice = |slice| SliceGroups::of(slice, placed);
    let slices = source.slices().iter().map(of_slice).collect::<Result<Vec<_>, _>>()?;
    let mut encoded = encode::sequence_start(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).to_vec();
    for frame in frames {
        let of_slice = &slices[frame.slice];
        encoded.extend(encode::item_start());
        encoded.extend(&of_slice.derivation);
        encoded.extend(content(frame, placed)?);
        encoded.extend(&of_slice.position);
        encoded.extend(segment_identification(frame)?);
        encoded.extend(encode::item_end());
    }
    encoded.extend(encode::end_of_items());
    Ok(encoded)
}

/// The groups that all frames of a slice share, encoded.
struct SliceGroups {
    derivation: Vec<u8>,
    position: Vec<u8>,
}

impl SliceGroups {
    fn of(slice: &Slice, placed: bool) -> Result<SliceGroups, ResultError> {
        let mut image = slice.reference();
        put(&mut image, tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES");
        let purpose = Code::new("121322", "DCM", "Source image for image processing operation");
        put_code(&mut image, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &purpose, "the purpose of reference")?;
        let mut made = InMemDicomObject::new_empty();
        put_item(&mut made, tags::SOURCE_IMAGE_SEQUENCE, image);
        let derivation = Code::new("113076", "DCM", "Segmentation");
        put_code(&mut made, tags::DERIVATION_CODE_SEQUENCE, &derivation, "the derivation")?;
        let mut position = InMemDicomObject::new_empty();
        put_decimals(&mut position, tags::IMAGE_POSITION_PATIENT, slice.position.clone());
        Ok(SliceGroups {
            derivation: group(tags::DERIVATION_IMAGE_SEQUENCE, made)?,
            position: if placed { group(tags::PLANE_POSITION_SEQUENCE, position)? } else { Vec::new() },
        })
    }
}

fn content(frame: &Frame, placed: bool) -> Result<Vec<u8>, ResultError> {
    let index = frame.segment.map(u32::from).into_iter().chain([frame.rank]);
    let mut content = InMemDicomObject::new_empty();
    put(&mut content, tags::DIMENSION_INDEX_VALUES, VR::UL, PrimitiveValue::U32(index.collect()));
    if !placed {
        put(&mut content, tags::STACK_ID, VR::SH, "1");
        put(&mut content, tags::IN_STACK_POSITION_NUMBER, VR::UL, PrimitiveValue::from(frame.rank));
    }
    group(tags::FRAME_CONTENT_SEQUENCE, content)
}

fn segment_identification(frame: &Frame) -> Result<Vec<u8>, ResultError> {
    let Some(number) = frame.segment else { return Ok(Vec::new()) };
    let mut segment = InMemDicomObject::new_empty();
    put(&mut segment, tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(number));
    group(tags::SEGMENT_IDENTIFICATION_SEQUENCE, segment)
}

/// A functional group with one item, encoded.
fn group(tag: Tag, item: Dataset) -> Result<Vec<u8>, ResultError> {
    let mut groups = InMemDicomObject::new_empty();
    put_item(&mut groups, tag, item);
    encode::elements(&groups)
}
