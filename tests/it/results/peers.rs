//! Results in other people's hands: dciodvfy, dcentvfy, dcmqi, Cornerstone and highdicom for segmentations, plastimatch,
//! dcmrtstruct2nii, rt-utils and drtdump for structure sets, through the scripts of `tests/peers`. Says so and passes
//! where their Python environment is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use ndarray::{Array3, Array4, Axis};
use sagittal::dicom::{CaptureDrawing, CaptureForm, Code, SegForm, SegmentationType};
use sagittal::results::{segment_numbers, segmentation, structure_set};
use sagittal::volume::Segmentation;
use tempfile::TempDir;

use super::gsps::state;
use super::pdf::{letterhead, reported};
use super::sc as captures;
use super::sr::{negative, selected, written};
use crate::support::findings::{FORMS, blobs, context, graded, labelled, overlapping, scattered, source};
use crate::support::phantom::Series;

/// Objects for a script to look at, each with its source images and what it should show.
pub struct Cases {
    pub folder: TempDir,
    pub arguments: Vec<PathBuf>,
}

impl Cases {
    pub fn new() -> Cases {
        Cases { folder: tempfile::tempdir().unwrap(), arguments: Vec::new() }
    }

    pub fn add(&mut self, name: &str, object: &[u8], sources: PathBuf, mask: &[u8]) {
        let case = self.folder.path().join(format!("{} {name}", self.arguments.len() / 3));
        std::fs::create_dir(&case).unwrap();
        let [object_path, mask_path] = ["object.dcm", "mask.npy"].map(|file| case.join(file));
        std::fs::write(&object_path, object).unwrap();
        std::fs::write(&mask_path, mask).unwrap();
        self.arguments.extend([object_path, sources, mask_path]);
    }

    /// The series' files, named in volume order.
    fn written(&self, series: &Series) -> PathBuf {
        let folder = self.folder.path().join(format!("source {}", self.arguments.len() / 3));
        std::fs::create_dir_all(&folder).unwrap();
        for (k, file) in series.instances().iter().enumerate() {
            std::fs::write(folder.join(format!("{k:04}.dcm")), file).unwrap();
        }
        folder
    }

    fn seg(&mut self, name: &str, series: &Series, finding: &Segmentation, form: SegForm) {
        let object = segmentation(&source(series), finding, form, &context()).unwrap();
        let sources = self.written(series);
        self.add(name, &object.bytes, sources, &npy(&shown(finding, form)));
    }

    pub fn structures(&mut self, name: &str, series: &Series, finding: &Segmentation) {
        let object = structure_set(&source(series), finding, None, &context()).unwrap();
        let sources = self.written(series);
        self.add(name, &object.bytes, sources, &npy(&shown(finding, SegForm::default())));
    }

