//! Whatever comes: finds out what an object is and which series it was made over, and has it judged.

use dicom_dictionary_std::{tags, uids};

use super::comparison::{is_comparison, second};
use super::reader::{items, referenced};
use super::sr::evidence;
use super::{
    Fault, comparison_report, key_images, measurement_report, placeholder, presentation_state, report,
    secondary_capture, segmentation, structure_set,
};
use crate::dicom::{Dataset, part10, text};
use crate::results::SourceSeries;
use crate::results::compare::Masks;

/// What became of an object of unknown kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Judged; sound where there is no fault.
    Judged(Vec<Fault>),
    /// No DICOM file, or of a class that is not judged here; why.
    NotJudged(String),
}

/// Judges an object (Part 10 bytes) made over one of `sources`. Where it names none of them it is held to the only one
/// there is. `beside`: the segmentations among which a report's own are looked for.
#[must_use]
pub fn object(bytes: &[u8], sources: &[SourceSeries], beside: &[Vec<u8>]) -> Verdict {
    let file = match part10::parse_header(bytes) {
        Ok(file) => file,
        Err(error) => return Verdict::NotJudged(format!("no readable DICOM file: {error}")),
    };
    let compared = if is_comparison(&file) { compared(&file, sources, beside) } else { Vec::new() };
    let judge: &dyn Fn(&SourceSeries) -> Vec<Fault> = match text(&file, tags::SOP_CLASS_UID).as_deref() {
        Some(uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE) => &|s| segmentation(bytes, s, None),
        Some(uids::RT_STRUCTURE_SET_STORAGE) => &|source| structure_set(bytes, source, None),
        Some(uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE) => &|source| key_images(bytes, source, None),
        Some(uids::ENCAPSULATED_PDF_STORAGE) => &|source| report(bytes, source, None),
        Some(uids::BASIC_TEXT_SR_STORAGE) => &|source| placeholder(bytes, source),
        Some(uids::COMPREHENSIVE3_DSR_STORAGE) if is_comparison(&file) => {
            &|source| comparison_report(bytes, source, &compared.iter().collect::<Vec<_>>())
        }
        Some(uids::COMPREHENSIVE3_DSR_STORAGE) => {
            &|source| measurement_report(bytes, source, own_segmentation(&file, beside), None)
        }
        Some(uids::SECONDARY_CAPTURE_IMAGE_STORAGE | uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE) => {
            &|source| secondary_capture(bytes, source, None)
        }
        Some(uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE) => &|source| presentation_state(bytes, source, None),
        Some(other) => return Verdict::NotJudged(format!("objects of the SOP class {other} are not judged")),
        None => return Verdict::NotJudged("it has no SOP class".into()),
    };
    let mut named = named_series(&file);
    let later = second(&file);
    let over = compared.iter().find(|masks| Some(masks.instance.as_str()) == later.as_deref());
    named.extend(over.and_then(|masks| masks.source_series.as_ref()).map(ToString::to_string));
    let made_from = [tags::SOURCE_IMAGE_SEQUENCE, tags::SOURCE_INSTANCE_SEQUENCE].map(|tag| items(&file, tag));
    let images: Vec<String> = made_from.into_iter().flatten().map(|item| referenced(item).1).collect();
    let is_named = |source: &&SourceSeries| {
        named.iter().any(|series| series == source.series().as_str())
            || source.slices().iter().any(|slice| images.iter().any(|image| image == slice.instance.as_str()))
    };
    let source = sources.iter().find(is_named);
    match (source, sources) {
        (Some(source), _) | (None, [source]) => Verdict::Judged(judge(source)),
        (None, _) => Verdict::Judged(vec![Fault::new("V3", "it refers to no series of the sources")]),
    }
}

/// Those of `beside` that a comparison names, with what the images say of their slices.
fn compared(report: &Dataset, sources: &[SourceSeries], beside: &[Vec<u8>]) -> Vec<Masks> {
    let named = instances(report);
    let read = beside.iter().filter_map(|bytes| Masks::read(bytes).ok());
    let own = read.filter(|masks| named.iter().any(|uid| uid == masks.instance.as_str()));
    own.map(|masks| match sources.iter().find(|source| masks.source_series.as_ref() == Some(source.series())) {
        Some(source) => masks.over(source),
        None => masks,
    })
    .collect()
}

/// The one of `beside` that is in a report's evidence.
fn own_segmentation<'b>(report: &Dataset, beside: &'b [Vec<u8>]) -> Option<&'b [u8]> {
    let evidence = instances(report);
    let is_named = |bytes: &&Vec<u8>| {
        let uid = part10::parse_header(bytes.as_slice()).ok().and_then(|file| text(&file, tags::SOP_INSTANCE_UID));
        uid.is_some_and(|uid| evidence.contains(&uid))
    };
    beside.iter().find(is_named).map(Vec::as_slice)
}

fn instances(report: &Dataset) -> Vec<String> {
    let all = evidence(report).flat_map(|series| items(series, tags::REFERENCED_SOP_SEQUENCE));
    all.filter_map(|item| text(item, tags::REFERENCED_SOP_INSTANCE_UID)).collect()
}

/// The series that an object says it was made over.
fn named_series(file: &Dataset) -> Vec<String> {
    let frames = items(file, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE).iter();
    let studies = frames.flat_map(|frame| items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE));
    let of_structures = studies.flat_map(|study| items(study, tags::RT_REFERENCED_SERIES_SEQUENCE));
    let all = items(file, tags::REFERENCED_SERIES_SEQUENCE).iter().chain(of_structures).chain(evidence(file));
    all.filter_map(|item| text(item, tags::SERIES_INSTANCE_UID)).collect()
}
