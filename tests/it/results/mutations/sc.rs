//! Single defects of Secondary Captures: of the multi-frame one, and of one of a single slice.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;
use sagittal::dicom::{CaptureDrawing, CaptureLayout, Dataset};
use sagittal::results::verify;
use sagittal::volume::Segmentation;

use super::{Mutation, each, inside, put, score, set, texts};
use crate::results::sc::{drawn, form, voxels};
use crate::support::findings::{labelled, source};
use crate::support::phantom::Series;

const FRAMES: &[Mutation] = &[
    ("modality_other", "H2", |d| set(d, tags::MODALITY, VR::CS, "SC")),
    ("not_derived", "H2", |d| {
        put(
            d,
            tags::IMAGE_TYPE,
            VR::CS,
            dicom_core::PrimitiveValue::Strs(["ORIGINAL".into(), "PRIMARY".into()].into()),
        );
    }),
    ("digitized_film", "H2", |d| set(d, tags::CONVERSION_TYPE, VR::CS, "DF")),
    ("class_single_frame", "H1", |d| {
        set(d, tags::SOP_CLASS_UID, VR::UI, uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
        d.update_meta(|meta| meta.media_storage_sop_class_uid = uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into());
    }),
    ("burned_in_denied", "H2", |d| set(d, tags::BURNED_IN_ANNOTATION, VR::CS, "NO")),
    ("for_diagnosis", "H2", |d| set(d, tags::DERIVATION_DESCRIPTION, VR::ST, "Outlines over the source image")),
    ("no_derivation_code", "H2", |d| drop(d.take(tags::DERIVATION_CODE_SEQUENCE))),
    ("color_by_plane", "H2", |d| put(d, tags::PLANAR_CONFIGURATION, VR::US, 1_u16.into())),
    ("ybr_claimed", "H2", |d| set(d, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "YBR_FULL")),
    ("lossy_claimed", "C12", |d| set(d, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01")),
    ("frames_miscounted", "V8", |d| set(d, tags::NUMBER_OF_FRAMES, VR::IS, "3")),
    ("pointer_missing", "H1", |d| drop(d.take(tags::FRAME_INCREMENT_POINTER))),
    ("pointer_to_nothing", "H1", |d| {
        put(d, tags::FRAME_INCREMENT_POINTER, VR::AT, dicom_core::PrimitiveValue::from(tags::FRAME_TIME_VECTOR));
    }),
    ("source_images_missing", "V3", |d| drop(d.take(tags::SOURCE_IMAGE_SEQUENCE))),
    ("source_dangling", "V3", |d| source_item(d, tags::REFERENCED_SOP_INSTANCE_UID, "1.2.3.4")),
    ("source_class_other", "V3", |d| source_item(d, tags::REFERENCED_SOP_CLASS_UID, uids::MR_IMAGE_STORAGE)),
    ("source_order_reversed", "V4", |d| {
        d.update_value(tags::SOURCE_IMAGE_SEQUENCE, |value| value.items_mut().unwrap()[..4].reverse());
    }),
    ("purpose_other", "V3", |d| {
        inside(d, tags::SOURCE_IMAGE_SEQUENCE, |item| {
            inside(item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, |code| {
                set(code, tags::CODE_VALUE, VR::SH, "121320");
            });
        });
    }),
    ("segments_not_named", "V9", |d| {
        each(d, tags::SOURCE_IMAGE_SEQUENCE, |item, _| drop(item.take(tags::REFERENCED_SEGMENT_NUMBER)));
    }),
    ("frame_of_reference_other", "V2", |d| set(d, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.4")),
    ("position_off_1mm", "V4", |d| {
        inside(d, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, |group| {
            inside(group, tags::PLANE_POSITION_SEQUENCE, |place| {
                put(place, tags::IMAGE_POSITION_PATIENT, VR::DS, texts(&[-125.0, -120.5, -96.75]));
            });
        });
    }),
    ("spacing_swapped", "V5", |d| {
        shared(d, tags::PIXEL_MEASURES_SEQUENCE, |item| put(item, tags::PIXEL_SPACING, VR::DS, texts(&[0.75, 1.25])));
    }),
    ("orientation_other", "V5", |d| {
        shared(d, tags::PLANE_ORIENTATION_SEQUENCE, |item| {
            put(item, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, texts(&[1.0, 0.0, 0.0, 0.0, 0.0, -1.0]));
        });
    }),
    ("mirrored_orientation", "V5", |d| {
        put(d, tags::PATIENT_ORIENTATION, VR::CS, dicom_core::PrimitiveValue::Strs(["R".into(), "P".into()].into()));
    }),
    ("patient_id_other", "V1", |d| set(d, tags::PATIENT_ID, VR::LO, "OTHER")),
    ("study_uid_other", "V1", |d| set(d, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9")),
    ("series_same_as_source", "V12", |d| {
        set(d, tags::SERIES_INSTANCE_UID, VR::UI, series().series_uid().as_str());
    }),
    ("charset_other", "V10", |d| set(d, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")),
    ("no_serial_number", "C9", |d| drop(d.take(tags::DEVICE_SERIAL_NUMBER))),
    ("pixels_cut", "V8", |d| pixels(d, |bytes, _| bytes.truncate(bytes.len() - 2))),
    ("pixels_shifted", "V8", |d| pixels(d, |bytes, _| bytes.rotate_right(3))),
    ("rows_shifted", "V8", |d| pixels(d, |bytes, row| bytes.rotate_right(row))),
    ("mirrored", "V8", |d| {
        pixels(d, |bytes, row| {
            for line in bytes.chunks_exact_mut(row) {
                let reversed: Vec<u8> = line.as_chunks::<3>().0.iter().rev().flatten().copied().collect();
                line.copy_from_slice(&reversed);
            }
        });
    }),
    ("frames_swapped", "V8", |d| {
        pixels(d, |bytes, _| {
            let frame = bytes.len() / 4;
            bytes.rotate_right(frame);
        });
    }),
    ("blue_for_red", "V8", |d| {
        pixels(d, |bytes, _| bytes.as_chunks_mut::<3>().0.iter_mut().for_each(|p| p.swap(0, 2)));
    }),
    ("one_pixel_wrong", "V8", |d| {
        pixels(d, |bytes, row| bytes[row * 8 + 30..row * 8 + 33].copy_from_slice(&[255, 0, 0]));
    }),
    ("overlay_erased", "V8", |d| {
        pixels(d, |bytes, _| bytes.as_chunks_mut::<3>().0.iter_mut().for_each(|p| *p = [p[0]; 3]));
    }),
    ("source_inverted", "V8", |d| {
        pixels(d, |bytes, _| {
            let greys = bytes.as_chunks_mut::<3>().0.iter_mut().filter(|p| p[0] == p[1] && p[1] == p[2]);
            greys.for_each(|p| *p = p.map(|c| 255 - c));
        });
    }),
    ("source_in_other_window", "V8", |d| {
        pixels(d, |bytes, _| {
            let greys = bytes.as_chunks_mut::<3>().0.iter_mut().filter(|p| **p == [0; 3]);
            greys.for_each(|p| *p = [90; 3]);
        });
    }),
];

const SLICE: &[Mutation] = &[
    ("single spacing_swapped", "V5", |d| put(d, tags::PIXEL_SPACING, VR::DS, texts(&[0.75, 1.25]))),
    ("single spacing_missing", "V5", |d| drop(d.take(tags::PIXEL_SPACING))),
    ("single other_slice", "V8", |d| {
        source_item(d, tags::REFERENCED_SOP_INSTANCE_UID, series().instance_uid(2).as_str());
    }),
    ("single empty_slice", "H1", |d| {
        source_item(d, tags::REFERENCED_SOP_INSTANCE_UID, series().instance_uid(5).as_str());
    }),
    ("single orientation_missing", "C3", |d| drop(d.take(tags::PATIENT_ORIENTATION))),
    ("single preserves_nothing", "V3", |d| source_item(d, tags::SPATIAL_LOCATIONS_PRESERVED, "NO")),
    ("single rows_less", "V5", |d| put(d, tags::ROWS, VR::US, 20_u16.into())),
];

fn series() -> Series {
    Series::new(25, 21, 6)
}

/// Two boxes that grow with the slices, on four of them.
fn finding() -> Segmentation {
    labelled(&series(), 3, |k, j, i| {
        let inside = (1..5).contains(&k) && (3..8 + k).contains(&j);
        if inside && (2..8 + k).contains(&i) { 1 } else { 2 * u8::from(inside && i > 14) }
    })
}

#[test]
fn every_defect_is_caught_under_its_rule() {
    let (series, finding) = (series(), finding());
    let (source, voxels) = (source(&series), voxels(&series));
    for (layout, mutations) in [(CaptureLayout::Frames, FRAMES), (CaptureLayout::Slices, SLICE)] {
        let form = form(layout, CaptureDrawing::Outline);
        let (_, captures) = drawn(&series, &finding, form);
        let expected = verify::Drawn { finding: &finding, voxels: &voxels, form };
        let judge = |bytes: &[u8]| verify::secondary_capture(bytes, &source, Some(&expected));
        score("SC", mutations, &series, &captures[0].bytes, &judge);
        for length in (0..captures[0].bytes.len()).step_by(1931) {
            assert!(!judge(&captures[0].bytes[..length]).is_empty(), "{length} bytes");
        }
    }
}

/// Changes the first source image that is named.
fn source_item(d: &mut DefaultDicomObject, tag: Tag, value: &str) {
    let vr = if tag == tags::SPATIAL_LOCATIONS_PRESERVED { VR::CS } else { VR::UI };
    inside(d, tags::SOURCE_IMAGE_SEQUENCE, |item| set(item, tag, vr, value));
}

fn shared(d: &mut DefaultDicomObject, group: Tag, mut change: impl FnMut(&mut Dataset)) {
    inside(d, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, |shared| inside(shared, group, &mut change));
}

/// Changes the pixel data, knowing the bytes of a row.
fn pixels(d: &mut DefaultDicomObject, change: impl Fn(&mut Vec<u8>, usize)) {
    let columns: usize = sagittal::dicom::text(d, tags::COLUMNS).unwrap().parse().unwrap();
    let mut bytes = d.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    change(&mut bytes, columns * 3);
    put(d, tags::PIXEL_DATA, VR::OB, bytes.into());
}
