//! Single defects of presentation states.

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use sagittal::dicom::Dataset;
use sagittal::results::verify;

use super::{Mutation, each, inside, put, score, set, texts};
use crate::results::gsps::state;
use crate::support::findings::{labelled, source};
use crate::support::phantom::Series;

const MUTATIONS: &[Mutation] = &[
    ("modality_other", "G1", |d| set(d, tags::MODALITY, VR::CS, "OT")),
    ("class_color", "G1", |d| {
        set(d, tags::SOP_CLASS_UID, VR::UI, uids::COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE);
        d.update_meta(|m| m.media_storage_sop_class_uid = uids::COLOR_SOFTCOPY_PRESENTATION_STATE_STORAGE.into());
    }),
    ("no_label", "C9", |d| drop(d.take(tags::CONTENT_LABEL))),
    ("no_creation_date", "C9", |d| drop(d.take(tags::PRESENTATION_CREATION_DATE))),
    ("no_creator", "C3", |d| drop(d.take(tags::CONTENT_CREATOR_NAME))),
    ("patient_id_other", "V1", |d| set(d, tags::PATIENT_ID, VR::LO, "OTHER")),
    ("study_uid_other", "V1", |d| set(d, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9")),
    ("charset_other", "V10", |d| set(d, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")),
    ("series_other", "V3", |d| {
        inside(d, tags::REFERENCED_SERIES_SEQUENCE, |s| set(s, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4"));
    }),
    ("image_dangling", "V3", |d| {
        inside(d, tags::REFERENCED_SERIES_SEQUENCE, dangle);
    }),
    ("image_twice", "V3", |d| {
        inside(d, tags::REFERENCED_SERIES_SEQUENCE, |series| {
            series.update_value(tags::REFERENCED_IMAGE_SEQUENCE, |value| {
                let first = value.items().unwrap()[0].clone();
                value.items_mut().unwrap().push(first);
            });
        });
    }),
    ("annotation_on_nothing", "V3", |d| inside(d, tags::GRAPHIC_ANNOTATION_SEQUENCE, dangle)),
    ("annotation_on_next_image", "V8", |d| {
        inside(d, tags::GRAPHIC_ANNOTATION_SEQUENCE, |item| {
            let next = series().instance_uid(2);
            inside(item, tags::REFERENCED_IMAGE_SEQUENCE, |image| {
                set(image, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, next.as_str());
            });
        });
    }),
    ("annotation_lost", "V8", |d| {
        d.update_value(tags::GRAPHIC_ANNOTATION_SEQUENCE, |value| drop(value.items_mut().unwrap().pop()));
    }),
    ("area_cut", "G1", |d| {
        inside(d, tags::DISPLAYED_AREA_SELECTION_SEQUENCE, |item| {
            put(item, tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER, VR::SL, PrimitiveValue::I32([20, 21].into()));
        });
    }),
    ("area_flipped", "G1", |d| {
        inside(d, tags::DISPLAYED_AREA_SELECTION_SEQUENCE, |item| {
            put(item, tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER, VR::SL, PrimitiveValue::I32([25, 1].into()));
            put(item, tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER, VR::SL, PrimitiveValue::I32([1, 21].into()));
        });
    }),
    ("spacing_swapped", "V5", |d| {
        inside(d, tags::DISPLAYED_AREA_SELECTION_SEQUENCE, |item| {
            put(item, tags::PRESENTATION_PIXEL_SPACING, VR::DS, texts(&[0.75, 1.25]));
        });
    }),
    ("window_other", "G3", |d| {
        inside(d, tags::SOFTCOPY_VOILUT_SEQUENCE, |item| set(item, tags::WINDOW_CENTER, VR::DS, "50"));
    }),
    ("window_lost", "G3", |d| drop(d.take(tags::SOFTCOPY_VOILUT_SEQUENCE))),
    ("intercept_other", "G3", |d| set(d, tags::RESCALE_INTERCEPT, VR::DS, "0")),
    ("rescale_lost", "G3", |d| {
        for tag in [tags::RESCALE_INTERCEPT, tags::RESCALE_SLOPE, tags::RESCALE_TYPE] {
            d.take(tag);
        }
    }),
    ("inverted", "G3", |d| set(d, tags::PRESENTATION_LUT_SHAPE, VR::CS, "INVERSE")),
    ("layer_missing", "G2", |d| {
        d.update_value(tags::GRAPHIC_LAYER_SEQUENCE, |value| drop(value.items_mut().unwrap().pop()));
    }),
    ("layers_of_one_order", "G2", |d| {
        each(d, tags::GRAPHIC_LAYER_SEQUENCE, |item, _| set(item, tags::GRAPHIC_LAYER_ORDER, VR::IS, "1"));
    }),
    ("colors_swapped", "G2", |d| {
        let lab = tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE;
        let mut colors = Vec::new();
        each(d, tags::GRAPHIC_LAYER_SEQUENCE, |item, _| colors.push(item.take(lab).unwrap()));
        each(d, tags::GRAPHIC_LAYER_SEQUENCE, |item, _| drop(item.put(colors.pop().unwrap())));
    }),
    ("color_missing", "G2", |d| {
        inside(d, tags::GRAPHIC_LAYER_SEQUENCE, |item| {
            item.take(tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE);
        });
    }),
    ("layers_swapped", "V8", |d| {
        each(d, tags::GRAPHIC_ANNOTATION_SEQUENCE, |item, at| {
            set(item, tags::GRAPHIC_LAYER, VR::CS, ["S2_STRUCTURE_2", "S1_STRUCTURE_1"][at % 2]);
        });
    }),
    ("units_of_display", "G4", |d| line(d, |item| set(item, tags::GRAPHIC_ANNOTATION_UNITS, VR::CS, "DISPLAY"))),
    ("type_other", "G4", |d| line(d, |item| set(item, tags::GRAPHIC_TYPE, VR::CS, "INTERPOLATED"))),
    ("points_miscounted", "G4", |d| line(d, |item| put(item, tags::NUMBER_OF_GRAPHIC_POINTS, VR::US, 4_u16.into()))),
    ("line_open", "G4", |d| {
        line(d, |item| {
            points(item, |all| {
                all.truncate(all.len() - 2);
            });
        });
    }),
    ("line_off_half_a_pixel", "V8", |d| line(d, |item| points(item, |all| all.iter_mut().for_each(|v| *v += 0.6)))),
    ("line_outside", "G4", |d| line(d, |item| points(item, |all| all.iter_mut().for_each(|v| *v += 40.0)))),
    ("axes_swapped", "V8", |d| {
        line(d, |item| points(item, |all| all.as_chunks_mut::<2>().0.iter_mut().for_each(|p| p.swap(0, 1))));
    }),
    ("label_missing", "G4", |d| {
        inside(d, tags::GRAPHIC_ANNOTATION_SEQUENCE, |item| drop(item.take(tags::TEXT_OBJECT_SEQUENCE)));
    }),
    ("tracking_other", "V9", |d| line(d, |item| set(item, tags::TRACKING_UID, VR::UI, "1.2.3.4"))),
];

fn series() -> Series {
    Series::new(25, 21, 6)
}

#[test]
fn every_defect_is_caught_under_its_rule() {
    let series = series();
    let finding = labelled(&series, 3, |k, j, i| {
        let inside = (1..5).contains(&k) && (3..8 + k).contains(&j);
        if inside && (2..8 + k).contains(&i) { 1 } else { 2 * u8::from(inside && i > 14) }
    });
    let (golden, source) = (state(&series, &finding).bytes, source(&series));
    let judge = |bytes: &[u8]| verify::presentation_state(bytes, &source, Some(&finding));
    score("GSPS", MUTATIONS, &series, &golden, &judge);
    for length in (0..golden.len()).step_by(97) {
        assert!(!judge(&golden[..length]).is_empty(), "{length} bytes");
    }
}

/// Has the first image that is referred to be none of the source's.
fn dangle(item: &mut Dataset) {
    inside(item, tags::REFERENCED_IMAGE_SEQUENCE, |image| {
        set(image, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
    });
}

/// Changes the first line of the first annotation.
fn line(d: &mut Dataset, mut change: impl FnMut(&mut Dataset)) {
    inside(d, tags::GRAPHIC_ANNOTATION_SEQUENCE, |item| inside(item, tags::GRAPHIC_OBJECT_SEQUENCE, &mut change));
}

/// Changes the coordinates of a line, and says how many there are.
fn points(item: &mut Dataset, change: impl Fn(&mut Vec<f32>)) {
    let tag: Tag = tags::GRAPHIC_DATA;
    let mut all = item.element(tag).unwrap().to_multi_float32().unwrap();
    change(&mut all);
    put(item, tags::NUMBER_OF_GRAPHIC_POINTS, VR::US, ((all.len() / 2) as u16).into());
    put(item, tag, VR::FL, PrimitiveValue::F32(all.into()));
}
