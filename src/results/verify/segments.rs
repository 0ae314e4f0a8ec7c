//! What it says: segments numbered without gaps, each fully described, and the ones that were found.

use std::collections::HashSet;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::Fault;
use super::reader::{SegObject, items, number};
use super::truth::Truth;
use crate::dicom::{Code, Dataset, keyword_of, text};
use crate::results::color::cielab;
use crate::volume::Segment;

pub(super) fn check(object: &SegObject, expected: Option<&Truth>) -> Vec<Fault> {
    let segments = object.segments();
    let mut faults = Vec::new();
    let numbers: Vec<_> = segments.iter().map(|s| number(s, tags::SEGMENT_NUMBER)).collect();
    let gapless = numbers.iter().enumerate().all(|(i, n)| *n == Some(i + 1));
    if segments.is_empty() || !gapless {
        faults.push(Fault::new("S3", "segment numbers do not run from 1 without gaps"));
    }
    let named = |f: &&super::reader::Frame| !object.is_labelmap() || f.segment.is_some();
    let unknown = object.frames.iter().filter(named).filter(|f| !numbers.contains(&f.segment.map(usize::from))).count();
    if unknown > 0 {
        faults.push(Fault::new("S3", format!("{unknown} frames name a segment that is not described")));
    }
    faults.extend(segments.iter().zip(1..).flat_map(|(segment, n)| described(segment, n)));
    faults.extend(tracking(segments));
    if let Some(truth) = expected {
        faults.extend(as_found(segments, &truth.segments));
    }
    faults
}

fn described(segment: &Dataset, n: usize) -> Vec<Fault> {
    let fault = |what: &str| Fault::new("S4", format!("segment {n}: {what}"));
    let mut faults = Vec::new();
    for tag in [tags::SEGMENT_LABEL, tags::SEGMENT_ALGORITHM_TYPE, tags::SEGMENT_ALGORITHM_NAME] {
        if text(segment, tag).is_none() {
            faults.push(fault(&format!("{} is missing", keyword_of(tag))));
        }
    }
    for tag in [tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE] {
        if code(segment, tag).is_none_or(|c| matches!(c.scheme.as_str(), "SRT" | "SNM3" | "99SDM")) {
            faults.push(fault(&format!("{} has no complete current code", keyword_of(tag))));
        }
    }
    let algorithm = items(segment, tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE).first();
    if algorithm.is_none_or(|a| text(a, tags::ALGORITHM_NAME).is_none() || text(a, tags::ALGORITHM_VERSION).is_none()) {
        faults.push(fault("the algorithm is not identified"));
    }
    if color(segment).is_none() {
        faults.push(fault("RecommendedDisplayCIELabValue has not three values"));
    }
    faults
}

fn tracking(segments: &[Dataset]) -> Vec<Fault> {
    let mut seen = HashSet::new();
    let sound =
        segments.iter().all(|segment| match (text(segment, tags::TRACKING_ID), text(segment, tags::TRACKING_UID)) {
            (Some(_), Some(uid)) => seen.insert(uid),
            (None, None) => true,
            _ => false,
        });
    if sound { Vec::new() } else { vec![Fault::new("V9", "tracking identifiers are incomplete or shared by segments")] }
}

/// The found segments, in their order, under the names, codes and colours of the model.
fn as_found(segments: &[Dataset], found: &[&Segment]) -> Vec<Fault> {
    if found.len() != segments.len() {
        return vec![Fault::new("S4", format!("{} segments were found, {} described", found.len(), segments.len()))];
    }
    let differs = |(n, (found, segment)): (usize, (&&Segment, &Dataset))| {
        let coded = |tag, wanted: &Code| {
            code(segment, tag).is_some_and(|c| (c.value, c.scheme) == (wanted.value.clone(), wanted.scheme.clone()))
        };
        let same = coded(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, &found.property)
            && coded(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &found.category)
            && color(segment) == Some(cielab(found.color));
        (!same).then(|| Fault::new("S4", format!("segment {n} is described otherwise than the model describes it")))
    };
    (1..).zip(found.iter().zip(segments)).filter_map(differs).collect()
}

fn code(dataset: &Dataset, tag: Tag) -> Option<Code> {
    let item = items(dataset, tag).first()?;
    let read = |tag| text(item, tag);
    Some(Code {
        value: read(tags::CODE_VALUE)?,
        scheme: read(tags::CODING_SCHEME_DESIGNATOR)?,
        meaning: read(tags::CODE_MEANING)?,
    })
}

fn color(segment: &Dataset) -> Option<[u16; 3]> {
    segment.get(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE)?.to_multi_int::<u16>().ok()?.try_into().ok()
}
