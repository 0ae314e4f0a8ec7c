//! Measurement reports: what was measured, what is absent, and that they speak of the same segments as the SEG.

use std::io::Cursor;

use dicom_dictionary_std::tags;
use ndarray::Array3;
use sagittal::dicom::{Dataset, SegForm, text};
use sagittal::results::{
    ResultError, ResultObject, key_images, measurement_report, segment_numbers, segmentation, verify,
};
use sagittal::volume::{Segmentation, measure};

use crate::support::findings::{context, labelled, overlapping, scattered, source};
use crate::support::phantom::Series;

/// The SEG and the report of a finding over a series; voxels are what the phantom holds, in HU.
pub fn written(series: &Series, finding: &Segmentation) -> (ResultObject, ResultObject) {
    let source = source(series);
    let seg = segmentation(&source, finding, SegForm::default(), &context()).unwrap();
    let (slices, rows, columns) = finding.labels.dim();
    let pixels = series.present().into_iter().flat_map(|k| series.pixels(k));
    let values = pixels.map(|value| f32::from(value) - 1024.0).collect();
    let voxels = Array3::from_shape_vec((slices, rows, columns), values).unwrap();
    let measured = measure(finding, Some(&voxels), &source.slabs(series.distance));
    let numbers = segment_numbers(finding, SegForm::default()).unwrap();
    let report = measurement_report(&source, finding, &measured, Some((&seg, &numbers)), &context()).unwrap();
    let faults = verify::measurement_report(&report.bytes, &source, Some(&seg.bytes), Some(finding));
    assert_eq!(faults, []);
    (seg, report)
}

/// The report of a run that found nothing.
pub fn negative(series: &Series) -> (Segmentation, ResultObject) {
    let nothing = labelled(series, 3, |_, _, _| 0);
    let report = measurement_report(&source(series), &nothing, &[], None, &context()).unwrap();
    let faults = verify::measurement_report(&report.bytes, &source(series), None, Some(&nothing));
    assert_eq!(faults, []);
    (nothing, report)
}

/// The key images of a finding.
pub fn selected(series: &Series, finding: &Segmentation) -> ResultObject {
    let source = source(series);
    let measured = measure(finding, None, &source.slabs(series.distance));
    let selection = key_images(&source, finding, &measured, &context()).unwrap();
    assert_eq!(verify::key_images(&selection.bytes, &source, Some(finding)), []);
    selection
}

fn dataset(object: &ResultObject) -> Dataset {
    dicom_object::from_reader(Cursor::new(&object.bytes)).unwrap().into_inner()
}

/// `name = value` of every item, indented by its depth.
fn outline(item: &Dataset, depth: usize, lines: &mut Vec<String>) {
    for child in item.get(tags::CONTENT_SEQUENCE).and_then(|e| e.items()).unwrap_or_default() {
        let inner = |of: &Dataset, tag, what| Some(text(of.get(tag)?.items()?.first()?, what)?.trim().to_owned());
        let name = inner(child, tags::CONCEPT_NAME_CODE_SEQUENCE, tags::CODE_MEANING).unwrap_or_default();
        let value = inner(child, tags::MEASURED_VALUE_SEQUENCE, tags::NUMERIC_VALUE)
            .or_else(|| inner(child, tags::CONCEPT_CODE_SEQUENCE, tags::CODE_MEANING))
            .or_else(|| text(child, tags::TEXT_VALUE))
            .unwrap_or_default();
        lines.push(format!("{}{name} = {value}", "  ".repeat(depth)));
        outline(child, depth + 1, lines);
    }
}

fn lines(object: &ResultObject) -> Vec<String> {
    let mut lines = Vec::new();
    outline(&dataset(object), 0, &mut lines);
    lines
}

