//! Small DICOM objects.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTableBuilder;
use sagittal::delivery::Object;
use sagittal::dicom::Dataset;

pub const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// An MR instance of 64 x 64 pixels; study 1.2, series 1.2.3.
pub fn mr(sop_instance: &str, syntax: &str) -> Object {
    of_class(MR, sop_instance, syntax)
}

/// The same under another SOP class, for peers that look no deeper.
pub fn of_class(sop_class: &str, sop_instance: &str, syntax: &str) -> Object {
    square(sop_class, sop_instance, syntax, 64)
}

/// The same with `side` x `side` pixels.
pub fn square(sop_class: &str, sop_instance: &str, syntax: &str, side: u16) -> Object {
    let mut dataset = Dataset::new_empty();
    let mut put = |tag, vr, value: PrimitiveValue| {
        dataset.put(DataElement::new(tag, vr, value));
    };
    put(tags::SOP_CLASS_UID, VR::UI, sop_class.into());
    put(tags::SOP_INSTANCE_UID, VR::UI, sop_instance.into());
    put(tags::STUDY_INSTANCE_UID, VR::UI, "1.2".into());
    put(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3".into());
    put(tags::STUDY_DATE, VR::DA, "20260101".into());
    put(tags::STUDY_TIME, VR::TM, "120000".into());
    put(tags::PATIENT_ID, VR::LO, "PHANTOM".into());
    put(tags::PATIENT_NAME, VR::PN, "Phantom".into());
    put(tags::MODALITY, VR::CS, "MR".into());
    put(tags::SAMPLES_PER_PIXEL, VR::US, 1_u16.into());
    put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into());
    put(tags::ROWS, VR::US, side.into());
    put(tags::COLUMNS, VR::US, side.into());
    put(tags::BITS_ALLOCATED, VR::US, 16_u16.into());
    put(tags::BITS_STORED, VR::US, 16_u16.into());
    put(tags::HIGH_BIT, VR::US, 15_u16.into());
    put(tags::PIXEL_REPRESENTATION, VR::US, 0_u16.into());
    let pixels: Vec<u16> = (0..u32::from(side) * u32::from(side)).map(|place| place as u16).collect();
    put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into()));
    let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
    let mut bytes = Vec::new();
    dataset.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    Object::from_part10("a test instance", bytes).unwrap()
}
