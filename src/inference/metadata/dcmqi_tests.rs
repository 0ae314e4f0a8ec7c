//! dcmqi's JSON: what is taken from a sound file, and that all faults of a faulty one are told.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn code(value: &str, meaning: &str) -> Value {
    json!({ "CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning })
}

fn zone(label: u8) -> Value {
    json!({
        "labelID": label, "SegmentLabel": "PZ", "SegmentDescription": "Peripheral zone", "SegmentAlgorithmType": "AUTOMATIC",
        "SegmentAlgorithmName": "ProstateZoneUNet", (CATEGORY): code("91723000", "Anatomical Structure"),
        (TYPE): code("279706003", "Peripheral zone of the prostate"), "recommendedDisplayRGBValue": [142, 156, 232],
    })
}

#[test]
fn a_file_of_dcmqi_is_taken() {
    let mut lesion = zone(2);
    lesion[REGION] = code("41216001", "Prostate");
    lesion[REGION_MODIFIER] = code("7771000", "Left");
    let shown = lesion.as_object_mut().unwrap();
    shown.remove("SegmentLabel");
    shown.remove(RGB);
    shown.insert(LAB.into(), json!([30821, 51126, 41530]));
    let file = json!({
        "@schema": "https://example.org/seg-schema.json#", "SeriesDescription": "Zones", "SeriesNumber": "300",
        "BodyPartExamined": "Prostate", "ClinicalTrialSeriesID": "Session1", "segmentAttributes": [[zone(1), lesion]],
    });
    let (segments, notes) = read(&file.to_string()).unwrap();
    let [first, second] = segments.as_slice() else { panic!("{segments:?}") };
    assert_eq!((first.label, first.name.as_str(), first.color), (1, "PZ", [142, 156, 232]));
    assert_eq!((second.name.as_str(), second.color), ("Peripheral zone", [220, 20, 60]));
    assert_eq!(second.region_modifier.as_ref().unwrap().meaning, "Left");
    assert_eq!(notes.algorithm.as_deref(), Some("ProstateZoneUNet"));
    let noted = [notes.description, notes.body_part, notes.trial_series];
    assert_eq!(noted.map(Option::unwrap), ["Zones", "PROSTATE", "Session1"]);
}

#[test]
fn all_faults_of_a_file_are_told() {
    let mut faulty = zone(1);
    let item = faulty.as_object_mut().unwrap();
    item.insert("labelID".into(), json!(300));
    item.insert("Colour".into(), json!("red"));
    item.insert("SegmentAlgorithmType".into(), json!("MAGIC"));
    item.insert(RGB.into(), json!([1, 2, 256]));
    item[TYPE] = json!({ "CodeValue": "12345678901234567", "CodeMeaning": "x" });
    item.remove(CATEGORY);
    let file = json!({ "SeriesDescription": "x".repeat(65), "Series": 1, "SeriesNumber": 300, "segmentAttributes": [[faulty, 7]] });
    let told = read(&file.to_string()).unwrap_err().join("\n");
    let at = "segmentAttributes[0][0]";
    for expected in [
        "SeriesDescription: at most 64 characters".to_owned(),
        "Series: dcmqi knows no such key".to_owned(),
        "SeriesNumber: give a text".to_owned(),
        format!("{at}.labelID: give a whole number"),
        format!("{at}.Colour: dcmqi knows no such key"),
        format!("{at}.SegmentAlgorithmType: give one of"),
        format!("{at}.{RGB}: give three whole numbers"),
        format!("{at}: {CATEGORY} is missing"),
        format!("{at}.{TYPE}.CodeValue: at most 16"),
        format!("{at}.{TYPE}: CodingSchemeDesignator is missing"),
        "segmentAttributes[0][1]: give an object".to_owned(),
    ] {
        assert!(told.contains(&expected), "{expected}: {told}");
    }
    assert_eq!(told.lines().count(), 11, "{told}");
    for (text, expected) in
        [("[]", "give a JSON object"), ("{", "no JSON"), (r#"{"segmentAttributes": [[], []]}"#, "give one list")]
    {
        assert!(read(text).unwrap_err()[0].contains(expected));
    }
}
