//! The shipped models on the real T1 series of the assets (`SAGITTAL_ASSETS` or ../shared/assets), against the reference's
//! labels and volumes. Skipped, and said so, where assets, ONNX Runtime or zstd are missing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ndarray::Array3;
use sagittal::clock::{Clock, SystemClock, TestClock};
use sagittal::inference::{Engine, InferenceError, ModelPackage, ModelStore, Step};
use sagittal::volume::{Finding, Segmentation, Volume, read_nifti, read_series, resample_labels};

use crate::support::models::{engine, skipped};

fn assets() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/assets");
    std::env::var_os("SAGITTAL_ASSETS").map_or_else(beside, PathBuf::from)
}

fn dicom_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            dicom_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "dcm") {
            found.push(path);
        }
    }
}

/// The T1 series, read once for all tests.
fn t1() -> Result<&'static Volume, String> {
    static VOLUME: OnceLock<Result<Volume, String>> = OnceLock::new();
    let read = || {
        let archive = assets().join("data/mr_t1_dicom/T1w_384slices.tar.zst");
        if !archive.is_file() {
            return Err(format!("{} is missing", archive.display()));
        }
        let folder = tempfile::tempdir().unwrap();
        let tar = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(folder.path()).status();
        if !tar.is_ok_and(|s| s.success()) {
            return Err("tar with zstd is not installed".to_owned());
        }
        let mut files = Vec::new();
        dicom_files(folder.path(), &mut files);
        Ok(read_series(&files, &["regular"]).unwrap().volume)
    };
    VOLUME.get_or_init(read).as_ref().map_err(Clone::clone)
}

