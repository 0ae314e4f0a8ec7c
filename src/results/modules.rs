//! The modules that every result shares: Patient and Study copied from the source, Series, Equipment, SOP
//! Common (PS3.3 sections C.7.1 to C.7.3, C.7.5, C.12.1).

use chrono::{DateTime, FixedOffset, Utc};
use dicom_core::value::Value;
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::context::ResultContext;
use super::elements::{
    code_string, plain, put, put_code, put_decimals, put_item, put_items, put_text, put_uid, reference,
};
use super::source::Lossy;
use super::{ResultError, SourceSeries};
use crate::dicom::{Dataset, Uid, text, texts};
use crate::volume::Algorithm;

/// Attributes of the patient and study entities that a result shares with its source: Patient, Clinical Trial
/// Subject, General Study, Patient Study and Clinical Trial Study modules, and what speaks for all of them.
pub(super) const COPIED: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    // Patient
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    tags::TYPE_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_BIRTH_DATE_IN_ALTERNATIVE_CALENDAR,
    tags::PATIENT_DEATH_DATE_IN_ALTERNATIVE_CALENDAR,
    tags::PATIENT_ALTERNATIVE_CALENDAR,
    tags::PATIENT_BIRTH_TIME,
    tags::PATIENT_SEX,
    tags::QUALITY_CONTROL_SUBJECT,
    tags::REFERENCED_PATIENT_SEQUENCE,
    tags::OTHER_PATIENT_NAMES,
    tags::OTHER_PATIENT_I_DS_SEQUENCE,
    tags::ETHNIC_GROUPS,
    tags::ETHNIC_GROUP_CODE_SEQUENCE,
    tags::PATIENT_COMMENTS,
    tags::PATIENT_SPECIES_DESCRIPTION,
    tags::PATIENT_SPECIES_CODE_SEQUENCE,
    tags::PATIENT_BREED_DESCRIPTION,
    tags::PATIENT_BREED_CODE_SEQUENCE,
    tags::BREED_REGISTRATION_SEQUENCE,
    tags::STRAIN_DESCRIPTION,
    tags::STRAIN_NOMENCLATURE,
    tags::STRAIN_CODE_SEQUENCE,
    tags::STRAIN_ADDITIONAL_INFORMATION,
    tags::STRAIN_STOCK_SEQUENCE,
    tags::GENETIC_MODIFICATIONS_SEQUENCE,
    tags::RESPONSIBLE_PERSON,
    tags::RESPONSIBLE_PERSON_ROLE,
    tags::RESPONSIBLE_ORGANIZATION,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
    tags::SOURCE_PATIENT_GROUP_IDENTIFICATION_SEQUENCE,
    tags::GROUP_OF_PATIENTS_IDENTIFICATION_SEQUENCE,
    // Clinical Trial Subject
    tags::CLINICAL_TRIAL_SPONSOR_NAME,
    tags::CLINICAL_TRIAL_PROTOCOL_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_NAME,
    tags::ISSUER_OF_CLINICAL_TRIAL_PROTOCOL_ID,
    tags::OTHER_CLINICAL_TRIAL_PROTOCOL_I_DS_SEQUENCE,
    tags::CLINICAL_TRIAL_SITE_ID,
    tags::CLINICAL_TRIAL_SITE_NAME,
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_ETHICS_COMMITTEE_NAME,
    tags::CLINICAL_TRIAL_PROTOCOL_ETHICS_COMMITTEE_APPROVAL_NUMBER,
    // General Study
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::STUDY_DESCRIPTION,
    tags::ACCESSION_NUMBER,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::REFERRING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::CONSULTING_PHYSICIAN_NAME,
    tags::CONSULTING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
    tags::PHYSICIANS_OF_RECORD,
    tags::PHYSICIANS_OF_RECORD_IDENTIFICATION_SEQUENCE,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::PHYSICIANS_READING_STUDY_IDENTIFICATION_SEQUENCE,
    tags::REQUESTING_SERVICE,
    tags::REQUESTING_SERVICE_CODE_SEQUENCE,
    tags::REFERENCED_STUDY_SEQUENCE,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::REASON_FOR_PERFORMED_PROCEDURE_CODE_SEQUENCE,
    // Patient Study
    tags::ADMITTING_DIAGNOSES_DESCRIPTION,
    tags::ADMITTING_DIAGNOSES_CODE_SEQUENCE,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_BODY_MASS_INDEX,
    tags::MEASURED_AP_DIMENSION,
    tags::MEASURED_LATERAL_DIMENSION,
    tags::PATIENT_SIZE_CODE_SEQUENCE,
    tags::MEDICAL_ALERTS,
    tags::ALLERGIES,
    tags::SMOKING_STATUS,
    tags::PREGNANCY_STATUS,
    tags::LAST_MENSTRUAL_DATE,
    tags::PATIENT_STATE,
    tags::OCCUPATION,
    tags::ADDITIONAL_PATIENT_HISTORY,
    tags::ADMISSION_ID,
    tags::ISSUER_OF_ADMISSION_ID_SEQUENCE,
    tags::SERVICE_EPISODE_ID,
    tags::ISSUER_OF_SERVICE_EPISODE_ID_SEQUENCE,
    tags::SERVICE_EPISODE_DESCRIPTION,
    tags::PATIENT_SEX_NEUTERED,
    tags::REASON_FOR_VISIT,
    tags::REASON_FOR_VISIT_CODE_SEQUENCE,
    tags::GENDER_IDENTITY_SEQUENCE,
    tags::SEX_PARAMETERS_FOR_CLINICAL_USE_CATEGORY_SEQUENCE,
    tags::PERSON_NAMES_TO_USE_SEQUENCE,
    tags::THIRD_PERSON_PRONOUNS_SEQUENCE,
    // Clinical Trial Study
    tags::CLINICAL_TRIAL_TIME_POINT_ID,
    tags::CLINICAL_TRIAL_TIME_POINT_DESCRIPTION,
    tags::CLINICAL_TRIAL_TIME_POINT_TYPE_CODE_SEQUENCE,
    tags::LONGITUDINAL_TEMPORAL_OFFSET_FROM_EVENT,
    tags::LONGITUDINAL_TEMPORAL_EVENT_TYPE,
    tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
    tags::CONSENT_FOR_CLINICAL_TRIAL_USE_SEQUENCE,
];

