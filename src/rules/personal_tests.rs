//! What rules ask of personal attributes, and what a series holds there, stays out of every message. Only the
//! explanation shows it: it is for the operator who decides over the rules, and is never logged.
#![allow(clippy::unwrap_used)]

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use super::tests::{RUN, head};
use super::*;

/// Found nowhere else; one also reads as a number.
const SECRETS: [&str; 2] = ["Qzx", "7351946"];

/// Values of conditions that cannot be read. `!` stands for one secret, `0` for the other.
const FAULTY: [&str; 17] = [
    "{ regex = '!(' }",
    "{ regex = ['a', '(?P<!>', '[!'] }",
    "{ glob = '![' }",
    "{ glob = ['!{', 0] }",
    "{ not = { regex = '!(' } }",
    "{ any = [{ regex = '!(' }, { glob = '![' }] }",
    "{ globb = '!' }",
    "{ '!' = true }",
    "{ equals = { '!' = 0 } }",
    "{ missing = '!', equals = '!' }",
    "{ present = '!' }",
    "{ min = '!', max = '!' }",
    "{ min = 0, max = 7351945, glob = 0 }",
    "{ all = ['!', { equals = [] , '!' = 1 }] }",
    "['!', { a = '!' }]",
    "['!', []]",
    "!",
];

fn personal() -> Vec<&'static str> {
    let of_patient = |keyword: &&str| {
        let entry = StandardDataDictionary.by_name(keyword).unwrap();
        entry.tag().group() == 0x0010 || entry.vr().relaxed() == VR::PN || *keyword == "AccessionNumber"
    };
    keywords().filter(of_patient).collect()
}

fn filled(template: &str) -> String {
    template.replace('0', SECRETS[1]).replace('!', SECRETS[0])
}

fn assert_silent(what: &str, faults: &[Fault]) {
    assert!(!faults.is_empty(), "no fault: {what}");
    let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
    let said = format!("{}\n{}", told.join("\n"), serde_json::json!(faults));
    for secret in SECRETS {
        assert!(!said.contains(secret), "{what}\n{said}");
    }
}

#[test]
fn no_fault_of_a_rule_repeats_what_it_asks_of_a_patient() {
    let check = |when: &str| {
        let text = format!("[[rule]]\nname = 'r'\n{RUN}\n{when}\n");
        assert_silent(&text, &RuleSet::parse(&text).err().unwrap_or_default());
    };
    let keywords = personal();
    assert!(
        keywords.len() > 60 && ["PatientName", "PatientID", "PatientBirthDate"].iter().all(|k| keywords.contains(k))
    );
    let deep = ["PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "PatientAge"];
    for (keyword, template) in keywords.iter().flat_map(|keyword| FAULTY.map(|template| (*keyword, template))) {
        let value = filled(template);
        check(&format!("when.{keyword} = {value}"));
        if deep.contains(&keyword) {
            check(&format!("when.{keyword}s = {value}"));
            check(&format!("when.any = [{{ {keyword} = {value} }}, {{ not = {{ {keyword} = {value} }} }}]"));
            check(&format!("scope = 'study'\ninputs.a.when.{keyword} = {value}"));
            check(&format!("when.'{keyword}[2]' = {value}"));
        }
    }
}

#[test]
fn no_fault_of_a_case_repeats_a_value_of_a_patient() {
    let rules = RuleSet::parse(&format!("[[rule]]\nname = 'r'\n{RUN}\nwhen.Modality = 'CT'\n")).unwrap();
    for keyword in personal() {
        for template in ["{ '!' = 0 }", "{ differs = '!' }", "['!', { a = '!' }]", "!"] {
            let text = format!("[[case]]\nname = 'c'\nexpect = 'r'\nattributes.{keyword} = {}\n", filled(template));
            assert_silent(&text, &check_cases("rules.test.toml", &text, &rules, &|_| None).1);
        }
    }
}

/// What becomes of a series of that patient is told to everybody; why, to the operator alone.
#[test]
fn what_a_decision_says_outside_its_explanation_holds_no_value_of_a_patient() {
    let mut decided = 0;
    for keyword in personal() {
        let entry = StandardDataDictionary.by_name(keyword).unwrap();
        let mut series = head();
        let tag = format!("{:04x},{:04x}", entry.tag().group(), entry.tag().element());
        let distinct = vec![vec![SECRETS[0].to_owned(), SECRETS[1].to_owned()]];
        series.attributes.insert(tag, AttributeSummary { distinct, more: false });
        let text = format!(
            "[[rule]]\nname = 'near'\n{RUN}\nwhen = {{ Modality = 'MR', {keyword} = {{ glob = 'Qzx?' }} }}\n
             [[rule]]\nname = 'never'\n{RUN}\nwhen.all = [{{ {keyword} = 'Qzx' }}, {{ not = {{ {keyword} = 'Qzx' }} }}]\n
             [[rule]]\nname = 'waits'\n{RUN}\nwhen.{keyword} = {{ present = true }}\nwait_for = {{ slices = 900, for = '1 h' }}\n
             [[rule]]\nname = 'held'\nhold = 'somebody'\nwhen.{keyword} = {{ present = true }}\n"
        );
        let Ok(rules) = RuleSet::parse(&text) else { continue };
        let (routing, explanation) = rules.decide(&series);
        let outcomes: Vec<String> = explanation.rules.iter().map(|rule| rule.outcome.to_string()).collect();
        let mut said = format!("{routing:?} {outcomes:?}");
        let warnings = lint("rules.toml", &rules, &|_| None);
        said += &warnings.iter().map(Fault::to_string).collect::<String>();
        assert!(SECRETS.iter().all(|secret| !said.contains(secret)), "{keyword}: {said}");
        let shown = explanation.to_string();
        assert!(shown.contains("Qzx"), "the operator sees why: {keyword}\n{shown}");
        decided += 1;
    }
    assert!(decided > 30, "{decided} keywords take a pattern");
}
