//! Two segmentations beside each other: counted again here, voxel by voxel, and said in numbers, as a map and as a report.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use ndarray::Array3;
use sagittal::dicom::{SegForm, SegmentationType};
use sagittal::results::compare::{CompareError, Comparison, Kind, Masks, compare, disagreement};
use sagittal::results::{ResultContext, ResultError, SourceSeries, segmentation, verify};
use sagittal::volume::Segmentation;
use serde_json::Value;

use super::peers::{python, repository};
use crate::support::findings::{context, labelled, scattered, source};
use crate::support::phantom::Series;
use crate::support::site::Site;

const LABELMAP: SegForm = SegForm { stored: SegmentationType::Labelmap, rle: true };

fn masks(source: &SourceSeries, finding: &Segmentation, form: SegForm) -> Masks {
    let object = segmentation(source, finding, form, &context()).unwrap();
    Masks::read(&object.bytes).unwrap().over(source)
}

/// Random labels of three segments; the seed also decides how much.
fn random(series: &Series, seed: u64) -> Segmentation {
    let mut dice = fastrand::Rng::with_seed(seed);
    labelled(series, 3, |_, _, _| dice.u8(..6) % 4)
}

#[test]
fn voxels_in_common_are_counted_as_they_lie() {
    let all = [
        Series::new(9, 7, 5),
        Series::mr(17, 5, 4).oblique().reversed(),
        Series::new(5, 5, 6).uneven(),
        Series::new(8, 8, 1),
    ];
    for (seed, series) in (0..).zip(&all) {
        let source = source(series);
        let (first, second) = (random(series, seed), random(series, seed + 100));
        for form in [SegForm::default(), LABELMAP] {
            let [a, b] = [masks(&source, &first, SegForm::default()), masks(&source, &second, form)];
            let compared = compare(&a, &b).unwrap();
            assert_eq!((compared.kind, compared.rows.len()), (Kind::SameImages, 3));
            let slabs = source.slabs(series.distance);
            for (row, label) in compared.rows.iter().zip(1..) {
                let has = |finding: &Segmentation, at| finding.labels[at] == label;
                let count = |wanted: &dyn Fn((usize, usize, usize)) -> bool| {
                    first.labels.indexed_iter().filter(|(at, _)| wanted(*at)).count() as u64
                };
                let overlap = row.overlap.unwrap();
                assert_eq!(overlap.voxels, [count(&|at| has(&first, at)), count(&|at| has(&second, at))]);
                assert_eq!(overlap.common, count(&|at| has(&first, at) && has(&second, at)));
                let area = series.spacing[0] * series.spacing[1];
                let volume: f64 = first
                    .labels
                    .indexed_iter()
                    .filter(|(at, _)| has(&first, *at))
                    .map(|(at, _)| slabs[at.0].thickness * area)
                    .sum();
                assert!((row.volumes[0] - volume).abs() < 1e-6 * volume, "{} {volume}", row.volumes[0]);
            }
            // What one has alone, and the other, is what makes the difference of the counts.
            let map = disagreement(&compared, [&a, &b], &source).unwrap();
            let marked = |labels: &Array3<u8>, label: u8| labels.iter().filter(|own| **own == label).count() as u64;
            for (row, label) in compared.rows.iter().zip((1..).step_by(2)) {
                let overlap = row.overlap.unwrap();
                assert_eq!(marked(&map.labels, label), overlap.voxels[0] - overlap.common);
                assert_eq!(marked(&map.overlays[0], label + 1), overlap.voxels[1] - overlap.common);
            }
            let object = segmentation(&source, &map, SegForm::default(), &context()).unwrap();
            assert_eq!(verify::segmentation(&object.bytes, &source, Some(&map)), []);
        }
    }
}

#[test]
fn the_same_twice_agrees_in_full() {
    let series = Series::new(9, 7, 5);
    let source = source(&series);
    let own = masks(&source, &random(&series, 3), SegForm::default());
    let compared = compare(&own, &own).unwrap();
    for row in &compared.rows {
        assert_eq!(row.overlap.unwrap().dice(), Some(1.0));
        assert!(row.difference().abs() < 1e-12 && row.percent().unwrap().abs() < 1e-12);
    }
    let map = disagreement(&compared, [&own, &own], &source).unwrap();
    let written = segmentation(&source, &map, SegForm::default(), &context());
    assert!(matches!(written, Err(ResultError::NothingFound)));
}

