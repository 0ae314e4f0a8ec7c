//! Structure sets: what is drawn fills to what was found, and the referee notices when it does not.

use std::io::Cursor;

use dicom_dictionary_std::{tags, uids};
use sagittal::dicom::{Dataset, SegForm, text, texts};
use sagittal::results::{ResultError, ResultObject, segmentation, structure_set, verify};
use sagittal::volume::Segmentation;

use crate::support::findings::{context, labelled, overlapping, scattered, source};
use crate::support::phantom::Series;

fn write(series: &Series, finding: &Segmentation) -> ResultObject {
    let object = structure_set(&source(series), finding, None, &context()).unwrap();
    assert_eq!(verify::structure_set(&object.bytes, &source(series), Some(finding)), []);
    object
}

fn dataset(object: &ResultObject) -> Dataset {
    dicom_object::from_reader(Cursor::new(&object.bytes)).unwrap().into_inner()
}

fn items(dataset: &Dataset, tag: dicom_core::Tag) -> &[Dataset] {
    dataset.element(tag).unwrap().items().unwrap()
}

#[test]
fn every_size_orientation_and_order_fills_to_what_was_found() {
    let mut tiny = Series::new(9, 7, 3);
    tiny.spacing = [0.05, 0.02];
    let all = [
        Series::new(5, 5, 2),
        Series::new(1, 1, 3),
        Series::new(64, 32, 1),
        Series::new(127, 127, 3),
        Series::mr(17, 13, 6).oblique(),
        Series::new(17, 13, 6).reversed(),
        Series::mr(9, 21, 6).oblique().reversed(),
        Series::new(17, 13, 9).without(&[3, 4]),
        tiny,
    ];
    for series in all {
        write(&series, &scattered(&series, 4));
    }
}

#[test]
fn segments_that_share_voxels_are_drawn_in_full() {
    let series = Series::new(13, 11, 4);
    let finding = overlapping(&series);
    assert_eq!(items(&dataset(&write(&series, &finding)), tags::ROI_CONTOUR_SEQUENCE).len(), 3);
}

/// `result-objects.md` R8: a comb of 12,000 corners needs more than the 65534 bytes of an explicit DS.
#[test]
fn long_contours_are_written_whole() {
    let series = Series::new(513, 511, 1);
    // Twelve combs of 256 teeth on one spine.
    let finding =
        labelled(&series, 1, |_, j, i| u8::from(i == 0 || (j < 96 && (j % 8 == 0 || (j % 8 < 4 && i % 2 == 0)))));
    let object = write(&series, &finding);
    assert_eq!(object.transfer_syntax.as_str(), uids::IMPLICIT_VR_LITTLE_ENDIAN);
    let dataset = dataset(&object);
    let contours = items(&items(&dataset, tags::ROI_CONTOUR_SEQUENCE)[0], tags::CONTOUR_SEQUENCE);
    let longest =
        contours.iter().map(|c| c.element(tags::CONTOUR_DATA).unwrap().to_str().unwrap().len()).max().unwrap();
    assert!(longest > 65534, "{longest} bytes");
    for value in contours.iter().flat_map(|contour| texts(contour, tags::CONTOUR_DATA)) {
        assert!(value.len() <= 16, "{value}");
    }
}

/// `result-objects.md` R3: slices that are unevenly spaced are drawn where they are.
#[test]
fn every_contour_lies_on_its_own_slice() {
    let series = Series::new(9, 7, 9).without(&[2, 3, 6]);
    let dataset = dataset(&write(&series, &labelled(&series, 1, |_, j, i| u8::from(i > 2 && j > 2))));
    let contours = items(&items(&dataset, tags::ROI_CONTOUR_SEQUENCE)[0], tags::CONTOUR_SEQUENCE);
    let heights: Vec<f64> = contours.iter().map(|c| texts(c, tags::CONTOUR_DATA)[2].parse().unwrap()).collect();
    let expected: Vec<f64> = series.present().iter().map(|k| series.position(*k)[2]).collect();
    assert_eq!(heights, expected);
}

#[test]
fn regions_name_the_segments_that_they_are() {
    let series = Series::new(13, 11, 4);
    let finding = scattered(&series, 3);
    let seg = segmentation(&source(&series), &finding, SegForm::default(), &context()).unwrap();
    let object = structure_set(&source(&series), &finding, Some((&seg, SegForm::default())), &context()).unwrap();
    assert_eq!(verify::structure_set(&object.bytes, &source(&series), Some(&finding)), []);
    let dataset = dataset(&object);
    for (number, roi) in (1..).zip(items(&dataset, tags::STRUCTURE_SET_ROI_SEQUENCE)) {
        let definition = &items(roi, tags::DEFINITION_SOURCE_SEQUENCE)[0];
        assert_eq!(text(definition, tags::REFERENCED_SOP_INSTANCE_UID).as_deref(), Some(seg.sop_instance.as_str()));
        assert_eq!(text(definition, tags::REFERENCED_SEGMENT_NUMBER), Some(number.to_string()));
        assert_eq!(text(roi, tags::ROI_NAME), Some(format!("Structure {number}")));
    }
}

#[test]
fn the_same_run_draws_the_same_bytes() {
    let series = Series::new(16, 16, 4);
    let finding = scattered(&series, 2);
    assert_eq!(write(&series, &finding), write(&series, &finding));
    let result = structure_set(&source(&series), &labelled(&series, 2, |_, _, _| 0), None, &context());
    assert!(matches!(result, Err(ResultError::NothingFound)), "{result:?}");
}

#[test]
fn one_voxel_more_or_less_is_noticed() {
    let series = Series::new(16, 12, 4);
    let finding = labelled(&series, 1, |k, j, i| u8::from(k > 0 && (3..9).contains(&i) && (2..7).contains(&j)));
    let object = write(&series, &finding);
    for voxel in [[1, 2, 3], [1, 4, 5], [0, 0, 0], [3, 11, 15]] {
        let mut other = finding.clone();
        other.labels[voxel] = 1 - other.labels[voxel];
        let faults = verify::structure_set(&object.bytes, &source(&series), Some(&other));
        assert!(faults.iter().any(|fault| fault.rule == "V8"), "{voxel:?}: {faults:?}");
    }
}