/// A shipped package whose networks are taken from the assets, the engine and the series; `None` where something is missing.
fn ready(id: &str, networks: &[&str]) -> Option<(tempfile::TempDir, ModelPackage, Engine, Volume)> {
    let engine = engine(id, &TestClock::at(0))?;
    let volume = match t1() {
        Ok(volume) => volume.clone(),
        Err(why) => {
            skipped(id, &why);
            return None;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join(id);
    std::fs::create_dir(&target).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(id).join("model.toml");
    std::fs::copy(shipped, target.join("model.toml")).unwrap();
    for network in networks {
        let from = assets().join("models").join(network);
        std::fs::copy(&from, target.join(from.file_name().unwrap())).unwrap();
    }
    let package = ModelStore::open(folder.path()).unwrap().load(id).unwrap();
    Some((folder, package, engine, volume))
}

fn run(package: &ModelPackage, engine: &Engine, volume: Volume) -> Segmentation {
    let start = SystemClock.now();
    let findings = engine.run(package, volume, &|_| (), &|| false).unwrap();
    report(&format!("{} took {} ms", package.id, SystemClock.now().0 - start.0));
    let Some(Finding::Segmentation(segmentation)) = findings.into_iter().next() else { panic!("no segmentation") };
    segmentation
}

fn report(text: &str) {
    std::io::stderr().write_all(format!("real: {text}\n").as_bytes()).unwrap();
}

/// Labels of the reference and ours, both on the reference's conformed grid.
fn beside_reference(found: &Segmentation, file: &str) -> (Array3<u8>, Array3<u8>) {
    let reference = read_nifti(&assets().join("data/mr_t1_dicom/expected").join(file)).unwrap();
    let ours = resample_labels(&found.labels, &found.grid, &reference.grid).unwrap();
    (reference.voxels.mapv(|v| v as u8), ours)
}

fn dice(a: &Array3<u8>, b: &Array3<u8>, label: u8) -> f64 {
    let count = |m: &Array3<u8>| m.iter().filter(|v| **v == label).count();
    let both = a.iter().zip(b).filter(|(x, y)| **x == label && **y == label).count();
    2.0 * both as f64 / (count(a) + count(b)) as f64
}

/// mL of a label on the source's grid.
fn volume_of(found: &Segmentation, label: u8) -> f64 {
    found.labels.iter().filter(|v| **v == label).count() as f64 * found.grid.voxel_volume() / 1000.0
}

#[test]
fn meshnet_gwm_agrees_with_the_reference() {
    let Some((_kept, package, engine, volume)) = ready("meshnet-gwm", &["meshnet/meshnet_model5_gw_ae.onnx"]) else {
        return;
    };
    let found = run(&package, &engine, volume);
    let (reference, ours) = beside_reference(&found, "seg_model5_gw_ae.nii.gz");
    for (label, expected) in [(1, 607.0), (2, 583.0)] {
        let (dice, ml) = (dice(&reference, &ours, label), volume_of(&found, label));
        report(&format!("meshnet-gwm label {label}: Dice {dice:.4}, {ml:.1} mL (reference {expected} mL)"));
        assert!(dice >= 0.99 && (ml / expected - 1.0).abs() < 0.02);
    }
}

#[test]
fn meshnet_18_gives_the_references_volumes() {
    let networks = ["meshnet/meshnet_model5_gw_ae.onnx", "meshnet/meshnet_model18cls.onnx"];
    let Some((_kept, package, engine, volume)) = ready("meshnet-18", &networks) else { return };
    let found = run(&package, &engine, volume);
    let (reference, ours) = beside_reference(&found, "seg_model18cls.nii.gz");
    let expected = [(2, 605.0), (1, 580.0), (6, 131.0), (7, 18.6), (14, 8.4), (13, 23.7), (3, 30.0)];
    for (label, expected) in expected {
        let (dice, ml) = (dice(&reference, &ours, label), volume_of(&found, label));
        let name = &found.segments[usize::from(label) - 1].name;
        report(&format!("meshnet-18 {name}: Dice {dice:.4}, {ml:.1} mL (reference {expected} mL)"));
        assert!((ml / expected - 1.0).abs() < 0.02, "{name}: {ml} mL");
    }
}

#[test]
fn deepbet_agrees_with_the_reference() {
    let networks = ["deepbet/deepbet_bbox_model.onnx", "deepbet/deepbet_model.onnx"];
    let Some((_kept, package, engine, volume)) = ready("deepbet", &networks) else { return };
    let found = run(&package, &engine, volume);
    let (reference, ours) = beside_reference(&found, "mask_deepbet.nii.gz");
    let (dice, ml) = (dice(&reference, &ours, 1), volume_of(&found, 1));
    report(&format!("deepbet: Dice {dice:.4}, {ml:.1} mL (reference 1792 mL)"));
    assert!(dice >= 0.99 && (ml / 1792.0 - 1.0).abs() < 0.01);
}

#[test]
fn a_running_network_is_stopped() {
    let Some((_kept, package, engine, volume)) = ready("meshnet-gwm", &["meshnet/meshnet_model5_gw_ae.onnx"]) else {
        return;
    };
    let running = std::sync::atomic::AtomicBool::new(false);
    let note = |p: sagittal::inference::Progress<'_>| {
        running.fetch_or(p.step == Step::Running, std::sync::atomic::Ordering::SeqCst);
    };
    let asked = std::cell::Cell::new(0);
    // The first question comes before the network starts, later ones while it runs.
    let cancelled = || {
        asked.set(asked.get() + i32::from(running.load(std::sync::atomic::Ordering::SeqCst)));
        asked.get() > 1
    };
    let outcome = engine.run(&package, volume, &note, &cancelled);
    assert!(matches!(outcome, Err(InferenceError::Cancelled)), "{outcome:?}");
    assert_eq!(asked.get(), 2, "asked once more while it ran, then stopped");
}

#[test]
#[ignore = "half a minute on two cores; run with --ignored"]
fn the_large_networks_agree_with_the_small() {
    let cases = [
        ("meshnet-gwm-large", vec!["meshnet/meshnet_model11_gw_ae.onnx"], "seg_model5_gw_ae.nii.gz", [1, 2]),
        (
            "meshnet-18-large",
            vec!["meshnet/meshnet_model5_gw_ae.onnx", "meshnet/meshnet_model30chan18cls.onnx"],
            "seg_model18cls.nii.gz",
            [1, 13],
        ),
    ];
    for (id, networks, file, labels) in cases {
        let Some((_kept, package, engine, volume)) = ready(id, &networks) else { return };
        let (small, large) = beside_reference(&run(&package, &engine, volume), file);
        for label in labels {
            let dice = dice(&small, &large, label);
            report(&format!("{id} label {label}: Dice with the small network {dice:.4}"));
            // Other weights draw other borders; a wrong label order or intensity scale would give far less.
            assert!(dice > 0.75);
        }
    }
}
