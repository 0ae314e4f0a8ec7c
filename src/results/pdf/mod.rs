//! The report that people read, as Encapsulated PDF (PS3.3 annex A.45.1): identification, result, table of findings,
//! pictures, the model, on A4 or Letter, in the script of the patient's name.
//!
//! A character that no font has is never left out in silence: it is replaced by a mark, the page says so, and
//! [`EncapsulatedReport::unshown`] tells the caller. Never says anything that the finding does not hold.

mod draw;
mod gallery;
mod layout;
mod line;
mod name;
mod page;
mod plate;
mod report;
mod table;
mod typeface;

use std::collections::BTreeSet;
use std::sync::Arc;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use super::elements::{put, put_code, put_items, put_text, reference};
use super::{ResultContext, ResultError, ResultObject, SourceSeries, modules};
use crate::dicom::{Code, Dataset, text};
use crate::volume::{Measured, Segmentation};
use draw::About;
use line::Typesetter;
use typeface::{Ideographs, Typeface};

pub use page::Paper;
pub use typeface::{FontFile, FontSource};

pub(super) const KIND: &str = "pdf";

/// What every report of a node looks like.
#[derive(Debug, Clone)]
pub struct Letterhead {
    /// The node's AE title.
    pub node: String,
    pub paper: Paper,
    pub fonts: Arc<dyn FontSource>,
}

/// What a report is made of.
#[derive(Debug)]
pub struct ReportMatter<'a> {
    pub finding: &'a Segmentation,
    pub measured: &'a [Measured],
    /// The source's voxels, for the pictures; without them there are none.
    pub voxels: Option<&'a Array3<f32>>,
    /// Results of the same finding that the report is beside.
    pub beside: &'a [ResultObject],
}

/// A report, and what could not be shown.
#[derive(Debug)]
pub struct EncapsulatedReport {
    pub object: ResultObject,
    /// How many different characters no font has.
    pub unshown: usize,
}

/// Writes the report of a finding.
pub fn report(
    source: &SourceSeries,
    matter: &ReportMatter<'_>,
    letterhead: &Letterhead,
    context: &ResultContext,
) -> Result<EncapsulatedReport, ResultError> {
    let (class, syntax) = (uids::ENCAPSULATED_PDF_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let object = ResultObject::begun(KIND, class, syntax, source, matter.finding, context)?;
    let (pdf, unshown) = document(source, matter, letterhead, context, &object)?;
    let mut dataset = InMemDicomObject::new_empty();
    modules::patient_and_study(&mut dataset, source);
    modules::series(&mut dataset, "DOC", &object.series, source, context);
    modules::equipment(&mut dataset, &matter.finding.algorithm, context)?;
    put(&mut dataset, tags::CONVERSION_TYPE, VR::CS, "WSD");
    modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
    modules::content_moment(&mut dataset, [tags::CONTENT_DATE, tags::CONTENT_TIME], source, context);
    put(&mut dataset, tags::ACQUISITION_DATE_TIME, VR::DT, acquired(source));
    put(&mut dataset, tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    put_items(&mut dataset, tags::SOURCE_INSTANCE_SEQUENCE, made_from(source, matter.beside));
    put_text(&mut dataset, tags::DOCUMENT_TITLE, VR::ST, report::TITLE);
    // Of the titles of PS3.16 CID 7020 the one that promises no diagnosis: what is reported are measurements.
    let title = Code::new("126000", "DCM", "Imaging Measurement Report");
    put_code(&mut dataset, tags::CONCEPT_NAME_CODE_SEQUENCE, &title, "the title")?;
    put(&mut dataset, tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, VR::LO, "application/pdf");
    put(&mut dataset, tags::ENCAPSULATED_DOCUMENT_LENGTH, VR::UL, PrimitiveValue::from(pdf.len() as u32));
    put(&mut dataset, tags::ENCAPSULATED_DOCUMENT, VR::OB, PrimitiveValue::U8(even(pdf).into()));
    Ok(EncapsulatedReport { object: object.finished(dataset, source)?, unshown })
}

/// The PDF file, and how many characters it does not show.
fn document(
    source: &SourceSeries,
    matter: &ReportMatter<'_>,
    letterhead: &Letterhead,
    context: &ResultContext,
    object: &ResultObject,
) -> Result<(Vec<u8>, usize), ResultError> {
    let ReportMatter { finding, measured, .. } = matter;
    let plates = matter.voxels.map(|voxels| plate::plates(source, finding, measured, voxels));
    let report = report::Report::of(source, finding, measured, plates, letterhead, context);
    // Of the fixed texts: ASCII, and the signs that they use.
    let fixed = (' '..='~').chain(['–', '†', '·', '…', typeface::REPLACEMENT]);
    let characters: BTreeSet<char> = report.texts().flat_map(str::chars).chain(fixed).collect();
    let ideographs = Ideographs::of(&report::declared(source), &characters);
    let files = letterhead.fonts.faces_for(&characters);
    let typeface = Typeface::new(files, &characters, ideographs);
    let typeface = typeface.ok_or_else(|| ResultError::Font("none has the letters of ASCII".into()))?;
    let setter = Typesetter::new(&typeface)?;
    let unshown = typeface.missing.iter().filter(|c| **c != typeface::REPLACEMENT).count();
    let pages = layout::pages(&report, unshown, &setter, letterhead.paper);
    let about = About {
        title: report::TITLE.into(),
        description: report::DISCLAIMER.into(),
        keywords: keywords(finding, measured, object),
        object: object.sop_instance.to_string(),
        node: report.node.clone(),
    };
    Ok((draw::draw(&pages, &setter, letterhead.paper, about)?, unshown))
}

/// For programs: the object that the file is in, the model, label and volume (mm3) of each structure found.
fn keywords(finding: &Segmentation, measured: &[Measured], object: &ResultObject) -> Vec<String> {
    let volumes = measured.iter().map(|measured| format!("segment {}: {:.4} mm3", measured.label, measured.volume));
    let of = [format!("object {}", object.sop_instance), format!("model {}", finding.algorithm.digest)];
    of.into_iter().chain(volumes).collect()
}

/// When the source was acquired, as a DT; empty where it does not say (type 2).
fn acquired(source: &SourceSeries) -> String {
    let read = |tag| text(source.header(), tag);
    let both = || Some(read(tags::ACQUISITION_DATE)? + &read(tags::ACQUISITION_TIME).unwrap_or_default());
    read(tags::ACQUISITION_DATE_TIME).or_else(both).unwrap_or_default()
}

/// All images of the source, and the segmentation that the same finding gave.
fn made_from(source: &SourceSeries, beside: &[ResultObject]) -> Vec<Dataset> {
    let images = source.instances().into_iter().map(|image| reference(&image.class, &image.instance));
    let segs = beside.iter().filter(|object| object.kind == "seg");
    images.chain(segs.map(|seg| reference(&seg.sop_class, &seg.sop_instance))).collect()
}

/// OB values have an even length; the document's own is kept beside.
fn even(mut pdf: Vec<u8>) -> Vec<u8> {
    if !pdf.len().is_multiple_of(2) {
        pdf.push(0);
    }
    pdf
}
