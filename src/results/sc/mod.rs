//! A finding drawn over its source images as Secondary Capture (PS3.3 annexes A.8.1 and A.8.5): for those whose viewers show
//! neither segmentations nor structure sets, which are pictures for everybody.
//!
//! Pixel `(0, 0)` is the source's, and each pixel of the source one of the picture (but in a montage); below may stand a strip
//! with the legend. Pixel data is made while an object is written.

mod drawing;
mod pixels;
mod strip;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use super::elements::{code_item, plain, put, put_code, put_decimals, put_item, put_items, put_short, reference};
use super::source::{Slice, decimal_texts};
use super::{ResultContext, ResultError, ResultObject, Scale, SourceSeries, encode, modules, seg};
use crate::dicom::{CaptureDrawing, CaptureForm, CaptureLayout, Code, Dataset, SegForm, SegmentationType, Vec3};
use crate::volume::Segmentation;
use drawing::Painter;
use pixels::Frames;

pub(super) const KIND: &str = "sc";

/// Draws `finding` over `source`, whose voxels in the modality's units are `voxels`. `seg` is the same finding's SEG, which
/// the pictures name as what they were made from. Nothing found is [`ResultError::NothingFound`].
///
/// Memory: the objects, and a few pictures at a time.
pub fn secondary_captures(
    source: &SourceSeries,
    voxels: &Array3<f32>,
    finding: &Segmentation,
    seg: Option<(&ResultObject, SegForm)>,
    form: CaptureForm,
    context: &ResultContext,
) -> Result<Vec<ResultObject>, ResultError> {
    let (slices, rows, columns) = finding.labels.dim();
    source.check_grid(&finding.grid, [slices, rows, columns])?;
    if voxels.dim() != finding.labels.dim() {
        return Err(ResultError::GridMismatch { fault: format!("source voxels of {:?}", voxels.dim()) });
    }
    let painter = Painter::new(source, voxels, finding, form)?;
    let shown = painter.shown();
    let size = pixels::size_of_slices(&painter, &shown);
    let pictures = match form.layout {
        CaptureLayout::Slices => shown.iter().map(|k| Frames::of_slices(&painter, vec![*k], size)).collect(),
        CaptureLayout::Frames => vec![Frames::of_slices(&painter, shown, size)],
        CaptureLayout::Montage => vec![Frames::of_montage(&painter, &shown)],
    };
    let seg = seg.map(|(object, form)| Segments::new(object, finding, form)).transpose()?;
    let capture = Capture { source, finding, seg, form, context };
    (1..).zip(&pictures).map(|(number, frames)| capture.object(number, frames)).collect()
}

/// What every object of a finding says.
struct Capture<'a> {
    source: &'a SourceSeries,
    finding: &'a Segmentation,
    seg: Option<Segments<'a>>,
    form: CaptureForm,
    context: &'a ResultContext,
}