/// Type 2 attributes of the copied modules: written empty where the source has none.
const TYPE_2: &[(Tag, VR)] = &[
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::STUDY_ID, VR::SH),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
];

/// Patient and Study, as the source has them.
pub(super) fn patient_and_study(dataset: &mut Dataset, source: &SourceSeries) {
    for (tag, vr) in TYPE_2 {
        dataset.put(InMemElement::empty(*tag, *vr));
    }
    for element in COPIED.iter().filter_map(|tag| source.header().get(*tag)) {
        dataset.put(without_private(element));
    }
    // Type 1C: absent where it says nothing.
    if texts(source.header(), tags::SPECIFIC_CHARACTER_SET).is_empty() {
        dataset.remove_element(tags::SPECIFIC_CHARACTER_SET);
    }
}

fn without_private(element: &InMemElement) -> InMemElement {
    let Some(items) = element.value().items() else { return element.clone() };
    let clean = |item: &Dataset| {
        let standard = item.iter().filter(|e| e.header().tag.group() % 2 == 0);
        InMemDicomObject::from_element_iter(standard.map(without_private))
    };
    let items: Vec<Dataset> = items.iter().map(clean).collect();
    InMemElement::new(element.header().tag, VR::SQ, Value::from(dicom_core::value::DataSetSequence::from(items)))
}

/// General Series of a result, in a series of its own.
pub(super) fn series(dataset: &mut Dataset, modality: &str, uid: &Uid, source: &SourceSeries, context: &ResultContext) {
    put(dataset, tags::MODALITY, VR::CS, modality);
    put_uid(dataset, tags::SERIES_INSTANCE_UID, uid);
    put(dataset, tags::SERIES_NUMBER, VR::IS, context.series_number.to_string());
    put_text(dataset, tags::SERIES_DESCRIPTION, VR::LO, &context.series_description);
    if let Some(session) = &context.trial_series {
        put_text(dataset, tags::CLINICAL_TRIAL_SERIES_ID, VR::LO, session);
    }
    let (date, time) = moment(context.started_at, source, context);
    put(dataset, tags::SERIES_DATE, VR::DA, date);
    put(dataset, tags::SERIES_TIME, VR::TM, time);
}

/// What General Series says about the body; RT Series does not have it.
pub(super) fn body_part(dataset: &mut Dataset, source: &SourceSeries, context: &ResultContext) {
    if let Some(part) = &context.body_part {
        put(dataset, tags::BODY_PART_EXAMINED, VR::CS, code_string(part));
    }
    if let Some(element) = source.header().get(tags::BODY_PART_EXAMINED) {
        dataset.put(element.clone());
    }
    // An empty side is wrong of an unpaired body part, and says nothing of a paired one.
    let side = source.header().get(tags::LATERALITY).filter(|_| text(source.header(), tags::LATERALITY).is_some());
    if let Some(element) = side {
        dataset.put(element.clone());
    }
}

/// Frame of Reference, the source's own; of a projection image how its rows and columns run instead.
pub(super) fn frame_of_reference(dataset: &mut Dataset, source: &SourceSeries) {
    let Some(uid) = source.frame_of_reference() else {
        // Type 2C where no plane says it; a structure set never gets here.
        let element = source.header().get(tags::PATIENT_ORIENTATION).cloned();
        dataset.put(element.unwrap_or_else(|| InMemElement::empty(tags::PATIENT_ORIENTATION, VR::CS)));
        return;
    };
    put_uid(dataset, tags::FRAME_OF_REFERENCE_UID, uid);
    let indicator = text(source.header(), tags::POSITION_REFERENCE_INDICATOR).unwrap_or_default();
    put(dataset, tags::POSITION_REFERENCE_INDICATOR, VR::LO, indicator);
}

