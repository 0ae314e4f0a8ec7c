//! Single defects of comparisons.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use sagittal::dicom::{SegForm, text};
use sagittal::results::compare::{Masks, compare, comparison_report};
use sagittal::results::{segmentation, verify};

use super::sr::{content, number, referenced, unit};
use super::{Mutation, inside, put, score, set};
use crate::support::findings::{context, labelled, source};
use crate::support::phantom::Series;

const VOLUME: &str = "118565006";
const DIFFERENCE: &str = "442714003";

const MUTATIONS: &[Mutation] = &[
    ("no_template", "M1", |d| drop(d.take(tags::CONTENT_TEMPLATE_SEQUENCE))),
    ("volume_wrong", "M1", |d| number(d, VOLUME, |i| set(i, tags::NUMERIC_VALUE, VR::DS, "1234.5"))),
    ("difference_of_other_sign", "M1", |d| {
        number(d, DIFFERENCE, |i| {
            let stated: f64 = text(i, tags::NUMERIC_VALUE).unwrap().parse().unwrap();
            set(i, tags::NUMERIC_VALUE, VR::DS, &(-stated).to_string());
        });
    }),
    ("change_wrong", "M1", |d| number(d, "125314", |i| set(i, tags::NUMERIC_VALUE, VR::DS, "7.5"))),
    ("change_as_a_share", "M5", |d| unit(d, "125314", "1")),
    ("volume_in_ml", "M5", |d| unit(d, VOLUME, "ml")),
    ("dice_wrong", "M1", |d| {
        content(d, "121106", &mut |i| {
            if text(i, tags::TEXT_VALUE).unwrap().starts_with("Dice") {
                set(i, tags::TEXT_VALUE, VR::UT, "Dice similarity coefficient 0.9999");
            }
        });
    }),
    ("dice_kept_silent", "M1", |d| content(d, "121106", &mut |i| set(i, tags::TEXT_VALUE, VR::UT, "compared"))),
    ("group_lost", "V9", |d| {
        content(d, "126010", &mut |all| {
            all.update_value(tags::CONTENT_SEQUENCE, |value| drop(value.items_mut().unwrap().pop()));
        });
    }),
    ("finding_other", "V9", |d| {
        content(d, "121071", &mut |i| {
            inside(i, tags::CONCEPT_CODE_SEQUENCE, |code| set(code, tags::CODE_VALUE, VR::SH, "10200004"));
        });
    }),
    ("finding_missing", "M1", |d| {
        content(d, "121071", &mut |i| {
            inside(i, tags::CONCEPT_NAME_CODE_SEQUENCE, |code| set(code, tags::CODE_VALUE, VR::SH, "121072"));
        });
    }),
    ("tracking_shared", "M2", |d| content(d, "112040", &mut |i| set(i, tags::UID, VR::UI, "1.2.3.4"))),
    ("tracking_other", "V9", |d| {
        let mut first = true;
        content(d, "112040", &mut |i| {
            if std::mem::take(&mut first) {
                set(i, tags::UID, VR::UI, "1.2.3.4");
            }
        });
    }),
    ("segment_number_other", "M2", |d| {
        referenced(d, "121191", |i| put(i, tags::REFERENCED_SEGMENT_NUMBER, VR::US, 9_u16.into()));
    }),
    ("counted_from_other_segment", "V9", |d| {
        referenced(d, "121112", |i| put(i, tags::REFERENCED_SEGMENT_NUMBER, VR::US, 1_u16.into()));
    }),
    ("counted_from_nothing", "M1", |d| content(d, VOLUME, &mut |i| drop(i.take(tags::CONTENT_SEQUENCE)))),
    ("strange_object", "M3", |d| {
        referenced(d, "121112", |i| set(i, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4"));
    }),
    ("evidence_missing", "M3", |d| drop(d.take(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE))),
    ("evidence_of_other_study", "V3", |d| {
        inside(d, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, |study| {
            set(study, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9");
        });
    }),
    ("patient_id_other", "V1", |d| set(d, tags::PATIENT_ID, VR::LO, "OTHER")),
    ("study_uid_other", "V1", |d| set(d, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9")),
];

#[test]
fn every_defect_is_caught_under_its_rule() {
    let series = Series::new(25, 21, 6);
    let source = source(&series);
    let of = |wide: usize| {
        let finding = labelled(&series, 3, |k, j, i| {
            let inside = (1..5).contains(&k) && (3..11).contains(&j);
            // The third structure is in one of the two only.
            if inside && i < wide { 1 + u8::from(i > 4) } else { 3 * u8::from(wide == 12 && i > 20) }
        });
        let mut own = context();
        own.pipeline = format!("wide-{wide}");
        let object = segmentation(&source, &finding, SegForm::default(), &own).unwrap();
        (Masks::read(&object.bytes).unwrap().over(&source), object.bytes)
    };
    let [(first, first_bytes), (second, second_bytes)] = [of(9), of(12)];
    let compared = compare(&first, &second).unwrap();
    let report = comparison_report(&source, &compared, [&first, &second], &context()).unwrap();
    let judge = |bytes: &[u8]| verify::comparison_report(bytes, &source, &[&first, &second]);
    score("Compare", MUTATIONS, &series, &report.bytes, &judge);
    // The same where the referee finds out for itself what it has before it.
    let beside = [second_bytes, first_bytes];
    let other = Series::new(5, 5, 2).named("other study", "other series");
    let sources = [crate::support::findings::source(&other), source.clone()];
    assert_eq!(verify::object(&report.bytes, &sources, &beside), verify::Verdict::Judged(Vec::new()));
    let wrong = super::changed(&report.bytes, &MUTATIONS[1]);
    assert_eq!(verify::object(&wrong, &sources, &beside), verify::Verdict::Judged(judge(&wrong)));
}
