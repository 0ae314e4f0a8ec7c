//! Results over Enhanced images and films, opened by the readers that open those over single-frame series; structure
//! sets over slices of every direction and distance.

use std::path::PathBuf;

use sagittal::dicom::SegForm;
use sagittal::results::{SourceSeries, segmentation, structure_set};
use sagittal::volume::Segmentation;

use super::peers::{Cases, RTSTRUCT, SEG, npy, python, shown};
use super::sources::{along, film, multiframes};
use crate::support::findings::{FORMS, context, scattered};
use crate::support::multiframe::{Spacing, enhanced, projection};
use crate::support::phantom::Series;

/// A folder with the one image.
fn alone(cases: &Cases, name: &str, file: &[u8]) -> PathBuf {
    let folder = cases.folder.path().join(format!("source of {name}"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("0000.dcm"), file).unwrap();
    folder
}

fn every_form(cases: &mut Cases, name: &str, file: &[u8], source: &SourceSeries, finding: &Segmentation) {
    let folder = alone(cases, name, file);
    for form in FORMS {
        let object = segmentation(source, finding, form, &context()).unwrap();
        cases.add(&format!("{name} {form:?}"), &object.bytes, folder.clone(), &npy(&shown(finding, form)));
    }
}

#[test]
fn segmentations_of_enhanced_images_and_films_satisfy_every_peer() {
    let Some(python) = python("peers") else { return };
    let mut cases = Cases::new();
    for (index, (series, order)) in multiframes().iter().enumerate() {
        let file = enhanced(series, order);
        let source = SourceSeries::from_part10(std::slice::from_ref(&file)).unwrap();
        every_form(&mut cases, &format!("enhanced {index}"), &file, &source, &scattered(&along(series), 3));
    }
    let series = Series::new(33, 17, 1);
    for spacing in [Spacing::Calibrated, Spacing::Detector, Spacing::None] {
        let file = projection(&series, spacing);
        let (source, finding) = film(&series, file.clone());
        every_form(&mut cases, &format!("film {spacing:?}"), &file, &source, &finding);
    }
    cases.check(&python, SEG);
}

/// Which readers can take such a source, and why not the others, says `check_rtstruct.py`.
#[test]
fn structure_sets_of_enhanced_images_are_the_masks() {
    let Some(python) = python("structures") else { return };
    let mut cases = Cases::new();
    let mut all = multiframes();
    all.push((Series::new(16, 16, 5), vec![0, 1, 2, 3, 4]));
    for (index, (series, order)) in all.iter().enumerate() {
        let file = enhanced(series, order);
        let source = SourceSeries::from_part10(std::slice::from_ref(&file)).unwrap();
        let finding = scattered(&along(series), 3);
        let object = structure_set(&source, &finding, None, &context()).unwrap();
        let name = format!("enhanced {index}");
        let folder = alone(&cases, &name, &file);
        cases.add(&name, &object.bytes, folder, &npy(&shown(&finding, SegForm::default())));
    }
    cases.check(&python, RTSTRUCT);
}

#[test]
fn structure_sets_of_every_geometry_are_the_masks() {
    let Some(python) = python("structures") else { return };
    let mut cases = Cases::new();
    let all = [
        ("MR", Series::mr(16, 16, 5)),
        ("MR, not square", Series::mr(17, 13, 5)),
        ("oblique", Series::mr(16, 16, 6).oblique()),
        ("oblique, reversed", Series::mr(9, 21, 5).oblique().reversed()),
        ("missing slices", Series::new(17, 13, 9).without(&[3, 4])),
    ];
    for (name, series) in &all {
        cases.structures(name, series, &scattered(series, 3));
    }
    cases.check(&python, RTSTRUCT);
}
