//! Measurements as Comprehensive 3D SR (PS3.3 annex A.35.13), Imaging Measurement Report (PS3.16 TID 1500): a group for
//! each segment that was found, and for those that were not, that they are absent: "ran, nothing found" is an answer.
//!
//! Refers to the SEG of the same finding, with which it shares tracking identifiers.

pub(super) mod content;
mod groups;

pub(super) use groups::{rounded, ucum};

use std::collections::BTreeSet;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::elements::{put, put_code, put_item, put_items, put_uid, reference};
use super::{ResultContext, ResultError, ResultObject, SourceSeries, modules};
use crate::dicom::{Code, Dataset, Uid, text};
use crate::volume::{Algorithm, Measured, Segment, Segmentation};
use content::{Item, Relation, code, container};

pub(super) const KIND: &str = "sr";

/// What a report is made of.
pub(super) struct Report<'a> {
    source: &'a SourceSeries,
    finding: &'a Segmentation,
    /// The finding's SEG, without which nothing was found.
    seg: &'a Reference,
    context: &'a ResultContext,
}

/// An object that a report refers to.
pub(super) struct Reference {
    sop_class: Uid,
    sop_instance: Uid,
    series: Uid,
}

/// Writes what was measured of `finding`. `seg` is its SEG and the numbers that its labels have there; there is none
/// where nothing was found.
pub fn measurement_report(
    source: &SourceSeries,
    finding: &Segmentation,
    measured: &[Measured],
    seg: Option<(&ResultObject, &[(u8, u16)])>,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let (object, mut dataset) = begun(source, finding, context)?;
    let mut groups = Vec::new();
    if let Some((object, numbers)) = seg {
        let seg = Reference {
            sop_class: object.sop_class.clone(),
            sop_instance: object.sop_instance.clone(),
            series: object.series.clone(),
        };
        let report = Report { source, finding, seg: &seg, context };
        groups = report.groups(measured, numbers)?;
        let slices = measured.iter().map(|measured| measured.caliper.slice).collect();
        let evidence = evidence(source, &slices, Some(&seg));
        put_item(&mut dataset, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence);
    }
    root(&mut dataset, source, finding, context, groups)?;
    object.finished(dataset, source)
}

