//! Segmentations in other people's hands: dciodvfy, dcentvfy, dcmqi and highdicom, through
//! `tests/peers/check_seg.py`. Says so and passes where their Python environment is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use ndarray::Array3;
use sagittal::dicom::Code;
use sagittal::results::{SourceSeries, segmentation, verify};
use sagittal::volume::{Grid, Segmentation};

use crate::support::findings::{algorithm, context, scattered, segment, source};
use crate::support::phantom::Series;

/// The interpreter of an environment with `tests/peers/requirements.txt`.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("SAGITTAL_PEERS_PYTHON").map(PathBuf::from);
    let found = named.or_else(|| Some(repository().join(".venv/peers/bin/python"))).filter(|p| p.exists());
    if found.is_none() {
        eprintln!("SKIPPED: no Python with the peers; run `make peers` or set SAGITTAL_PEERS_PYTHON");
    }
    found
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Asserts that a SEG made from `finding` passes every gate of `check_seg.py`.
fn check(python: &Path, name: &str, seg: &[u8], sources: &Path, finding: &Segmentation) {
    let (passed, said) = ask(python, seg, sources, finding);
    assert!(passed, "{name}: {said}");
}

fn ask(python: &Path, seg: &[u8], sources: &Path, finding: &Segmentation) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let (seg_path, mask_path) = (folder.path().join("seg.dcm"), folder.path().join("mask.npy"));
    std::fs::write(&seg_path, seg).unwrap();
    std::fs::write(&mask_path, npy(&finding.labels)).unwrap();
    let script = repository().join("tests/peers/check_seg.py");
    let done = Command::new(python).arg(script).arg(&seg_path).arg(sources).arg(&mask_path).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Writes the series' files, named in volume order.
fn written(series: &Series) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (k, file) in series.instances().iter().enumerate() {
        std::fs::write(folder.path().join(format!("{k:04}.dcm")), file).unwrap();
    }
    folder
}

fn check_phantom(python: &Path, name: &str, series: &Series, segments: u8) {
    let folder = written(series);
    let finding = scattered(series, segments);
    let object = segmentation(&source(series), &finding, &context()).unwrap();
    check(python, name, &object.bytes, folder.path(), &finding);
}

#[test]
fn phantoms_satisfy_every_peer() {
    let Some(python) = python() else { return };
    let all = [
        ("unaligned frames", Series::new(5, 5, 4), 1),
        ("odd frames, oblique", Series::mr(127, 127, 6).oblique(), 3),
        ("large odd frames", Series::new(513, 511, 3), 2),
        ("one slice", Series::new(64, 32, 1), 1),
        ("reversed", Series::new(33, 17, 5).reversed(), 3),
        ("oblique, reversed", Series::mr(33, 17, 5).oblique().reversed(), 3),
        ("missing slices", Series::new(33, 17, 9).without(&[3, 4]), 3),
        ("many segments", Series::new(65, 63, 12), 104),
    ];
    for (name, series, segments) in all {
        check_phantom(&python, name, &series, segments);
    }
}

