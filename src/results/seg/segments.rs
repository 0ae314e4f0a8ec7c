//! Segment descriptions (PS3.3 section C.8.20.4): numbers, names, codes, colours, tracking.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::{Code, Dataset};
use crate::results::color::cielab;
use crate::results::elements::{code_item, plain, put, put_code, put_item, put_items, put_text, put_uid};
use crate::results::{ResultContext, ResultError, SourceSeries};
use crate::volume::{Algorithm, Segment, Segmentation};

/// The segments that have voxels, in the order of the finding; segment number = index + 1.
pub(super) fn used<'a>(finding: &'a Segmentation, voxels: &[u64; 256]) -> Result<Vec<&'a Segment>, ResultError> {
    let mut described = [false; 256];
    for segment in &finding.segments {
        let seen = &mut described[usize::from(segment.label)];
        if segment.label == 0 || *seen {
            return Err(ResultError::BadLabel { label: segment.label });
        }
        *seen = true;
    }
    if let Some(label) = (1..=255_u8).find(|l| voxels[usize::from(*l)] > 0 && !described[usize::from(*l)]) {
        return Err(ResultError::UndescribedLabel { label });
    }
    let used: Vec<_> = finding.segments.iter().filter(|s| voxels[usize::from(s.label)] > 0).collect();
    if used.is_empty() { Err(ResultError::NothingFound) } else { Ok(used) }
}

/// Adds SegmentSequence.
pub(super) fn describe(
    dataset: &mut Dataset,
    segments: &[&Segment],
    algorithm: &Algorithm,
    source: &SourceSeries,
    context: &ResultContext,
) -> Result<(), ResultError> {
    let identification = algorithm_item(algorithm)?;
    let mut items = Vec::with_capacity(segments.len());
    for (number, segment) in (1_u16..).zip(segments) {
        let mut item = segment_item(segment)?;
        put(&mut item, tags::SEGMENT_NUMBER, VR::US, PrimitiveValue::from(number));
        put_text(&mut item, tags::SEGMENT_ALGORITHM_NAME, VR::LO, &algorithm.name);
        put_item(&mut item, tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, identification.clone());
        put(&mut item, tags::TRACKING_ID, VR::UT, ResultContext::tracking_id(segment));
        put_uid(&mut item, tags::TRACKING_UID, &context.tracking_uid(source, algorithm, segment));
        items.push(item);
    }
    put_items(dataset, tags::SEGMENT_SEQUENCE, items);
    Ok(())
}

fn segment_item(segment: &Segment) -> Result<Dataset, ResultError> {
    let mut item = InMemDicomObject::new_empty();
    let name = plain(&segment.name, 64);
    let name = if name.is_empty() { plain(&segment.property.meaning, 64) } else { name };
    put(&mut item, tags::SEGMENT_LABEL, VR::LO, name);
    put(&mut item, tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC");
    put_code(&mut item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &segment.category, "a segment's category")?;
    let mut property = code_item(&segment.property, "a segment's type")?;
    if let Some(modifier) = &segment.modifier {
        let tag = tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE;
        put_code(&mut property, tag, modifier, "a segment's type modifier")?;
    }
    put_item(&mut item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, property);
    if let Some(region) = &segment.region {
        let mut region = code_item(region, "a segment's region")?;
        if let Some(modifier) = &segment.region_modifier {
            put_code(&mut region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, modifier, "a segment's region modifier")?;
        }
        put_item(&mut item, tags::ANATOMIC_REGION_SEQUENCE, region);
    }
    let lab = PrimitiveValue::U16(cielab(segment.color).into_iter().collect());
    put(&mut item, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, VR::US, lab);
    Ok(item)
}

fn algorithm_item(algorithm: &Algorithm) -> Result<Dataset, ResultError> {
    let mut item = InMemDicomObject::new_empty();
    let family = Code::new("123110", "DCM", "Artificial Intelligence");
    put_code(&mut item, tags::ALGORITHM_FAMILY_CODE_SEQUENCE, &family, "the algorithm family")?;
    put_text(&mut item, tags::ALGORITHM_NAME, VR::LO, &algorithm.name);
    put_text(&mut item, tags::ALGORITHM_VERSION, VR::LO, &algorithm.version);
    put_text(&mut item, tags::ALGORITHM_SOURCE, VR::LO, &algorithm.manufacturer);
    Ok(item)
}