/// A report without evidence and content.
pub(super) fn begun(
    source: &SourceSeries,
    finding: &Segmentation,
    context: &ResultContext,
) -> Result<(ResultObject, Dataset), ResultError> {
    let (class, syntax) = (uids::COMPREHENSIVE3_DSR_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let object = ResultObject::begun(KIND, class, syntax, source, finding, context)?;
    let mut dataset = InMemDicomObject::new_empty();
    modules::patient_and_study(&mut dataset, source);
    modules::series(&mut dataset, "SR", &object.series, source, context);
    put_items(&mut dataset, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    modules::equipment(&mut dataset, &finding.algorithm, context)?;
    modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
    modules::content_moment(&mut dataset, [tags::CONTENT_DATE, tags::CONTENT_TIME], source, context);
    put(&mut dataset, tags::COMPLETION_FLAG, VR::CS, "COMPLETE");
    put(&mut dataset, tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED");
    put(&mut dataset, tags::PRELIMINARY_FLAG, VR::CS, "FINAL");
    put_items(&mut dataset, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    Ok((object, dataset))
}

/// The document's own content: observer, procedure, groups, and what is absent.
pub(super) fn root(
    dataset: &mut Dataset,
    source: &SourceSeries,
    finding: &Segmentation,
    context: &ResultContext,
    groups: Vec<Dataset>,
) -> Result<(), ResultError> {
    put(dataset, tags::VALUE_TYPE, VR::CS, "CONTAINER");
    put_code(dataset, tags::CONCEPT_NAME_CODE_SEQUENCE, &dcm("126000", "Imaging Measurement Report"), "the title")?;
    put(dataset, tags::CONTINUITY_OF_CONTENT, VR::CS, "CONTINUOUS");
    let mut template = InMemDicomObject::new_empty();
    put(&mut template, tags::MAPPING_RESOURCE, VR::CS, "DCMR");
    put(&mut template, tags::TEMPLATE_IDENTIFIER, VR::CS, "1500");
    put_item(dataset, tags::CONTENT_TEMPLATE_SEQUENCE, template);
    let mut items = observer(&finding.algorithm, context)?;
    items.push(code(Relation::Modifies, &dcm("121058", "Procedure reported"), &procedure(source))?);
    if !groups.is_empty() {
        items.push(container(Relation::Contains, &dcm("126010", "Imaging Measurements"), groups)?);
    }
    let absent = absent(finding)?;
    if !absent.is_empty() {
        let title = Code::new("C0034375", "UMLS", "Qualitative Evaluations");
        items.push(container(Relation::Contains, &title, absent)?);
    }
    put_items(dataset, tags::CONTENT_SEQUENCE, items);
    Ok(())
}

/// Language and device observer (PS3.16 TID 1204, TID 1004).
pub(super) fn observer(algorithm: &Algorithm, context: &ResultContext) -> Result<Vec<Dataset>, ResultError> {
    let device = Uid::derived(&["sagittal-device", &algorithm.name, &algorithm.version, &algorithm.digest]);
    let language = Code::new("en", "RFC5646", "English");
    Ok(vec![
        code(Relation::Modifies, &dcm("121049", "Language of Content Item and Descendants"), &language)?,
        code(Relation::Context, &dcm("121005", "Observer Type"), &dcm("121007", "Device"))?,
        content::uid(Relation::Context, &dcm("121012", "Device Observer UID"), &device)?,
        content::text(Relation::Context, &dcm("121013", "Device Observer Name"), &algorithm.name)?,
        content::text(Relation::Context, &dcm("121014", "Device Observer Manufacturer"), "Sagittal")?,
        content::text(Relation::Context, &dcm("121015", "Device Observer Model Name"), &context.node_version)?,
    ])
}

/// The source's own procedure code, or what its modality amounts to.
fn procedure(source: &SourceSeries) -> Code {
    let items = source.header().get(tags::PROCEDURE_CODE_SEQUENCE).and_then(|e| e.items());
    let stated = items.and_then(<[Dataset]>::first).and_then(|item| {
        let read = |tag| text(item, tag).filter(|value: &String| value.chars().count() <= 64);
        let code = Code {
            value: read(tags::CODE_VALUE)?,
            scheme: read(tags::CODING_SCHEME_DESIGNATOR)?,
            meaning: read(tags::CODE_MEANING)?,
        };
        (code.value.len() <= 16 && code.scheme.len() <= 16).then_some(code)
    });
    stated.unwrap_or_else(|| match text(source.header(), tags::MODALITY).as_deref() {
        Some("CT") => Code::new("25045-6", "LN", "CT unspecified body region"),
        Some("MR") => Code::new("25056-3", "LN", "MR unspecified body region"),
        _ => sct("363679005", "Imaging procedure"),
    })
}

/// What the model looked for and did not find.
fn absent(finding: &Segmentation) -> Result<Vec<Dataset>, ResultError> {
    let numbers = super::segment_numbers(finding, crate::dicom::SegForm::default());
    let found = match numbers {
        Err(ResultError::NothingFound) => Vec::new(),
        other => other?,
    };
    let absent = |segment: &&Segment| !found.iter().any(|(label, _)| *label == segment.label);
    let item = |segment: &Segment| code(Relation::Contains, &segment.property, &sct("272519000", "Absent"));
    finding.segments.iter().filter(absent).map(item).collect()
}

impl Report<'_> {
    fn groups(&self, measured: &[Measured], numbers: &[(u8, u16)]) -> Result<Vec<Dataset>, ResultError> {
        let group = |measured: &Measured| -> Option<Item> {
            let segment = self.finding.segments.iter().find(|segment| segment.label == measured.label)?;
            let (_, number) = numbers.iter().find(|(label, _)| *label == measured.label)?;
            Some(self.group(segment, measured, *number))
        };
        measured.iter().filter_map(group).collect()
    }
}

/// Every instance that a document's content refers to: images of the source, and the SEG.
pub(super) fn evidence(source: &SourceSeries, slices: &BTreeSet<usize>, seg: Option<&Reference>) -> Dataset {
    let series = |uid: &Uid, instances: Vec<Dataset>| {
        let mut item = InMemDicomObject::new_empty();
        put_uid(&mut item, tags::SERIES_INSTANCE_UID, uid);
        put_items(&mut item, tags::REFERENCED_SOP_SEQUENCE, instances);
        item
    };
    let mut seen = BTreeSet::new();
    let used = slices.iter().map(|k| &source.slices()[*k]).filter(|slice| seen.insert(slice.instance.as_str()));
    let images = used.map(|slice| reference(&slice.class, &slice.instance)).collect();
    let mut all = vec![series(source.series(), images)];
    all.extend(seg.map(|seg| series(&seg.series, vec![reference(&seg.sop_class, &seg.sop_instance)])));
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::STUDY_INSTANCE_UID, source.study());
    put_items(&mut item, tags::REFERENCED_SERIES_SEQUENCE, all);
    item
}

pub(super) fn dcm(value: &str, meaning: &str) -> Code {
    Code::new(value, "DCM", meaning)
}

fn sct(value: &str, meaning: &str) -> Code {
    Code::new(value, "SCT", meaning)
}
