//! A segmentation as RT Structure Set (PS3.3 annex A.19): each segment an ROI, each slice's outline exact, so that
//! readers that fill the contours get the segmentation back voxel for voxel.
//!
//! Implicit VR Little Endian: Contour Data may be longer than the 65534 bytes that an explicit DS can have.

mod contour;
mod slices;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::elements::{plain, put, put_code, put_item, put_items, put_text, put_uid, reference};
use super::{ResultContext, ResultError, ResultObject, SourceSeries, modules};
use crate::dicom::{Dataset, SegForm, Uid};
use crate::volume::{Segment, Segmentation};
use slices::SliceContours;

pub(super) use contour::Outline;
pub(super) use slices::borders;

pub(super) const KIND: &str = "rtstruct";
/// What the referenced "study" of a structure set is called: a class that was retired long ago, and still is to be named.
const DETACHED_STUDY: &str = "1.2.840.10008.3.1.2.3.1";

/// Writes `finding` as a structure set over `source`. `seg` is the same finding's SEG and its form: each ROI has its
/// segment's number and names it as its definition.
pub fn structure_set(
    source: &SourceSeries,
    finding: &Segmentation,
    seg: Option<(&ResultObject, SegForm)>,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let (slices, rows, columns) = finding.labels.dim();
    source.check_grid(&finding.grid, [slices, rows, columns])?;
    let missing = ResultError::NoFrameOfReference { what: "a structure set" };
    let frame = source.frame_of_reference().ok_or(missing)?;
    let contours = slices::contours(finding, source);
    let numbers = super::segment_numbers(finding, SegForm::default())?;
    // Where the SEG counts otherwise (probabilities below every threshold are segments, too), it is not named.
    let alike = |form| super::segment_numbers(finding, form).is_ok_and(|others| others == numbers);
    let seg = seg.filter(|(_, form)| alike(*form)).map(|(seg, _)| seg);
    let rois: Vec<Roi> = (numbers.iter())
        .filter_map(|(label, number)| {
            let segment = finding.segments.iter().find(|segment| segment.label == *label)?;
            Some(Roi { number: *number, segment, seg })
        })
        .collect();
    let object = identity(source, finding, context)?;
    let mut dataset = InMemDicomObject::new_empty();
    modules::patient_and_study(&mut dataset, source);
    modules::series(&mut dataset, "RTSTRUCT", &object.series, source, context);
    put(&mut dataset, tags::OPERATORS_NAME, VR::PN, PrimitiveValue::Empty);
    modules::frame_of_reference(&mut dataset, source);
    modules::equipment(&mut dataset, &finding.algorithm, context)?;
    modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
    modules::content_moment(&mut dataset, [tags::STRUCTURE_SET_DATE, tags::STRUCTURE_SET_TIME], source, context);
    put_text(&mut dataset, tags::STRUCTURE_SET_LABEL, VR::SH, &context.pipeline);
    put_text(&mut dataset, tags::STRUCTURE_SET_NAME, VR::LO, &context.series_description);
    put_item(&mut dataset, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, referenced_frame(source, frame)?);
    let described = rois.iter().map(|roi| roi.description(finding, frame)).collect();
    put_items(&mut dataset, tags::STRUCTURE_SET_ROI_SEQUENCE, described);
    let drawn = rois.iter().map(|roi| roi.contours(&contours, source)).collect();
    put_items(&mut dataset, tags::ROI_CONTOUR_SEQUENCE, drawn);
    let observed = rois.iter().map(Roi::observation).collect::<Result<_, _>>()?;
    put_items(&mut dataset, tags::RTROI_OBSERVATIONS_SEQUENCE, observed);
    put(&mut dataset, tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED");
    object.finished(dataset, source)
}

fn identity(
    source: &SourceSeries,
    finding: &Segmentation,
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    ResultObject::begun(KIND, uids::RT_STRUCTURE_SET_STORAGE, uids::IMPLICIT_VR_LITTLE_ENDIAN, source, finding, context)
}

/// The frame of reference, the study, the series, and all its images.
fn referenced_frame(source: &SourceSeries, frame_of_reference: &Uid) -> Result<Dataset, ResultError> {
    let class = Uid::parse(DETACHED_STUDY).map_err(|e| ResultError::Encode(e.to_string()))?;
    let mut series = InMemDicomObject::new_empty();
    put_uid(&mut series, tags::SERIES_INSTANCE_UID, source.series());
    let images = source.instances().iter().map(|slice| reference(&slice.class, &slice.instance)).collect();
    put_items(&mut series, tags::CONTOUR_IMAGE_SEQUENCE, images);
    let mut study = reference(&class, source.study());
    put_item(&mut study, tags::RT_REFERENCED_SERIES_SEQUENCE, series);
    let mut frame = InMemDicomObject::new_empty();
    put_uid(&mut frame, tags::FRAME_OF_REFERENCE_UID, frame_of_reference);
    put_item(&mut frame, tags::RT_REFERENCED_STUDY_SEQUENCE, study);
    Ok(frame)
}

/// One segment as region of interest.
struct Roi<'a> {
    number: u16,
    segment: &'a Segment,
    seg: Option<&'a ResultObject>,
}

