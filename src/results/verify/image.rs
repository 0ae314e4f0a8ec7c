//! What kind of image it is: the fixed values of a BINARY segmentation, and how its bits are laid out.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::Fault;
use super::reader::{SegObject, number};
use crate::dicom::{keyword_of, text, texts};
use crate::results::SourceSeries;

const FIXED: &[(Tag, &[&str])] = &[
    (tags::SOP_CLASS_UID, &[uids::SEGMENTATION_STORAGE]),
    (tags::MODALITY, &["SEG"]),
    (tags::IMAGE_TYPE, &["DERIVED", "PRIMARY"]),
    (tags::SEGMENTATION_TYPE, &["BINARY"]),
    (tags::PHOTOMETRIC_INTERPRETATION, &["MONOCHROME2"]),
    (tags::SAMPLES_PER_PIXEL, &["1"]),
    (tags::BITS_ALLOCATED, &["1"]),
    (tags::BITS_STORED, &["1"]),
    (tags::HIGH_BIT, &["0"]),
    (tags::PIXEL_REPRESENTATION, &["0"]),
];

/// Type 1 in Enhanced General Equipment and Segmentation Image.
const FILLED: &[Tag] = &[
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::INSTANCE_NUMBER,
];

pub(super) fn check(object: &SegObject, source: &SourceSeries) -> Vec<Fault> {
    let dataset = &object.dataset;
    let mut faults = Vec::new();
    for (tag, value) in FIXED.iter().filter(|(tag, value)| texts(dataset, *tag) != *value) {
        faults.push(Fault::new("S1", format!("{} is not {}", keyword_of(*tag), value.join("\\"))));
    }
    for tag in FILLED.iter().filter(|tag| text(dataset, **tag).is_none()) {
        faults.push(Fault::new("C9", format!("{} is missing or empty", keyword_of(*tag))));
    }
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ' || c == '_';
    if !text(dataset, tags::CONTENT_LABEL).is_some_and(|t| t.len() <= 16 && t.chars().all(legal)) {
        faults.push(Fault::new("C10", "ContentLabel is no code string of at most 16 characters"));
    }
    let lossy = if source.lossy().is_some() { "01" } else { "00" };
    if text(dataset, tags::LOSSY_IMAGE_COMPRESSION).as_deref() != Some(lossy) {
        faults.push(Fault::new("C12", format!("LossyImageCompression is not {lossy}, the source's")));
    }
    if object.meta.transfer_syntax().trim_end_matches('\0') != uids::EXPLICIT_VR_LITTLE_ENDIAN {
        faults.push(Fault::new("V8", "the transfer syntax is not Explicit VR Little Endian"));
    }
    let stated = number(dataset, tags::NUMBER_OF_FRAMES);
    if stated != Some(object.frames.len()) || stated == Some(0) {
        let groups = object.frames.len();
        faults.push(Fault::new("V8", format!("NumberOfFrames is not the number of functional groups, {groups}")));
    }
    let bits = object.frames.len() * object.rows * object.columns;
    let wanted = bits.div_ceil(16) * 2;
    match object.pixel_data() {
        Some(data) if data.len() == wanted => {}
        data => {
            let length = data.map_or(0, |d| d.len());
            faults.push(Fault::new("V8", format!("PixelData has {length} bytes, the frames need {wanted}")));
        }
    }
    faults
}
