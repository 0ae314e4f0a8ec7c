//! Presentation states: lines that go around exactly what was found, over images shown as their source says.

use std::io::Cursor;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use ndarray::Array3;
use sagittal::dicom::{Dataset, text, texts};
use sagittal::results::{ResultError, ResultObject, SourceSeries, presentation_states, verify};
use sagittal::volume::Segmentation;

use crate::support::findings::{blobs, context, labelled, overlapping, scattered, source};
use crate::support::phantom::Series;

/// The states of a finding, refereed.
pub fn outlined(source: &SourceSeries, finding: &Segmentation) -> Vec<ResultObject> {
    let states = presentation_states(source, finding, None, &context()).unwrap();
    for state in &states {
        assert_eq!(verify::presentation_state(&state.bytes, source, Some(finding)), []);
    }
    states
}

/// The one state of a finding over a series.
pub fn state(series: &Series, finding: &Segmentation) -> ResultObject {
    let mut states = outlined(&source(series), finding);
    assert_eq!(states.len(), 1);
    states.remove(0)
}

fn dataset(object: &ResultObject) -> Dataset {
    dicom_object::from_reader(Cursor::new(&object.bytes)).unwrap().into_inner()
}

fn items(dataset: &Dataset, tag: dicom_core::Tag) -> Vec<Dataset> {
    dataset.get(tag).and_then(|e| e.items()).unwrap_or_default().to_vec()
}

#[test]
fn lines_filled_again_are_the_segments() {
    let all = [
        Series::new(5, 5, 4),
        Series::new(1, 1, 3),
        Series::new(64, 32, 1),
        Series::mr(17, 13, 6).oblique().reversed(),
        Series::new(17, 13, 9).without(&[3, 4]),
    ];
    for series in &all {
        state(series, &scattered(series, 3));
        state(series, &overlapping(series));
    }
    for seed in 0..12 {
        let (series, finding) = blobs(seed);
        state(&series, &finding);
    }
}

/// Scanners write decimal strings of more than the 16 characters that DS has; here they are rounded to these.
#[test]
fn numbers_of_a_source_that_are_too_long_are_rounded() {
    let long = ["0.666666686534882", "0.699987828731537"].map(str::to_owned);
    let mut series = Series::new(5, 5, 4)
        .with(tags::PIXEL_SPACING, VR::DS, PrimitiveValue::Strs(long.into_iter().collect()))
        .with(tags::RESCALE_SLOPE, VR::DS, "1.23456789012345678");
    series.spacing = [0.666_666_686_534_882, 0.699_987_828_731_537];
    let shown = dataset(&state(&series, &scattered(&series, 3)));
    let area = items(&shown, tags::DISPLAYED_AREA_SELECTION_SEQUENCE);
    assert_eq!(texts(&area[0], tags::PRESENTATION_PIXEL_SPACING), ["0.66666668653488", "0.69998782873154"]);
    assert_eq!(text(&shown, tags::RESCALE_SLOPE).as_deref(), Some("1.23456789012346"));
}

/// Without a window viewers spread the greys over all that a pixel can hold, and the images are one grey.
#[test]
fn images_that_state_no_window_get_one_of_their_values() {
    let series = Series::new(5, 5, 4).lacking(tags::WINDOW_CENTER).lacking(tags::WINDOW_WIDTH);
    let (source, finding) = (source(&series), scattered(&series, 3));
    let voxels = Array3::from_shape_fn(finding.labels.dim(), |(k, j, i)| (k * 25 + j * 5 + i) as f32);
    let states = presentation_states(&source, &finding, Some(&voxels), &context()).unwrap();
    assert_eq!(verify::presentation_state(&states[0].bytes, &source, Some(&finding)), []);
    let windows = items(&dataset(&states[0]), tags::SOFTCOPY_VOILUT_SEQUENCE);
    assert_eq!(windows.len(), 1);
    let number = |tag| text(&windows[0], tag).unwrap().parse::<f64>().unwrap();
    let (center, width) = (number(tags::WINDOW_CENTER), number(tags::WINDOW_WIDTH));
    assert!((45.0..=55.0).contains(&center) && (90.0..=99.0).contains(&width), "{center} {width}");
}

/// FL has a length of 16 bits: a comb of more corners than fit in one value becomes several lines.
#[test]
fn lines_of_any_length_are_written() {
    let series = Series::new(8200, 4, 1);
    let finding = labelled(&series, 1, |_, j, i| u8::from(j == 0 || (j < 3 && i % 2 == 0)));
    let annotations = items(&dataset(&state(&series, &finding)), tags::GRAPHIC_ANNOTATION_SEQUENCE);
    assert!(items(&annotations[0], tags::GRAPHIC_OBJECT_SEQUENCE).len() > 1);
}

