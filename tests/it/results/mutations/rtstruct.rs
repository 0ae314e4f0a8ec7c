//! Single defects of structure sets.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use sagittal::dicom::Dataset;
use sagittal::results::{SourceSeries, structure_set, verify};
use sagittal::volume::Segmentation;

use super::{Mutation, each, inside, put, score, set};
use crate::support::findings::{context, labelled, source};
use crate::support::phantom::Series;

const MUTATIONS: &[Mutation] = &[
    ("no_for_uid", "V2", |d| drop(d.take(tags::FRAME_OF_REFERENCE_UID))),
    ("wrong_for_uid", "V2", |d| set(d, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.4")),
    ("roi_in_other_frame", "V2", |d| {
        inside(d, tags::STRUCTURE_SET_ROI_SEQUENCE, |i| {
            set(i, tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.4");
        });
    }),
    ("reference_to_other_frame", "V2", |d| {
        inside(d, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, |i| {
            set(i, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.4");
        });
    }),
    ("no_references", "V2", |d| drop(d.take(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE))),
    ("reference_to_other_study", "R2", |d| {
        study(d, |i| set(i, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4"));
    }),
    ("reference_to_other_series", "R2", |d| {
        series(d, |i| set(i, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4"));
    }),
    ("image_left_out", "V3", |d| {
        series(d, |i| drop_items(i, tags::CONTOUR_IMAGE_SEQUENCE, |index| index == 2));
    }),
    ("image_of_other_class", "V3", |d| {
        series(d, |i| {
            inside(i, tags::CONTOUR_IMAGE_SEQUENCE, |i| {
                set(i, tags::REFERENCED_SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.4");
            });
        });
    }),
    ("contour_of_no_image", "R2", |d| contour(d, |c| drop(c.take(tags::CONTOUR_IMAGE_SEQUENCE)))),
    ("contour_of_strange_image", "R2", |d| {
        contour(d, |c| {
            inside(c, tags::CONTOUR_IMAGE_SEQUENCE, |i| set(i, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4"));
        });
    }),
    ("contour_of_next_image", "R3", |d| {
        let images = next_image(d);
        contour(d, |c| drop(c.put(images.clone())));
    }),
    ("z_offset_1mm", "R3", |d| moved(d, [0.0, 0.0, 1.0])),
    ("shifted_one_voxel", "V8", |d| moved(d, [0.75, 0.0, 0.0])),
    ("shifted_half_a_voxel", "V8", |d| moved(d, [0.375, 0.625, 0.0])),
    ("axes_swapped", "V8", |d| {
        points(d, |p| p.iter_mut().for_each(|p| *p = [p[1] - 4.5, p[0] + 4.5, p[2]]));
    }),
    ("contour_lost", "V8", |d| {
        inside(d, tags::ROI_CONTOUR_SEQUENCE, |i| drop_items(i, tags::CONTOUR_SEQUENCE, |index| index == 1));
    }),
    ("hole_filled", "V8", |d| points(d, |p| drop(p.drain(1..p.len() - 3)))),
    ("regions_swapped", "V8", |d| {
        let mut drawn = Vec::new();
        each(d, tags::ROI_CONTOUR_SEQUENCE, |i, _| drawn.push(i.take(tags::CONTOUR_SEQUENCE).unwrap()));
        each(d, tags::ROI_CONTOUR_SEQUENCE, |i, _| drop(i.put(drawn.pop().unwrap())));
    }),
    ("point_count_wrong", "R7", |d| contour(d, |c| set(c, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, "3"))),
    ("first_point_repeated", "R7", |d| points(d, |p| p.push(p[0]))),
    ("open_contour", "R7", |d| contour(d, |c| set(c, tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "OPEN_PLANAR"))),
    ("contour_of_two_points", "R7", |d| points(d, |p| p.truncate(2))),
    ("number_given_twice", "R9", |d| {
        each(d, tags::STRUCTURE_SET_ROI_SEQUENCE, |i, _| set(i, tags::ROI_NUMBER, VR::IS, "1"));
    }),
    ("roi_not_drawn", "R9", |d| drop_items(d, tags::ROI_CONTOUR_SEQUENCE, |index| index == 1)),
    ("roi_not_observed", "R9", |d| drop_items(d, tags::RTROI_OBSERVATIONS_SEQUENCE, |index| index == 1)),
    ("roi_without_contours", "R10", |d| {
        inside(d, tags::ROI_CONTOUR_SEQUENCE, |i| drop(i.take(tags::CONTOUR_SEQUENCE)));
    }),
    ("no_roi_name", "R9", |d| inside(d, tags::STRUCTURE_SET_ROI_SEQUENCE, |i| drop(i.take(tags::ROI_NAME)))),
    ("colour_out_of_range", "R9", |d| {
        inside(d, tags::ROI_CONTOUR_SEQUENCE, |i| set(i, tags::ROI_DISPLAY_COLOR, VR::IS, "300\\0\\0"));
    }),
    ("no_interpreter", "R9", |d| {
        inside(d, tags::RTROI_OBSERVATIONS_SEQUENCE, |i| drop(i.take(tags::ROI_INTERPRETER)));
    }),
    ("decimal_too_long", "C14", |d| {
        contour(d, |c| {
            let text = c.element(tags::CONTOUR_DATA).unwrap().to_str().unwrap().replacen('\\', "0000000000\\", 1);
            set(c, tags::CONTOUR_DATA, VR::DS, &text.replacen(".0000", ".00", 1));
        });
    }),
    ("no_approval", "R1", |d| drop(d.take(tags::APPROVAL_STATUS))),
    ("no_label", "C9", |d| drop(d.take(tags::STRUCTURE_SET_LABEL))),
    ("no_operators", "C3", |d| drop(d.take(tags::OPERATORS_NAME))),
    ("no_accession", "V1", |d| drop(d.take(tags::ACCESSION_NUMBER))),
    ("patient_id_other", "V1", |d| set(d, tags::PATIENT_ID, VR::LO, "OTHER")),
    ("study_uid_other", "V1", |d| set(d, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9")),
    ("charset_other", "V10", |d| set(d, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")),
    ("uid_leading_zero", "C5", |d| {
        set(d, tags::SOP_INSTANCE_UID, VR::UI, "1.2.03.4");
        d.update_meta(|meta| meta.media_storage_sop_instance_uid = "1.2.03.4".into());
    }),
    ("series_same_as_source", "V12", |d| {
        let mut uid = None;
        series(d, |i| uid = i.get(tags::SERIES_INSTANCE_UID).cloned());
        d.put(uid.unwrap());
    }),
    ("file_of_other_instance", "C15", |d| {
        d.update_meta(|meta| meta.media_storage_sop_instance_uid = "1.2.3.4".into());
    }),
];

/// A frame with a hole, and a bar beside it.
fn golden() -> (Series, SourceSeries, Segmentation, Vec<u8>) {
    let series = Series::new(25, 21, 6);
    let finding = labelled(&series, 2, |k, j, i| {
        let frame = (2..12).contains(&i) && (3..11).contains(&j) && !((5..8).contains(&i) && (5..8).contains(&j));
        if k == 0 {
            0
        } else if frame {
            1
        } else {
            2 * u8::from((15..20).contains(&i) && j > 12)
        }
    });
    let source = source(&series);
    let object = structure_set(&source, &finding, None, &context()).unwrap();
    (series, source, finding, object.bytes)
}

#[test]
fn every_defect_is_caught_under_its_rule() {
    let (series, source, finding, golden) = golden();
    let judge = |bytes: &[u8]| verify::structure_set(bytes, &source, Some(&finding));
    score("RTSTRUCT", MUTATIONS, &series, &golden, &judge);
}

#[test]
fn no_prefix_of_an_object_passes_or_panics() {
    let (_, source, finding, golden) = golden();
    for length in (0..golden.len()).step_by(97) {
        assert!(!verify::structure_set(&golden[..length], &source, Some(&finding)).is_empty(), "{length} bytes");
    }
}

fn study(dataset: &mut Dataset, mut change: impl FnMut(&mut Dataset)) {
    inside(dataset, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, |frame| {
        inside(frame, tags::RT_REFERENCED_STUDY_SEQUENCE, &mut change);
    });
}

fn series(dataset: &mut Dataset, mut change: impl FnMut(&mut Dataset)) {
    study(dataset, |study| inside(study, tags::RT_REFERENCED_SERIES_SEQUENCE, &mut change));
}

/// Changes the first contour of the first region.
fn contour(dataset: &mut Dataset, mut change: impl FnMut(&mut Dataset)) {
    inside(dataset, tags::ROI_CONTOUR_SEQUENCE, |region| inside(region, tags::CONTOUR_SEQUENCE, &mut change));
}

fn points(dataset: &mut Dataset, mut change: impl FnMut(&mut Vec<[f64; 3]>)) {
    contour(dataset, |contour| {
        let values = contour.element(tags::CONTOUR_DATA).unwrap().to_multi_float64().unwrap();
        let mut points = values.as_chunks::<3>().0.to_vec();
        change(&mut points);
        let texts = points.iter().flatten().map(|value| format!("{value:.4}")).collect();
        put(contour, tags::CONTOUR_DATA, VR::DS, PrimitiveValue::Strs(texts));
        set(contour, tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, &points.len().to_string());
    });
}

fn moved(dataset: &mut Dataset, by: [f64; 3]) {
    points(dataset, |points| {
        for point in points {
            *point = std::array::from_fn(|axis| point[axis] + by[axis]);
        }
    });
}

fn drop_items(dataset: &mut Dataset, tag: dicom_core::Tag, is_dropped: impl Fn(usize) -> bool) {
    dataset.update_value(tag, |value| {
        let mut index = 0;
        value.items_mut().unwrap().retain(|_| {
            index += 1;
            !is_dropped(index - 1)
        });
    });
}

/// The image of the first region's second contour.
fn next_image(dataset: &mut DefaultDicomObject) -> dicom_object::mem::InMemElement {
    let regions = dataset.element(tags::ROI_CONTOUR_SEQUENCE).unwrap().items().unwrap();
    let contours = regions[0].element(tags::CONTOUR_SEQUENCE).unwrap().items().unwrap();
    contours[1].element(tags::CONTOUR_IMAGE_SEQUENCE).unwrap().clone()
}