#[test]
fn a_box_is_reported_with_the_measures_of_a_box() {
    let series = Series::new(20, 16, 5);
    let within = |k: usize, j: usize, i: usize| (1..4).contains(&k) && (6..10).contains(&j) && (8..12).contains(&i);
    let finding = labelled(&series, 2, |k, j, i| u8::from(within(k, j, i)));
    let report = lines(&written(&series, &finding).1);
    let said = |line: &str| report.iter().any(|own| own.trim() == line);
    // 4 x 4 x 3 voxels of 0.75 x 1.25 x 2.5 mm, all inside the phantom's ellipsoid of 40 HU.
    for expected in [
        "Tracking Identifier = Structure 1-1",
        "Volume = 112.5",
        "Attenuation Coefficient = 40",
        "Derivation = Standard Deviation",
        "Finding = Brain",
        "Brain = Absent",
        "Algorithm Version = 1.2.0",
    ] {
        assert!(said(expected), "{expected} in {report:#?}");
    }
    let diagonal = (3.0_f64 * 0.75).hypot(3.0 * 1.25);
    assert!(said(&format!("Long Axis = {}", (diagonal * 1e4).round() / 1e4)), "{report:#?}");
    assert!(!report.iter().any(|line| line.contains("reaches the border")), "{report:#?}");
}

#[test]
fn a_structure_at_the_border_is_said_to_be_there() {
    let series = Series::new(20, 16, 5);
    let finding = labelled(&series, 1, |k, _, _| u8::from(k == 4));
    assert!(lines(&written(&series, &finding).1).iter().any(|line| line.contains("reaches the border")));
}

/// `result-objects.md` M6: "ran, nothing found" can be told from "did not run".
#[test]
fn a_run_that_found_nothing_says_what_it_looked_for() {
    let series = Series::new(12, 10, 4);
    let (_, report) = negative(&series);
    assert_eq!(lines(&report).iter().filter(|line| line.trim() == "Brain = Absent").count(), 3);
}

#[test]
fn every_geometry_is_measured() {
    let all = [
        Series::new(1, 1, 3),
        Series::new(64, 32, 1),
        Series::mr(17, 13, 6).oblique().reversed(),
        Series::new(17, 13, 9).without(&[3, 4]),
        Series::new(17, 13, 9).without(&[1, 3, 4, 6]),
    ];
    for series in all {
        written(&series, &scattered(&series, 3));
    }
    let series = Series::new(13, 11, 4);
    written(&series, &overlapping(&series));
}

#[test]
fn the_same_run_reports_the_same_bytes() {
    let series = Series::new(13, 11, 4);
    assert_eq!(written(&series, &scattered(&series, 3)).1, written(&series, &scattered(&series, 3)).1);
}

#[test]
fn key_images_are_those_on_which_segments_reach_farthest() {
    let series = Series::new(20, 16, 6);
    // A wedge that is longest on slice 3, and a bar on slice 1.
    let finding = labelled(&series, 3, |k, j, i| match (k, j) {
        (1, 12) => 2 * u8::from(i < 4),
        (2..5, 4) => u8::from(i > 4 && i < 10 + 3 * usize::from(k == 3)),
        _ => 0,
    });
    let selection = selected(&series, &finding);
    let evidence = dataset(&selection).take(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).unwrap();
    let of_series = evidence.items().unwrap()[0].element(tags::REFERENCED_SERIES_SEQUENCE).unwrap().clone();
    let images = of_series.items().unwrap()[0].element(tags::REFERENCED_SOP_SEQUENCE).unwrap().clone();
    let uids = images.items().unwrap().iter().map(|item| text(item, tags::REFERENCED_SOP_INSTANCE_UID).unwrap());
    assert_eq!(uids.collect::<Vec<_>>(), [1, 3].map(|k| series.instance_uid(k).to_string()));
    assert!(lines(&selection)[0].ends_with("phantom-model found: Structure 1, Structure 2"), "{:?}", lines(&selection));
    let other = labelled(&series, 3, |k, _, _| u8::from(k == 5));
    let faults = verify::key_images(&selection.bytes, &source(&series), Some(&other));
    assert!(faults.iter().any(|fault| fault.rule == "K1"), "{faults:?}");
    let nothing = key_images(&source(&series), &other, &[], &context());
    assert!(matches!(nothing, Err(ResultError::NothingFound)), "{nothing:?}");
}
