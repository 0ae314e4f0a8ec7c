//! Synthetic series as other sources have them: one Enhanced CT or MR image with a frame a slice, in any order, or one
//! projection image that lies nowhere in the patient.

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use sagittal::dicom::Dataset;

use super::phantom::Series;

/// What a frame says of itself in functional groups, and so is not said of all.
const OF_FRAMES: &[Tag] = &[
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_SPACING,
    tags::SLICE_THICKNESS,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::RESCALE_TYPE,
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
    tags::PIXEL_DATA,
];

fn within(tag: Tag, items: Vec<Dataset>) -> Dataset {
    InMemDicomObject::from_element_iter([DataElement::new(tag, VR::SQ, DataSetSequence::from(items))])
}

fn taken(from: &Dataset, tags: &[Tag]) -> Dataset {
    InMemDicomObject::from_element_iter(tags.iter().filter_map(|tag| from.get(*tag)).cloned())
}

/// The series as one Enhanced CT or MR image; `order` names the slice of each frame.
pub fn enhanced(series: &Series, order: &[usize]) -> Vec<u8> {
    let first = series.dataset(order[0]);
    let mut image = InMemDicomObject::from_element_iter(
        first.iter().filter(|element| !OF_FRAMES.contains(&element.header().tag)).cloned(),
    );
    let mut shared = within(tags::PLANE_ORIENTATION_SEQUENCE, vec![taken(&first, &[tags::IMAGE_ORIENTATION_PATIENT])]);
    let measures = taken(&first, &[tags::PIXEL_SPACING, tags::SLICE_THICKNESS]);
    shared.extend(within(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]));
    let rescale = taken(&first, &[tags::RESCALE_INTERCEPT, tags::RESCALE_SLOPE, tags::RESCALE_TYPE]);
    shared.extend(within(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![rescale]));
    image.extend(within(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    let frame = |slice: &usize| {
        let place = taken(&series.dataset(*slice), &[tags::IMAGE_POSITION_PATIENT]);
        within(tags::PLANE_POSITION_SEQUENCE, vec![place])
    };
    image.extend(within(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, order.iter().map(frame).collect()));
    let pixels: Vec<u16> = order.iter().flat_map(|slice| series.pixels(*slice)).collect();
    image.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    image.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, PrimitiveValue::from(order.len().to_string())));
    let mr = series.modality == "MR";
    part10(image, if mr { uids::ENHANCED_MR_IMAGE_STORAGE } else { uids::ENHANCED_CT_IMAGE_STORAGE })
}

/// How a projection image says how far its pixels are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    Calibrated,
    Detector,
    None,
}

/// The first slice of the series as a digital X-ray image: no place in the patient.
pub fn projection(series: &Series, spacing: Spacing) -> Vec<u8> {
    let mut image = series.dataset(0);
    let own = image.element(tags::PIXEL_SPACING).unwrap().clone();
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::FRAME_OF_REFERENCE_UID,
        tags::POSITION_REFERENCE_INDICATOR,
        tags::SLICE_THICKNESS,
        tags::RESCALE_TYPE,
        tags::PIXEL_SPACING,
    ] {
        image.remove_element(tag);
    }
    match spacing {
        Spacing::Calibrated => drop(image.put(own)),
        Spacing::Detector => {
            let value = own.value().clone();
            image.put(DataElement::new(tags::IMAGER_PIXEL_SPACING, VR::DS, value));
        }
        Spacing::None => {}
    }
    image.put(DataElement::new(tags::MODALITY, VR::CS, PrimitiveValue::from("DX")));
    part10(image, uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION)
}

fn part10(mut image: Dataset, class: &str) -> Vec<u8> {
    image.put(DataElement::new(tags::SOP_CLASS_UID, VR::UI, PrimitiveValue::from(class)));
    let instance = image.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().into_owned();
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut file = Vec::new();
    image.with_meta(meta).unwrap().write_all(&mut file).unwrap();
    file
}
