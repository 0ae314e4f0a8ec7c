//! Which frames a segmentation has, in which order, and their functional groups (PS3.3 section C.7.6.16).
//!
//! Order: segment by segment, each ascending along the slice normal; slices without a voxel of the segment
//! have no frame.

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::elements::{code_item, decimal_string, put, put_item, put_items, put_uid, reference};
use super::source::decimal_texts;
use super::{ResultError, SourceSeries};
use crate::dicom::{Code, Dataset, Uid, decimals};
use crate::volume::{Segment, Segmentation};

/// Where each label occurs.
pub(super) struct Census {
    /// Voxels of each label in the volume.
    pub voxels: [u64; 256],
    /// `[k][label]`: whether the label has voxels on slice `k`.
    present: Vec<[bool; 256]>,
}

/// One frame: a segment on a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// From 1.
    pub segment: u16,
    pub label: u8,
    /// Slice `k` of the source.
    pub slice: usize,
    /// Rank of the slice's position along the normal among all slices that have a frame, from 1.
    pub rank: u32,
}

/// Counts the labels slice by slice.
pub(super) fn census(finding: &Segmentation) -> Census {
    let slices = (0..finding.labels.len_of(Axis(0))).into_par_iter();
    let counts: Vec<[u64; 256]> = slices.map(|k| count(finding.labels.index_axis(Axis(0), k))).collect();
    let mut voxels = [0_u64; 256];
    let mut present = Vec::with_capacity(counts.len());
    for counts in counts {
        present.push(counts.map(|n| n > 0));
        for (total, n) in voxels.iter_mut().zip(counts) {
            *total += n;
        }
    }
    Census { voxels, present }
}

fn count(slice: ArrayView2<u8>) -> [u64; 256] {
    let mut counts = [0_u64; 256];
    for row in slice.rows() {
        // Background is most of a volume.
        if row.iter().fold(0, |any, label| any | label) == 0 {
            counts[0] += row.len() as u64;
            continue;
        }
        row.iter().for_each(|label| counts[usize::from(*label)] += 1);
    }
    counts
}

/// The frames in their order in the object.
pub(super) fn plan(census: &Census, segments: &[&Segment], source: &SourceSeries) -> Vec<Frame> {
    let has = |k: usize, s: &Segment| census.present[k][usize::from(s.label)];
    let marked: Vec<usize> = source.ascending().into_iter().filter(|k| segments.iter().any(|s| has(*k, s))).collect();
    let frames_of = |(segment, s): (u16, &&Segment)| {
        let ranked = (1_u32..).zip(marked.iter().copied()).filter(|(_, k)| has(*k, s));
        ranked.map(|(rank, slice)| Frame { segment, label: s.label, slice, rank }).collect::<Vec<_>>()
    };
    (1_u16..).zip(segments).flat_map(frames_of).collect()
}

/// Adds the multi-frame dimension module; frames are indexed by segment, then position.
pub(super) fn dimensions(dataset: &mut Dataset, organization: &Uid) {
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
    put_items(dataset, tags::DIMENSION_INDEX_SEQUENCE, vec![by_segment, by_position]);
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
        let index = PrimitiveValue::U32([u32::from(frame.segment), frame.rank].into_iter().collect());
        put(&mut content, tags::DIMENSION_INDEX_VALUES, VR::UL, index);
        let mut position = InMemDicomObject::new_empty();
        put_decimals(&mut position, tags::IMAGE_POSITION_PATIENT, source.slices()[frame.slice].position.clone());
        let mut segment = InMemDicomObject::new_empty();
        put(&mut segment, tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(frame.segment));
        let mut item = InMemDicomObject::new_empty();
        put_item(&mut item, tags::DERIVATION_IMAGE_SEQUENCE, derivation[frame.slice].clone());
        put_item(&mut item, tags::FRAME_CONTENT_SEQUENCE, content);
        put_item(&mut item, tags::PLANE_POSITION_SEQUENCE, position);
        put_item(&mut item, tags::SEGMENT_IDENTIFICATION_SEQUENCE, segment);
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
    let of_slice = |slice: &super::source::Slice| {
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

pub(super) fn put_decimals(dataset: &mut Dataset, tag: Tag, values: Vec<String>) {
    put(dataset, tag, VR::DS, PrimitiveValue::Strs(values.into_iter().collect()));
}