impl Capture<'_> {
    fn object(&self, number: u32, frames: &Frames<'_>) -> Result<ResultObject, ResultError> {
        let Capture { source, context, form, .. } = self;
        let object = self.identity(frames)?;
        let mut dataset = InMemDicomObject::new_empty();
        modules::patient_and_study(&mut dataset, source);
        modules::series(&mut dataset, "OT", &object.series, source, context);
        modules::body_part(&mut dataset, source, context);
        modules::equipment(&mut dataset, &self.finding.algorithm, context)?;
        modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
        put(&mut dataset, tags::INSTANCE_NUMBER, VR::IS, number.to_string());
        modules::content_moment(&mut dataset, [tags::CONTENT_DATE, tags::CONTENT_TIME], source, context);
        self.image(&mut dataset, frames);
        self.derivation(&mut dataset, frames)?;
        if form.layout == CaptureLayout::Frames {
            if source.frame_of_reference().is_none() {
                return Err(ResultError::NoFrameOfReference { what: "a multi-frame capture" });
            }
            modules::frame_of_reference(&mut dataset, source);
            places(&mut dataset, source, frames);
        } else if form.layout == CaptureLayout::Slices && source.scale() == Scale::Patient {
            put_decimals(&mut dataset, tags::PIXEL_SPACING, decimal_texts(source.header(), tags::PIXEL_SPACING));
        }
        let mut object = object.finished(dataset, source)?;
        let bytes = &mut object.bytes;
        bytes.extend(if form.rle {
            encode::encapsulated_pixels()
        } else {
            encode::native_pixels(frames.native_length())?.to_vec()
        });
        bytes.reserve_exact(if form.rle { 0 } else { frames.native_length() as usize });
        frames.write_to(bytes, form.rle).map_err(|error| ResultError::Encode(error.to_string()))?;
        Ok(object)
    }

    /// Each form makes objects and a series of its own, so that one never replaces another in a PACS.
    fn identity(&self, frames: &Frames<'_>) -> Result<ResultObject, ResultError> {
        let Capture { source, context, form, .. } = self;
        let algorithm = &self.finding.algorithm;
        let layout = match form.layout {
            CaptureLayout::Slices => "sc-slices",
            CaptureLayout::Frames => "sc-frames",
            CaptureLayout::Montage => "sc-montage",
        };
        let drawing = match form.drawing {
            CaptureDrawing::Outline => "outline",
            CaptureDrawing::Fill => "fill",
            CaptureDrawing::Both => "both",
            CaptureDrawing::Heatmap => "heatmap",
        };
        let kind = format!("{layout}-{drawing}");
        let what = match (form.layout, frames.slices()) {
            (CaptureLayout::Slices, [only]) => match &source.slices()[*only] {
                Slice { instance, frame: None, .. } => format!("of {instance}"),
                Slice { instance, frame: Some(frame), .. } => format!("of {instance}, frame {frame}"),
            },
            _ => "instance".to_owned(),
        };
        let syntax = if form.rle { uids::RLE_LOSSLESS } else { uids::EXPLICIT_VR_LITTLE_ENDIAN };
        let class = form.layout.sop_class();
        let named = ResultObject::begun(KIND, class, syntax, source, self.finding, context)?;
        Ok(ResultObject {
            sop_instance: context.object_uid(source, algorithm, &kind, &what),
            series: context.series_uid(source, algorithm, &kind),
            ..named
        })
    }

    /// General Image, Image Pixel, SC Equipment and SC Image.
    fn image(&self, dataset: &mut Dataset, frames: &Frames<'_>) {
        let Capture { source, form, context, .. } = self;
        put(dataset, tags::CONVERSION_TYPE, VR::CS, "WSD");
        modules::content_moment(
            dataset,
            [tags::DATE_OF_SECONDARY_CAPTURE, tags::TIME_OF_SECONDARY_CAPTURE],
            source,
            context,
        );
        put(dataset, tags::IMAGE_TYPE, VR::CS, modules::strs(["DERIVED".into(), "SECONDARY".into()]));
        put(dataset, tags::PATIENT_ORIENTATION, VR::CS, orientation(source, form.layout));
        put_short(dataset, tags::SAMPLES_PER_PIXEL, 3);
        put(dataset, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
        put_short(dataset, tags::PLANAR_CONFIGURATION, 0);
        let [width, height] = frames.size();
        put_short(dataset, tags::ROWS, height);
        put_short(dataset, tags::COLUMNS, width);
        put_short(dataset, tags::BITS_ALLOCATED, 8);
        put_short(dataset, tags::BITS_STORED, 8);
        put_short(dataset, tags::HIGH_BIT, 7);
        put_short(dataset, tags::PIXEL_REPRESENTATION, 0);
        let stated = crate::dicom::text(source.header(), tags::BURNED_IN_ANNOTATION);
        let is_burnt_in = form.burn_in || stated.as_deref() == Some("YES");
        put(dataset, tags::BURNED_IN_ANNOTATION, VR::CS, if is_burnt_in { "YES" } else { "NO" });
        if let Some(element) = source.header().get(tags::RECOGNIZABLE_VISUAL_FEATURES) {
            dataset.put(element.clone());
        }
        modules::lossy(dataset, source);
    }

    /// What the pictures were made from, in the order of frames, and how.
    fn derivation(&self, dataset: &mut Dataset, frames: &Frames<'_>) -> Result<(), ResultError> {
        let algorithm = &self.finding.algorithm;
        let said = format!(
            "{} of {} {} over the source image; {}, not for primary diagnosis",
            match self.form.drawing {
                CaptureDrawing::Outline => "Outlines",
                CaptureDrawing::Heatmap => "Heatmap",
                CaptureDrawing::Fill | CaptureDrawing::Both => "Segments",
            },
            algorithm.name,
            algorithm.version,
            "AI result",
        );
        put(dataset, tags::DERIVATION_DESCRIPTION, VR::ST, plain(&said, 1024));
        let made = Code::new("113076", "DCM", "Segmentation");
        put_code(dataset, tags::DERIVATION_CODE_SEQUENCE, &made, "the derivation")?;
        let purpose = Code::new("121322", "DCM", "Source image for image processing operation");
        let purpose = code_item(&purpose, "the purpose of reference")?;
        let preserved = if self.form.layout == CaptureLayout::Montage { "NO" } else { "YES" };
        let item = |mut item: Dataset| {
            put(&mut item, tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, preserved);
            put_item(&mut item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose.clone());
            item
        };
        let of_slice = |k: &usize| item(self.source.slices()[*k].reference());
        let mut images: Vec<Dataset> = frames.slices().iter().map(of_slice).collect();
        let numbers = self.seg.as_ref().map(|seg| (seg.object, seg.on(frames.slices())));
        if let Some((seg, numbers)) = numbers.filter(|(_, numbers)| !numbers.is_empty()) {
            let mut segments = item(reference(&seg.sop_class, &seg.sop_instance));
            put(&mut segments, tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::U16(numbers.into()));
            images.push(segments);
        }
        put_items(dataset, tags::SOURCE_IMAGE_SEQUENCE, images);
        Ok(())
    }
}

