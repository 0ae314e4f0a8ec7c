//! A segmentation as DICOM SEG (PS3.3 annex A.51, section C.8.20): BINARY, uncompressed, Explicit VR Little Endian
//! is the one form that every reader opens; LABELMAP and FRACTIONAL, plain or run-length encoded, are for those that
//! ask for them. Pixel data is made while the object is written.

mod bits;
mod census;
mod frames;
mod pixels;
pub(super) mod rle;
mod segments;

use std::io::{self, Write};

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::elements::{put, put_short};
use super::{ResultContext, ResultError, ResultObject, SourceSeries, encode, modules};
use crate::dicom::{Dataset, SegForm, SegmentationType};
use crate::volume::Segmentation;
use pixels::Pixels;

pub(super) use census::Census;
pub(super) use frames::shared_groups;

pub(super) const KIND: &str = "seg";

/// Writes `finding` as a DICOM SEG over `source`, whose slice `k` is slice `k` of the labels.
///
/// Only segments with voxels are listed, numbered from 1 in the finding's order; an empty mask is
/// [`ResultError::NothingFound`]. Memory: the labels and the object, nothing else of their size.
pub fn segmentation(
    source: &SourceSeries,
    finding: &Segmentation,
    form: SegForm,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let draft = SegDraft::new(source, finding, form, context)?;
    let mut bytes = Vec::new();
    bytes.reserve_exact(draft.object.bytes.len() + if form.rle { 0 } else { draft.pixels.native_length() as usize });
    draft.write_to(&mut bytes).map_err(|error| ResultError::Encode(error.to_string()))?;
    Ok(ResultObject { bytes, ..draft.object })
}

/// The numbers that the segments of `finding` have in its SEG of any form: label and number, in order.
pub fn segment_numbers(finding: &Segmentation, form: SegForm) -> Result<Vec<(u8, u16)>, ResultError> {
    let used = segments::used(finding, &census_of(finding, form).voxels)?;
    Ok(used.iter().map(|segment| segment.label).zip(1..).collect())
}

/// A DICOM SEG that has not been written yet: for those who need not hold it whole.
pub struct SegDraft<'a> {
    /// Its bytes are everything up to the pixels.
    object: ResultObject,
    pixels: Pixels<'a>,
}

impl<'a> SegDraft<'a> {
    /// See [`segmentation`].
    pub fn new(
        source: &SourceSeries,
        finding: &'a Segmentation,
        form: SegForm,
        context: &ResultContext,
    ) -> Result<SegDraft<'a>, ResultError> {
        let (slices, rows, columns) = finding.labels.dim();
        source.check_grid(&finding.grid, [slices, rows, columns])?;
        check_shapes(finding)?;
        let census = census_of(finding, form);
        let used = segments::used(finding, &census.voxels)?;
        let plan = frames::plan(&census, &used, source, form);
        let mut numbers = [0_u8; 256];
        (1..).zip(&used).for_each(|(number, segment)| numbers[usize::from(segment.label)] = number);

        let algorithm = &finding.algorithm;
        let object = identity(source, finding, form, context)?;
        let mut dataset = InMemDicomObject::new_empty();
        modules::patient_and_study(&mut dataset, source);
        modules::series(&mut dataset, "SEG", &object.series, source, context);
        modules::body_part(&mut dataset, source, context);
        modules::frame_of_reference(&mut dataset, source);
        modules::equipment(&mut dataset, algorithm, context)?;
        modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
        modules::content_moment(&mut dataset, [tags::CONTENT_DATE, tags::CONTENT_TIME], source, context);
        image(&mut dataset, source, context, [rows, columns, plan.len()]);
        storage(&mut dataset, finding, form, census.overlap);
        modules::referenced_series(&mut dataset, source);
        segments::describe(&mut dataset, &used, algorithm, source, context)?;
        let organization = context.object_uid(source, algorithm, uid_kind(form), "dimensions");
        frames::dimensions(&mut dataset, &organization, source, form);
        frames::shared_groups(&mut dataset, source);
        let mut object = object.finished(dataset, source)?;
        // Of all attributes only the pixels come behind these.
        object.bytes.extend(frames::frame_groups(&plan, source)?);
        let pixels = Pixels { finding, frames: plan, form, numbers };
        if form.rle {
            object.bytes.extend(encode::encapsulated_pixels());
        } else {
            object.bytes.extend(encode::native_pixels(pixels.native_length())?);
        }
        Ok(SegDraft { object, pixels })
    }

    /// Writes the whole file; the same bytes every time.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.object.bytes)?;
        self.pixels.write_to(out)
    }
}

