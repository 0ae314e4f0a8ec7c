//! Results over other sources than single-frame series: Enhanced multi-frame images, frames in any order, and projection
//! images, which lie nowhere in the patient.

use dicom_dictionary_std::tags;
use sagittal::dicom::{Dataset, SegForm, frames, part10, text};
use sagittal::results::{
    ResultError, ResultObject, Scale, SourceSeries, key_images, measurement_report, segment_numbers, segmentation,
    structure_set, verify,
};
use sagittal::volume::{InstanceSource, Segmentation, measure, read_series};

use crate::support::findings::{FORMS, context, scattered};
use crate::support::multiframe::{Spacing, enhanced, projection};
use crate::support::phantom::Series;

pub struct Stored(pub Vec<u8>);

impl InstanceSource for Stored {
    fn name(&self) -> String {
        "in memory".into()
    }

    fn bytes(&self) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone())
    }
}

/// SEG, structure set where the source lies in the patient, report and key images, each heard by the referee.
pub fn all(source: &SourceSeries, finding: &Segmentation) -> Vec<ResultObject> {
    let seg = segmentation(source, finding, SegForm::default(), &context()).unwrap();
    assert_eq!(verify::segmentation(&seg.bytes, source, Some(finding)), []);
    let measured = measure(finding, None, &source.slabs(finding.grid.spacing()[2]));
    let numbers = segment_numbers(finding, SegForm::default()).unwrap();
    let report = measurement_report(source, finding, &measured, Some((&seg, &numbers)), &context()).unwrap();
    let faults = verify::measurement_report(&report.bytes, source, Some(&seg.bytes), Some(finding));
    assert_eq!(faults, []);
    let keys = key_images(source, finding, &measured, &context()).unwrap();
    assert_eq!(verify::key_images(&keys.bytes, source, Some(finding)), []);
    let structures = structure_set(source, finding, Some((&seg, SegForm::default())), &context());
    let mut objects = vec![seg, report, keys];
    match structures {
        Ok(object) => {
            assert_eq!(verify::structure_set(&object.bytes, source, Some(finding)), []);
            objects.push(object);
        }
        Err(error) => assert!(matches!(error, ResultError::NoFrameOfReference { .. }), "{error}"),
    }
    objects
}

fn every_form(source: &SourceSeries, finding: &Segmentation) {
    for form in FORMS {
        let object = segmentation(source, finding, form, &context()).unwrap();
        assert_eq!(verify::segmentation(&object.bytes, source, Some(finding)), [], "{form:?}");
    }
}

fn read(object: &ResultObject) -> Dataset {
    part10::parse(&object.bytes).unwrap().into_inner()
}

/// Phantoms and the order of the frames in the one instance.
pub fn multiframes() -> Vec<(Series, Vec<usize>)> {
    vec![
        (Series::new(17, 13, 6), vec![0, 1, 2, 3, 4, 5]),
        (Series::mr(9, 21, 5).oblique(), vec![4, 0, 3, 1, 2]),
        (Series::mr(17, 13, 4).reversed(), vec![0, 1, 2, 3]),
        (Series::new(17, 13, 7).without(&[2, 3]), vec![6, 5, 4, 1, 0]),
        (Series::new(16, 16, 1), vec![0]),
    ]
}

/// The phantom as its volume: that runs along the normal, the phantom perhaps against it.
pub fn along(series: &Series) -> Series {
    let mut along = series.clone();
    if series.reversed {
        along.origin = series.position(series.slices - 1);
        along.reversed = false;
    }
    along
}

#[test]
fn frames_of_an_enhanced_image_are_slices() {
    for (series, order) in multiframes() {
        let accept = ["regular", "missing-slices", "single-slice"];
        let instances: Vec<Stored> = series.instances().into_iter().map(Stored).collect();
        let single = read_series(&instances, &accept).unwrap();
        let multi = read_series(&[Stored(enhanced(&series, &order))], &accept).unwrap();
        assert_eq!(multi.volume.voxels, single.volume.voxels);
        assert_eq!((multi.volume.grid, multi.verdict), (single.volume.grid, single.verdict));
        let found: Vec<_> = multi.headers.iter().map(|header| frames::number(header).unwrap() as usize - 1).collect();
        let slices: Vec<usize> = found.iter().map(|frame| order[*frame]).collect();
        let along: Vec<_> =
            if series.reversed { series.present().into_iter().rev().collect() } else { series.present() };
        assert_eq!(slices, along);
    }
}

