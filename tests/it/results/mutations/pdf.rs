//! Single defects of encapsulated reports.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;
use sagittal::dicom::SegForm;
use sagittal::results::{segmentation, verify};

use super::{Mutation, inside, put, score, set};
use crate::results::pdf::{letterhead, reported};
use crate::support::findings::{context, scattered, source};
use crate::support::phantom::Series;

const MUTATIONS: &[Mutation] = &[
    ("class_other", "E1", |d| {
        set(d, tags::SOP_CLASS_UID, VR::UI, uids::ENCAPSULATED_CDA_STORAGE);
        d.update_meta(|meta| meta.media_storage_sop_class_uid = uids::ENCAPSULATED_CDA_STORAGE.into());
    }),
    ("modality_other", "E1", |d| set(d, tags::MODALITY, VR::CS, "SR")),
    ("scanned", "E1", |d| set(d, tags::CONVERSION_TYPE, VR::CS, "SD")),
    ("identity_not_announced", "E1", |d| set(d, tags::BURNED_IN_ANNOTATION, VR::CS, "NO")),
    ("mime_type_other", "E1", |d| set(d, tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, VR::LO, "text/xml")),
    ("no_mime_type", "E1", |d| drop(d.take(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT))),
    ("no_title_code", "C3", |d| drop(d.take(tags::CONCEPT_NAME_CODE_SEQUENCE))),
    ("title_code_without_meaning", "E1", |d| {
        inside(d, tags::CONCEPT_NAME_CODE_SEQUENCE, |code| drop(code.take(tags::CODE_MEANING)));
    }),
    ("no_title", "C9", |d| drop(d.take(tags::DOCUMENT_TITLE))),
    ("no_acquisition", "C3", |d| drop(d.take(tags::ACQUISITION_DATE_TIME))),
    ("no_content_date", "C9", |d| drop(d.take(tags::CONTENT_DATE))),
    ("no_document", "E2", |d| drop(d.take(tags::ENCAPSULATED_DOCUMENT))),
    ("no_length", "E2", |d| drop(d.take(tags::ENCAPSULATED_DOCUMENT_LENGTH))),
    ("length_too_small", "E2", |d| put(d, tags::ENCAPSULATED_DOCUMENT_LENGTH, VR::UL, PrimitiveValue::from(1000_u32))),
    ("document_cut", "E2", |d| document(d, |pdf| pdf.truncate(pdf.len() / 2))),
    ("beginning_lost", "E2", |d| document(d, |pdf| drop(pdf.drain(..10)))),
    ("end_lost", "E2", |d| document(d, |pdf| pdf.truncate(pdf.len() - 6))),
    ("spliced", "E2", |d| document(d, |pdf| drop(pdf.drain(2000..3000)))),
    ("something_behind", "E2", |d| document(d, |pdf| pdf.extend(b"<script>"))),
    ("no_pdf_at_all", "E2", |d| document(d, |pdf| *pdf = b"<html></html>".to_vec())),
    ("report_of_another_object", "E3", |d| {
        set(d, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
        d.update_meta(|meta| meta.media_storage_sop_instance_uid = "1.2.3.4".into());
    }),
    ("disclaimer_other", "E3", |d| replaced(d, "not for diagnostic use", "fit for diagnostic use")),
    ("volume_other", "E4", |d| replaced(d, "segment 1: ", "segment 1: 9")),
    ("segment_kept_silent", "E4", |d| replaced(d, "segment 2: ", "        2: ")),
    ("no_source", "V3", |d| drop(d.take(tags::SOURCE_INSTANCE_SEQUENCE))),
    ("source_left_out", "V3", |d| {
        d.update_value(tags::SOURCE_INSTANCE_SEQUENCE, |value| drop(value.items_mut().unwrap().remove(0)));
    }),
    ("source_of_other_class", "V3", |d| {
        inside(d, tags::SOURCE_INSTANCE_SEQUENCE, |i| {
            set(i, tags::REFERENCED_SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE);
        });
    }),
    ("strange_source", "V3", |d| {
        inside(d, tags::SOURCE_INSTANCE_SEQUENCE, |i| set(i, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4"));
    }),
    ("source_twice", "V3", |d| {
        d.update_value(tags::SOURCE_INSTANCE_SEQUENCE, |value| {
            let items = value.items_mut().unwrap();
            items.push(items[0].clone());
        });
    }),
    ("patient_id_other", "V1", |d| set(d, tags::PATIENT_ID, VR::LO, "OTHER")),
    ("patient_name_lost", "V1", |d| set(d, tags::PATIENT_NAME, VR::PN, "")),
    ("no_study_date", "C3", |d| drop(d.take(tags::STUDY_DATE))),
    ("study_uid_other", "V1", |d| set(d, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.9")),
    ("charset_other", "V10", |d| set(d, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100")),
    ("no_serial_number", "C9", |d| drop(d.take(tags::DEVICE_SERIAL_NUMBER))),
    ("uid_leading_zero", "C5", |d| {
        set(d, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.03.4");
    }),
    ("no_series", "V12", |d| drop(d.take(tags::SERIES_INSTANCE_UID))),
    ("file_of_other_instance", "C15", |d| {
        d.update_meta(|meta| meta.media_storage_sop_instance_uid = "1.2.3.4".into());
    }),
];

#[test]
fn every_defect_is_caught_under_its_rule() {
    let Some(letterhead) = letterhead() else { return };
    let series = Series::new(25, 21, 6);
    let finding = scattered(&series, 3);
    let source = source(&series);
    let seg = segmentation(&source, &finding, SegForm::default(), &context()).unwrap();
    let golden = reported(&series, &finding, &[seg], &letterhead).object.bytes;
    let judge = |bytes: &[u8]| verify::report(bytes, &source, Some(&finding));
    score("PDF", MUTATIONS, &series, &golden, &judge);
    for length in (0..golden.len()).step_by(397) {
        assert!(!judge(&golden[..length]).is_empty(), "{length} bytes");
    }
}

/// Changes the PDF file, and its length with it.
fn document(d: &mut DefaultDicomObject, change: impl FnOnce(&mut Vec<u8>)) {
    let length: u32 = d.element(tags::ENCAPSULATED_DOCUMENT_LENGTH).unwrap().to_int().unwrap();
    let mut pdf = d.element(tags::ENCAPSULATED_DOCUMENT).unwrap().to_bytes().unwrap().into_owned();
    pdf.truncate(length as usize);
    change(&mut pdf);
    put(d, tags::ENCAPSULATED_DOCUMENT_LENGTH, VR::UL, PrimitiveValue::from(pdf.len() as u32));
    if !pdf.len().is_multiple_of(2) {
        pdf.push(0);
    }
    put(d, tags::ENCAPSULATED_DOCUMENT, VR::OB, PrimitiveValue::U8(pdf.into()));
}

/// Replaces every occurrence of a text by one of the same length, so that the file stays whole.
fn replaced(d: &mut DefaultDicomObject, from: &str, to: &str) {
    document(d, |pdf| {
        let places: Vec<usize> =
            (0..pdf.len() - from.len()).filter(|at| pdf[*at..].starts_with(from.as_bytes())).collect();
        assert!(!places.is_empty(), "{from}");
        for at in places {
            pdf[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    });
}
