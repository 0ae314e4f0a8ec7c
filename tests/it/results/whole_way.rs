//! What a pipeline asks for is what comes out of the program.

use dicom_dictionary_std::{tags, uids};
use sagittal::clock::TestClock;
use sagittal::dicom::{Dataset, text};
use sagittal::results::verify;

use crate::support::findings::source;
use crate::support::phantom::Series;
use crate::support::{models, site::Site};

fn read(path: &std::path::Path) -> (Dataset, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    (dicom_object::from_reader(bytes.as_slice()).unwrap().into_inner(), bytes)
}

#[test]
fn a_pipeline_writes_every_kind_of_result_that_it_names() {
    if models::engine("results of a pipeline", &TestClock::at(0)).is_none() {
        return;
    }
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let pipelines = r#"
[pipeline.threshold]
models = ["threshold"]
results = ["rtstruct", "seg"]
seg.form = "labelmap-rle"
"#;
    site.write("pipelines.toml", pipelines);
    let series = Series::new(16, 12, 6);
    let images = site.folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    for (k, file) in series.instances().iter().enumerate() {
        std::fs::write(images.join(format!("{k}.dcm")), file).unwrap();
    }
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
    assert_eq!(text(&seg, tags::SOP_CLASS_UID).as_deref(), Some(uids::LABEL_MAP_SEGMENTATION_STORAGE));
    let roi = &structures.element(tags::STRUCTURE_SET_ROI_SEQUENCE).unwrap().items().unwrap()[0];
    let definition = &roi.element(tags::DEFINITION_SOURCE_SEQUENCE).unwrap().items().unwrap()[0];
    assert_eq!(text(definition, tags::REFERENCED_SOP_INSTANCE_UID), text(&seg, tags::SOP_INSTANCE_UID));
    let number = |dataset| text(dataset, tags::SERIES_NUMBER).unwrap().parse::<u32>().unwrap();
    assert_eq!(number(&structures), number(&seg) + 1000);
}