#[test]
fn results_over_enhanced_images_name_their_frames() {
    for (series, order) in multiframes() {
        let file = enhanced(&series, &order);
        let source = SourceSeries::from_part10(std::slice::from_ref(&file)).unwrap();
        let finding = scattered(&along(&series), 3);
        every_form(&source, &finding);
        let objects = all(&source, &finding);
        assert_eq!(objects.len(), 4);
        let seg = read(&objects[0]);
        let series_item = &seg.get(tags::REFERENCED_SERIES_SEQUENCE).unwrap().items().unwrap()[0];
        let named = series_item.get(tags::REFERENCED_INSTANCE_SEQUENCE).unwrap().items().unwrap();
        assert_eq!(named.len(), 1, "one instance, however many frames");
    }
}

#[test]
fn a_frame_too_far_is_noticed() {
    let (series, order) = multiframes().remove(0);
    let source = SourceSeries::from_part10(&[enhanced(&series, &order)]).unwrap();
    let finding = scattered(&series, 2);
    let others = SourceSeries::from_part10(&[enhanced(&series, &[5, 4, 3, 2, 1, 0])]).unwrap();
    for object in all(&source, &finding) {
        let faults = match object.kind {
            "seg" => verify::segmentation(&object.bytes, &others, Some(&finding)),
            "rtstruct" => verify::structure_set(&object.bytes, &others, Some(&finding)),
            "ko" => verify::key_images(&object.bytes, &others, Some(&finding)),
            // A report names single frames only where calipers lie; those are frames of the other order, too.
            _ => continue,
        };
        assert!(!faults.is_empty(), "{}", object.kind);
    }
}

/// A projection image as a source, and structures on it.
pub fn film(series: &Series, file: Vec<u8>) -> (SourceSeries, Segmentation) {
    let read_volume = read_series(&[Stored(file)], &["no-geometry"]).unwrap();
    let mut finding = scattered(series, 2);
    finding.grid = read_volume.volume.grid;
    (SourceSeries::new(read_volume.headers).unwrap(), finding)
}

#[test]
fn results_over_projections_lie_nowhere_in_the_patient() {
    let series = Series::new(33, 17, 1);
    for (spacing, scale) in
        [(Spacing::Calibrated, Scale::Patient), (Spacing::Detector, Scale::Detector), (Spacing::None, Scale::Pixels)]
    {
        let (source, finding) = film(&series, projection(&series, spacing));
        assert_eq!((source.scale(), source.frame_of_reference()), (scale, None));
        every_form(&source, &finding);
        let objects = all(&source, &finding);
        assert_eq!(objects.len(), 3, "no structure set");
        let seg = read(&objects[0]);
        assert_eq!(text(&seg, tags::FRAME_OF_REFERENCE_UID), None);
        let shared = &seg.get(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap()[0];
        assert_eq!(shared.get(tags::PIXEL_MEASURES_SEQUENCE).is_some(), scale == Scale::Patient);
    }
}

#[test]
fn projections_are_refused_where_they_are_not_accepted() {
    let file = || Stored(projection(&Series::new(9, 9, 1), Spacing::Detector));
    let refused = |instances: &[Stored], accept: &[&str]| read_series(instances, accept).unwrap_err().to_string();
    let told = refused(&[file()], &["regular", "single-slice"]);
    assert!(told.contains("ImagePositionPatient (0020,0032) is missing") && told.contains("accept"), "{told}");
    let told = refused(&[file(), file()], &["no-geometry"]);
    assert!(told.contains("2 images without planes"), "{told}");
}
