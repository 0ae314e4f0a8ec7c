//! Decoded pixels against the manifest of the shared assets: one image in every transfer syntax.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::*;
use crate::dicom::part10;

const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const TWELVE_BIT_JPEG: &str = "1.2.840.10008.1.2.4.51";
const LOSSY: [&str; 2] = ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91"];

/// The shared data folder; `None`, said loudly, when it is absent.
pub(in crate::volume) fn shared_data(what: &str) -> Option<PathBuf> {
    let assets = std::env::var_os("SAGITTAL_ASSETS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/assets"), PathBuf::from);
    let found = Some(assets.join("data")).filter(|p| p.is_dir());
    if found.is_none() {
        writeln_stderr(&format!("SKIPPED: {what}: no assets at {} (set SAGITTAL_ASSETS)", assets.display()));
    }
    found
}

fn writeln_stderr(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}").unwrap();
}

fn open(path: &std::path::Path) -> FileDicomObject<Dataset> {
    part10::parse(&std::fs::read(path).unwrap()).unwrap()
}

/// Stored values as numpy's bytes: the file's own byte order and bits allocated.
fn stored_bytes(object: &FileDicomObject<Dataset>, values: &[f32], layout: &PixelLayout) -> Vec<u8> {
    let big = object.meta().transfer_syntax() == BIG_ENDIAN;
    let stored = values.iter().map(|v| ((f64::from(*v) - layout.intercept) / layout.slope).round() as i64);
    stored
        .flat_map(|v| match (layout.allocated, big) {
            (8, _) => vec![v as u8],
            (16, false) => (v as u16).to_le_bytes().to_vec(),
            (16, true) => (v as u16).to_be_bytes().to_vec(),
            _ => (v as u32).to_le_bytes().to_vec(),
        })
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What is wrong with one row of the manifest, if anything.
fn compare(path: &std::path::Path, fields: &[&str]) -> Option<String> {
    let (syntax, pixels, least, most) = (fields[6], fields[16], fields[17], fields[18]);
    let mut object = open(path);
    if fields[10].starts_with("RGB") {
        let bytes = decompress(&object, 0, "x").unwrap();
        return (sha256(&bytes) != pixels).then(|| "RGB differs".into());
    }
    let layout = PixelLayout::of(&object, "x").unwrap();
    let mut values = vec![0.0; layout.pixels()];
    if let Err(error) = decode_into(&mut object, &layout, "x", &mut values) {
        return Some(error.to_string());
    }
    let bytes = stored_bytes(&object, &values, &layout);
    let rescaled = |v: &str| (v.parse::<f64>().unwrap() * layout.slope + layout.intercept) as f32;
    let found = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if LOSSY.contains(&syntax) {
        // Inverse cosine transforms may round differently by a grey level or two.
        let close = (found.0 - rescaled(least)).abs() <= 4.0 && (found.1 - rescaled(most)).abs() <= 4.0;
        return (!close).then(|| format!("range {found:?} for {least}..{most}"));
    }
    (sha256(&bytes) != pixels).then(|| format!("pixels differ, range {found:?} for {least}..{most}"))
}

#[test]
fn every_transfer_syntax_gives_the_manifests_pixels() {
    let Some(data) = shared_data("pixels of the transfer syntax matrix") else { return };
    let manifest = std::fs::read_to_string(data.join("MANIFEST.csv")).unwrap();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for line in manifest.lines().filter(|l| l.starts_with("syntax_matrix/")) {
        // Quoted remarks about what the reference could not decode hold no further commas that matter here.
        let fields: Vec<&str> = line.split(',').collect();
        let comparable = fields[15] == "ok" && (fields[10].starts_with("MONO") || fields[6].contains("4.201"));
        if !comparable || fields[6] == TWELVE_BIT_JPEG {
            continue;
        }
        checked += 1;
        if let Some(fault) = compare(&data.join(fields[0]), &fields) {
            wrong.push(format!("{}: {fault}", fields[0]));
        }
    }
    assert!(checked >= 20, "only {checked} files were compared");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_syntax_without_a_codec_is_named() {
    let Some(data) = shared_data("JPEG that no codec here reads") else { return };
    let folder = data.join("syntax_matrix");
    let retired = folder.join("CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm");
    let error = part10::parse(&std::fs::read(retired).unwrap()).unwrap_err().to_string();
    assert!(error.contains("1.2.840.10008.1.2.4.55"), "{error}");
    // 12-bit samples under JPEG Extended
    for name in ["CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm", "JPGExtended.dcm"] {
        let error = decompress(&open(&folder.join(name)), 0, "1.2.3").unwrap_err().to_string();
        assert!(error.contains(TWELVE_BIT_JPEG) && error.contains("instance 1.2.3"), "{error}");
    }
}

#[test]
fn stored_values_are_cut_out_of_their_cells() {
    let layout = |allocated, stored, high, signed| PixelLayout {
        rows: 1,
        columns: 1,
        allocated,
        stored,
        high,
        signed,
        slope: 1.0,
        intercept: 0.0,
    };
    assert_eq!(layout(16, 12, 11, false).stored_value(0xf123), 0x123);
    assert_eq!(layout(16, 12, 11, true).stored_value(0x0fff), -1);
    assert_eq!(layout(16, 12, 15, false).stored_value(0x1234), 0x123);
    assert_eq!(layout(8, 8, 7, true).stored_value(0x80), -128);
    assert_eq!(layout(32, 32, 31, true).stored_value(0xffff_fffe), -2);
    assert_eq!(layout(32, 32, 31, false).stored_value(0xffff_fffe), 0xffff_fffe);
}