/// Enhanced General Equipment, and the algorithm as contributing equipment (IHE AIR).
pub(super) fn equipment(
    dataset: &mut Dataset,
    algorithm: &Algorithm,
    context: &ResultContext,
) -> Result<(), ResultError> {
    put(dataset, tags::MANUFACTURER, VR::LO, "Sagittal");
    put_text(dataset, tags::MANUFACTURER_MODEL_NAME, VR::LO, &algorithm.name);
    put_text(dataset, tags::DEVICE_SERIAL_NUMBER, VR::LO, &algorithm.digest);
    let model = plain(&format!("{} {}", algorithm.name, algorithm.version), 64);
    put(dataset, tags::SOFTWARE_VERSIONS, VR::LO, strs([plain(&context.node_version, 64), model.clone()]));
    let mut item = InMemDicomObject::new_empty();
    put_text(&mut item, tags::MANUFACTURER, VR::LO, &algorithm.manufacturer);
    put_text(&mut item, tags::MANUFACTURER_MODEL_NAME, VR::LO, &algorithm.name);
    put_text(&mut item, tags::SOFTWARE_VERSIONS, VR::LO, &algorithm.version);
    // DeviceUID, which IHE AIR asks for, is foreign to the IOD for validators; the digest says the same.
    put_text(&mut item, tags::DEVICE_SERIAL_NUMBER, VR::LO, &algorithm.digest);
    put_code(&mut item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &context.processing, "the processing equipment")?;
    put_item(dataset, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, item);
    Ok(())
}

/// SOP Common.
pub(super) fn instance(
    dataset: &mut Dataset,
    sop_class: &Uid,
    sop_instance: &Uid,
    source: &SourceSeries,
    context: &ResultContext,
) {
    put_uid(dataset, tags::SOP_CLASS_UID, sop_class);
    put_uid(dataset, tags::SOP_INSTANCE_UID, sop_instance);
    put(dataset, tags::INSTANCE_NUMBER, VR::IS, "1");
    let (date, time) = moment(context.written_at, source, context);
    put(dataset, tags::INSTANCE_CREATION_DATE, VR::DA, date);
    put(dataset, tags::INSTANCE_CREATION_TIME, VR::TM, time);
}

/// When the content came to be: the start of the analysis, as a date and a time attribute.
pub(super) fn content_moment(
    dataset: &mut Dataset,
    [date_tag, time_tag]: [Tag; 2],
    source: &SourceSeries,
    context: &ResultContext,
) {
    let (date, time) = moment(context.started_at, source, context);
    put(dataset, date_tag, VR::DA, date);
    put(dataset, time_tag, VR::TM, time);
}

/// Common Instance Reference: viewers refuse a SEG that does not name its images here.
pub(super) fn referenced_series(dataset: &mut Dataset, source: &SourceSeries) {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::SERIES_INSTANCE_UID, source.series());
    let images = source.instances().iter().map(|s| reference(&s.class, &s.instance)).collect();
    put_items(&mut item, tags::REFERENCED_INSTANCE_SEQUENCE, images);
    put_item(dataset, tags::REFERENCED_SERIES_SEQUENCE, item);
}

/// What a presentation or segmentation is called (PS3.3 section 10.9); `otherwise` where the pipeline's name says nothing.
pub(super) fn content_identification(dataset: &mut Dataset, context: &ResultContext, otherwise: &str) {
    let label = code_string(&context.pipeline);
    put(dataset, tags::CONTENT_LABEL, VR::CS, if label.is_empty() { otherwise.to_owned() } else { label });
    put_text(dataset, tags::CONTENT_DESCRIPTION, VR::LO, &context.series_description);
    put(dataset, tags::CONTENT_CREATOR_NAME, VR::PN, PrimitiveValue::Empty);
}

/// The losses of the source images, which every image made of them has suffered, too (PS3.3 section C.7.6.1.1.5).
pub(super) fn lossy(dataset: &mut Dataset, source: &SourceSeries) {
    put(dataset, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, if source.lossy().is_some() { "01" } else { "00" });
    let Some(Lossy { ratios, methods }) = source.lossy() else { return };
    if !ratios.is_empty() {
        put_decimals(dataset, tags::LOSSY_IMAGE_COMPRESSION_RATIO, ratios.clone());
    }
    if !methods.is_empty() {
        let methods = PrimitiveValue::Strs(methods.iter().cloned().collect());
        put(dataset, tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, methods);
    }
}

/// Several texts as one value.
pub(super) fn strs<const N: usize>(texts: [String; N]) -> PrimitiveValue {
    PrimitiveValue::Strs(texts.into_iter().collect())
}

/// Date and time in the source's own offset, which then holds for every date of the data set.
pub(super) fn moment(at: DateTime<Utc>, source: &SourceSeries, context: &ResultContext) -> (String, String) {
    let stated = text(source.header(), tags::TIMEZONE_OFFSET_FROM_UTC).and_then(|t| t.parse::<FixedOffset>().ok());
    let local = at.with_timezone(&stated.unwrap_or(context.zone));
    (local.format("%Y%m%d").to_string(), local.format("%H%M%S%.3f").to_string())
}
