//! Single defects of segmentations: the list of `result-objects.md` section 2.4, of which the usual validators miss ten.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use sagittal::dicom::{Dataset, SegForm};
use sagittal::results::{SourceSeries, segmentation, verify};
use sagittal::volume::Segmentation;

use super::{Mutation, changed, inside, put, score, set, texts};
use crate::support::findings::{context, scattered, source};
use crate::support::phantom::Series;

pub(super) const MUTATIONS: &[Mutation] = &[
    ("no_for_uid", "V2", |d| drop(d.take(tags::FRAME_OF_REFERENCE_UID))),
    ("wrong_for_uid", "V2", |d| set(d, tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.4")),
    ("no_refseries", "V3", |d| drop(d.take(tags::REFERENCED_SERIES_SEQUENCE))),
    ("no_derivation", "V3", |d| frames(d, |f, _| drop(f.take(tags::DERIVATION_IMAGE_SEQUENCE)))),
    ("dangling_source", "V3", |d| {
        frames(d, |f, _| {
            inside(f, tags::DERIVATION_IMAGE_SEQUENCE, |i| {
                inside(i, tags::SOURCE_IMAGE_SEQUENCE, |i| {
                    set(i, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4.5");
                });
            });
        });
    }),
    ("dim_values_wrong", "V6", |d| {
        frames(d, |f, _| {
            inside(f, tags::FRAME_CONTENT_SEQUENCE, |i| {
                put(i, tags::DIMENSION_INDEX_VALUES, VR::UL, PrimitiveValue::U32([1, 1].to_vec().into()));
            });
        });
    }),
    ("dim_index_seq_missing", "V6", |d| drop(d.take(tags::DIMENSION_INDEX_SEQUENCE))),
    ("dim_org_uid_mismatch", "V6", |d| {
        inside(d, tags::DIMENSION_INDEX_SEQUENCE, |i| set(i, tags::DIMENSION_ORGANIZATION_UID, VR::UI, "1.2.3"));
    }),
    ("frames_reversed_positions", "V4", |d| {
        let mut positions = Vec::new();
        frames(d, |f, _| positions.push(f.take(tags::PLANE_POSITION_SEQUENCE).unwrap()));
        frames(d, |f, _| drop(f.put(positions.pop().unwrap())));
    }),
    ("z_offset_1mm", "V4", |d| {
        frames(d, |f, _| {
            inside(f, tags::PLANE_POSITION_SEQUENCE, |i| {
                let mut position = i.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
                position[2] += 1.0;
                put(i, tags::IMAGE_POSITION_PATIENT, VR::DS, texts(&position));
            });
        });
    }),
    ("spacing_swapped_value", "V5", |d| {
        inside(d, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, |i| {
            inside(i, tags::PIXEL_MEASURES_SEQUENCE, |i| put(i, tags::PIXEL_SPACING, VR::DS, texts(&[1.0, 1.0])));
        });
    }),
    ("bit_order_msb", "V8", |d| pixels(d, |data| data.iter_mut().for_each(|b| *b = b.reverse_bits()))),
    ("nframes_wrong", "V8", |d| set(d, tags::NUMBER_OF_FRAMES, VR::IS, "170")),
    ("pixeldata_short", "V8", |d| pixels(d, |data| data.truncate(data.len() - 64))),
    ("seg_number_gap", "S3", |d| segment(d, 2, |s| put(s, tags::SEGMENT_NUMBER, VR::US, 5_u16.into()))),
    ("frame_refs_unknown_segment", "S3", |d| {
        frames(d, |f, index| {
            inside(f, tags::SEGMENT_IDENTIFICATION_SEQUENCE, |i| {
                if index == 0 {
                    put(i, tags::REFERENCED_SEGMENT_NUMBER, VR::US, 9_u16.into());
                }
            });
        });
    }),
    ("no_algo_name", "S4", |d| segment(d, 0, |s| drop(s.take(tags::SEGMENT_ALGORITHM_NAME)))),
    ("no_prop_type", "S4", |d| segment(d, 0, |s| drop(s.take(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)))),
    ("bad_content_label", "C10", |d| set(d, tags::CONTENT_LABEL, VR::CS, "ai result")),
    ("patient_id_other", "V1", |d| set(d, tags::PATIENT_ID, VR::LO, "OTHER")),
    ("study_uid_other", "V1", |d| set(d, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9")),
    ("charset_dropped", "V10", |d| set(d, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")),
    ("no_accession", "V1", |d| drop(d.take(tags::ACCESSION_NUMBER))),
    ("burned_lossy_missing", "C12", |d| drop(d.take(tags::LOSSY_IMAGE_COMPRESSION))),
    ("segments_overlap_wrong", "V7", |d| set(d, tags::SEGMENTS_OVERLAP, VR::CS, "YES")),
    ("colour_out_of_range", "S4", |d| {
        let colour = PrimitiveValue::U16([4464, 0, 0].to_vec().into());
        segment(d, 0, |s| put(s, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, VR::US, colour.clone()));
    }),
    ("uid_leading_zero", "C5", |d| {
        set(d, tags::SOP_INSTANCE_UID, VR::UI, "1.2.03.4");
        d.update_meta(|meta| meta.media_storage_sop_instance_uid = "1.2.03.4".into());
    }),
    ("photometric_mono1", "S1", |d| set(d, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1")),
    ("code_meaning_missing", "S4", |d| {
        segment(d, 0, |s| inside(s, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, |i| drop(i.take(tags::CODE_MEANING))));
    }),
    ("srt_code", "S4", |d| {
        segment(d, 0, |s| {
            inside(s, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, |i| {
                set(i, tags::CODE_VALUE, VR::SH, "T-28000");
                set(i, tags::CODING_SCHEME_DESIGNATOR, VR::SH, "SRT");
            });
        });
    }),
    ("series_same_as_source", "V12", |d| {
        let source = d.element(tags::REFERENCED_SERIES_SEQUENCE).unwrap().items().unwrap()[0].clone();
        d.put(source.element(tags::SERIES_INSTANCE_UID).unwrap().clone());
    }),
    ("timezone_missing", "V1", |d| drop(d.take(tags::TIMEZONE_OFFSET_FROM_UTC))),
];

fn golden() -> (Series, SourceSeries, Segmentation, Vec<u8>) {
    let series = Series::new(25, 21, 8);
    let (source, finding) = (source(&series), scattered(&series, 3));
    let object = segmentation(&source, &finding, SegForm::default(), &context()).unwrap();
    (series, source, finding, object.bytes)
}

#[test]
fn every_defect_is_caught_under_its_rule() {
    let (series, source, finding, golden) = golden();
    let judge = |bytes: &[u8]| verify::segmentation(bytes, &source, Some(&finding));
    score("SEG", MUTATIONS, &series, &golden, &judge);
}

/// Without the finding at hand, only what needs it may slip through.
#[test]
fn most_defects_are_caught_without_the_finding() {
    let (_, source, _, golden) = golden();
    assert_eq!(verify::segmentation(&golden, &source, None), []);
    let missed = |mutation: &&Mutation| {
        verify::segmentation(&changed(&golden, mutation), &source, None).is_empty() && mutation.0 != "bit_order_msb"
    };
    let missed: Vec<_> = MUTATIONS.iter().filter(missed).map(|(name, ..)| *name).collect();
    assert_eq!(missed, ["colour_out_of_range"]);
}

#[test]
fn a_single_wrong_voxel_is_caught() {
    let (_, source, finding, mut golden) = golden();
    let last = golden.len() - 3;
    golden[last] ^= 0x04;
    let faults = verify::segmentation(&golden, &source, Some(&finding));
    assert!(faults.iter().any(|f| f.rule == "V8"), "{faults:?}");
}

#[test]
fn no_prefix_of_an_object_passes_or_panics() {
    let (_, source, finding, golden) = golden();
    for length in (0..golden.len()).step_by(211) {
        assert!(!verify::segmentation(&golden[..length], &source, Some(&finding)).is_empty(), "{length} bytes");
    }
}

fn frames(dataset: &mut Dataset, change: impl FnMut(&mut Dataset, usize)) {
    super::each(dataset, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, change);
}

fn segment(dataset: &mut Dataset, which: usize, mut change: impl FnMut(&mut Dataset)) {
    super::each(dataset, tags::SEGMENT_SEQUENCE, |item, index| {
        if index == which {
            change(item);
        }
    });
}

fn pixels(dataset: &mut Dataset, change: impl FnOnce(&mut Vec<u8>)) {
    let mut data = dataset.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    change(&mut data);
    put(dataset, tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(data.into()));
}