/// Two studies of one patient, the second bigger by a slice.
fn time_points() -> (Series, Series, Comparison, [Masks; 2]) {
    let earlier = Series::new(9, 7, 5);
    let later = Series::new(9, 7, 5).named("later study", "later series").with(tags::STUDY_DATE, VR::DA, "20261201");
    let of = |series: &Series, slices: usize| {
        let finding = labelled(series, 2, |k, _, i| if i > 5 || k >= slices { 0 } else { 1 + u8::from(i > 3) });
        masks(&source(series), &finding, SegForm::default())
    };
    let both = [of(&earlier, 2), of(&later, 3)];
    let compared = compare(&both[0], &both[1]).unwrap();
    (earlier, later, compared, both)
}

#[test]
fn time_points_are_compared_by_volume() {
    let (_, later, compared, both) = time_points();
    assert_eq!((compared.kind, compared.days()), (Kind::TimePoints, Some(30)));
    let slice = 4.0 * 7.0 * 1.25 * 0.75 * 2.5;
    let row = &compared.rows[0];
    assert!((row.volumes[0] - 2.0 * slice).abs() < 1e-6 && (row.difference() - slice).abs() < 1e-6);
    assert!((row.percent().unwrap() - 50.0).abs() < 1e-9 && row.overlap.is_none());
    assert!(disagreement(&compared, [&both[0], &both[1]], &source(&later)).is_none());
    let stranger = Series::new(9, 7, 5).with(tags::PATIENT_ID, VR::LO, "PID002");
    let stranger = masks(&source(&stranger), &scattered(&stranger, 2), SegForm::default());
    assert!(matches!(compare(&both[0], &stranger), Err(CompareError::Patients)));
    let mut shifted = Series::new(9, 7, 5);
    shifted.origin[0] += 0.3;
    let shifted = masks(&source(&shifted), &scattered(&shifted, 2), SegForm::default());
    assert!(matches!(compare(&both[0], &shifted), Err(CompareError::Grids)));
}

/// The command, and its objects in the validators' hands.
#[test]
fn the_command_compares_and_writes_what_it_finds() {
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let (earlier, later, _, _) = time_points();
    let folder = site.folder.path();
    let mut pairs = Vec::new();
    let file = |name: &str, series: &Series, seed: u64, form| {
        let of_model = ResultContext { pipeline: name.into(), ..context() };
        let object = segmentation(&source(series), &random(series, seed), form, &of_model).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, object.bytes).unwrap();
        path
    };
    // dciodvfy takes a label map for no segmentation, of which a report may name a segment.
    let [a, b] = [file("a.dcm", &later, 1, SegForm::default()), file("b.dcm", &later, 2, SegForm::default())];
    let before = file("before.dcm", &earlier, 1, SegForm::default());
    for (name, first, series, kind) in
        [("models", &a, &[&later][..], "same-images"), ("times", &before, &[&later, &earlier], "time-points")]
    {
        let [images, objects] = ["images", "objects"].map(|what| folder.join(format!("{name} {what}")));
        std::fs::create_dir(&images).unwrap();
        for (n, image) in series.iter().flat_map(|series| series.instances()).enumerate() {
            std::fs::write(images.join(format!("{n:04}.dcm")), image).unwrap();
        }
        let paths = [first, &b, &images, &objects].map(|path| path.to_str().unwrap().to_owned());
        let [first_path, second_path, images_path, objects_path] = paths.each_ref().map(String::as_str);
        let arguments = ["compare", first_path, second_path, "--source", images_path, "-o", objects_path, "--json"];
        let done = site.command(&arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!((said["kind"].as_str(), said["structures"].as_array().unwrap().len()), (Some(kind), 3), "{said}");
        assert_eq!(said["structures"][0]["dice"].is_number(), kind == "same-images");
        let written = std::fs::read_dir(&objects).unwrap().count();
        assert_eq!(written, if kind == "same-images" { 2 } else { 1 });
        // What was compared lies beside what came of it, as in a PACS.
        std::fs::copy(first, objects.join("first.dcm")).unwrap();
        std::fs::copy(&b, objects.join("second.dcm")).unwrap();
        let judged = site.command(&["verify", objects_path, "--source", images_path, "--json"]).output().unwrap();
        let told: Value = serde_json::from_slice(&judged.stdout).unwrap();
        let sound = told.as_array().unwrap().iter().filter(|row| row["verdict"] == "sound").count();
        // The earlier images are in the folder, too, so that all is judged.
        assert_eq!((judged.status.success(), sound), (true, written + 2), "{told}");
        pairs.extend([objects, images]);
        let table = site.command(&["compare", first_path, second_path]).output().unwrap();
        assert!(String::from_utf8_lossy(&table.stdout).contains("Structure 1"), "{table:?}");
    }
    let Some(python) = python("peers") else { return };
    let script = repository().join("tests/peers/check_objects.py");
    let done = std::process::Command::new(python).arg(script).args(&pairs).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
}
