//! The referee: reads a finished object anew, from its bytes, and compares it with the source and the finding.
//!
//! It shares no encoding, packing or numbering code with the writer, so that a fault in one shows in the
//! other. Nothing that it objects to is ever sent (invariant 10). Rules are named after
//! `result-objects.md`: V rules compare objects, S and C rules look at the object alone.

mod any;
mod comparison;
mod dimensions;
mod geometry;
mod gsps;
mod identity;
mod image;
mod ko;
mod pdf;
mod pixel_data;
mod pixels;
mod placeholder;
mod raster;
mod reader;
mod references;
mod rtstruct;
mod sc;
mod segments;
mod sr;
mod truth;
mod values;

use std::fmt;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::FileDicomObject;

use reader::SegObject;
use truth::Truth;

use super::SourceSeries;
use crate::dicom::{Dataset, part10};
use crate::volume;

/// One rule that an object breaks. Messages name attributes, never a patient's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For example `V4`.
    pub rule: &'static str,
    pub message: String,
}

impl Fault {
    fn new(rule: &'static str, message: impl Into<String>) -> Fault {
        Fault { rule, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.message)
    }
}

pub use any::{Verdict, object};
pub use comparison::comparison_report;
pub use gsps::presentation_state;
pub use ko::key_images;
pub use pdf::report;
pub(super) use pixel_data::PixelData;
pub use placeholder::placeholder;
pub use rtstruct::structure_set;
pub use sc::{Drawn, secondary_capture};
pub use sr::measurement_report;

/// Reads an object without pixels and checks what holds for any; `judge` has the rest. `type_2`: what must be there, if
/// empty.
fn judged(
    bytes: &[u8],
    source: &SourceSeries,
    type_2: &[Tag],
    lengths: values::Lengths,
    judge: impl FnOnce(&FileDicomObject<Dataset>) -> Vec<Fault>,
) -> Vec<Fault> {
    let object = match part10::parse(bytes) {
        Ok(object) => object,
        Err(error) => return vec![unreadable(&error)],
    };
    let mut faults = identity::check(object.meta(), &object, source, type_2);
    faults.extend(values::check(&object, source, lengths));
    faults.extend(judge(&object));
    faults
}

fn unreadable(error: &part10::Part10Error) -> Fault {
    Fault::new("V8", format!("the object is no readable DICOM file: {error}"))
}

/// Checks a DICOM SEG (Part 10 bytes) made over `source`; with `expected`, also that it holds exactly that
/// finding's voxels and segments. An empty answer means that it may be sent.
#[must_use]
pub fn segmentation(bytes: &[u8], source: &SourceSeries, expected: Option<&volume::Segmentation>) -> Vec<Fault> {
    let object = match SegObject::read(bytes, source) {
        Ok(object) => object,
        Err(fault) => return vec![fault],
    };
    let truth = expected.zip(object.stored).map(|(finding, stored)| Truth::new(finding, stored));
    let mut faults = identity::check(&object.meta, &object.dataset, source, &[tags::CONTENT_CREATOR_NAME]);
    faults.extend(identity::frame(&object.dataset, source));
    faults.extend(references::check(&object, source));
    faults.extend(geometry::check(&object, source));
    faults.extend(dimensions::check(&object, source));
    faults.extend(segments::check(&object, truth.as_ref()));
    faults.extend(image::check(&object, source));
    faults.extend(values::check(&object.dataset, source, values::Lengths::Short));
    faults.extend(pixels::check(&object, source, truth.as_ref()));
    faults
}
