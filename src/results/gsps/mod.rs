//! Outlines as Grayscale Softcopy Presentation State (PS3.3 annex A.33.1): lines that a viewer lays over the source images
//! themselves, which stay as they are, in their own window; each segment a layer that can be switched off.
//!
//! The rescaling that a state names holds for all of its images, so that images of several make several states.

mod graphics;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use super::elements::{put, put_decimals, put_item, put_items, put_text, put_uid};
use super::source::decimal_texts;
use super::voi::Voi;
use super::{ResultContext, ResultError, ResultObject, Scale, SourceSeries, modules, seg};
use crate::dicom::{Dataset, SegForm, text};
use crate::volume::{Segmentation, usual_window};
use graphics::Graphics;

pub(super) const KIND: &str = "gsps";

/// Draws the borders of `finding`'s segments over `source`. Images that state no window are shown in the one that suits
/// `voxels`: without any, viewers spread the greys over all that a pixel can hold. Nothing found is
/// [`ResultError::NothingFound`].
pub fn presentation_states(
    source: &SourceSeries,
    finding: &Segmentation,
    voxels: Option<&Array3<f32>>,
    context: &ResultContext,
) -> Result<Vec<ResultObject>, ResultError> {
    let (slices, rows, columns) = finding.labels.dim();
    source.check_grid(&finding.grid, [slices, rows, columns])?;
    let numbers = super::segment_numbers(finding, SegForm::default())?;
    let census = seg::census_of(finding, SegForm::default());
    let graphics = Graphics { source, finding, context, numbers, census };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let rescaled = |k: usize| &source.slices()[k].rescale;
    for k in source.ascending() {
        match groups.iter_mut().find(|group| rescaled(group[0]) == rescaled(k)) {
            Some(group) => group.push(k),
            None => groups.push(vec![k]),
        }
    }
    groups.retain(|group| graphics.any_on(group));
    let usual = if source.slices().iter().any(|slice| slice.voi.is_silent()) { voxels.map(usual_window) } else { None };
    (1..).zip(&groups).map(|(number, group)| state(&graphics, number, group, usual)).collect()
}

/// The state of slices that are rescaled alike, the `number`th of its series.
fn state(
    graphics: &Graphics<'_>,
    number: u32,
    slices: &[usize],
    usual: Option<[f32; 2]>,
) -> Result<ResultObject, ResultError> {
    let Graphics { source, finding, context, .. } = graphics;
    let class = uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE;
    let named = ResultObject::begun(KIND, class, uids::EXPLICIT_VR_LITTLE_ENDIAN, source, finding, context)?;
    let what = format!("instance {number}");
    let sop_instance = context.object_uid(source, &finding.algorithm, KIND, &what);
    let object = ResultObject { sop_instance, ..named };
    let mut dataset = InMemDicomObject::new_empty();
    modules::patient_and_study(&mut dataset, source);
    modules::series(&mut dataset, "PR", &object.series, source, context);
    modules::body_part(&mut dataset, source, context);
    modules::equipment(&mut dataset, &finding.algorithm, context)?;
    modules::instance(&mut dataset, &object.sop_class, &object.sop_instance, source, context);
    put(&mut dataset, tags::INSTANCE_NUMBER, VR::IS, number.to_string());
    let created = [tags::PRESENTATION_CREATION_DATE, tags::PRESENTATION_CREATION_TIME];
    modules::content_moment(&mut dataset, created, source, context);
    modules::content_identification(&mut dataset, context, "OUTLINES");
    let mut series = InMemDicomObject::new_empty();
    put_uid(&mut series, tags::SERIES_INSTANCE_UID, source.series());
    put_items(&mut series, tags::REFERENCED_IMAGE_SEQUENCE, images(source, slices));
    put_item(&mut dataset, tags::REFERENCED_SERIES_SEQUENCE, series);
    displayed_area(&mut dataset, source);
    grey_scale(&mut dataset, source, slices, usual);
    put_items(&mut dataset, tags::GRAPHIC_LAYER_SEQUENCE, graphics.layers(slices));
    put_items(&mut dataset, tags::GRAPHIC_ANNOTATION_SEQUENCE, graphics.annotations(slices));
    object.finished(dataset, source)
}

fn images(source: &SourceSeries, slices: &[usize]) -> Vec<Dataset> {
    let image = |k: &usize| source.slices()[*k].reference();
    slices.iter().map(image).collect()
}

/// All of each image, as large as the window allows (PS3.3 section C.10.4).
fn displayed_area(dataset: &mut Dataset, source: &SourceSeries) {
    let plane = &source.slices()[0].plane;
    let corner = |column: usize, row: usize| PrimitiveValue::I32([column as i32, row as i32].into());
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER, VR::SL, corner(1, 1));
    put(&mut item, tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER, VR::SL, corner(plane.columns, plane.rows));
    put(&mut item, tags::PRESENTATION_SIZE_MODE, VR::CS, "SCALE TO FIT");
    if source.scale() == Scale::Patient {
        put_decimals(&mut item, tags::PRESENTATION_PIXEL_SPACING, decimal_texts(source.header(), tags::PIXEL_SPACING));
    } else {
        // On a film lengths in the patient are unknown; only the form of a pixel is told, height to width.
        let [row, column] = plane.spacing.map(|distance| (distance * 1000.0).round() as i64);
        let ratio = if row == column { [1, 1] } else { [row, column] }.map(|part| part.to_string());
        put(&mut item, tags::PRESENTATION_PIXEL_ASPECT_RATIO, VR::IS, PrimitiveValue::Strs(ratio.into()));
    }
    put_item(dataset, tags::DISPLAYED_AREA_SELECTION_SEQUENCE, item);
}

/// From stored values to grey as the source has it: Modality LUT, Softcopy VOI LUT, Softcopy Presentation LUT (PS3.3
/// sections C.11.1, C.11.8, C.11.6).
fn grey_scale(dataset: &mut Dataset, source: &SourceSeries, slices: &[usize], usual: Option<[f32; 2]>) {
    let first = &source.slices()[slices[0]];
    if let Some([slope, intercept]) = &first.rescale {
        put_decimals(dataset, tags::RESCALE_SLOPE, vec![slope.clone()]);
        put_decimals(dataset, tags::RESCALE_INTERCEPT, vec![intercept.clone()]);
        let unit = text(source.header(), tags::RESCALE_TYPE).unwrap_or_else(|| "US".to_owned());
        put_text(dataset, tags::RESCALE_TYPE, VR::LO, &unit);
    }
    let mut windows: Vec<(Voi, Vec<usize>)> = Vec::new();
    for k in slices {
        let own = &source.slices()[*k].voi;
        let voi = usual.map_or_else(|| own.clone(), |range| own.or_range(range));
        match windows.iter_mut().find(|(other, _)| *other == voi) {
            Some((_, alike)) => alike.push(*k),
            None => windows.push((voi, vec![*k])),
        }
    }
    let is_one = windows.len() == 1;
    let item = |(voi, alike): &(Voi, Vec<usize>)| {
        let mut item = voi.attributes()?;
        if !is_one {
            put_items(&mut item, tags::REFERENCED_IMAGE_SEQUENCE, images(source, alike));
        }
        Some(item)
    };
    let items: Vec<Dataset> = windows.iter().filter_map(item).collect();
    if !items.is_empty() {
        put_items(dataset, tags::SOFTCOPY_VOILUT_SEQUENCE, items);
    }
    let shape = if first.voi.is_inverted() { "INVERSE" } else { "IDENTITY" };
    put(dataset, tags::PRESENTATION_LUT_SHAPE, VR::CS, shape);
}
