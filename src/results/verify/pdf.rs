//! The referee of Encapsulated PDF: identity as for any result; a whole PDF file within, no more and no less, that says of
//! itself which object it is in and what was found; and the images that it was made from.

use std::collections::BTreeSet;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::reader::{items, number, referenced};
use super::truth::Truth;
use super::values::Lengths;
use super::{Fault, identity, judged};
use crate::dicom::{Dataset, SegmentationType, keyword_of, text};
use crate::results::SourceSeries;
use crate::volume;

const FIXED: &[(Tag, &str)] = &[
    (tags::SOP_CLASS_UID, uids::ENCAPSULATED_PDF_STORAGE),
    (tags::MODALITY, "DOC"),
    (tags::CONVERSION_TYPE, "WSD"),
    (tags::BURNED_IN_ANNOTATION, "YES"),
    (tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf"),
];
const TYPE_2: &[Tag] = &[tags::ACQUISITION_DATE_TIME, tags::CONCEPT_NAME_CODE_SEQUENCE];
/// What every report says of itself.
const NOT_DIAGNOSTIC: &str = "not for diagnostic use";

/// Checks an encapsulated report (Part 10 bytes) made over `source`; with `expected`, also that its numbers are those of
/// that finding.
#[must_use]
pub fn report(bytes: &[u8], source: &SourceSeries, expected: Option<&volume::Segmentation>) -> Vec<Fault> {
    judged(bytes, source, TYPE_2, Lengths::Short, |object| {
        let wrong = FIXED.iter().filter(|(tag, value)| text(object, *tag).as_deref() != Some(value));
        let mut faults: Vec<Fault> =
            wrong.map(|(tag, value)| Fault::new("E1", format!("{} is not {value}", keyword_of(*tag)))).collect();
        faults.extend(identity::filled(object, &[tags::CONTENT_DATE, tags::CONTENT_TIME, tags::DOCUMENT_TITLE]));
        faults.extend(titled(object));
        faults.extend(sources(object, source));
        match document(object) {
            Ok(pdf) => faults.extend(says(&pdf, object, source, expected)),
            Err(fault) => faults.push(fault),
        }
        faults
    })
}

/// A title as code: one, and whole.
fn titled(dataset: &Dataset) -> Option<Fault> {
    let codes = items(dataset, tags::CONCEPT_NAME_CODE_SEQUENCE);
    let parts = [tags::CODE_VALUE, tags::CODING_SCHEME_DESIGNATOR, tags::CODE_MEANING];
    let whole = codes.len() == 1 && parts.iter().all(|tag| text(&codes[0], *tag).is_some());
    (!whole).then(|| Fault::new("E1", "the document's title is no code"))
}

/// Every image of the source, and no other but segmentations.
fn sources(dataset: &Dataset, source: &SourceSeries) -> Option<Fault> {
    let named: Vec<(String, String)> = items(dataset, tags::SOURCE_INSTANCE_SEQUENCE).iter().map(referenced).collect();
    let segmentations = [uids::SEGMENTATION_STORAGE, uids::LABEL_MAP_SEGMENTATION_STORAGE];
    let images: BTreeSet<(String, String)> =
        named.iter().filter(|(class, _)| !segmentations.contains(&class.as_str())).cloned().collect();
    let wanted: BTreeSet<(String, String)> =
        source.slices().iter().map(|s| (s.class.to_string(), s.instance.to_string())).collect();
    let once = named.iter().collect::<BTreeSet<_>>().len() == named.len();
    (images != wanted || !once)
        .then(|| Fault::new("V3", "SourceInstanceSequence does not name exactly the source images"))
}

/// The PDF file within, from its first byte to its last.
fn document(dataset: &Dataset) -> Result<Vec<u8>, Fault> {
    let fault = |what: &str| Fault::new("E2", format!("EncapsulatedDocument {what}"));
    let stored = dataset.get(tags::ENCAPSULATED_DOCUMENT).and_then(|element| element.to_bytes().ok());
    let stored = stored.ok_or_else(|| fault("is missing"))?;
    let length = number(dataset, tags::ENCAPSULATED_DOCUMENT_LENGTH);
    let length = length.ok_or_else(|| Fault::new("E2", "EncapsulatedDocumentLength is missing"))?;
    if stored.len() != length.next_multiple_of(2) || stored[length..].iter().any(|padding| *padding != 0) {
        return Err(fault("has not the length that is stated, and at most one byte of padding"));
    }
    let pdf = &stored[..length];
    if !pdf.starts_with(b"%PDF-1.") && !pdf.starts_with(b"%PDF-2.") {
        return Err(fault("does not begin as a PDF file"));
    }
    let table = pdf.trim_ascii_end().strip_suffix(b"%%EOF").and_then(cross_references);
    let at = table.ok_or_else(|| fault("does not end as a PDF file"))?;
    let behind = pdf.get(at..).unwrap_or_default();
    let is_table = behind.starts_with(b"xref") || behind.first().is_some_and(u8::is_ascii_digit);
    if is_table { Ok(pdf.to_vec()) } else { Err(fault("leads to no cross-reference table: it is cut or spliced")) }
}

/// Where the table of cross-references begins (ISO 32000-1 section 7.5.5), from what stands before the end mark.
fn cross_references(before_end: &[u8]) -> Option<usize> {
    let tail = before_end.trim_ascii_end();
    let digits = tail.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, offset) = tail.split_at(tail.len() - digits);
    rest.trim_ascii_end().ends_with(b"startxref").then_some(())?;
    std::str::from_utf8(offset).ok()?.parse().ok()
}

/// What the file says of itself: the object it is in, that it is no diagnosis, and what was found.
fn says(pdf: &[u8], dataset: &Dataset, source: &SourceSeries, expected: Option<&volume::Segmentation>) -> Vec<Fault> {
    let holds = |what: &str| pdf.windows(what.len()).any(|window| window == what.as_bytes());
    let mut faults = Vec::new();
    let instance = text(dataset, tags::SOP_INSTANCE_UID);
    if !instance.is_some_and(|instance| holds(&format!("object {instance}, "))) {
        faults.push(Fault::new("E3", "the PDF says that it belongs to another object"));
    }
    if !holds(NOT_DIAGNOSTIC) {
        faults.push(Fault::new("E3", "the PDF does not say that it is not for diagnostic use"));
    }
    let Some(finding) = expected else { return faults };
    let truth = Truth::new(finding, SegmentationType::Binary);
    let slabs = source.slabs(finding.grid.spacing()[2]);
    for (number, segment) in (1..).zip(&truth.segments) {
        let area = |k: usize| slabs[k].plane.spacing[0] * slabs[k].plane.spacing[1] * slabs[k].thickness;
        let volume: f64 = (0..slabs.len()).map(|k| truth.count(number, k) as f64 * area(k)).sum();
        if !holds(&format!("segment {}: {volume:.4} mm3", segment.label)) {
            faults.push(Fault::new("E4", format!("the volume of segment {number} is not that of its voxels")));
        }
    }
    let told = pdf.windows(8).filter(|window| window == b"segment ").count();
    if told % truth.segments.len().max(1) != 0 || (told > 0) == truth.segments.is_empty() {
        faults.push(Fault::new("E4", "the PDF tells of other segments than were found"));
    }
    faults
}
