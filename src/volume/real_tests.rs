//! Real series of the shared assets: an oblique T1 conformed as the reference did, a CT under the reference's
//! organs, and files that must be refused.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::pixels::tests::shared_data;
use super::*;

/// 0..255 with 255 at the 99.9th percentile of the values above 0, as the reference does in f32.
fn as_bytes(volume: &Volume) -> Vec<u8> {
    let values = volume.voxels.as_slice().unwrap();
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = quantiles(values, |v| v > 0.0, &[0.999]).unwrap()[0] as f32;
    values.iter().map(|v| ((v - least) / (most - least) * 255.0).clamp(0.0, 255.0).round_ties_even() as u8).collect()
}

#[test]
fn the_conformed_t1_is_the_references_input() {
    let Some(data) = shared_data("the real T1 series") else { return };
    let folder = tempfile::tempdir().unwrap();
    let archive = data.join("mr_t1_dicom/T1w_384slices.tar.zst");
    let untarred = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(folder.path()).status();
    if !untarred.is_ok_and(|s| s.success()) {
        writeln!(std::io::stderr(), "SKIPPED: the real T1 series: tar with zstd is not installed").unwrap();
        return;
    }
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "dcm") {
                files.push(entry);
            }
        }
    }
    let series = read_series(&files, &["regular"]).unwrap();
    assert_eq!((series.headers.len(), series.volume.grid.size[2]), (384, 384));

    let wanted = Orientation::parse("LIA").unwrap();
    let grid = Grid::conformed(&series.volume.grid, [256; 3], 1.0, wanted);
    let conformed = resample(&series.volume, &grid, 0.0).unwrap();
    let expected = read_nifti(&data.join("mr_t1_dicom/expected/T1w_conformed_256_LIA_u8.nii.gz")).unwrap();
    assert_eq!(Orientation::closest(&expected.grid).unwrap(), wanted);
    let away = crate::dicom::norm(crate::dicom::sub(expected.grid.origin, grid.origin));
    assert!(away < 1e-3, "the grids' origins are {away} mm apart");

    let found = as_bytes(&conformed);
    let differences = || found.iter().zip(&expected.voxels).map(|(a, b)| (f32::from(*a) - b).abs());
    let (largest, differing) = (differences().fold(0.0, f32::max), differences().filter(|d| *d > 0.0).count());
    writeln!(std::io::stderr(), "conformed T1: largest difference {largest}, {differing} of {} voxels", found.len())
        .unwrap();
    assert!(largest <= 1.0 && differing < 2000, "largest difference {largest}, {differing} voxels differ");
}

fn files_in(folder: &std::path::Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|p| p.is_file()).collect();
    files.sort();
    files
}

#[test]
fn organs_of_the_reference_lie_where_the_ct_has_their_density() {
    let Some(data) = shared_data("the CT with reference organs") else { return };
    let series = read_series(&files_in(&data.join("ct_body_dicom_fixed")), &["regular"]).unwrap();
    let organs = read_nifti(&data.join("nifti/example_seg_dicom.nii.gz")).unwrap();
    let labels = organs.voxels.mapv(|v| v as u8);
    let onto = resample_labels(&labels, &organs.grid, &series.volume.grid).unwrap();
    assert_eq!(onto.iter().filter(|l| **l > 0).count(), labels.iter().filter(|l| **l > 0).count(), "one grid");
    // TotalSegmentator's numbers, with volume (mL) and mean (HU) as the assets' README states them
    for (label, volume, mean) in [(5, 699.0, 89.0), (1, 249.0, 80.0), (52, 22.0, 177.0)] {
        let inside =
            || onto.iter().zip(&series.volume.voxels).filter(|(l, _)| **l == label).map(|(_, v)| f64::from(*v));
        let count = inside().count() as f64;
        let found = (count * series.volume.grid.voxel_volume() / 1000.0, inside().sum::<f64>() / count);
        assert!((found.0 - volume).abs() < 1.0 && (found.1 - mean).abs() < 1.0, "{label}: {found:?}");
    }
}

#[test]
fn odd_files_are_refused_or_read_but_never_panic() {
    let Some(data) = shared_data("odd files") else { return };
    let folders = [data.join("odd"), data.join("odd/charset"), data.join("enhanced"), data.join("seg_rt_sr")];
    let files: Vec<PathBuf> = folders.iter().filter(|f| f.is_dir()).flat_map(|f| files_in(f)).collect();
    assert!(files.len() > 15);
    let result = |name: &str| read_series(&[data.join("odd").join(name)], &["single-slice"]);
    let message = |name: &str| result(name).unwrap_err().to_string();
    let readable = files.iter().filter(|f| read_series(std::slice::from_ref(*f), &["single-slice"]).is_ok()).count();
    assert!((1..files.len() - 10).contains(&readable), "{readable} of {}", files.len());
    assert!(message("MR_truncated.dcm").contains("MR_truncated.dcm is not readable"));
    assert!(message("no-pixel-spacing.dcm").contains("no-geometry"));
    assert!(message("nested_priv_SQ.dcm").contains("no PixelData"));
    assert!(message("SC_rgb_small_odd.dcm").contains("grey-scale"));
    // one frame in several fragments
    let joined = result("D_CLUNIE_CT1_RLE_FRAGS.dcm");
    assert!(matches!(&joined, Ok(_) | Err(VolumeError::Geometry { .. })), "{:?}", joined.err());
}
