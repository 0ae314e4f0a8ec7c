//! Whatever comes: finds out what an object is and which series it was made over, and has it judged.

use dicom_dictionary_std::{tags, uids};

use super::reader::items;
use super::{Fault, segmentation, structure_set};
use crate::dicom::{Dataset, part10, text};
use crate::results::SourceSeries;

/// What became of an object of unknown kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Judged; sound where there is no fault.
    Judged(Vec<Fault>),
    /// No DICOM file, or of a class that is not judged here; why.
    NotJudged(String),
}

/// Judges an object (Part 10 bytes) made over one of `sources`. Where it names none of them it is held to the only one
/// there is.
#[must_use]
pub fn object(bytes: &[u8], sources: &[SourceSeries]) -> Verdict {
    let file = match part10::parse_header(bytes) {
        Ok(file) => file,
        Err(error) => return Verdict::NotJudged(format!("no readable DICOM file: {error}")),
    };
    let judge = match text(&file, tags::SOP_CLASS_UID).as_deref() {
        Some(uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE) => segmentation,
        Some(uids::RT_STRUCTURE_SET_STORAGE) => structure_set,
        Some(other) => return Verdict::NotJudged(format!("objects of the SOP class {other} are not judged")),
        None => return Verdict::NotJudged("it has no SOP class".into()),
    };
    let named = named_series(&file);
    let source = sources.iter().find(|source| named.iter().any(|series| series == source.series().as_str()));
    match (source, sources) {
        (Some(source), _) | (None, [source]) => Verdict::Judged(judge(bytes, source, None)),
        (None, _) => Verdict::Judged(vec![Fault::new("V3", "it refers to no series of the sources")]),
    }
}

/// The series that an object says it was made over.
fn named_series(file: &Dataset) -> Vec<String> {
    let frames = items(file, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE).iter();
    let studies = frames.flat_map(|frame| items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE));
    let of_structures = studies.flat_map(|study| items(study, tags::RT_REFERENCED_SERIES_SEQUENCE));
    let all = items(file, tags::REFERENCED_SERIES_SEQUENCE).iter().chain(of_structures);
    all.filter_map(|item| text(item, tags::SERIES_INSTANCE_UID)).collect()
}