/// Where the segments of a form occur.
pub(super) fn census_of(finding: &Segmentation, form: SegForm) -> Census {
    if form.stored == SegmentationType::Fractional && !finding.probabilities.is_empty() {
        Census::of_probabilities(finding)
    } else {
        Census::of_labels(finding)
    }
}

fn check_shapes(finding: &Segmentation) -> Result<(), ResultError> {
    let whole = finding.probabilities.is_empty() || finding.probabilities.len() == finding.segments.len();
    let all = finding.overlays.iter().chain(&finding.probabilities);
    match all.into_iter().find(|volume| volume.dim() != finding.labels.dim()) {
        Some(other) => Err(ResultError::GridMismatch { fault: format!("a map of {:?} voxels", other.dim()) }),
        None if !whole => Err(ResultError::GridMismatch { fault: "some segments have no probabilities".into() }),
        None => Ok(()),
    }
}

/// Names the kind in derived UIDs: each form is an object and a series of its own.
fn uid_kind(form: SegForm) -> &'static str {
    match form.stored {
        SegmentationType::Binary => KIND,
        SegmentationType::Labelmap => "seg-labelmap",
        SegmentationType::Fractional => "seg-fractional",
    }
}

/// What the object is called, before it has bytes.
fn identity(
    source: &SourceSeries,
    finding: &Segmentation,
    form: SegForm,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let syntax = if form.rle { uids::RLE_LOSSLESS } else { uids::EXPLICIT_VR_LITTLE_ENDIAN };
    let named = ResultObject::begun(uid_kind(form), form.stored.sop_class(), syntax, source, finding, context)?;
    Ok(ResultObject { kind: KIND, ..named })
}

/// Segmentation Image module, what is the same in all forms; `[rows, columns, frames]`.
fn image(dataset: &mut Dataset, source: &SourceSeries, context: &ResultContext, size: [usize; 3]) {
    put(dataset, tags::IMAGE_TYPE, VR::CS, modules::strs(["DERIVED".into(), "PRIMARY".into()]));
    modules::content_identification(dataset, context, "SEGMENTATION");
    put_short(dataset, tags::SAMPLES_PER_PIXEL, 1);
    put_short(dataset, tags::ROWS, size[0]);
    put_short(dataset, tags::COLUMNS, size[1]);
    put_short(dataset, tags::PIXEL_REPRESENTATION, 0);
    put(dataset, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    put(dataset, tags::NUMBER_OF_FRAMES, VR::IS, size[2].to_string());
    modules::lossy(dataset, source);
}

/// How voxels are stored, and whether segments share any.
fn storage(dataset: &mut Dataset, finding: &Segmentation, form: SegForm, overlap: bool) {
    let depth = if form.stored == SegmentationType::Binary { 1 } else { 8 };
    put_short(dataset, tags::BITS_ALLOCATED, depth);
    put_short(dataset, tags::BITS_STORED, depth);
    put_short(dataset, tags::HIGH_BIT, depth - 1);
    put(dataset, tags::SEGMENTATION_TYPE, VR::CS, form.stored.name());
    // A label map gives each voxel to one segment.
    let overlap = overlap && form.stored != SegmentationType::Labelmap;
    put(dataset, tags::SEGMENTS_OVERLAP, VR::CS, if overlap { "YES" } else { "NO" });
    match form.stored {
        SegmentationType::Binary => {}
        SegmentationType::Labelmap => put_short(dataset, tags::PIXEL_PADDING_VALUE, 0),
        SegmentationType::Fractional => {
            let stated = !finding.probabilities.is_empty();
            let meaning = if stated { "PROBABILITY" } else { "OCCUPANCY" };
            put(dataset, tags::SEGMENTATION_FRACTIONAL_TYPE, VR::CS, meaning);
            put_short(dataset, tags::MAXIMUM_FRACTIONAL_VALUE, 255);
        }
    }
}
