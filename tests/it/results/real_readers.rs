//! Real images of the assets in other people's hands: an oblique T1 study, and a CT with the reference's labels of its organs.
//! Skipped, and said so, where assets, zstd or the Python environments are missing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use ndarray::{Array3, Axis};
use sagittal::dicom::{SegForm, part10, text};
use sagittal::results::{SourceSeries, read, segment_numbers, segmentation, structure_set, verify};
use sagittal::volume::{Grid, Segmentation, SeriesVolume, measure, read_nifti, read_series, resample_labels};

use super::peers::{Cases, RTSTRUCT, SEG, labels_npy, npy, python, shown};
use crate::support::assets;
use crate::support::findings::{algorithm, context, segment};

const LIVER: u8 = 5;

/// The 384-slice T1 study of the assets, whose orientation is oblique, whose decimals are overlong and whose
/// patient has an age without a unit.
#[test]
fn the_real_t1_study_satisfies_every_peer() {
    let Some(python) = python("peers") else { return };
    let Some(archive) = assets("data/mr_t1_dicom/T1w_384slices.tar.zst") else { return };
    let mut cases = Cases::new();
    let folder = cases.folder.path();
    let unpacked = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(folder).status();
    if !unpacked.is_ok_and(|s| s.success()) {
        eprintln!("skipped: tar cannot unpack zstd");
        return;
    }
    let images = folder.join("dicoms");
    let bytes: Vec<_> = files(&images).iter().map(|file| std::fs::read(file).unwrap()).collect();
    let source = SourceSeries::from_part10(&bytes).unwrap();
    let finding = ellipsoids(&source);
    let object = segmentation(&source, &finding, SegForm::default(), &context()).unwrap();
    assert_eq!(verify::segmentation(&object.bytes, &source, Some(&finding)), []);
    cases.add("T1", &object.bytes, images, &npy(&shown(&finding, SegForm::default())));
    cases.check(&python, SEG);
}

/// The reference says 699 mL of liver at 89 HU, 249 mL of spleen at 80, 22 mL of aorta at 177.
#[test]
fn the_real_ct_has_the_references_organs() {
    let Some((series, finding)) = organs() else { return };
    let source = SourceSeries::new(series.headers.clone()).unwrap();
    let measured = measure(&finding, Some(&series.volume.voxels), &source.slabs(finding.grid.spacing()[2]));
    for (label, ml, tolerance, hu) in [(LIVER, 699.0, 1e-3, 89.0), (1, 249.0, 2e-3, 80.0), (52, 22.0, 2e-2, 177.0)] {
        let organ = measured.iter().find(|measured| measured.label == label).unwrap();
        assert!((organ.volume / 1000.0 / ml - 1.0).abs() < tolerance, "label {label}: {} mm3", organ.volume);
        assert!((organ.values.unwrap().mean - hu).abs() < 0.6, "label {label}: {:?}", organ.values);
    }

    let form = SegForm::default();
    let seg = segmentation(&source, &finding, form, &context()).unwrap();
    assert_eq!(verify::segmentation(&seg.bytes, &source, Some(&finding)), []);
    let held = read::segmentation(&seg.bytes).unwrap();
    let numbers = segment_numbers(&finding, form).unwrap();
    let liver = numbers.iter().find(|(label, _)| *label == LIVER).unwrap().1;
    let voxels = held.labels.iter().filter(|number| u16::from(**number) == liver).count();
    let ml = voxels as f64 * held.grid.voxel_volume() / 1000.0;
    assert!((ml / 699.0 - 1.0).abs() < 1e-3, "the SEG holds {ml} mL of liver");

    let structures = structure_set(&source, &finding, Some((&seg, form)), &context()).unwrap();
    assert_eq!(verify::structure_set(&structures.bytes, &source, Some(&finding)), []);

    let mut cases = Cases::new();
    let images = plain_images(&cases.folder.path().join("ct"), &series);
    let labels = labels_npy(&finding.labels);
    if let Some(python) = python("peers") {
        cases.add("CT", &seg.bytes, images.clone(), &labels);
        cases.check(&python, SEG);
        cases.arguments.clear();
    }
    if let Some(python) = python("structures") {
        cases.add("CT structures", &structures.bytes, images, &labels);
        std::fs::write(cases.arguments[0].with_file_name("seg.dcm"), &seg.bytes).unwrap();
        cases.check(&python, RTSTRUCT);
    }
}

/// The CT, and the reference's labels on its grid.
fn organs() -> Option<(SeriesVolume, Segmentation)> {
    let images = assets("data/ct_body_dicom_fixed")?;
    let reference = read_nifti(&assets("data/nifti/example_seg_dicom.nii.gz")?).unwrap();
    let series = read_series(&files(&images), &["regular"]).unwrap();
    let grid = series.volume.grid.clone();
    let labels = resample_labels(&reference.voxels.mapv(|value| value as u8), &reference.grid, &grid).unwrap();
    let present: BTreeSet<u8> = labels.iter().copied().filter(|label| *label > 0).collect();
    let segments = present.into_iter().map(segment).collect();
    let finding = Segmentation::of_labels(labels, grid, segments, algorithm());
    Some((series, finding))
}

/// The images without compression, which not every reader can undo, named in volume order.
fn plain_images(folder: &Path, series: &SeriesVolume) -> PathBuf {
    std::fs::create_dir(folder).unwrap();
    let images = assets("data/ct_body_dicom_fixed").unwrap();
    for file in files(&images) {
        let mut object = part10::parse(&std::fs::read(file).unwrap()).unwrap();
        let uid = text(&object, tags::SOP_INSTANCE_UID);
        let k = series.headers.iter().position(|header| text(header, tags::SOP_INSTANCE_UID) == uid).unwrap();
        let number = |tag| text(&object, tag).unwrap().parse::<f32>().unwrap();
        let (slope, intercept) = (number(tags::RESCALE_SLOPE), number(tags::RESCALE_INTERCEPT));
        let stored = series.volume.voxels.index_axis(Axis(0), k).mapv(|hu| ((hu - intercept) / slope).round() as i16);
        let words = stored.iter().map(|value| value.cast_unsigned()).collect();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words)));
        object.update_meta(|meta| meta.transfer_syntax = uids::EXPLICIT_VR_LITTLE_ENDIAN.into());
        object.write_to_file(folder.join(format!("{k:04}.dcm"))).unwrap();
    }
    folder.to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Two nested ellipsoids on the source's grid.
fn ellipsoids(source: &SourceSeries) -> Segmentation {
    let (first, count) = (&source.slices()[0].plane, source.slices().len());
    let (rows, columns) = (first.rows, first.columns);
    let last = &source.slices()[count - 1].plane;
    let step = [0, 1, 2].map(|a| (last.position[a] - first.position[a]) / (count - 1) as f64);
    let axes = [first.row.map(|v| v * first.spacing[1]), first.column.map(|v| v * first.spacing[0]), step];
    let grid = Grid { size: [columns, rows, count], origin: first.position, axes };
    let centred = |index: usize, size: usize| (index as f64 + 0.5) / size as f64 * 2.0 - 1.0;
    let labels = Array3::from_shape_fn((count, rows, columns), |(k, j, i)| {
        let r = centred(k, count).powi(2) + centred(j, rows).powi(2) + centred(i, columns).powi(2);
        u8::from(r < 0.4) + u8::from(r < 0.1)
    });
    Segmentation::of_labels(labels, grid, vec![segment(1), segment(2)], algorithm())
}