#[test]
fn patients_of_every_script_satisfy_every_peer() {
    let Some(python) = python() else { return };
    let small = || Series::new(9, 7, 3);
    let all = [
        small().charset(Some("ISO_IR 100"), "Müller^Jörg"),
        small().charset(Some("ISO_IR 192"), "Müller^Jörg"),
        small().charset(Some("GB18030"), "Wang^XiaoDong=王^小东"),
        small().charset(Some("\\ISO 2022 IR 87"), "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B"),
        small().charset(None, "Mueller^Joerg"),
        small().lacking(tags::TIMEZONE_OFFSET_FROM_UTC).lacking(tags::ISSUER_OF_PATIENT_ID),
        small()
            .with(tags::PATIENT_COMMENTS, VR::LT, "none")
            .with(tags::PREGNANCY_STATUS, VR::US, 4_u16)
            .with(tags::OCCUPATION, VR::SH, "Sailor")
            .with(tags::ADMISSION_ID, VR::LO, "A1")
            .with(tags::PHYSICIANS_OF_RECORD, VR::PN, "Doe^Jane")
            .with(tags::CLINICAL_TRIAL_SPONSOR_NAME, VR::LO, "Sponsor")
            .with(tags::CLINICAL_TRIAL_PROTOCOL_ID, VR::LO, "P1")
            .with(tags::CLINICAL_TRIAL_SITE_ID, VR::LO, "")
            .with(tags::CLINICAL_TRIAL_SUBJECT_ID, VR::LO, "S1")
            .with(tags::CLINICAL_TRIAL_PROTOCOL_NAME, VR::LO, "")
            .with(tags::CLINICAL_TRIAL_SITE_NAME, VR::LO, "")
            .with(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES")
            .with(tags::DEIDENTIFICATION_METHOD, VR::LO, "by hand"),
    ];
    for (index, series) in all.iter().enumerate() {
        check_phantom(&python, &format!("patient {index}"), series, 2);
    }
}

/// The gates are no formality: one voxel, one character, one code.
#[test]
fn peers_object_to_what_is_wrong() {
    let Some(python) = python() else { return };
    let series = Series::new(9, 7, 3);
    let folder = written(&series);
    let mut finding = scattered(&series, 2);
    let right = segmentation(&source(&series), &finding, &context()).unwrap().bytes;
    let objection = |seg: &[u8], finding: &Segmentation, expected: &str| {
        let (passed, said) = ask(&python, seg, folder.path(), finding);
        assert!(!passed && said.contains(expected), "{said}");
    };
    let other = series.clone().with(tags::PATIENT_ID, VR::LO, "PID002");
    let stranger = segmentation(&source(&other), &finding, &context()).unwrap().bytes;
    objection(&stranger, &finding, "dcentvfy printed");
    let mut outdated = finding.clone();
    outdated.segments[0].property = Code::new("T-A0100", "SRT", "Brain");
    let outdated = segmentation(&source(&series), &outdated, &context()).unwrap().bytes;
    objection(&outdated, &finding, "dciodvfy printed");
    let voxel = finding.labels.iter_mut().find(|label| **label == 1).unwrap();
    *voxel = 2;
    objection(&right, &finding, "dcmqi: segment 1 differs in 1 voxels");
    objection(&right, &finding, "highdicom: segment 2 differs in 1 voxels");
}

/// The 384-slice T1 study of the assets, whose orientation is oblique, whose decimals are overlong and whose
/// patient has an age without a unit.
#[test]
fn the_real_t1_study_satisfies_every_peer() {
    let Some(python) = python() else { return };
    let assets = std::env::var_os("SAGITTAL_ASSETS").map_or(repository().join("../shared/assets"), PathBuf::from);
    let archive = assets.join("data/mr_t1_dicom/T1w_384slices.tar.zst");
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(folder.path()).status();
    if !archive.exists() || !unpacked.is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: the T1 study is absent, or tar cannot unpack zstd");
        return;
    }
    let images = folder.path().join("dicoms");
    let mut files: Vec<_> = std::fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let bytes: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let source = SourceSeries::from_part10(&bytes).unwrap();
    let finding = ellipsoids(&source);
    let object = segmentation(&source, &finding, &context()).unwrap();
    assert_eq!(verify::segmentation(&object.bytes, &source, Some(&finding)), []);
    check(&python, "T1", &object.bytes, &images, &finding);
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
    Segmentation { labels, grid, segments: vec![segment(1), segment(2)], algorithm: algorithm() }
}

/// NumPy's own file format, version 1.0, of unsigned bytes in C order.
fn npy(labels: &Array3<u8>) -> Vec<u8> {
    let (k, j, i) = labels.dim();
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({k}, {j}, {i}), }}");
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(labels.iter());
    file
}
