//! Key images as Key Object Selection (PS3.3 annex A.35.4, PS3.16 TID 2010): for each segment that was found, the image
//! on which it reaches farthest, so that a reader opens a study of many images where there is something to see.
//!
//! Nothing found makes no key image, and no object.

use std::collections::BTreeSet;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::elements::{plain, put, put_code, put_item, put_items};
use super::sr::content::{Relation, image, text};
use super::sr::{dcm, evidence};
use super::{ResultContext, ResultError, ResultObject, SourceSeries, modules};
use crate::dicom::Dataset;
use crate::volume::{Measured, Segmentation};

pub(super) const KIND: &str = "ko";

/// Selects the images of `measured`, in the order of the volume.
pub fn key_images(
    source: &SourceSeries,
    finding: &Segmentation,
    measured: &[Measured],
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let slices: BTreeSet<usize> = measured.iter().map(|measured| measured.caliper.slice).collect();
    if slices.is_empty() {
        return Err(ResultError::NothingFound);
    }
    let (class, syntax) = (uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let object = ResultObject::begun(KIND, class, syntax, source, finding, context)?;
    let mut dataset = InMemDicomObject::new_empty();
    modules::patient_and_study(&mut dataset, source);
    modules::series(&mut dataset, "KO", &object.series, source, context);
    put_items(&mut dataset, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    modules::equipment(&mut dataset, &finding.algorithm, context)?;
    modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
    modules::content_moment(&mut dataset, [tags::CONTENT_DATE, tags::CONTENT_TIME], source, context);
    put_item(&mut dataset, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence(source, &slices, None));
    put(&mut dataset, tags::VALUE_TYPE, VR::CS, "CONTAINER");
    put_code(&mut dataset, tags::CONCEPT_NAME_CODE_SEQUENCE, &dcm("113000", "Of Interest"), "the title")?;
    put(&mut dataset, tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
    let mut template = InMemDicomObject::new_empty();
    put(&mut template, tags::MAPPING_RESOURCE, VR::CS, "DCMR");
    put(&mut template, tags::TEMPLATE_IDENTIFIER, VR::CS, "2010");
    put_item(&mut dataset, tags::CONTENT_TEMPLATE_SEQUENCE, template);
    put_items(&mut dataset, tags::CONTENT_SEQUENCE, content(source, finding, measured, &slices)?);
    object.finished(dataset, source)
}

/// What was found, and the images.
fn content(
    source: &SourceSeries,
    finding: &Segmentation,
    measured: &[Measured],
    slices: &BTreeSet<usize>,
) -> Result<Vec<Dataset>, ResultError> {
    let is_found = |label: u8| measured.iter().any(|measured| measured.label == label);
    let names = finding.segments.iter().filter(|segment| is_found(segment.label)).map(|segment| segment.name.as_str());
    let said = format!("{} found: {}", finding.algorithm.name, names.collect::<Vec<_>>().join(", "));
    let description = text(Relation::Contains, &dcm("113012", "Key Object Description"), &plain(&said, 1024))?;
    let images = slices.iter().map(|k| image(Relation::Contains, None, source.slices()[*k].reference()));
    std::iter::once(Ok(description)).chain(images).collect()
}
