//! The referee of placeholders: identity as for any result, and nothing in it but that there is no result.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::reader::items;
use super::sr::evident;
use super::values::Lengths;
use super::{Fault, identity, judged};
use crate::dicom::{Code, Dataset, keyword_of, text};
use crate::results::SourceSeries;
use crate::results::placeholder::summary;

const FIXED: &[(Tag, &str)] = &[
    (tags::SOP_CLASS_UID, uids::BASIC_TEXT_SR_STORAGE),
    (tags::MODALITY, "SR"),
    (tags::VALUE_TYPE, "CONTAINER"),
    (tags::COMPLETION_FLAG, "COMPLETE"),
    (tags::VERIFICATION_FLAG, "UNVERIFIED"),
];
const TYPE_2: &[Tag] = &[tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE];

/// Checks a placeholder (Part 10 bytes) about the series of `source`.
#[must_use]
pub fn placeholder(bytes: &[u8], source: &SourceSeries) -> Vec<Fault> {
    judged(bytes, source, TYPE_2, Lengths::Short, |object| {
        let dataset: &Dataset = object;
        let wrong = FIXED.iter().filter(|(tag, value)| text(dataset, *tag).as_deref() != Some(value));
        let mut faults: Vec<Fault> =
            wrong.map(|(tag, value)| Fault::new("M1", format!("{} is not {value}", keyword_of(*tag)))).collect();
        faults.extend(identity::filled(dataset, identity::CONTENT_MOMENT));
        faults.extend(refers(dataset, source));
        faults.extend(says(dataset));
        faults
    })
}

/// To an image of the series, and to nothing else.
fn refers(dataset: &Dataset, source: &SourceSeries) -> Option<Fault> {
    let images = match evident(dataset) {
        Ok(images) => images,
        Err(fault) => return Some(fault),
    };
    let is_one = |(class, instance): &(String, String)| {
        source.slices().iter().any(|slice| slice.class.as_str() == class && slice.instance.as_str() == instance)
    };
    let right = images.len() == 1 && images.iter().all(is_one);
    (!right).then(|| Fault::new("V3", "it refers to something else than one image of the series"))
}

fn says(dataset: &Dataset) -> Option<Fault> {
    let content = items(dataset, tags::CONTENT_SEQUENCE);
    let is = |item: &Dataset, tag: Tag, code: &Code| {
        let found = items(item, tag).first();
        found.is_some_and(|item| {
            text(item, tags::CODE_VALUE).as_ref() == Some(&code.value)
                && text(item, tags::CODING_SCHEME_DESIGNATOR).as_ref() == Some(&code.scheme)
        })
    };
    let [name, value] = summary();
    let summarised = |item: &Dataset| {
        is(item, tags::CONCEPT_NAME_CODE_SEQUENCE, &name) && is(item, tags::CONCEPT_CODE_SEQUENCE, &value)
    };
    let in_words =
        |item: &Dataset| text(item, tags::TEXT_VALUE).is_some_and(|said| said.starts_with("AI result not available: "));
    let right = is(dataset, tags::CONCEPT_NAME_CODE_SEQUENCE, &name)
        && content.iter().any(summarised)
        && content.iter().any(in_words);
    (!right).then(|| Fault::new("N1", "it does not say by its title, in words and by code that there is no result"))
}
