//! Every kind of object over every kind of source, in the hands of `dciodvfy` and `dcentvfy`: no error, no warning.

use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array3;
use sagittal::dicom::{CaptureDrawing, CaptureLayout};
use sagittal::results::{
    ReportMatter, ResultObject, SourceSeries, presentation_states, report, secondary_captures, segmentation, verify,
};
use sagittal::volume::{Grid, Segment, Segmentation, measure, read_series};

use super::pdf::letterhead;
use super::peers::{patients, python, repository};
use super::sc::{LAYOUTS, form as capture_form};
use super::sources::all;
use crate::support::findings::{FORMS, algorithm, context, segment};
use crate::support::multiframe::{Spacing, enhanced, projection};
use crate::support::phantom::Series;

const ACCEPTED: [&str; 5] = ["regular", "single-slice", "missing-slices", "non-uniform", "no-geometry"];

/// Folders of sources and of the objects over them.
struct Matrix {
    folder: tempfile::TempDir,
    pairs: Vec<PathBuf>,
}

impl Matrix {
    fn new() -> Matrix {
        Matrix { folder: tempfile::tempdir().unwrap(), pairs: Vec::new() }
    }

    /// Everything that can be made over these files.
    fn add(&mut self, name: &str, files: &[Vec<u8>]) {
        let [objects, images] = ["objects", "images"].map(|what| self.folder.path().join(format!("{name} {what}")));
        std::fs::create_dir(&objects).unwrap();
        std::fs::create_dir(&images).unwrap();
        let mut paths = Vec::new();
        for (k, file) in files.iter().enumerate() {
            paths.push(images.join(format!("{k:04}.dcm")));
            std::fs::write(&paths[k], file).unwrap();
        }
        let series = read_series(&paths, &ACCEPTED).unwrap_or_else(|error| panic!("{name}: {error}"));
        let finding = blocks(&series.volume.grid);
        let source = SourceSeries::new(series.headers).unwrap_or_else(|error| panic!("{name}: {error}"));
        for object in all(&source, &finding) {
            std::fs::write(objects.join(format!("{}.dcm", object.kind)), object.bytes).unwrap();
        }
        for form in FORMS.into_iter().skip(1) {
            let object = segmentation(&source, &finding, form, &context()).unwrap();
            assert_eq!(verify::segmentation(&object.bytes, &source, Some(&finding)), [], "{name} {form:?}");
            let kind = form.stored.name();
            // Plain and run-length encoded ones are one object in two encodings.
            if !form.rle {
                std::fs::write(objects.join(format!("{kind}.dcm")), object.bytes).unwrap();
            }
        }
        for (n, object) in for_the_eye(&source, &finding, &series.volume.voxels).into_iter().enumerate() {
            std::fs::write(objects.join(format!("{} {n}.dcm", object.kind)), object.bytes).unwrap();
        }
        self.pairs.extend([objects, images]);
    }

