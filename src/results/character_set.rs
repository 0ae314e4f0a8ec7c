//! Which character set a result declares (PS3.5 section 6.1): the source's own, so that copied texts keep their bytes;
//! UTF-8 where our own texts do not fit it and the source's can be recoded.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::elements::{plain, put};
use super::modules::COPIED;
use super::{ResultError, SourceSeries};
use crate::dicom::Dataset;

/// Keeps the source's character set; where our own texts do not fit it, the whole data set becomes UTF-8.
pub(super) fn settle(dataset: &mut Dataset, source: &SourceSeries) -> Result<(), ResultError> {
    if own_texts(dataset).iter().all(|text| source.can_write(text)) {
        return Ok(());
    }
    if !source.can_be_recoded() {
        let declared = crate::dicom::texts(source.header(), tags::SPECIFIC_CHARACTER_SET).join("\\");
        return Err(ResultError::Unencodable {
            what: "a segment or series description",
            charset: plain(&declared, 64),
        });
    }
    put(dataset, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    Ok(())
}

/// Every text of the data set that does not come from the source.
fn own_texts(dataset: &Dataset) -> Vec<String> {
    let mut found = Vec::new();
    for element in dataset.iter().filter(|e| !COPIED.contains(&e.header().tag)) {
        match element.value().items() {
            // Frames hold numbers and codes in ASCII only.
            Some(_) if element.header().tag == tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE => {}
            Some(items) => found.extend(items.iter().flat_map(own_texts)),
            None if matches!(element.vr(), VR::LO | VR::SH | VR::ST | VR::UT | VR::PN) => {
                found.extend(element.value().to_multi_str().map(|v| v.to_vec()).unwrap_or_default());
            }
            None => {}
        }
    }
    found
}
