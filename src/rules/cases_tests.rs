//! Cases that pass, that fail with a reason, and that cannot be read.
#![allow(clippy::unwrap_used)]

use super::*;

const RULES: &str = r#"
[[rule]]
name = "phantoms"
when.PatientID = { glob = "QA*" }
hold = "a phantom"

[[rule]]
name = "thin"
when.Modality = "CT"
when.SliceThickness = { max = 1.5 }
pipeline = "chest"
send_to = "pacs"

[[rule]]
name = "pair"
scope = "study"
when.Modality = "MR"
pipeline = "prostate"
send_to = "pacs"
inputs.t2.when.SeriesDescription = { glob = "*t2*" }
inputs.adc.when.SeriesDescription = { glob = "*adc*" }
"#;

fn check(cases: &str) -> (Vec<CaseResult>, Vec<Fault>) {
    let rules = RuleSet::parse(RULES).unwrap_or_else(|faults| panic!("{}", faults[0]));
    check_cases("rules.test.toml", cases, &rules, &|_| None)
}

#[test]
fn a_case_says_what_fires_holds_and_becomes_an_input() {
    let (cases, faults) = check(
        r#"
[[case]]
name = "thin CT"
attributes = { Modality = "CT", SliceThickness = 1.0, PatientID = "4711" }
expect = "thin"

[[case]]
name = "thick CT, and an attribute that differs"
attributes = { Modality = "CT", SliceThickness = { differs = [1, 5] } }
expect = []

[[case]]
name = "a phantom goes nowhere"
attributes = { Modality = "CT", SliceThickness = 1.0, PatientID = "qa-7" }
expect = []
held = "phantoms"

[[case]]
name = "a prostate"
series = [
  { name = "axial", attributes = { Modality = "MR", SeriesDescription = "ax t2" }, computed = { slices = 20 } },
  { name = "small", attributes = { Modality = "MR", SeriesDescription = "sag t2" }, computed = { slices = 9 } },
  { name = "map", attributes = { Modality = "MR", SeriesDescription = "ADC" } },
]
expect = ["pair"]
inputs = { t2 = "axial", adc = "map" }
"#,
    );
    assert_eq!(faults, [], "{}", faults[0]);
    assert!(cases.len() == 4 && cases.iter().all(|case| case.passed), "{cases:?}");
}

#[test]
fn a_case_that_fails_says_where_and_why() {
    let (cases, faults) = check(
        r#"
[[case]]
name = "thick"
attributes = { Modality = "CT", SliceThickness = 5 }
expect = ["thin"]

[[case]]
name = "held without being expected"
attributes = { Modality = "CT", PatientID = "QA" }
expect = []

[[case]]
name = "the other series"
series = [
  { name = "a", attributes = { Modality = "MR", SeriesDescription = "t2" } },
  { name = "b", attributes = { Modality = "MR", SeriesDescription = "adc" } },
]
expect = ["pair"]
inputs = { t2 = "b" }
"#,
    );
    assert!(cases.iter().all(|case| !case.passed), "{cases:?}");
    let told: Vec<_> = faults.iter().map(|f| (f.line, f.key.as_str(), f.found.as_str(), f.allowed.as_str())).collect();
    let expected = [
        (5, "case[\"thick\"].expect", "no rule fires", "fires: \"thin\""),
        (10, "case[\"held without being expected\"].expect", "held by \"phantoms\"", "not held"),
        (19, "case[\"the other series\"].inputs", "t2 = \"a\"", "t2 = \"b\""),
    ];
    assert_eq!(told, expected);
    let why = faults[0].hint.as_deref().unwrap();
    assert!(why.starts_with("✗ thin (line 7): does not match\n"), "{why}");
    assert!(why.contains("✗ SliceThickness: at most 1.5; found \"5\""), "{why}");
}

#[test]
fn every_fault_of_a_case_is_told() {
    let (cases, faults) = check(
        r#"
[[case]]
name = "words"
attributes = { Modalty = "CT", slices = 3 }
computed = { orientation = "axiall", slice = 3 }
expect = ["thinn"]
held = 7

[[case]]
name = "words"
series = []
attributes = {}
expected = []
"#,
    );
    assert!(cases.iter().all(|case| !case.passed));
    let keys: Vec<_> = faults.iter().map(|f| (f.line, f.key.rsplit('.').next().unwrap())).collect();
    let expected = [
        (4, "Modalty"),
        (4, "slices"),
        (5, "orientation"),
        (5, "slice"),
        (6, "expect"),
        (7, "held"),
        (9, "expect"),
        (10, "name"),
        (11, "series"),
        (12, "attributes"),
        (13, "expected"),
    ];
    assert_eq!(keys, expected, "{}", faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"));
}
