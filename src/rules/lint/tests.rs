//! Table cases: rules, and the warnings that they bring.
#![allow(clippy::unwrap_used)]

use super::*;

const RUN: &str = "pipeline = 'brain'\nsend_to = 'pacs'\n";
const STOP: &str = "stop = true\n";

fn needs(name: &str) -> Option<PipelineNeeds> {
    let accept = vec!["regular".to_owned()];
    let brain = || PipelineNeeds { modality: Some(vec!["MR".to_owned()]), accept: accept.clone() };
    match name {
        "brain" => Some(brain()),
        "other" => Some(PipelineNeeds { modality: None, accept: vec!["regular".into(), "missing-slices".into()] }),
        _ => None,
    }
}

/// The warnings about rules written as `(when, rest)`, each as `rule: found`.
fn warnings(rules: &[(&str, &str)]) -> Vec<String> {
    let texts =
        (1..).zip(rules).map(|(n, (when, rest))| format!("[[rule]]\nname = '{n}'\nwhen = {{ {when} }}\n{rest}\n"));
    let text = texts.collect::<String>();
    let rules = RuleSet::parse(&text).unwrap_or_else(|faults| panic!("{text}: {}", faults[0]));
    let found = lint("rules.toml", &rules, &needs);
    found
        .iter()
        .map(|fault| format!("{}: {}", fault.key.trim_matches(['r', 'u', 'l', 'e', '[', ']', '"']), fault.found))
        .collect()
}

fn check(rules: &[(&str, &str)], expected: &[&str]) {
    let found = warnings(rules);
    assert_eq!(found.len(), expected.len(), "{rules:?}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{rules:?}: {found} lacks {expected}");
    }
}

#[test]
fn a_rule_behind_one_that_ends_all_its_series_is_never_reached() {
    let behind = |earlier: &str, later: &str, never: bool| {
        check(
            &[(earlier, STOP), (later, "pipeline = 'other'\nsend_to = 'pacs'")],
            if never { &["2: never reached: rule \"1\" (line 1) stops"] } else { &[] },
        );
    };
    behind("", "Modality = 'MR'", true);
    behind("Modality = 'MR'", "Modality = 'mr '", true);
    behind("Modality = ['MR', 'CT']", "Modality = 'MR'", true);
    behind("Modality = 'MR'", "Modality = ['MR', 'CT']", false);
    behind("Modality = 'MR'", "Modality = 'MR', slices = { min = 3 }", true);
    behind("Modality = 'MR', slices = { min = 3 }", "Modality = 'MR'", false);
    behind("slices = { min = 3 }", "slices = { min = 5, max = 9 }", true);
    behind("slices = { min = 3, max = 7 }", "slices = { min = 5, max = 9 }", false);
    behind("SeriesDescription = { glob = '*t1*' }", "SeriesDescription = ['T1 sag', 'ax T1']", true);
    behind("SeriesDescription = { glob = '*t1*' }", "SeriesDescription = { glob = '*t1*', missing = true }", false);
    behind("SeriesDescription = { present = true }", "SeriesDescription = { regex = '^a' }", true);
    behind("SeriesDescription = { not = 'a' }", "SeriesDescription = { not = ['a', 'b'] }", true);
    behind("SeriesDescription = { not = ['a', 'b'] }", "SeriesDescription = { not = 'a' }", false);
    behind("any = [{ Modality = 'CT' }, { slices = 3 }]", "slices = 3, Modality = 'PT'", true);
    behind("slices = 3", "any = [{ slices = 3, Modality = 'CT' }, { slices = 3 }]", true);
    behind("slices = 3", "any = [{ slices = 3 }, { Modality = 'CT' }]", false);
    behind("any = [{ SliceThickness = { max = 2 } }]", "SliceThickness = { max = 1 }", true);
}

#[test]
fn only_a_live_rule_that_ends_the_evaluation_hides_others() {
    let mr = "Modality = 'MR'";
    check(&[(mr, &format!("{RUN}stop = true\nmode = 'shadow'")), (mr, "pipeline = 'other'\nsend_to = 'pacs'")], &[]);
    check(&[(mr, &format!("{STOP}mode = 'off'\npipeline = 'other'")), (mr, RUN)], &[]);
    check(&[(mr, "hold = 'look'"), (mr, RUN)], &["2: never reached: rule \"1\" (line 1) holds"]);
    check(&[("", STOP), (mr, &format!("{RUN}mode = 'off'"))], &["1: it stops nothing"]);
}

