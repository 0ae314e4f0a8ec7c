//! nnunet_serve's inline metadata: names found in the terminology, with sides, and what is not found.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::section;
use crate::inference::shape;

fn parse(text: &str) -> Result<(Vec<Segment>, Notes), Vec<String>> {
    let (raw, faults) = section::read("model.toml", text, shape::metadata);
    assert_eq!(faults, []);
    read(raw.unwrap(), &Terminology::shipped().unwrap())
}

#[test]
fn names_are_found_with_their_sides() {
    let check = |name: &str, code: &str, side: Option<&str>, shown: &str| {
        let (segments, _) = parse(&format!("segment_names = [\"{name}\"]")).unwrap();
        let segment = &segments[0];
        assert_eq!(segment.property.value, code, "{name}");
        assert_eq!(segment.modifier.as_ref().map(|m| m.meaning.as_str()), side, "{name}");
        assert_eq!(segment.name, shown, "{name}");
    };
    check("kidney_left", "64033007", Some("Left"), "Kidney left");
    check("LeftKidney", "64033007", Some("Left"), "Kidney left");
    check("right kidney", "64033007", Some("Right"), "Kidney right");
    check("Liver", "10200004", None, "Liver");
    check("EntireBody", "38266002", None, "Body");
    check("Left hippocampus", "5366008", Some("Left"), "Left hippocampus");
}

#[test]
fn tables_say_more() {
    let text = r#"
        algorithm_name = "Zones"
        algorithm_version = "2.1"
        manufacturer = "A group"
        series_description = "Prostate zones"
        body_part_examined = "Prostate"
        segment_names = [
            { name = "PeripheralZone", number = 4, label = "PZ right", code = 279706003, category_number = "91723000", tracking_id = "x" },
            { name = "lesion", number = 2, code = "52988006", category_number = 49755003 },
            "Urinary bladder",
        ]
    "#;
    let (segments, notes) = parse(text).unwrap();
    let shown: Vec<_> = segments.iter().map(|s| (s.label, s.name.as_str(), s.property.meaning.as_str())).collect();
    assert_eq!(shown, [(4, "PZ right", "Peripheral zone"), (2, "lesion", "Lesion"), (3, "Urinary bladder", "Bladder")]);
    assert_eq!(segments[0].modifier.as_ref().unwrap().meaning, "Right");
    assert_eq!(segments[1].category.meaning, "Morphologically Abnormal Structure");
    assert_eq!((notes.algorithm.as_deref(), notes.body_part.as_deref()), (Some("Zones"), Some("PROSTATE")));
}

#[test]
fn all_faults_are_told() {
    let told = parse(
        "body_part_examined = \"A very long body part\"\nsegment_names = [\"Livre\", { name = \"liver\", number = 0 }, { name = \"liver\", category_number = 1 }]",
    );
    let told = told.unwrap_err().join("\n");
    for expected in [
        "segment_names[0]: there is no structure \"livre\"; did you mean liver",
        "[1]: number",
        "[2]: category_number",
        "body_part_examined",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(parse("manufacturer = \"x\"").unwrap_err()[0].contains("give path"));
}
