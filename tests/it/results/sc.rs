//! Secondary Captures: what is drawn, where, over which greys, and that the referee agrees.

use std::io::Cursor;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use ndarray::Array3;
use sagittal::dicom::{CaptureDrawing, CaptureForm, CaptureLayout, Dataset, SegForm, text, texts};
use sagittal::results::{ResultError, ResultObject, secondary_captures, segmentation, verify};
use sagittal::volume::Segmentation;

use crate::support::findings::{context, graded, labelled, overlapping, scattered, source};
use crate::support::phantom::Series;

pub const LAYOUTS: [CaptureLayout; 3] = [CaptureLayout::Slices, CaptureLayout::Frames, CaptureLayout::Montage];
pub const DRAWINGS: [CaptureDrawing; 4] =
    [CaptureDrawing::Outline, CaptureDrawing::Fill, CaptureDrawing::Both, CaptureDrawing::Heatmap];

pub fn form(layout: CaptureLayout, drawing: CaptureDrawing) -> CaptureForm {
    CaptureForm { layout, drawing, ..CaptureForm::default() }
}

/// The phantom's voxels in the modality's units: of CT in HU.
pub fn voxels(series: &Series) -> Array3<f32> {
    let pixels = series.present().into_iter().flat_map(|k| series.pixels(k));
    let intercept = if series.modality == "CT" { -1024.0 } else { 0.0 };
    let values = pixels.map(|value| f32::from(value) + intercept).collect();
    Array3::from_shape_vec((series.present().len(), series.rows, series.columns), values).unwrap()
}

/// The SEG of a finding and its captures, refereed.
pub fn drawn(series: &Series, finding: &Segmentation, form: CaptureForm) -> (ResultObject, Vec<ResultObject>) {
    let (source, voxels) = (source(series), voxels(series));
    let seg = segmentation(&source, finding, SegForm::default(), &context()).unwrap();
    let of = Some((&seg, SegForm::default()));
    let captures = secondary_captures(&source, &voxels, finding, of, form, &context()).unwrap();
    let expected = verify::Drawn { finding, voxels: &voxels, form };
    for capture in &captures {
        assert_eq!(verify::secondary_capture(&capture.bytes, &source, Some(&expected)), [], "{form:?}");
        assert_eq!(verify::secondary_capture(&capture.bytes, &source, None), [], "{form:?}");
    }
    (seg, captures)
}

fn dataset(object: &ResultObject) -> Dataset {
    dicom_object::from_reader(Cursor::new(&object.bytes)).unwrap().into_inner()
}

/// Red, green and blue at column `x` and row `y` of a native single frame.
fn pixel(dataset: &Dataset, x: usize, y: usize) -> [u8; 3] {
    let columns: usize = text(dataset, tags::COLUMNS).unwrap().parse().unwrap();
    let bytes = dataset.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    bytes[(y * columns + x) * 3..][..3].try_into().unwrap()
}

#[test]
fn every_form_over_every_geometry_is_as_the_referee_expects() {
    let all = [
        Series::new(5, 5, 4),
        Series::new(1, 1, 3),
        Series::new(64, 32, 1),
        Series::mr(17, 13, 6).oblique().reversed(),
        Series::new(17, 13, 9).without(&[3, 4]),
    ];
    for series in &all {
        for layout in LAYOUTS {
            for drawing in DRAWINGS {
                let plain = form(layout, drawing);
                drawn(series, &scattered(series, 3), plain);
                drawn(series, &graded(series), CaptureForm { rle: true, burn_in: false, ..plain });
                drawn(series, &overlapping(series), CaptureForm { every_slice: true, ..plain });
            }
        }
    }
}

#[test]
fn outlines_lie_on_the_border_of_the_segment_over_the_windowed_image() {
    let series = Series::new(20, 16, 5);
    let finding = labelled(&series, 2, |k, j, i| u8::from(k == 2 && (6..11).contains(&j) && (8..13).contains(&i)));
    let (_, captures) = drawn(&series, &finding, form(CaptureLayout::Slices, CaptureDrawing::Outline));
    assert_eq!(captures.len(), 1, "only the image on which there is something");
    let picture = dataset(&captures[0]);
    let color = finding.segments[0].color;
    assert_eq!([(8, 6), (12, 10), (10, 6), (8, 9)].map(|(x, y)| pixel(&picture, x, y)), [color; 4]);
    // 40 HU in a window of 400 around 40, and -1000 HU; beneath, the strip begins.
    assert_eq!([pixel(&picture, 10, 8), pixel(&picture, 0, 0)], [[128; 3], [0; 3]]);
    assert_eq!(pixel(&picture, 7, 6), [128; 3]);
    let (_, filled) = drawn(&series, &finding, form(CaptureLayout::Slices, CaptureDrawing::Fill));
    let mixed = color.map(|c| (128.0 * 0.6 + f32::from(c) * 0.4).round() as u8);
    assert_eq!(pixel(&dataset(&filled[0]), 10, 8), mixed);
}

