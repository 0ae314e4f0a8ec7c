//! What a pipeline asks for is what comes out of the program.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};
use sagittal::clock::TestClock;
use sagittal::dicom::{Dataset, SegForm, text};
use sagittal::ledger::{JobFilter, JobState};
use sagittal::results::{segmentation, structure_set, verify};
use serde_json::Value;

use super::pdf::letterhead;
use crate::support::findings::{context, scattered, source};
use crate::support::modality::{self, Outgoing};
use crate::support::models;
use crate::support::phantom::Series;
use crate::support::site::{Site, until};

fn read(path: &Path) -> (Dataset, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    (dicom_object::from_reader(bytes.as_slice()).unwrap().into_inner(), bytes)
}

/// The series' files, in a folder of their own.
fn written(series: &Series, site: &Site) -> PathBuf {
    let images = site.folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    for (k, file) in series.instances().iter().enumerate() {
        // Named against the volume order.
        std::fs::write(images.join(format!("{:04}.dcm", 100 - k)), file).unwrap();
    }
    images
}

#[test]
fn a_pipeline_writes_every_kind_of_result_that_it_names() {
    if models::engine("results of a pipeline", &TestClock::at(0)).is_none() || letterhead().is_none() {
        return;
    }
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let pipelines = r#"
[pipeline.threshold]
models = ["threshold"]
results = ["pdf", "gsps", "sc", "sr", "rtstruct", "seg"]
seg.form = "labelmap-rle"
sc = { layout = "frames", draw = "both", rle = true }
"#;
    site.write("pipelines.toml", pipelines);
    let series = Series::new(16, 12, 6);
    let images = written(&series, &site);
    let out = site.folder.path().join("out");
    let arguments = ["run", "threshold", images.to_str().unwrap(), "-o", out.to_str().unwrap()];
    let done = site.command(&arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let find = |kind: &str| {
        let mut files = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().path());
        read(&files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind)).unwrap())
    };
    let ((seg, seg_bytes), (structures, structure_bytes)) = (find("seg-"), find("rtstruct-"));
    assert_eq!(verify::segmentation(&seg_bytes, &source(&series), None), []);
    assert_eq!(verify::structure_set(&structure_bytes, &source(&series), None), []);
    let (report, report_bytes) = find("sr-");
    assert_eq!(verify::measurement_report(&report_bytes, &source(&series), Some(&seg_bytes), None), []);
    let (paper, paper_bytes) = find("pdf-");
    assert_eq!(verify::report(&paper_bytes, &source(&series), None), []);
    assert_eq!(text(&seg, tags::SOP_CLASS_UID).as_deref(), Some(uids::LABEL_MAP_SEGMENTATION_STORAGE));
    let (pictures, picture_bytes) = find("sc-");
    assert_eq!(verify::secondary_capture(&picture_bytes, &source(&series), None), []);
    assert_eq!(
        text(&pictures, tags::SOP_CLASS_UID).as_deref(),
        Some(uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE)
    );
    let (outlines, outline_bytes) = find("gsps-");
    assert_eq!(verify::presentation_state(&outline_bytes, &source(&series), None), []);
    let roi = &structures.element(tags::STRUCTURE_SET_ROI_SEQUENCE).unwrap().items().unwrap()[0];
    let definition = &roi.element(tags::DEFINITION_SOURCE_SEQUENCE).unwrap().items().unwrap()[0];
    assert_eq!(text(definition, tags::REFERENCED_SOP_INSTANCE_UID), text(&seg, tags::SOP_INSTANCE_UID));
    let number = |dataset| text(dataset, tags::SERIES_NUMBER).unwrap().parse::<u32>().unwrap();
    assert_eq!(number(&structures), number(&seg) + 1000);
    assert_eq!(number(&report), number(&seg) + 2000);
    assert_eq!(number(&pictures), number(&seg) + 4000);
    assert_eq!(number(&outlines), number(&seg) + 5000);
    assert!(number(&paper) > number(&report));
}

fn said(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let done = site.command(arguments).output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8(text).unwrap())
}

/// `sagittal verify`: exit code 0 when all is sound, 1 when anything is faulty, 3 when something cannot be judged.
#[test]
fn the_referee_judges_files_of_whatever_origin() {
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let series = Series::mr(16, 12, 6).oblique().reversed();
    let images = written(&series, &site);
    let finding = scattered(&series, 3);
    let seg = segmentation(&source(&series), &finding, SegForm::default(), &context()).unwrap();
    let structures = structure_set(&source(&series), &finding, None, &context()).unwrap();
    let other = series.clone().named("other study", "other series");
    let stranger = segmentation(&source(&other), &finding, SegForm::default(), &context()).unwrap();
    let [seg_path, structures_path, stranger_path] = ["seg", "structures", "stranger"]
        .map(|name| site.folder.path().join(format!("{name}.dcm")).to_str().unwrap().to_owned());
    std::fs::write(&seg_path, &seg.bytes).unwrap();
    std::fs::write(&structures_path, &structures.bytes).unwrap();
    std::fs::write(&stranger_path, &stranger.bytes).unwrap();
    let images = images.to_str().unwrap();
    let (code, text) = said(&site, &["verify", &seg_path, &structures_path, "--source", images]);
    assert_eq!((code, text.matches(": sound\n").count()), (Some(0), 2), "{text}");
    let (code, text) = said(&site, &["verify", &stranger_path, &seg_path, "--source", images, "--json"]);
    assert_eq!(code, Some(1), "{text}");
    let rows: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let rules: Vec<&str> = rows[0]["faults"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert!(["V1", "V2", "V3"].iter().all(|rule| rules.contains(rule)), "{rules:?}");
    assert_eq!(rows[1]["verdict"], "sound");
    let (code, text) = said(&site, &["verify", images, "--source", images]);
    assert!(code == Some(3) && text.contains("not judged"), "{text}");
}

/// Invariant 10: what the referee refuses is kept for a person to look at, and never sent.
#[test]
fn what_the_referee_refuses_goes_to_the_quarantine() {
    if models::engine("refused results", &TestClock::at(0)).is_none() {
        return;
    }
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let manifest = site.folder.path().join("models/threshold/model.toml");
    let retired = std::fs::read_to_string(&manifest).unwrap().replace("\"SCT\"", "\"SRT\"");
    std::fs::write(&manifest, retired).unwrap();
    let node = site.start();
    let instances = Series::new(16, 12, 6).instances();
    modality::send(node.address, &instances.iter().map(|file| Outgoing::of_part10(file)).collect::<Vec<_>>());
    let held = JobFilter { states: vec![JobState::Held], ..JobFilter::default() };
    until("the job is held", || !site.ledger().jobs(&held).unwrap().is_empty());
    let (code, text) = said(&site, &["quarantine", "list"]);
    assert!(code == Some(0) && text.contains("pipeline threshold") && text.contains("S4: segment 1"), "{text}");
    assert!(site.results().is_empty());
    assert!(node.stop().success());
}