    fn check(&self, python: &Path) {
        let script = repository().join("tests/peers/check_objects.py");
        let done = Command::new(python).arg(script).args(&self.pairs).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

/// Captures in every layout, presentation states and the report, each heard by the referee.
fn for_the_eye(source: &SourceSeries, finding: &Segmentation, voxels: &Array3<f32>) -> Vec<ResultObject> {
    let mut objects = Vec::new();
    for layout in LAYOUTS {
        let form = capture_form(layout, CaptureDrawing::Both);
        let drawn = match secondary_captures(source, voxels, finding, None, form, &context()) {
            Ok(drawn) => drawn,
            // Multi-frame captures of what lies nowhere are refused, and say so.
            Err(error) => {
                let lies_nowhere = source.frame_of_reference().is_none();
                assert!(lies_nowhere && layout == CaptureLayout::Frames, "{layout:?}: {error}");
                continue;
            }
        };
        let expected = verify::Drawn { finding, voxels, form };
        for object in drawn {
            assert_eq!(verify::secondary_capture(&object.bytes, source, Some(&expected)), [], "{layout:?}");
            objects.push(object);
        }
    }
    for object in presentation_states(source, finding, Some(voxels), &context()).unwrap() {
        assert_eq!(verify::presentation_state(&object.bytes, source, Some(finding)), []);
        objects.push(object);
    }
    let Some(letterhead) = letterhead() else { return objects };
    let measured = measure(finding, Some(voxels), &source.slabs(finding.grid.spacing()[2]));
    let matter = ReportMatter { finding, measured: &measured, voxels: Some(voxels), beside: &[] };
    let object = report(source, &matter, &letterhead, &context()).unwrap().object;
    assert_eq!(verify::report(&object.bytes, source, Some(finding)), []);
    objects.push(object);
    objects
}

/// Two blocks, one in the first and one in the last third of each axis.
fn blocks(grid: &Grid) -> Segmentation {
    let [columns, rows, slices] = grid.size;
    let third = |at: usize, size: usize| if size < 3 { 0 } else { at * 3 / size };
    let labels = Array3::from_shape_fn((slices, rows, columns), |(k, j, i)| {
        match [third(k, slices), third(j, rows), third(i, columns)] {
            [0, 0, 0] => 1,
            [0 | 2, 2, 2] => 2,
            _ => 0,
        }
    });
    // Segment 10 has everything that a segment can have; the third has no voxel.
    let full = Segment { label: 2, ..segment(10) };
    Segmentation::of_labels(labels, grid.clone(), vec![segment(1), full, segment(3)], algorithm())
}

#[test]
fn every_object_over_every_source_satisfies_the_validators() {
    let Some(python) = python("peers") else { return };
    let mut matrix = Matrix::new();
    let small = || Series::new(12, 9, 5);
    matrix.add("axial", &small().instances());
    matrix.add("oblique reversed", &Series::mr(12, 9, 5).oblique().reversed().instances());
    matrix.add("one slice", &Series::new(12, 9, 1).instances());
    matrix.add("missing slices", &Series::new(12, 9, 8).without(&[3]).instances());
    matrix.add("uneven slices", &Series::new(12, 9, 6).uneven().instances());
    matrix.add("enhanced", &[enhanced(&small(), &[4, 2, 0, 1, 3])]);
    matrix.add("enhanced oblique", &[enhanced(&Series::mr(12, 9, 4).oblique(), &[0, 1, 2, 3])]);
    let film = || Series::new(33, 17, 1);
    for (name, spacing) in
        [("film calibrated", Spacing::Calibrated), ("film", Spacing::Detector), ("film unknown", Spacing::None)]
    {
        matrix.add(name, &[projection(&film(), spacing)]);
    }
    matrix.check(&python);
}

/// Real Enhanced CT, and films as two makers write them.
#[test]
fn every_object_over_real_images_satisfies_the_validators() {
    let Some(python) = python("peers") else { return };
    let assets = std::env::var_os("SAGITTAL_ASSETS").map_or(repository().join("../shared/assets"), PathBuf::from);
    let mut matrix = Matrix::new();
    for name in ["enhanced/eCT_Supplemental", "cxr/RG1_J2KI", "cxr/nih_as_dx/00000442_000"] {
        match std::fs::read(assets.join("data").join(format!("{name}.dcm"))) {
            Ok(file) => matrix.add(&name.replace('/', " "), &[file]),
            Err(_) => eprintln!("SKIPPED: {name} of the assets is absent"),
        }
    }
    matrix.check(&python);
}

/// Patients of every script, for every kind of object.
#[test]
fn every_object_of_every_patient_satisfies_the_validators() {
    let Some(python) = python("peers") else { return };
    let mut matrix = Matrix::new();
    for (index, series) in patients().iter().enumerate() {
        matrix.add(&format!("patient {index}"), &series.instances());
    }
    matrix.check(&python);
}