#[test]
fn the_strip_is_said_to_be_burnt_in_and_can_be_left_out() {
    let series = Series::new(20, 16, 5);
    let finding = scattered(&series, 2);
    let with = form(CaptureLayout::Slices, CaptureDrawing::Both);
    let value = |object: &ResultObject, tag| text(&dataset(object), tag).unwrap();
    let (_, captures) = drawn(&series, &finding, with);
    assert_eq!(value(&captures[0], tags::BURNED_IN_ANNOTATION), "YES");
    assert!(value(&captures[0], tags::ROWS).parse::<usize>().unwrap() > 16);
    let (_, plain) = drawn(&series, &finding, CaptureForm { burn_in: false, ..with });
    let said = [tags::BURNED_IN_ANNOTATION, tags::ROWS, tags::COLUMNS].map(|tag| value(&plain[0], tag));
    assert_eq!(said, ["NO", "16", "20"]);
    let labelled = series.with(tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    let (_, burnt) = drawn(&labelled, &finding, CaptureForm { burn_in: false, ..with });
    assert_eq!(value(&burnt[0], tags::BURNED_IN_ANNOTATION), "YES");
}

#[test]
fn windows_functions_and_inversion_of_the_source_are_kept() {
    let small = || Series::new(20, 16, 3);
    let all = [
        small(),
        small().with(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"),
        small().with(tags::VOILUT_FUNCTION, VR::CS, "SIGMOID"),
        small().with(tags::VOILUT_FUNCTION, VR::CS, "LINEAR_EXACT"),
        small().lacking(tags::WINDOW_CENTER).lacking(tags::WINDOW_WIDTH),
    ];
    let finding = labelled(&all[0], 1, |_, j, _| u8::from(j > 12));
    let greys = all.each_ref().map(|series| {
        let (_, captures) = drawn(series, &finding, form(CaptureLayout::Slices, CaptureDrawing::Outline));
        let middle = dataset(&captures[1]);
        [pixel(&middle, 10, 8)[0], pixel(&middle, 0, 0)[0]]
    });
    assert_eq!(greys, [[128, 0], [127, 255], [128, 0], [128, 0], [128, 0]]);
}

#[test]
fn each_layout_is_an_object_of_its_class() {
    let series = Series::new(20, 16, 5);
    let finding = scattered(&series, 2);
    let sets = LAYOUTS.map(|layout| drawn(&series, &finding, form(layout, CaptureDrawing::Outline)).1);
    assert_eq!(sets.each_ref().map(Vec::len), [5, 1, 1]);
    let class = |object: &ResultObject| object.sop_class.to_string();
    assert_eq!(class(&sets[0][0]), uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
    assert_eq!(class(&sets[1][0]), uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE);
    assert_eq!(class(&sets[2][0]), uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
    let numbers: Vec<_> = sets[0].iter().map(|object| text(&dataset(object), tags::INSTANCE_NUMBER).unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5"]);
    let mut uids: Vec<_> = sets.iter().flatten().map(|object| object.sop_instance.clone()).collect();
    uids.sort_by_key(ToString::to_string);
    uids.dedup();
    assert_eq!(uids.len(), 7);
    assert_eq!(texts(&dataset(&sets[0][0]), tags::PATIENT_ORIENTATION), ["L", "P"]);
}

#[test]
fn captures_name_the_segments_that_they_show() {
    let series = Series::new(20, 16, 4);
    let finding = labelled(&series, 3, |k, j, _| if j == 4 && k > 0 { k as u8 } else { 0 });
    let (seg, captures) = drawn(&series, &finding, form(CaptureLayout::Slices, CaptureDrawing::Outline));
    let named = captures.iter().map(|capture| {
        let dataset = dataset(capture);
        let items = dataset.element(tags::SOURCE_IMAGE_SEQUENCE).unwrap().items().unwrap();
        assert_eq!(text(&items[1], tags::REFERENCED_SOP_INSTANCE_UID), Some(seg.sop_instance.to_string()));
        texts(&items[1], tags::REFERENCED_SEGMENT_NUMBER).concat()
    });
    assert_eq!(named.collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[test]
fn the_same_run_draws_the_same_bytes_and_nothing_found_draws_nothing() {
    let series = Series::new(13, 11, 4);
    for layout in LAYOUTS {
        let form = form(layout, CaptureDrawing::Both);
        assert_eq!(drawn(&series, &scattered(&series, 3), form).1, drawn(&series, &scattered(&series, 3), form).1);
        let nothing = labelled(&series, 2, |_, _, _| 0);
        let none = secondary_captures(&source(&series), &voxels(&series), &nothing, None, form, &context());
        assert!(matches!(none, Err(ResultError::NothingFound)), "{none:?}");
    }
}
