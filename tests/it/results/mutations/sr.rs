//! Single defects of measurement reports.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;
use sagittal::dicom::{Dataset, text};
use sagittal::results::verify;

use super::{Mutation, each, inside, put, score, set};
use crate::results::sr::written;
use crate::support::findings::{labelled, source};
use crate::support::phantom::Series;

const MUTATIONS: &[Mutation] = &[
    ("no_template", "M1", |d| drop(d.take(tags::CONTENT_TEMPLATE_SEQUENCE))),
    ("other_title", "M1", |d| {
        inside(d, tags::CONCEPT_NAME_CODE_SEQUENCE, |i| set(i, tags::CODE_VALUE, VR::SH, "126001"));
    }),
    ("not_complete", "M1", |d| set(d, tags::COMPLETION_FLAG, VR::CS, "PARTIAL")),
    ("verified_by_nobody", "M1", |d| set(d, tags::VERIFICATION_FLAG, VR::CS, "VERIFIED")),
    ("modality_other", "M1", |d| set(d, tags::MODALITY, VR::CS, "OT")),
    ("group_lost", "M1", |d| {
        content(d, "126010", &mut |all| {
            all.update_value(tags::CONTENT_SEQUENCE, |value| drop(value.items_mut().unwrap().pop()));
        });
    }),
    ("finding_other", "M1", |d| {
        content(d, "121071", &mut |i| {
            inside(i, tags::CONCEPT_CODE_SEQUENCE, |code| set(code, tags::CODE_VALUE, VR::SH, "10200004"));
        });
    }),
    ("volume_wrong", "M1", |d| number(d, "118565006", |i| set(i, tags::NUMERIC_VALUE, VR::DS, "1234.5"))),
    ("volume_missing", "M1", |d| {
        content(d, "118565006", &mut |i| drop(i.take(tags::MEASURED_VALUE_SEQUENCE)));
    }),
    ("no_tracking_uid", "M2", |d| content(d, "112040", &mut |i| drop(i.take(tags::UID)))),
    ("tracking_shared", "M2", |d| {
        content(d, "112040", &mut |i| set(i, tags::UID, VR::UI, "1.2.3.4"));
    }),
    ("tracking_other", "V9", |d| {
        let mut first = true;
        content(d, "112040", &mut |i| {
            if std::mem::take(&mut first) {
                set(i, tags::UID, VR::UI, "1.2.3.4");
            }
        });
    }),
    ("segment_number_other", "V9", |d| {
        referenced(d, "121191", |i| {
            put(i, tags::REFERENCED_SEGMENT_NUMBER, VR::US, 1_u16.into());
        });
    }),
    ("segment_not_named", "M2", |d| content(d, "121191", &mut |i| drop(i.take(tags::REFERENCED_SOP_SEQUENCE)))),
    ("evidence_missing", "M3", |d| drop(d.take(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE))),
    ("evidence_of_other_instance", "M3", |d| {
        inside(d, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, |study| {
            inside(study, tags::REFERENCED_SERIES_SEQUENCE, |series| {
                inside(series, tags::REFERENCED_SOP_SEQUENCE, |i| {
                    set(i, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
                });
            });
        });
    }),
    ("axis_on_strange_image", "V3", |d| {
        content(d, "103339001", &mut |axis| {
            inside(axis, tags::CONTENT_SEQUENCE, |line| {
                inside(line, tags::CONTENT_SEQUENCE, |image| {
                    inside(image, tags::REFERENCED_SOP_SEQUENCE, |i| {
                        set(i, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
                    });
                });
            });
        });
    }),
    ("source_series_other", "V3", |d| content(d, "121232", &mut |i| set(i, tags::UID, VR::UI, "1.2.3.4"))),
    ("centre_in_other_frame", "V2", |d| {
        content(d, "128138", &mut |i| set(i, tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.4"));
    }),
    ("volume_in_ml", "M5", |d| unit(d, "118565006", "ml")),
    ("hounsfield_misspelt", "M5", |d| unit(d, "112031", "HU")),
    ("number_without_value", "M5", |d| number(d, "103340004", |i| drop(i.take(tags::NUMERIC_VALUE)))),
    ("absence_kept_silent", "M6", |d| {
        content(d, "C0034375", &mut |i| drop(i.take(tags::CONTENT_SEQUENCE)));
    }),
    ("present_called_absent", "M6", |d| {
        let mut item = None;
        content(d, "C0034375", &mut |i| item = i.get(tags::CONTENT_SEQUENCE).cloned());
        let another = item.unwrap().items().unwrap()[0].clone();
        content(d, "C0034375", &mut |i| {
            i.update_value(tags::CONTENT_SEQUENCE, |value| value.items_mut().unwrap().push(another.clone()));
        });
    }),
    ("patient_id_other", "V1", |d| set(d, tags::PATIENT_ID, VR::LO, "OTHER")),
    ("study_uid_other", "V1", |d| set(d, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9")),
    ("charset_other", "V10", |d| set(d, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")),
    ("decimal_too_long", "C14", |d| {
        number(d, "103340004", |i| set(i, tags::NUMERIC_VALUE, VR::DS, "1.23456789012345678"));
    }),
    ("no_performed_step", "C3", |d| drop(d.take(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE))),
    ("no_serial_number", "C9", |d| drop(d.take(tags::DEVICE_SERIAL_NUMBER))),
    ("class_other", "M1", |d| {
        set(d, tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_SR_STORAGE);
        d.update_meta(|meta| meta.media_storage_sop_class_uid = uids::ENHANCED_SR_STORAGE.into());
    }),
];

#[test]
fn every_defect_is_caught_under_its_rule() {
    let series = Series::new(25, 21, 6);
    let finding = labelled(&series, 3, |k, j, i| {
        let inside = (1..5).contains(&k) && (3..11).contains(&j);
        if inside && (2..12).contains(&i) { 1 } else { 2 * u8::from(inside && i > 14) }
    });
    let (seg, report) = written(&series, &finding);
    let source = source(&series);
    let judge = |bytes: &[u8]| verify::measurement_report(bytes, &source, Some(&seg.bytes), Some(&finding));
    score("SR", MUTATIONS, &series, &report.bytes, &judge);
    for length in (0..report.bytes.len()).step_by(97) {
        assert!(!judge(&report.bytes[..length]).is_empty(), "{length} bytes");
    }
}

/// Changes every content item of this name, at any depth.
pub(super) fn content(item: &mut Dataset, name: &str, change: &mut dyn FnMut(&mut Dataset)) {
    each(item, tags::CONTENT_SEQUENCE, |child, _| {
        let concept = child.get(tags::CONCEPT_NAME_CODE_SEQUENCE).and_then(|e| e.items()).and_then(<[_]>::first);
        if concept.and_then(|code| text(code, tags::CODE_VALUE)).as_deref() == Some(name) {
            change(child);
        }
        if child.get(tags::CONTENT_SEQUENCE).is_some() {
            content(child, name, change);
        }
    });
}

pub(super) fn number(d: &mut DefaultDicomObject, name: &str, mut change: impl FnMut(&mut Dataset)) {
    content(d, name, &mut |item| inside(item, tags::MEASURED_VALUE_SEQUENCE, &mut change));
}

pub(super) fn unit(d: &mut DefaultDicomObject, name: &str, unit: &str) {
    number(d, name, |measured| {
        inside(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, |code| set(code, tags::CODE_VALUE, VR::SH, unit));
    });
}

pub(super) fn referenced(d: &mut DefaultDicomObject, name: &str, mut change: impl FnMut(&mut Dataset)) {
    content(d, name, &mut |item| inside(item, tags::REFERENCED_SOP_SEQUENCE, &mut change));
}