/// The SEG of the finding.
struct Segments<'a> {
    object: &'a ResultObject,
    census: seg::Census,
    /// Label and number of each segment.
    numbers: Vec<(u8, u16)>,
}

impl<'a> Segments<'a> {
    fn new(object: &'a ResultObject, finding: &Segmentation, form: SegForm) -> Result<Segments<'a>, ResultError> {
        let numbers = super::segment_numbers(finding, form)?;
        Ok(Segments { object, census: seg::census_of(finding, form), numbers })
    }

    /// The numbers of the segments that are on these slices.
    fn on(&self, slices: &[usize]) -> Vec<u16> {
        let is_here = |label: u8| slices.iter().any(|k| self.census.area(*k, label).is_some());
        self.numbers.iter().filter(|(label, _)| is_here(*label)).map(|(_, number)| *number).collect()
    }
}

/// The places of frames in the patient (PS3.3 section A.8.5.4), which tell their order, too.
fn places(dataset: &mut Dataset, source: &SourceSeries, frames: &Frames<'_>) {
    put(dataset, tags::NUMBER_OF_FRAMES, VR::IS, frames.slices().len().to_string());
    // A single frame follows no other (PS3.3 section C.7.6.6).
    if frames.slices().len() > 1 {
        let pointer = PrimitiveValue::from(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        put(dataset, tags::FRAME_INCREMENT_POINTER, VR::AT, pointer);
    }
    seg::shared_groups(dataset, source);
    let group = |k: &usize| {
        let mut position = InMemDicomObject::new_empty();
        put_decimals(&mut position, tags::IMAGE_POSITION_PATIENT, source.slices()[*k].position.clone());
        let mut item = InMemDicomObject::new_empty();
        put_item(&mut item, tags::PLANE_POSITION_SEQUENCE, position);
        item
    };
    put_items(dataset, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.slices().iter().map(group).collect());
}

/// Patient Orientation (PS3.3 section C.7.6.1.1.1): the source's, or what follows from its plane.
fn orientation(source: &SourceSeries, layout: CaptureLayout) -> PrimitiveValue {
    let stated = crate::dicom::texts(source.header(), tags::PATIENT_ORIENTATION);
    match (layout, stated.as_slice()) {
        (CaptureLayout::Montage, _) => PrimitiveValue::Empty,
        (_, [row, column]) => modules::strs([row.clone(), column.clone()]),
        _ => {
            let plane = &source.slices()[0].plane;
            modules::strs([direction(plane.row), direction(plane.column)])
        }
    }
}

/// The patient directions that a direction runs to, the strongest first.
fn direction(along: Vec3) -> String {
    let letters = [['R', 'L'], ['A', 'P'], ['F', 'H']];
    let mut parts: Vec<(f64, char)> =
        along.iter().zip(letters).map(|(part, pair)| (part.abs(), pair[usize::from(*part > 0.0)])).collect();
    parts.retain(|(share, _)| *share > 1e-4);
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    parts.into_iter().map(|(_, letter)| letter).collect()
}

/// Which form of a SEG has the segments that are drawn.
fn counted_as(finding: &Segmentation, drawing: CaptureDrawing) -> SegForm {
    let by_shares = drawing == CaptureDrawing::Heatmap && !finding.probabilities.is_empty();
    SegForm { stored: if by_shares { SegmentationType::Fractional } else { SegmentationType::Binary }, rle: false }
}