    /// What the script says of all cases, and whether they passed.
    fn ask(&self, python: &Path, script: &str) -> (bool, String) {
        let script = repository().join("tests/peers").join(script);
        let done = Command::new(python).arg(script).args(&self.arguments).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    pub fn check(&self, python: &Path, script: &str) {
        let (passed, said) = self.ask(python, script);
        assert!(passed, "{said}");
    }
}

pub const SEG: &str = "check_seg.py";
const GSPS: &str = "check_gsps.py";
const SC: &str = "check_sc.py";
const SR: &str = "check_sr.py";
pub const RTSTRUCT: &str = "check_rtstruct.py";
const PDF: &str = "check_pdf.py";

/// Codes mean what the dictionaries made from PS3.16 say, as far as these reach.
#[test]
fn the_terminology_agrees_with_the_standard() {
    let Some(python) = python("peers") else { return };
    let files = ["structures.toml", "sets.toml"].map(|file| repository().join("models/terminology").join(file));
    let script = repository().join("tests/peers/check_terminology.py");
    let done = Command::new(python).arg(script).args(files).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
}

/// The interpreter of an environment of `scripts/peers.sh`.
pub fn python(environment: &str) -> Option<PathBuf> {
    let named = std::env::var_os("SAGITTAL_PEERS_PYTHON").filter(|_| environment == "peers").map(PathBuf::from);
    let own = repository().join(".venv").join(environment).join("bin/python");
    let found = named.or(Some(own)).filter(|python| python.exists());
    if found.is_none() {
        eprintln!("SKIPPED: no Python environment {environment}; run `make peers`");
    }
    found
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The value of each segment in each voxel, `[segment][k][j][i]`, as an object of one form should have it.
pub fn shown(finding: &Segmentation, form: SegForm) -> Array4<u8> {
    let fractional = form.stored == SegmentationType::Fractional;
    let numbers = segment_numbers(finding, form).unwrap();
    let (slices, rows, columns) = finding.labels.dim();
    let mut all = Array4::zeros((numbers.len(), slices, rows, columns));
    for (mut values, (label, _)) in all.axis_iter_mut(Axis(0)).zip(&numbers) {
        let place = finding.segments.iter().position(|s| s.label == *label).unwrap();
        match finding.probabilities.get(place).filter(|_| fractional) {
            Some(shares) => values.assign(shares),
            None => values.indexed_iter_mut().for_each(|(at, value)| {
                let mut labels = finding.layers().map(|layer| layer[at]).filter(|label| *label > 0);
                let here = match form.stored {
                    SegmentationType::Labelmap => labels.next() == Some(*label),
                    _ => labels.any(|other| other == *label),
                };
                *value = if here && fractional { 255 } else { u8::from(here) };
            }),
        }
    }
    all
}

#[test]
fn phantoms_satisfy_every_peer() {
    let Some(python) = python("peers") else { return };
    let all = [
        ("unaligned frames", Series::new(5, 5, 4), 2),
        ("odd frames, oblique", Series::mr(127, 127, 6).oblique(), 3),
        ("large odd frames", Series::new(513, 511, 12), 2),
        ("one slice", Series::new(64, 32, 1), 1),
        ("reversed", Series::new(33, 17, 5).reversed(), 3),
        ("oblique, reversed", Series::mr(33, 17, 5).oblique().reversed(), 3),
        ("missing slices", Series::new(32, 17, 9).without(&[3, 4]), 3),
        ("many segments", Series::new(65, 63, 12), 104),
    ];
    let mut cases = Cases::new();
    for (name, series, segments) in all {
        cases.seg(name, &series, &scattered(&series, segments), SegForm::default());
    }
    let series = Series::new(33, 17, 5);
    cases.seg("overlapping segments", &series, &overlapping(&series), SegForm::default());
    cases.check(&python, SEG);
}

#[test]
fn every_form_satisfies_every_peer() {
    let Some(python) = python("peers") else { return };
    let mut cases = Cases::new();
    for form in FORMS.into_iter().skip(1) {
        let name = format!("{} {}", form.stored.name(), if form.rle { "RLE" } else { "plain" });
        let odd = Series::new(33, 17, 5);
        cases.seg(&name, &odd, &scattered(&odd, 3), form);
        let oblique = Series::mr(65, 63, 6).oblique().reversed();
        cases.seg(&format!("{name}, oblique"), &oblique, &scattered(&oblique, 104), form);
        if form.stored == SegmentationType::Fractional {
            cases.seg(&format!("{name}, overlapping"), &odd, &overlapping(&odd), form);
            cases.seg(&format!("{name}, probabilities"), &odd, &graded(&odd), form);
        }
    }
    cases.check(&python, SEG);
}

/// Patients of several scripts, with and without what a hospital's records may hold.
pub fn patients() -> Vec<Series> {
    let small = || Series::new(8, 6, 3);
    vec![
        small().charset(Some("ISO_IR 100"), "Müller^Jörg"),
        small().charset(Some("ISO_IR 192"), "Müller^Jörg"),
        // What dicom-rs knows no codec for is carried byte for byte: Çelik^Ayşe in Latin-5.
        small().charset(Some("ISO_IR 148"), "\u{c7}elik^Ay\u{fe}e"),
        small().charset(Some("GB18030"), "Wang^XiaoDong=王^小东"),
        small().charset(Some("\\ISO 2022 IR 87"), "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B"),
        small()
            .charset(Some("\\ISO 2022 IR 149"), "Hong^Gildong=\u{1b}$)C\u{fb}\u{f3}^\u{1b}$)C\u{d1}\u{ce}\u{d4}\u{d7}"),
        small().charset(None, "Mueller^Joerg"),
        small().charset(Some(""), "Mueller^Joerg"),
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
    ]
}

#[test]
fn patients_of_every_script_satisfy_every_peer() {
    let Some(python) = python("peers") else { return };
    let mut cases = Cases::new();
    for (index, series) in patients().iter().enumerate() {
        cases.seg(&format!("patient {index}"), series, &scattered(series, 2), SegForm::default());
    }
    cases.check(&python, SEG);
}

/// The gates are no formality: one voxel, one character, one code.
#[test]
fn peers_object_to_what_is_wrong() {
    let Some(python) = python("peers") else { return };
    let series = Series::new(9, 7, 3);
    let finding = scattered(&series, 2);
    let written = |series: &Series, finding: &Segmentation| {
        segmentation(&source(series), finding, SegForm::default(), &context()).unwrap().bytes
    };
    let stranger = written(&series.clone().with(tags::PATIENT_ID, VR::LO, "PID002"), &finding);
    let mut outdated = finding.clone();
    outdated.segments[0].property = Code::new("T-A0100", "SRT", "Brain");
    let mut shifted = finding.clone();
    *shifted.labels.iter_mut().find(|label| **label == 1).unwrap() = 2;
    let mut cases = Cases::new();
    let objects =
        [("stranger", stranger), ("outdated", written(&series, &outdated)), ("right", written(&series, &finding))];
    for (name, object) in &objects {
        let expected = if *name == "right" { &shifted } else { &finding };
        let sources = cases.written(&series);
        cases.add(name, object, sources, &npy(&shown(expected, SegForm::default())));
    }
    let (passed, said) = cases.ask(&python, SEG);
    assert!(!passed);
    for expected in [
        "stranger: dcentvfy printed",
        "outdated: dciodvfy printed",
        "right: dcmqi: segment 1 differs in 1 voxels",
        "right: highdicom: segment 2 differs in 1 voxels",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn structure_sets_are_the_masks_for_every_reader() {
    let Some(python) = python("structures") else { return };
    let mut cases = Cases::new();
    for (index, series) in patients().iter().enumerate() {
        cases.structures(&format!("patient {index}"), series, &scattered(series, 2));
    }
    let series = Series::new(33, 17, 5);
    cases.structures("overlapping segments", &series, &overlapping(&series));
    let one = Series::new(33, 17, 1);
    cases.structures("one slice", &one, &scattered(&one, 2));
    cases.check(&python, RTSTRUCT);
}

#[test]
fn measurement_reports_satisfy_every_reader() {
    let Some(python) = python("peers") else { return };
    let mut cases = Cases::new();
    let mut all = patients();
    all.extend([
        Series::mr(33, 17, 5).oblique().reversed(),
        Series::new(33, 17, 9).without(&[3, 4]),
        Series::new(9, 7, 1),
    ]);
    for (index, series) in all.iter().enumerate() {
        let finding = scattered(series, 3);
        let (seg, report) = written(series, &finding);
        let sources = cases.written(series);
        cases.add(&format!("report {index}"), &report.bytes, sources, &npy(&shown(&finding, SegForm::default())));
        let beside = cases.arguments[cases.arguments.len() - 3].with_file_name("seg.dcm");
        std::fs::write(beside, &seg.bytes).unwrap();
    }
    let series = Series::new(9, 7, 3);
    let sources = cases.written(&series);
    let finding = scattered(&series, 2);
    let selection = selected(&series, &finding);
    cases.add("key images", &selection.bytes, sources.clone(), &[]);
    cases.add("nothing found", &negative(&series).1.bytes, sources, &[]);
    cases.check(&python, SR);
}

/// A patient's name in a script, as a page must show it.
fn scripts() -> Vec<(Series, &'static [&'static str])> {
    let named = |charset, name: &str| Series::new(48, 40, 9).charset(charset, name);
    vec![
        (named(Some("ISO_IR 100"), "Müller^Jörg^^Dr."), &["Müller, Dr. Jörg"]),
        (named(Some("ISO_IR 192"), "Żółć^Łukasz"), &["Żółć, Łukasz"]),
        (named(Some("ISO_IR 148"), "\u{c7}elik^Ay\u{fe}e"), &["Çelik, Ayşe"]),
        (named(Some("ISO_IR 126"), "Διονυσίου^Νίκος"), &["Διονυσίου, Νίκος"]),
        (named(Some("ISO_IR 144"), "Люксембург^Роза"), &["Люксембург, Роза"]),
        (named(Some("GB18030"), "Wang^XiaoDong=王^小东"), &["Wang, XiaoDong", "王 小东"]),
        (
            named(
                Some("\\ISO 2022 IR 87"),
                "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B=\u{1b}$B$d$^$@\u{1b}(B",
            ),
            &["Yamada, Tarou", "山田 太郎", "やまだ"],
        ),
        (
            named(
                Some("\\ISO 2022 IR 149"),
                "Hong^Gildong=\u{1b}$)C\u{fb}\u{f3}^\u{1b}$)C\u{d1}\u{ce}\u{d4}\u{d7}=\u{1b}$)C\u{c8}\u{ab}^\u{1b}$)C\u{b1}\u{e6}\u{b5}\u{bf}",
            ),
            &["Hong, Gildong", "洪 吉洞", "홍 길동"],
        ),
        (named(Some("ISO_IR 192"), "คำแก้ว^สมชาย"), &["สมชาย"]),
        (named(Some("ISO_IR 192"), "शर्मा^राज"), &["राज"]),
        (named(Some("ISO_IR 192"), "Cohen^David=כהן^דוד"), &["Cohen, David", "כהן דוד"]),
        (named(Some("ISO_IR 127"), "قباني^لنزار"), &["قباني", "لنزار"]),
        (named(None, "Mueller^Joerg"), &["Mueller, Joerg"]),
        (named(None, ""), &["PID001 (HOSP)"]),
    ]
}

#[test]
fn reports_satisfy_every_reader_in_every_script() {
    let (Some(python), Some(letterhead)) = (python("peers"), letterhead()) else { return };
    let mut cases = Cases::new();
    let mut add = |name: &str, series: &Series, finding: &Segmentation, pages: usize, texts: &[&str]| {
        let seg = segmentation(&source(series), finding, SegForm::default(), &context()).ok();
        let made = reported(series, finding, seg.as_slice(), &letterhead);
        assert_eq!(made.unshown, 0, "{name}");
        let sources = cases.written(series);
        let expected = format!("{pages}\n{}", texts.join("\n"));
        cases.add(name, &made.object.bytes, sources, expected.as_bytes());
        if let Some(seg) = seg {
            let beside = cases.arguments[cases.arguments.len() - 3].with_file_name("seg.dcm");
            std::fs::write(beside, seg.bytes).unwrap();
        }
    };
    for (index, (series, texts)) in scripts().iter().enumerate() {
        add(&format!("script {index}"), series, &scattered(series, 2), 2, texts);
    }
    for (index, series) in patients().iter().enumerate() {
        add(&format!("patient {index}"), series, &scattered(series, 2), 2, &["PID001", "ACC123", "1960-01-01"]);
    }
    let oblique = Series::mr(65, 63, 12).oblique().reversed();
    add("many structures", &oblique, &scattered(&oblique, 104), 4, &["All 104 structures found", "Structure 104"]);
    let nothing = labelled(&oblique, 3, |_, _, _| 0);
    add("nothing found", &oblique, &nothing, 2, &["Nothing found", "Structure 3 not found"]);
    add("probabilities", &oblique, &graded(&oblique), 2, &["Probability", "100 %"]);
    cases.check(&python, PDF);
}

/// Every layout, plain and run-length encoded, over odd sizes and directions; pixel by pixel against the mask.
#[test]
fn captures_satisfy_every_reader() {
    let Some(python) = python("peers") else { return };
    let mut cases = Cases::new();
    let mut all = vec![
        Series::new(33, 17, 3),
        Series::mr(65, 63, 4).oblique().reversed(),
        Series::new(17, 13, 5).without(&[3]),
        Series::new(9, 7, 2).with(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"),
        Series::new(9, 7, 2).with(tags::VOILUT_FUNCTION, VR::CS, "SIGMOID"),
    ];
    all.extend(patients().into_iter().take(2));
    for (index, series) in all.iter().enumerate() {
        let finding = scattered(series, 2);
        for layout in captures::LAYOUTS {
            let plain = captures::form(layout, CaptureDrawing::Outline);
            let (seg, pictures) = captures::drawn(series, &finding, CaptureForm { rle: index % 2 == 1, ..plain });
            let sources = cases.written(series);
            let mask = npy(&shown(&finding, SegForm::default()));
            for picture in pictures.iter().take(2) {
                cases.add(&format!("capture {index} {layout:?}"), &picture.bytes, sources.clone(), &mask);
                let beside = cases.arguments[cases.arguments.len() - 3].with_file_name("seg.dcm");
                std::fs::write(beside, &seg.bytes).unwrap();
            }
        }
    }
    cases.check(&python, SC);
}

#[test]
fn outlines_satisfy_every_reader() {
    let Some(python) = python("peers") else { return };
    let mut cases = Cases::new();
    let mut all = vec![
        Series::new(33, 17, 3),
        Series::mr(65, 63, 4).oblique().reversed(),
        Series::new(17, 13, 5).without(&[3]),
        Series::new(9, 7, 2).with(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"),
    ];
    all.extend(patients());
    for (index, series) in all.iter().enumerate() {
        let finding = scattered(series, 3);
        let sources = cases.written(series);
        let mask = npy(&shown(&finding, SegForm::default()));
        cases.add(&format!("outlines {index}"), &state(series, &finding).bytes, sources, &mask);
    }
    let series = Series::new(33, 17, 5);
    let sources = cases.written(&series);
    let finding = overlapping(&series);
    let mask = npy(&shown(&finding, SegForm::default()));
    cases.add("overlapping", &state(&series, &finding).bytes, sources, &mask);
    cases.check(&python, GSPS);
}

/// Random shapes with holes, islands in holes, corners that touch, at the borders: 200 with `make soak`.
#[test]
fn random_phantoms_are_exact_in_every_reader() {
    let Some(python) = python("structures") else { return };
    let count = std::env::var("SAGITTAL_PHANTOMS").ok().and_then(|count| count.parse().ok()).unwrap_or(12);
    let mut cases = Cases::new();
    for seed in 0..count {
        let (series, finding) = blobs(seed);
        cases.structures(&format!("phantom {seed}"), &series, &finding);
    }
    cases.check(&python, RTSTRUCT);
}

/// A label map as a NumPy file.
pub fn labels_npy(labels: &Array3<u8>) -> Vec<u8> {
    let (k, j, i) = labels.dim();
    npy_of(&format!("{k}, {j}, {i}"), labels.iter())
}

/// Values as a NumPy file.
pub fn npy(values: &Array4<u8>) -> Vec<u8> {
    let (n, k, j, i) = values.dim();
    npy_of(&format!("{n}, {k}, {j}, {i}"), values.iter())
}

/// NumPy's own file format, version 1.0, of unsigned bytes in C order.
fn npy_of<'v>(shape: &str, values: impl Iterator<Item = &'v u8>) -> Vec<u8> {
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values);
    file
}