#[test]
fn conditions_that_exclude_each_other_are_told() {
    let check = |when: &str, excluded: Option<&str>| match excluded {
        Some(words) => check(&[(when, "pipeline = 'other'\nsend_to = 'pacs'")], &[words]),
        None => check(&[(when, "pipeline = 'other'\nsend_to = 'pacs'")], &[]),
    };
    check("Modality = 'MR', '0008,0060' = 'CT'", Some("Modality and 0008,0060 exclude each other"));
    check("Modality = 'MR', any = [{ Modality = 'CT' }]", Some("Modality asks for what excludes itself"));
    check("Modality = 'MR', any = [{ Modality = 'CT' }, { slices = 3 }]", None);
    check("ImageType = 'ORIGINAL', any = [{ ImageType = 'PRIMARY' }]", None);
    check("slices = 5, any = [{ slices = { min = 9 } }]", Some("slices asks for what excludes itself"));
    check("slices = { min = 5 }, any = [{ slices = { max = 4 } }]", Some("slices asks for what excludes itself"));
    check("SliceThickness = { min = 5 }, any = [{ SliceThickness = { max = 5 } }]", None);
    check(
        "SeriesDescription = { glob = '*t1*', not = { glob = '*t1*' } }",
        Some("SeriesDescription asks for what excludes itself"),
    );
    check("SeriesDescription = { glob = '*t1*', not = { glob = '*post*' } }", None);
    check("SeriesDescription = 'sag T1', '0008,103e' = { glob = '*t2*' }", Some("exclude each other"));
    check("SeriesDescription = 'sag T1', '0008,103e' = { regex = 'T1$' }", None);
    check("SeriesDescription = 'sag T1', '0008,103e' = { regex = '^T1' }", Some("exclude each other"));
    check(
        "PatientSex = { present = false }, any = [{ PatientSex = 'F' }]",
        Some("PatientSex asks for what excludes itself"),
    );
    check("PatientSex = { glob = 'F', missing = true }, any = [{ PatientSex = { present = false } }]", None);
    check("MagneticFieldStrength = 3, '0018,0087' = '3'", None);
    check(
        "orientation = 'axial', any = [{ orientation = 'sagittal' }]",
        Some("orientation asks for what excludes itself"),
    );
}

#[test]
fn what_comes_too_late_or_twice_or_for_the_wrong_images_is_told() {
    let mr = "Modality = 'MR'";
    check(&[(mr, RUN), ("Modality = 'MR', slices = 1", "hold = 'one slice'")], &["2: too late: rule \"1\""]);
    check(&[("slices = 1", "hold = 'one slice'"), (mr, RUN)], &[]);
    check(&[(mr, RUN), ("ImageType = 'LOCALIZER'", STOP)], &["2: it stops nothing"]);
    let other = "pipeline = 'other'\nsend_to = 'pacs'";
    check(&[(mr, RUN), ("Modality = 'MR', slices = { min = 9 }", RUN)], &["2: it overlaps rule \"1\""]);
    check(&[(mr, RUN), ("Modality = 'MR', slices = { min = 9 }", other)], &[]);
    check(&[(mr, &format!("{RUN}stop = true")), ("slices = 9", RUN)], &[]);
    check(
        &[("Modality = ['MR', 'CT', 'PT']", RUN)],
        &["1: Modality CT, PT: the models of pipeline brain are made for MR"],
    );
    check(&[("Modality = { glob = 'CT*' }", RUN)], &[]);
    check(&[("geometry = 'missing-slices'", RUN)], &["1: geometry missing-slices: pipeline brain accepts regular"]);
    check(&[("geometry = 'missing-slices'", &format!("{RUN}accept = 'missing-slices'"))], &[]);
    check(&[("geometry = 'missing-slices'", other)], &[]);
    check(&[("Modality = 'CT'", "pipeline = 'unknown'\nsend_to = 'pacs'")], &[]);
}

#[test]
fn rules_that_matched_nothing_or_wait_for_long_are_told() {
    let text = "[[rule]]\nname = 'a'\nwhen.slices = 1\nstop = true\n[[rule]]\nname = 'b'\nwhen.slices = 2\nmode = 'shadow'\npipeline = 'p'\n\
                [[rule]]\nname = 'c'\nwhen.slices = 3\nmode = 'off'\nstop = true\npipeline = 'p'\n";
    let rules = RuleSet::parse(text).unwrap();
    let mut matches = Matches::new(&rules);
    assert!(matches.never("rules.toml", &rules).is_empty(), "without a past nothing is known");
    let mut summary = SeriesSummary::default();
    summary.facts.slices = 1;
    matches.add(&rules, &summary);
    let never = matches.never("rules.toml", &rules);
    assert_eq!(never.len(), 1);
    assert_eq!((never[0].line, never[0].key.as_str()), (5, "rule[\"b\"]"));
    assert!(never[0].found.contains("none of the 1 series") && never[0].is_warning());
    let old = stale("rules.toml", &rules, &|name| name != "b");
    assert_eq!(
        old.iter().map(|f| (f.line, f.found.as_str())).collect::<Vec<_>>(),
        [(10, "it has been off for a long time")]
    );
}