impl Roi<'_> {
    fn description(&self, finding: &Segmentation, frame: &Uid) -> Dataset {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::ROI_NUMBER, VR::IS, self.number.to_string());
        put_uid(&mut item, tags::REFERENCED_FRAME_OF_REFERENCE_UID, frame);
        let name = plain(&self.segment.name, 64);
        put_text(
            &mut item,
            tags::ROI_NAME,
            VR::LO,
            if name.is_empty() { &self.segment.property.meaning } else { &name },
        );
        put(&mut item, tags::ROI_GENERATION_ALGORITHM, VR::CS, "AUTOMATIC");
        let algorithm = format!("{} {}", finding.algorithm.name, finding.algorithm.version);
        put_text(&mut item, tags::ROI_GENERATION_DESCRIPTION, VR::LO, &algorithm);
        if let Some(seg) = self.seg {
            let mut definition = reference(&seg.sop_class, &seg.sop_instance);
            put(&mut definition, tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(self.number));
            put_item(&mut item, tags::DEFINITION_SOURCE_SEQUENCE, definition);
        }
        item
    }

    /// Contours in ascending order along the normal.
    fn contours(&self, slices: &[SliceContours], source: &SourceSeries) -> Dataset {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::ROI_DISPLAY_COLOR, VR::IS, modules::strs(self.segment.color.map(|c| c.to_string())));
        put(&mut item, tags::REFERENCED_ROI_NUMBER, VR::IS, self.number.to_string());
        let mut contours = Vec::new();
        for slice in source.ascending() {
            let image = &source.slices()[slice];
            for contour in slices[slice].of(self.segment.label) {
                let mut drawn = InMemDicomObject::new_empty();
                put_item(&mut drawn, tags::CONTOUR_IMAGE_SEQUENCE, image.reference());
                put(&mut drawn, tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR");
                put(&mut drawn, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, contour.points.to_string());
                put(&mut drawn, tags::CONTOUR_NUMBER, VR::IS, (contours.len() + 1).to_string());
                put(&mut drawn, tags::CONTOUR_DATA, VR::DS, contour.data.as_str());
                contours.push(drawn);
            }
        }
        put_items(&mut item, tags::CONTOUR_SEQUENCE, contours);
        item
    }

    fn observation(&self) -> Result<Dataset, ResultError> {
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tags::OBSERVATION_NUMBER, VR::IS, self.number.to_string());
        put(&mut item, tags::REFERENCED_ROI_NUMBER, VR::IS, self.number.to_string());
        put_code(&mut item, tags::RTROI_IDENTIFICATION_CODE_SEQUENCE, &self.segment.property, "a segment's type")?;
        put(&mut item, tags::RTROI_INTERPRETED_TYPE, VR::CS, "ORGAN");
        put(&mut item, tags::ROI_INTERPRETER, VR::PN, PrimitiveValue::Empty);
        Ok(item)
    }
}
