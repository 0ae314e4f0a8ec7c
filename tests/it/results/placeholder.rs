//! Placeholders that there is no result: refereed, the same every time, another one for another reason or other images.

use std::io::Cursor;
use std::time::Duration;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};
use sagittal::dicom::{Dataset, Uid, text};
use sagittal::results::{Reason, ResultObject, SourceSeries, Stage, placeholder, verify};

use crate::support::findings::context;
use crate::support::phantom::Series;

const FAILED: Reason = Reason::GivenUp(Stage::Model);

fn parsed(bytes: &[u8]) -> FileDicomObject<InMemDicomObject> {
    dicom_object::from_reader(Cursor::new(bytes)).unwrap()
}

fn heading(series: &Series, change: impl FnOnce(&mut Dataset)) -> SourceSeries {
    let mut header = parsed(&series.instances()[0]).into_inner();
    change(&mut header);
    SourceSeries::heading(header).unwrap()
}

fn images(count: usize) -> Vec<Uid> {
    (1..=count).map(|number| Uid::parse(&format!("1.2.3.{number}")).unwrap()).collect()
}

fn written(reason: &Reason, images: &[Uid]) -> ResultObject {
    let source = heading(&Series::new(16, 12, 6), |_| {});
    let object = placeholder(&source, images, reason, &context()).unwrap();
    assert_eq!(verify::placeholder(&object.bytes, &source), []);
    object
}

#[test]
fn the_same_placeholder_is_the_same_object_and_another_reason_another() {
    let (images, backwards) = (images(3), images(3).into_iter().rev().collect::<Vec<_>>());
    assert_eq!(written(&FAILED, &images), written(&FAILED, &backwards));
    let late = written(&Reason::Late(Duration::from_secs(3601)), &images);
    assert_ne!(written(&FAILED, &images).sop_instance, late.sop_instance);
    assert_ne!(written(&FAILED, &images).sop_instance, written(&FAILED, &images[..2]).sop_instance);
    let said = |object: &ResultObject| {
        let dataset = parsed(&object.bytes);
        let items = dataset.element(tags::CONTENT_SEQUENCE).unwrap().items().unwrap();
        items.iter().find_map(|item| text(item, tags::TEXT_VALUE).filter(|said| said.starts_with("AI"))).unwrap()
    };
    let about = "AI result not available: there is no result of the analysis \"brain-mri\" of this series.";
    assert!(said(&late).starts_with(&format!("{about} It was not finished within 61 min;")), "{}", said(&late));
    assert!(said(&written(&FAILED, &images)).starts_with(&format!("{about} It failed while the model ran.")));
}

/// What cannot become a volume is what placeholders are about most.
#[test]
fn a_series_without_a_place_in_the_patient_has_a_placeholder_all_the_same() {
    let source = heading(&Series::new(16, 12, 6), |header| {
        for tag in [tags::IMAGE_POSITION_PATIENT, tags::IMAGE_ORIENTATION_PATIENT, tags::FRAME_OF_REFERENCE_UID] {
            header.remove_element(tag);
        }
    });
    let object = placeholder(&source, &images(1), &Reason::GivenUp(Stage::Reading), &context()).unwrap();
    assert_eq!(verify::placeholder(&object.bytes, &source), []);
}

fn faults_after(change: impl FnOnce(&mut Dataset)) -> Vec<&'static str> {
    let series = Series::new(16, 12, 6);
    let mut object = parsed(&written(&FAILED, &images(3)).bytes);
    change(&mut object);
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).unwrap();
    verify::placeholder(&bytes, &heading(&series, |_| {})).into_iter().map(|fault| fault.rule).collect()
}

#[test]
fn the_referee_placeholders_what_is_wrong_with_a_placeholder() {
    let items = |dataset: &mut Dataset, change: &dyn Fn(&mut Vec<Dataset>)| {
        let mut all = dataset.element(tags::CONTENT_SEQUENCE).unwrap().items().unwrap().to_vec();
        change(&mut all);
        dataset.put(DataElement::new(tags::CONTENT_SEQUENCE, VR::SQ, DataSetSequence::from(all)));
    };
    let check = |change: &dyn Fn(&mut Dataset), rule: &str| {
        let faults = faults_after(change);
        assert!(faults.contains(&rule), "{faults:?} without {rule}");
    };
    let put = |tag, vr, value: &'static str| {
        move |dataset: &mut Dataset| {
            dataset.put(DataElement::new(tag, vr, value));
        }
    };
    check(&put(tags::PATIENT_ID, VR::LO, "SOMEBODY ELSE"), "V1");
    check(&put(tags::SOP_CLASS_UID, VR::UI, uids::COMPREHENSIVE_SR_STORAGE), "M1");
    check(&put(tags::VERIFICATION_FLAG, VR::CS, "VERIFIED"), "M1");
    check(&|dataset| items(dataset, &|all| all.retain(|item| text(item, tags::TEXT_VALUE).is_none())), "N1");
    check(&|dataset| items(dataset, &|all| drop(all.pop())), "M3");
    check(&|dataset| assert!(dataset.remove_element(tags::CONTENT_DATE)), "C9");
    check(&|dataset| assert!(dataset.remove_element(tags::CONCEPT_NAME_CODE_SEQUENCE)), "N1");
}