#[test]
fn a_box_with_a_hole_is_two_closed_lines_and_a_label() {
    let series = Series::new(20, 16, 5);
    let finding = labelled(&series, 2, |k, j, i| {
        let within = |from: usize, to: usize| (from..to).contains(&j) && (from + 2..to + 2).contains(&i);
        2 * u8::from(k == 2 && within(3, 9) && !within(5, 7))
    });
    let state = dataset(&state(&series, &finding));
    assert_eq!(text(&state, tags::SOP_CLASS_UID).unwrap(), uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE);
    let layers = items(&state, tags::GRAPHIC_LAYER_SEQUENCE);
    assert_eq!(layers.iter().map(|l| text(l, tags::GRAPHIC_LAYER).unwrap()).collect::<Vec<_>>(), ["S1_STRUCTURE_2"]);
    let annotations = items(&state, tags::GRAPHIC_ANNOTATION_SEQUENCE);
    assert_eq!(annotations.len(), 1);
    let lines = items(&annotations[0], tags::GRAPHIC_OBJECT_SEQUENCE);
    let points = lines.iter().map(|line| texts(line, tags::GRAPHIC_DATA).len() / 2);
    assert_eq!(points.collect::<Vec<_>>(), [5, 5]);
    // The outer line runs along the outer edge of the box's voxels, a hundredth within.
    let corner: Vec<f64> = texts(&lines[0], tags::GRAPHIC_DATA)[..2].iter().map(|t| t.parse().unwrap()).collect();
    assert!((corner[0] - 5.01).abs() < 1e-4 && (corner[1] - 3.01).abs() < 1e-4, "{corner:?}");
    let label = &items(&annotations[0], tags::TEXT_OBJECT_SEQUENCE)[0];
    assert_eq!(text(label, tags::UNFORMATTED_TEXT_VALUE).unwrap(), "Structure 2");
}

#[test]
fn images_are_shown_as_they_say_themselves() {
    let small = || Series::new(9, 7, 3);
    let all = [
        small(),
        small().with(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"),
        small().with(tags::VOILUT_FUNCTION, VR::CS, "SIGMOID"),
        small().lacking(tags::WINDOW_CENTER).lacking(tags::WINDOW_WIDTH),
        Series::mr(9, 7, 3),
    ];
    let shown = all.each_ref().map(|series| {
        let state = dataset(&state(series, &scattered(series, 2)));
        let window = items(&state, tags::SOFTCOPY_VOILUT_SEQUENCE);
        let of_window = |tag| window.first().and_then(|item| text(item, tag)).unwrap_or_default();
        let own = |tag| text(&state, tag).unwrap_or_default();
        [
            of_window(tags::WINDOW_WIDTH),
            of_window(tags::VOILUT_FUNCTION),
            own(tags::PRESENTATION_LUT_SHAPE),
            own(tags::RESCALE_TYPE),
        ]
    });
    let expected = [
        ["400", "", "IDENTITY", "HU"],
        ["400", "", "INVERSE", "HU"],
        ["400", "SIGMOID", "IDENTITY", "HU"],
        ["", "", "IDENTITY", "HU"],
        ["400", "", "IDENTITY", ""],
    ];
    assert_eq!(shown, expected);
}

#[test]
fn images_of_several_windows_and_scales_keep_their_own() {
    let series = Series::new(9, 7, 4);
    let headers = (0..4).map(|k| {
        let mut header = series.dataset(k);
        header.take(tags::PIXEL_DATA);
        let width = if k == 1 { "80" } else { "400" };
        header.put(DataElement::new(tags::WINDOW_WIDTH, VR::DS, PrimitiveValue::from(width)));
        let slope = if k == 3 { "2" } else { "1" };
        header.put(DataElement::new(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from(slope)));
        header
    });
    let source = SourceSeries::new(headers.collect()).unwrap();
    let states: Vec<Dataset> = outlined(&source, &scattered(&series, 2)).iter().map(dataset).collect();
    let slopes = states.iter().map(|state| text(state, tags::RESCALE_SLOPE).unwrap());
    assert_eq!(slopes.collect::<Vec<_>>(), ["1", "2"]);
    let windows = items(&states[0], tags::SOFTCOPY_VOILUT_SEQUENCE);
    let images = windows.iter().map(|window| items(window, tags::REFERENCED_IMAGE_SEQUENCE).len());
    assert_eq!(images.collect::<Vec<_>>(), [2, 1]);
    assert_ne!(text(&states[0], tags::SOP_INSTANCE_UID), text(&states[1], tags::SOP_INSTANCE_UID));
}

#[test]
fn the_same_run_draws_the_same_lines_and_nothing_found_draws_none() {
    let series = Series::new(13, 11, 4);
    assert_eq!(state(&series, &scattered(&series, 3)), state(&series, &scattered(&series, 3)));
    let nothing = labelled(&series, 2, |_, _, _| 0);
    let none = presentation_states(&source(&series), &nothing, None, &context());
    assert!(matches!(none, Err(ResultError::NothingFound)), "{none:?}");
}
