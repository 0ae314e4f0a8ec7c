//! What the reading room sees in the study in place of a result: "AI result not available", as Basic Text SR (PS3.3
//! annex A.35.1). It says which analysis it is about and what that was at, never what a patient's attribute holds.
//!
//! Its UIDs follow from the images, the pipeline and the reason: the same placeholder again is the same object, and a
//! result that comes after all is another one.

use std::collections::BTreeSet;
use std::time::Duration;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::elements::{put, put_code, put_item, put_items, reference};
use super::sr::content::{Relation, code, image, text};
use super::sr::{dcm, evidence, observer};
use super::{ResultContext, ResultError, ResultObject, SourceSeries, modules};
use crate::dicom::{Code, Uid, sha256};
use crate::volume::Algorithm;

/// The word for it among the kinds of results.
pub const KIND: &str = "placeholder";

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The analysis was given up while it was at this.
    GivenUp(Stage),
    /// It has not ended within this time.
    Late(Duration),
}

/// What an analysis was at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Reading,
    Model,
    Writing,
    Checking,
}

impl Reason {
    fn sentence(&self) -> String {
        let doing = match self {
            Reason::Late(after) => {
                let minutes = after.as_secs().div_ceil(60);
                return format!("It was not finished within {minutes} min; its result may still come.");
            }
            Reason::GivenUp(Stage::Reading) => "the images were read",
            Reason::GivenUp(Stage::Model) => "the model ran",
            Reason::GivenUp(Stage::Writing) => "the result was written",
            Reason::GivenUp(Stage::Checking) => "the result was checked",
        };
        format!("It failed while {doing}.")
    }

    const fn word(&self) -> &'static str {
        match self {
            Reason::GivenUp(_) => "given-up",
            Reason::Late(_) => "late",
        }
    }
}

/// What the standard has for it, the title, too (PS3.16 CID 6047): readers know no private codes.
pub(super) fn summary() -> [Code; 2] {
    let name = dcm("111017", "CAD Processing and Findings Summary");
    [name, dcm("111245", "No algorithms succeeded; without findings")]
}

/// Writes the placeholder for the series that `source` heads; `instances`: all of its images, in any order.
pub fn placeholder(
    source: &SourceSeries,
    instances: &[Uid],
    reason: &Reason,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let object = named(source, instances, reason, context)?;
    let by = author(context);
    let mut dataset = InMemDicomObject::new_empty();
    modules::patient_and_study(&mut dataset, source);
    modules::series(&mut dataset, "SR", &object.series, source, context);
    put_items(&mut dataset, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    modules::equipment(&mut dataset, &by, context)?;
    modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
    modules::content_moment(&mut dataset, [tags::CONTENT_DATE, tags::CONTENT_TIME], source, context);
    put(&mut dataset, tags::COMPLETION_FLAG, VR::CS, "COMPLETE");
    put(&mut dataset, tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED");
    put_items(&mut dataset, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    let evidence = evidence(source, &BTreeSet::from([0]), None);
    put_item(&mut dataset, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence);
    put(&mut dataset, tags::VALUE_TYPE, VR::CS, "CONTAINER");
    let [name, value] = summary();
    put_code(&mut dataset, tags::CONCEPT_NAME_CODE_SEQUENCE, &name, "the title")?;
    put(&mut dataset, tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
    let said = format!(
        "AI result not available: there is no result of the analysis {:?} of this series. {} Read the images as \
         without it.",
        context.pipeline,
        reason.sentence()
    );
    let first = &source.slices()[0];
    let mut items = observer(&by, context)?;
    items.push(text(Relation::Contains, &dcm("121106", "Comment"), &said)?);
    items.push(code(Relation::Contains, &name, &value)?);
    items.push(image(Relation::Contains, None, reference(&first.class, &first.instance))?);
    put_items(&mut dataset, tags::CONTENT_SEQUENCE, items);
    object.finished(dataset, source)
}

/// The node itself speaks: the model may never have been loaded.
fn author(context: &ResultContext) -> Algorithm {
    let (name, version) = (context.pipeline.clone(), context.node_version.clone());
    let digest = sha256(format!("{name} {version}").as_bytes());
    Algorithm { name, version, manufacturer: "Sagittal".to_owned(), digest }
}

fn named(
    source: &SourceSeries,
    instances: &[Uid],
    reason: &Reason,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let uid = |text: &str| Uid::parse(text).map_err(|error| ResultError::Encode(error.to_string()));
    let mut images: Vec<&str> = instances.iter().map(Uid::as_str).collect();
    images.sort_unstable();
    let derived = |what: &str| {
        let parts =
            [&["sagittal-placeholder", what, reason.word(), &context.pipeline, source.series().as_str()], &images[..]];
        Uid::derived(&parts.concat())
    };
    Ok(ResultObject {
        kind: KIND,
        form: None,
        sop_class: uid(uids::BASIC_TEXT_SR_STORAGE)?,
        sop_instance: derived("instance"),
        study: source.study().clone(),
        series: derived("series"),
        transfer_syntax: uid(uids::EXPLICIT_VR_LITTLE_ENDIAN)?,
        bytes: Vec::new(),
    })
}
