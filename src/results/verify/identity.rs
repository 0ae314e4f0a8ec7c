//! Whose it is: patient, study and character set as in the source, series and instance its own.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTable;
use dicom_object::mem::InMemElement;

use super::Fault;
use crate::dicom::{Dataset, Uid, keyword_of, text, texts};
use crate::results::SourceSeries;
use crate::results::modules::COPIED;

/// Present even where the source has none (type 2).
const ALWAYS: &[Tag] = &[
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::SERIES_NUMBER,
];

/// Type 1 in Enhanced General Equipment, or needed to tell results apart.
const FILLED: &[Tag] = &[
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::INSTANCE_NUMBER,
];
/// Type 1 in images and documents.
pub(super) const CONTENT_MOMENT: &[Tag] = &[tags::CONTENT_DATE, tags::CONTENT_TIME];

/// `also` must be there, too, if empty.
pub(super) fn check(meta: &FileMetaTable, own: &Dataset, source: &SourceSeries, also: &[Tag]) -> Vec<Fault> {
    let theirs = source.header();
    let mut faults = Vec::new();
    for tag in COPIED.iter().filter(|tag| **tag != tags::SPECIFIC_CHARACTER_SET) {
        if !same(own.get(*tag), theirs.get(*tag)) {
            faults.push(Fault::new("V1", format!("{} differs from the source's", keyword_of(*tag))));
        }
    }
    for tag in ALWAYS.iter().chain(also).filter(|tag| own.get(**tag).is_none()) {
        faults.push(Fault::new("C3", format!("{} is missing; it must be there, if empty", keyword_of(*tag))));
    }
    let charset = texts(own, tags::SPECIFIC_CHARACTER_SET);
    if charset != texts(theirs, tags::SPECIFIC_CHARACTER_SET) && charset != ["ISO_IR 192"] {
        faults.push(Fault::new("V10", "SpecificCharacterSet is neither the source's nor ISO_IR 192"));
    }
    faults.extend(own_uids(meta, own, source));
    faults
}

/// What says who made the object must have values, and so must `also`.
pub(super) fn filled(own: &Dataset, also: &[Tag]) -> Vec<Fault> {
    let missing = FILLED.iter().chain(also).filter(|tag| text(own, **tag).is_none());
    missing.map(|tag| Fault::new("C9", format!("{} is missing or empty", keyword_of(*tag)))).collect()
}

/// Of objects that lie in the patient: in the source's frame of reference.
pub(super) fn frame(own: &Dataset, source: &SourceSeries) -> Vec<Fault> {
    let mut faults = Vec::new();
    let theirs = source.frame_of_reference().map(Uid::as_str);
    if text(own, tags::FRAME_OF_REFERENCE_UID).as_deref() != theirs {
        faults.push(Fault::new("V2", "FrameOfReferenceUID is not the source's"));
    }
    if theirs.is_some() && own.get(tags::POSITION_REFERENCE_INDICATOR).is_none() {
        faults.push(Fault::new("C3", "PositionReferenceIndicator is missing; it must be there, if empty"));
    }
    faults
}

fn own_uids(meta: &FileMetaTable, own: &Dataset, source: &SourceSeries) -> Vec<Fault> {
    let mut faults = Vec::new();
    let read = |tag| text(own, tag).unwrap_or_default();
    let series = read(tags::SERIES_INSTANCE_UID);
    if series.is_empty() || series == source.series().as_str() {
        faults.push(Fault::new("V12", "SeriesInstanceUID is missing or the source's own"));
    }
    let instance = read(tags::SOP_INSTANCE_UID);
    if instance.is_empty() || source.slices().iter().any(|s| s.instance.as_str() == instance) {
        faults.push(Fault::new("V12", "SOPInstanceUID is missing or a source image's"));
    }
    let trimmed = |uid: &str| uid.trim_end_matches(['\0', ' ']).to_owned();
    if trimmed(meta.media_storage_sop_instance_uid()) != instance
        || trimmed(meta.media_storage_sop_class_uid()) != read(tags::SOP_CLASS_UID)
    {
        faults.push(Fault::new("C15", "the file's meta group names another object than its data set"));
    }
    if meta.implementation_version_name().is_some_and(|name| name.trim().len() > 16) {
        faults.push(Fault::new("C15", "ImplementationVersionName has more than 16 characters"));
    }
    faults
}

/// Equal in value; an empty attribute and an absent one are the same.
pub(super) fn same(own: Option<&InMemElement>, theirs: Option<&InMemElement>) -> bool {
    let sequence =
        |e: Option<&InMemElement>| e.and_then(|e| e.value().items().map(<[Dataset]>::to_vec)).unwrap_or_default();
    let (own_items, their_items) = (sequence(own), sequence(theirs));
    let values = |e: Option<&InMemElement>| -> Vec<String> {
        let all = e.and_then(|e| e.value().to_multi_str().ok()).map(|v| v.to_vec()).unwrap_or_default();
        let all: Vec<String> = all.iter().map(|s| s.trim_end_matches([' ', '\0']).to_owned()).collect();
        if all.iter().all(String::is_empty) { Vec::new() } else { all }
    };
    own_items.len() == their_items.len()
        && own_items.iter().zip(&their_items).all(|(a, b)| same_items(a, b))
        && (!own_items.is_empty() || values(own) == values(theirs))
}

fn same_items(own: &Dataset, theirs: &Dataset) -> bool {
    let standard = |e: &&InMemElement| e.header().tag.group() % 2 == 0;
    theirs.iter().filter(standard).all(|e| same(own.get(e.header().tag), Some(e)))
        && own.iter().all(|e| theirs.get(e.header().tag).is_some())
}
