//! How its frames are indexed: by segment, then by position; the index values are computed anew.

use dicom_dictionary_std::tags;

use super::Fault;
use super::reader::{Frame, SegObject, items};
use crate::dicom::{Dataset, dot, text};
use crate::results::SourceSeries;

/// Positions closer than this are one position, mm.
const SAME_PLACE: f64 = 1e-3;

pub(super) fn check(object: &SegObject, source: &SourceSeries) -> Vec<Fault> {
    let mut faults = Vec::new();
    let organizations = items(&object.dataset, tags::DIMENSION_ORGANIZATION_SEQUENCE);
    let indices = items(&object.dataset, tags::DIMENSION_INDEX_SEQUENCE);
    let pointers: Vec<_> = indices.iter().map(pointer).collect();
    let in_stack = (tags::IN_STACK_POSITION_NUMBER, tags::FRAME_CONTENT_SEQUENCE);
    let in_patient = (tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE);
    let wanted = [
        Some((tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE)),
        Some(if source.frame_of_reference().is_some() { in_patient } else { in_stack }),
    ];
    // The frames of a label map hold all segments.
    if pointers != wanted[usize::from(object.is_labelmap())..] {
        faults.push(Fault::new("V6", "DimensionIndexSequence does not index by segment and position"));
    }
    let organization = |item: &Dataset| text(item, tags::DIMENSION_ORGANIZATION_UID);
    let one = organizations.len() == 1 && organization(&organizations[0]).is_some();
    if !one || indices.iter().any(|i| organization(i) != organization(&organizations[0])) {
        faults.push(Fault::new("V6", "the dimensions do not share one DimensionOrganizationUID"));
    }
    let places: Vec<Option<f64>> = object.frames.iter().map(|f| along_normal(f, source)).collect();
    let mut distinct: Vec<f64> = places.iter().copied().flatten().collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup_by(|a, b| (*a - *b).abs() < SAME_PLACE);
    let wrong = object.frames.iter().zip(&places).filter(|(f, place)| !indexed(object, f, **place, &distinct)).count();
    if wrong > 0 {
        faults.push(Fault::new("V6", format!("{wrong} frames have DimensionIndexValues other than segment and rank")));
    }
    faults
}

fn pointer(item: &Dataset) -> Option<(dicom_core::Tag, dicom_core::Tag)> {
    let read = |tag| item.get(tag)?.value().tag().ok();
    Some((read(tags::DIMENSION_INDEX_POINTER)?, read(tags::FUNCTIONAL_GROUP_POINTER)?))
}

fn along_normal(frame: &Frame, source: &SourceSeries) -> Option<f64> {
    let position: Vec<f64> = frame.position.iter().filter_map(|p| p.trim().parse().ok()).collect();
    // The only image of a projection is at one place, the first.
    let elsewhere = source.frame_of_reference().is_none().then_some([0.0; 3]);
    let position: [f64; 3] = elsewhere.or_else(|| position.try_into().ok())?;
    Some(dot(source.slices()[0].plane.normal(), position))
}

fn indexed(object: &SegObject, frame: &Frame, place: Option<f64>, distinct: &[f64]) -> bool {
    let rank = place.and_then(|place| distinct.iter().position(|d| (d - place).abs() < SAME_PLACE));
    let Some(rank) = rank.map(|rank| rank as u32 + 1) else { return false };
    match (frame.segment, object.is_labelmap()) {
        (Some(segment), false) => frame.index == [u32::from(segment), rank],
        (None, true) => frame.index == [rank],
        _ => false,
    }
}
