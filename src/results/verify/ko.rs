//! The referee of key image selections: identity as for any result, and every image that is selected is the source's.

use std::collections::BTreeSet;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::reader::{items, named, referenced_frame};
use super::sr::{document, evident};
use super::truth::Truth;
use super::values::Lengths;
use super::{Fault, judged};
use crate::dicom::SegmentationType;
use crate::results::SourceSeries;
use crate::volume;

const FIXED: &[(Tag, &str)] = &[
    (tags::SOP_CLASS_UID, uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE),
    (tags::MODALITY, "KO"),
    (tags::VALUE_TYPE, "CONTAINER"),
];
const TYPE_2: &[Tag] = &[tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE];

/// Checks a selection (Part 10 bytes) made over `source`; with `expected`, also that on every image that it selects there
/// is something of that finding, and for every segment an image.
#[must_use]
pub fn key_images(bytes: &[u8], source: &SourceSeries, expected: Option<&volume::Segmentation>) -> Vec<Fault> {
    judged(bytes, source, TYPE_2, Lengths::Short, |object| {
        let mut faults = document(object, FIXED, ["2010", "113000"]);
        if let Err(fault) = evident(object) {
            faults.push(fault);
            return faults;
        }
        let content = items(object, tags::CONTENT_SEQUENCE).iter();
        let images = content.flat_map(|item| items(item, tags::REFERENCED_SOP_SEQUENCE)).map(referenced_frame);
        faults.extend(selected(&images.collect(), source, expected));
        faults
    })
}

fn selected(
    images: &BTreeSet<(String, String)>,
    source: &SourceSeries,
    expected: Option<&volume::Segmentation>,
) -> Vec<Fault> {
    let is_one = |k: &usize| images.contains(&named(&source.slices()[*k]));
    let slices: Vec<usize> = (0..source.slices().len()).filter(is_one).collect();
    let mut faults = Vec::new();
    if slices.len() != images.len() || images.is_empty() {
        faults.push(Fault::new("V3", "not everything that is selected is a source image, or nothing is"));
    }
    let Some(finding) = expected else { return faults };
    let truth = Truth::new(finding, SegmentationType::Binary);
    if slices.iter().any(|k| truth.marked(*k) == 0) {
        faults.push(Fault::new("K1", "an image is selected on which nothing was found"));
    }
    let shown = |number: u16| slices.iter().any(|k| truth.count(number, *k) > 0);
    if !(1..=truth.segments.len() as u16).all(shown) {
        faults.push(Fault::new("K1", "a segment is on none of the images that are selected"));
    }
    faults
}
