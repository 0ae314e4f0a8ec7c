//! A segmentation as DICOM SEG: BINARY, uncompressed, Explicit VR Little Endian, the one form that every
//! reader opens (PS3.3 annex A.51, section C.8.20).

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Axis;

use super::elements::{code_string, plain, put, put_item, put_items, put_text, put_uid, reference};
use super::frames::{self, Frame};
use super::source::Lossy;
use super::{ResultContext, ResultError, ResultObject, SourceSeries};
use super::{bits, encode, modules, segments};
use crate::dicom::{Dataset, Uid};
use crate::volume::Segmentation;

const KIND: &str = "seg";

/// Writes `finding` as a DICOM SEG over `source`, whose slice `k` is slice `k` of the labels.
///
/// Only segments with voxels are listed, numbered from 1 in the finding's order; an empty mask is
/// [`ResultError::NothingFound`]. Memory: the labels and the object, nothing else of their size.
pub fn segmentation(
    source: &SourceSeries,
    finding: &Segmentation,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let (slices, rows, columns) = finding.labels.dim();
    source.check_grid(&finding.grid, [slices, rows, columns])?;
    let census = frames::census(finding);
    let used = segments::used(finding, &census.voxels)?;
    let plan = frames::plan(&census, &used, source);

    let algorithm = &finding.algorithm;
    let sop_class = Uid::parse(uids::SEGMENTATION_STORAGE).map_err(|e| ResultError::Encode(e.to_string()))?;
    let sop_instance = context.object_uid(source, algorithm, KIND, "instance");
    let series = context.series_uid(source, algorithm, KIND);

    let mut dataset = InMemDicomObject::new_empty();
    modules::patient_and_study(&mut dataset, source);
    modules::series(&mut dataset, "SEG", &series, source, context);
    modules::frame_of_reference(&mut dataset, source);
    modules::equipment(&mut dataset, algorithm, context)?;
    modules::instance(&mut dataset, &sop_class, &sop_instance, source, context);
    image(&mut dataset, source, context, [rows, columns, plan.len()]);
    referenced_series(&mut dataset, source);
    segments::describe(&mut dataset, &used, algorithm, source, context)?;
    frames::dimensions(&mut dataset, &context.object_uid(source, algorithm, KIND, "dimensions"));
    frames::shared_groups(&mut dataset, source);
    frames::frame_groups(&mut dataset, &plan, source)?;
    settle_character_set(&mut dataset, source)?;

    let pixel_bytes = bits::packed_len(plan.len(), rows * columns);
    let (mut bytes, start) = encode::part10(&dataset, &sop_class, &sop_instance, &context.node_version, pixel_bytes)?;
    pack(finding, &plan, &mut bytes[start..]);
    Ok(ResultObject {
        kind: KIND,
        sop_class,
        sop_instance,
        study: source.study().clone(),
        series,
        transfer_syntax: Uid::parse(uids::EXPLICIT_VR_LITTLE_ENDIAN).map_err(|e| ResultError::Encode(e.to_string()))?,
        bytes,
    })
}

/// Segmentation Image module; `[rows, columns, frames]`.
fn image(dataset: &mut Dataset, source: &SourceSeries, context: &ResultContext, size: [usize; 3]) {
    put(dataset, tags::IMAGE_TYPE, VR::CS, modules::strs(["DERIVED".into(), "PRIMARY".into()]));
    let label = code_string(&context.pipeline);
    put(dataset, tags::CONTENT_LABEL, VR::CS, if label.is_empty() { "SEGMENTATION".into() } else { label });
    put_text(dataset, tags::CONTENT_DESCRIPTION, VR::LO, &context.series_description);
    put(dataset, tags::CONTENT_CREATOR_NAME, VR::PN, PrimitiveValue::Empty);
    let mut short = |tag, value: usize| put(dataset, tag, VR::US, PrimitiveValue::from(value as u16));
    short(tags::SAMPLES_PER_PIXEL, 1);
    short(tags::ROWS, size[0]);
    short(tags::COLUMNS, size[1]);
    short(tags::BITS_ALLOCATED, 1);
    short(tags::BITS_STORED, 1);
    short(tags::HIGH_BIT, 0);
    short(tags::PIXEL_REPRESENTATION, 0);
    put(dataset, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    put(dataset, tags::NUMBER_OF_FRAMES, VR::IS, size[2].to_string());
    put(dataset, tags::SEGMENTATION_TYPE, VR::CS, "BINARY");
    // A label map gives each voxel to one segment.
    put(dataset, tags::SEGMENTS_OVERLAP, VR::CS, "NO");
    put(dataset, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, if source.lossy().is_some() { "01" } else { "00" });
    if let Some(Lossy { ratios, methods }) = source.lossy() {
        if !ratios.is_empty() {
            frames::put_decimals(dataset, tags::LOSSY_IMAGE_COMPRESSION_RATIO, ratios.clone());
        }
        if !methods.is_empty() {
            let methods = PrimitiveValue::Strs(methods.iter().cloned().collect());
            put(dataset, tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, methods);
        }
    }
}

/// Common Instance Reference: viewers refuse a SEG that does not name its images here.
fn referenced_series(dataset: &mut Dataset, source: &SourceSeries) {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::SERIES_INSTANCE_UID, source.series());
    let images = source.slices().iter().map(|s| reference(&s.class, &s.instance)).collect();
    put_items(&mut item, tags::REFERENCED_INSTANCE_SEQUENCE, images);
    put_item(dataset, tags::REFERENCED_SERIES_SEQUENCE, item);
}

/// Keeps the source's character set; where our own texts do not fit it, the whole data set becomes UTF-8.
fn settle_character_set(dataset: &mut Dataset, source: &SourceSeries) -> Result<(), ResultError> {
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
    for element in dataset.iter().filter(|e| !modules::COPIED.contains(&e.header().tag)) {
        match element.value().items() {
            // Frames hold numbers and codes in ASCII only.
            Some(_) if element.header().tag == tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE => {}
            Some(items) => found.extend(items.iter().flat_map(own_texts)),
            None if matches!(element.vr(), VR::LO | VR::SH | VR::UT | VR::PN) => {
                found.extend(element.value().to_multi_str().map(|v| v.to_vec()).unwrap_or_default());
            }
            None => {}
        }
    }
    found
}

/// One pass over the labels, each voxel's bit set where its frame lies in the pixel data.
fn pack(finding: &Segmentation, plan: &[Frame], packed: &mut [u8]) {
    let mut frame_of = vec![[None; 256]; finding.labels.len_of(Axis(0))];
    for (index, frame) in (0_u32..).zip(plan) {
        frame_of[frame.slice][usize::from(frame.label)] = Some(index);
    }
    for (slice, frame_of) in finding.labels.axis_iter(Axis(0)).zip(&frame_of) {
        match slice.as_slice() {
            Some(contiguous) => bits::pack_slice(contiguous, frame_of, packed),
            None => bits::pack_slice(&slice.iter().copied().collect::<Vec<_>>(), frame_of, packed),
        }
    }
}
