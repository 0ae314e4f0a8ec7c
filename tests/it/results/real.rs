//! Captures and outlines over the real CT of the assets with its reference labels: they must lie on the organs, which is to
//! say that what they enclose has the organs' densities. `SAGITTAL_PICTURES=FOLDER` keeps the objects to be looked at.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use ndarray::{Array3, Axis};
use sagittal::dicom::{CaptureDrawing, CaptureForm, CaptureLayout};
use sagittal::results::{ResultObject, SourceSeries, secondary_captures, verify};
use sagittal::volume::{Segmentation, Volume, read_nifti, read_series, resample_labels};

use super::gsps::outlined;
use crate::support::findings::{algorithm, context, segment};
use crate::support::models::skipped;

/// Label, and mean density in HU by the assets' own account: liver, spleen, aorta.
const ORGANS: [(u8, f32); 3] = [(5, 89.0), (1, 80.0), (52, 177.0)];

fn assets() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/assets");
    std::env::var_os("SAGITTAL_ASSETS").map_or_else(beside, PathBuf::from)
}

/// The CT and its organs.
fn ct() -> Option<(SourceSeries, Volume, Segmentation)> {
    let data = assets().join("data");
    let (images, labels) = (data.join("ct_body_dicom_fixed"), data.join("nifti/example_seg_dicom.nii.gz"));
    if !images.is_dir() || !labels.is_file() {
        skipped("captures of the real CT", "the assets are missing");
        return None;
    }
    let files: Vec<PathBuf> = std::fs::read_dir(images).unwrap().map(|file| file.unwrap().path()).collect();
    let series = read_series(&files, &["regular"]).unwrap();
    let reference = read_nifti(&labels).unwrap();
    let wanted = |value: &f32| if ORGANS.iter().any(|(label, _)| *label == *value as u8) { *value as u8 } else { 0 };
    let grid = series.volume.grid.clone();
    let labels = resample_labels(&reference.voxels.map(wanted), &reference.grid, &grid).unwrap();
    let segments = ORGANS.iter().map(|(label, _)| segment(*label)).collect();
    let finding = Segmentation::of_labels(labels, grid, segments, algorithm());
    Some((SourceSeries::new(series.headers).unwrap(), series.volume, finding))
}

fn keep(objects: &[ResultObject]) {
    let Some(folder) = std::env::var_os("SAGITTAL_PICTURES").map(PathBuf::from) else { return };
    for object in objects {
        std::fs::write(folder.join(format!("{}-{}.dcm", object.kind, object.sop_instance)), &object.bytes).unwrap();
    }
}

fn mean(voxels: &Array3<f32>, is_in: impl Fn([usize; 3]) -> bool) -> f32 {
    let inside = voxels.indexed_iter().filter(|((k, j, i), _)| is_in([*k, *j, *i]));
    let (sum, count) = inside.fold((0.0, 0), |(sum, count), (_, value)| (sum + f64::from(*value), count + 1));
    (sum / f64::from(count)) as f32
}

#[test]
fn organs_of_the_real_ct_are_drawn_where_they_are() {
    let Some((source, volume, finding)) = ct() else { return };
    let form = CaptureForm {
        layout: CaptureLayout::Frames,
        drawing: CaptureDrawing::Both,
        rle: true,
        ..CaptureForm::default()
    };
    let captures = secondary_captures(&source, &volume.voxels, &finding, None, form, &context()).unwrap();
    let expected = verify::Drawn { finding: &finding, voxels: &volume.voxels, form };
    assert_eq!(verify::secondary_capture(&captures[0].bytes, &source, Some(&expected)), []);
    let states = outlined(&source, &finding);
    for (label, density) in ORGANS {
        let found = mean(&volume.voxels, |at| finding.labels[at] == label);
        assert!((found - density).abs() < 1.0, "label {label}: {found} HU");
    }
    let state = dicom_object::from_reader(states[0].bytes.as_slice()).unwrap();
    let annotations = state.element(tags::GRAPHIC_ANNOTATION_SEQUENCE).unwrap().items().unwrap().len();
    let slices = (0..volume.grid.size[2]).map(|k| finding.labels.index_axis(Axis(0), k));
    let marked = slices.map(|slice| ORGANS.iter().filter(|(label, _)| slice.iter().any(|own| own == label)).count());
    assert_eq!(annotations, marked.sum::<usize>());
    let montage = CaptureForm { layout: CaptureLayout::Montage, drawing: CaptureDrawing::Outline, ..form };
    let montage = secondary_captures(&source, &volume.voxels, &finding, None, montage, &context()).unwrap();
    for objects in [captures, montage, states] {
        keep(&objects);
    }
}
