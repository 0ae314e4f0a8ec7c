//! What kind of image it is: the fixed values of a segmentation of its type, and how its voxels are laid out.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::pixel_data::PixelData;
use super::pixels::native_length;
use super::reader::{SegObject, number};
use super::{Fault, identity};
use crate::dicom::{Dataset, SegmentationType, keyword_of, text, texts};
use crate::results::SourceSeries;

const FIXED: &[(Tag, &[&str])] = &[
    (tags::MODALITY, &["SEG"]),
    (tags::IMAGE_TYPE, &["DERIVED", "PRIMARY"]),
    (tags::PHOTOMETRIC_INTERPRETATION, &["MONOCHROME2"]),
    (tags::SAMPLES_PER_PIXEL, &["1"]),
    (tags::PIXEL_REPRESENTATION, &["0"]),
];

/// Bits Allocated, Bits Stored, High Bit.
const DEPTH: [Tag; 3] = [tags::BITS_ALLOCATED, tags::BITS_STORED, tags::HIGH_BIT];

pub(super) fn check(object: &SegObject, source: &SourceSeries) -> Vec<Fault> {
    let dataset = &object.dataset;
    let mut faults = Vec::new();
    for (tag, value) in FIXED.iter().filter(|(tag, value)| texts(dataset, *tag) != *value) {
        faults.push(Fault::new("S1", format!("{} is not {}", keyword_of(*tag), value.join("\\"))));
    }
    faults.extend(form(object));
    faults.extend(identity::filled(dataset, identity::CONTENT_MOMENT));
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ' || c == '_';
    if !text(dataset, tags::CONTENT_LABEL).is_some_and(|t| t.len() <= 16 && t.chars().all(legal)) {
        faults.push(Fault::new("C10", "ContentLabel is no code string of at most 16 characters"));
    }
    faults.extend(lossy(dataset, source));
    let stated = number(dataset, tags::NUMBER_OF_FRAMES);
    if stated != Some(object.frames.len()) || stated == Some(0) {
        let groups = object.frames.len();
        faults.push(Fault::new("V8", format!("NumberOfFrames is not the number of functional groups, {groups}")));
    }
    match &object.pixel_data {
        None => faults.push(Fault::new("V8", "PixelData is missing, or not what ends the object")),
        Some(PixelData::Native(data)) => {
            let wanted = native_length(object).next_multiple_of(2);
            if data.len() != wanted {
                let length = data.len();
                faults.push(Fault::new("V8", format!("PixelData has {length} bytes, the frames need {wanted}")));
            }
        }
        Some(PixelData::Fragments(all)) => {
            if all.len() != object.frames.len() {
                faults.push(Fault::new("V8", format!("PixelData has {} fragments, not one a frame", all.len())));
            }
        }
    }
    faults
}

/// What the source has lost, the object has lost.
pub(super) fn lossy(dataset: &Dataset, source: &SourceSeries) -> Option<Fault> {
    let lossy = if source.lossy().is_some() { "01" } else { "00" };
    let same = text(dataset, tags::LOSSY_IMAGE_COMPRESSION).as_deref() == Some(lossy);
    (!same).then(|| Fault::new("C12", format!("LossyImageCompression is not {lossy}, the source's")))
}

/// What follows from the segmentation type: SOP class, bits, transfer syntax.
fn form(object: &SegObject) -> Vec<Fault> {
    let dataset = &object.dataset;
    let Some(stored) = object.stored else {
        return vec![Fault::new("S1", "SegmentationType is none of BINARY, LABELMAP and FRACTIONAL")];
    };
    let mut faults = Vec::new();
    let mut must = |tag: Tag, value: &str| {
        if text(dataset, tag).as_deref() != Some(value) {
            faults.push(Fault::new("S1", format!("{} is not {value}", keyword_of(tag))));
        }
    };
    must(tags::SOP_CLASS_UID, stored.sop_class());
    let depth = if stored == SegmentationType::Binary { ["1", "1", "0"] } else { ["8", "8", "7"] };
    DEPTH.iter().zip(depth).for_each(|(tag, value)| must(*tag, value));
    if stored == SegmentationType::Fractional {
        must(tags::MAXIMUM_FRACTIONAL_VALUE, "255");
        let meaning = text(dataset, tags::SEGMENTATION_FRACTIONAL_TYPE).unwrap_or_default();
        if !matches!(meaning.as_str(), "PROBABILITY" | "OCCUPANCY") {
            faults.push(Fault::new("F1", "SegmentationFractionalType is neither PROBABILITY nor OCCUPANCY"));
        }
    }
    let native = matches!(object.pixel_data, Some(PixelData::Native(_)));
    let syntax = object.meta.transfer_syntax().trim_end_matches('\0');
    let right = if native { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { uids::RLE_LOSSLESS };
    if syntax != right || (!native && stored == SegmentationType::Binary) {
        faults.push(Fault::new("V8", "the transfer syntax is not one that the pixel data is in, or not for BINARY"));
    }
    faults
}
