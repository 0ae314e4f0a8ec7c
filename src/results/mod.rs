//! Findings become DICOM objects: one file an object, and `verify/`, the referee that reads them back.
//!
//! Pure: no I/O, no clock, no randomness. The same source series, finding and [`ResultContext`] give
//! byte-identical objects (invariant 4). Knows no model and no peer.
//! PS3.3 annex A.51 (Segmentation IOD) and the modules it names; PS3.10 for the file form.

mod areas;
mod character_set;
pub mod compare;
mod context;
mod elements;
mod encode;
mod gsps;
mod ko;
mod modules;
mod pdf;
mod placeholder;
pub mod read;
mod rtstruct;
mod sc;
mod seg;
mod source;
mod sr;
pub mod verify;
mod voi;

pub use context::ResultContext;
pub use gsps::presentation_states;
pub use ko::key_images;
pub use pdf::{EncapsulatedReport, FontFile, FontSource, Letterhead, Paper, ReportMatter, report};
pub use placeholder::{Reason, Stage, placeholder};
pub use rtstruct::structure_set;
pub use sc::secondary_captures;
pub use seg::{SegDraft, segment_numbers, segmentation};
pub use source::{Scale, SourceSeries};
pub use sr::measurement_report;

use dicom_core::Tag;
use dicom_dictionary_std::uids;

use crate::dicom::frames::FramesError;
use crate::dicom::ladder::Form;
use crate::dicom::{Dataset, Uid, UidError, color, keyword_of};
use crate::volume::Segmentation;

/// SOP classes of all that is written here.
pub const SOP_CLASSES: [&str; 10] = [
    uids::SEGMENTATION_STORAGE,
    uids::LABEL_MAP_SEGMENTATION_STORAGE,
    uids::RT_STRUCTURE_SET_STORAGE,
    uids::COMPREHENSIVE3_DSR_STORAGE,
    uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
    uids::BASIC_TEXT_SR_STORAGE,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
    uids::ENCAPSULATED_PDF_STORAGE,
];

/// A finished DICOM object in its file form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultObject {
    /// What it is, in the words of the configuration: `seg`.
    pub kind: &'static str,
    /// The form of the segmentation that it is or refers to, where a pipeline writes several.
    pub form: Option<Form>,
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub study: Uid,
    pub series: Uid,
    pub transfer_syntax: Uid,
    /// The whole Part 10 file, preamble and meta group included.
    pub bytes: Vec<u8>,
}

impl ResultObject {
    /// What an object of `kind` is called, before it has bytes.
    fn begun(
        kind: &'static str,
        sop_class: &str,
        transfer_syntax: &str,
        source: &SourceSeries,
        finding: &Segmentation,
        context: &ResultContext,
    ) -> Result<ResultObject, ResultError> {
        let uid = |text: &str| Uid::parse(text).map_err(|e| ResultError::Encode(e.to_string()));
        Ok(ResultObject {
            kind,
            form: None,
            sop_class: uid(sop_class)?,
            sop_instance: context.object_uid(source, &finding.algorithm, kind, "instance"),
            study: source.study().clone(),
            series: context.series_uid(source, &finding.algorithm, kind),
            transfer_syntax: uid(transfer_syntax)?,
            bytes: Vec::new(),
        })
    }

    /// The object with `dataset` as its bytes, in a character set that holds all of its texts.
    fn finished(self, mut dataset: Dataset, source: &SourceSeries) -> Result<ResultObject, ResultError> {
        character_set::settle(&mut dataset, source)?;
        let bytes = encode::head(&dataset, &self.sop_class, &self.sop_instance, &self.transfer_syntax)?;
        Ok(ResultObject { bytes, ..self })
    }
}

/// Why a finding cannot become a DICOM object. Slices are counted from 0 in volume order.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// The model ran and marked no voxel: an answer, not a fault. The caller decides how to tell it.
    #[error("nothing found: no voxel is marked, so there is no segmentation to write")]
    NothingFound,
    #[error("the source series has no instances; give the headers of its slices in volume order")]
    NoSource,
    #[error("source slice {slice}: {} is missing or unreadable; the result cannot refer to the image without it", keyword_of(*tag))]
    Missing { slice: usize, tag: Tag },
    #[error("source slice {slice}: {} is no usable UID: {fault}", keyword_of(*tag))]
    BadUid { slice: usize, tag: Tag, fault: UidError },
    #[error("source slice {slice} belongs to another series than slice 0; give one series at a time")]
    MixedSeries { slice: usize },
    #[error(
        "the source series' geometry is {verdict}; a segmentation needs distinct, parallel slices in one frame of reference"
    )]
    Geometry { verdict: &'static str },
    #[error("source image {slice} {fault}")]
    Frames { slice: usize, fault: FramesError },
    #[error(
        "{what} lies in the patient, and the source is a projection image without a place there; leave it out of the \
         pipeline's `results`"
    )]
    NoFrameOfReference { what: &'static str },
    #[error("the segmentation's grid is not the source's: {fault}; bring the labels back to the source grid first")]
    GridMismatch { fault: String },
    #[error("label {label} has voxels but no segment describes it; add it to the model's labels")]
    UndescribedLabel { label: u8 },
    #[error("label {label} is described twice or is 0, the background; correct the model's labels")]
    BadLabel { label: u8 },
    #[error(
        "{what} has the code value {value:?}, which is empty or longer than 16 characters; correct the model's labels"
    )]
    BadCode { what: &'static str, value: String },
    #[error("{what} holds characters outside the source's character set {charset:?}; use ASCII in the model's labels")]
    Unencodable { what: &'static str, charset: String },
    #[error(
        "the pixel data would need {bytes} bytes, a DICOM element holds 4294967294; segment fewer labels at a time"
    )]
    TooLarge { bytes: u64 },
    #[error(
        "the report has no fonts that it can be set in: {0}; install fonts-noto-core and fonts-noto-cjk, or name folders in `results.fonts`"
    )]
    Font(String),
    #[error("the object could not be encoded: {0}")]
    Encode(String),
}
