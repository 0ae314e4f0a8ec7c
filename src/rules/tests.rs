//! Table cases for conditions, the effect of rules, and the bond between routing and explanation.
#![allow(clippy::unwrap_used)]

use super::*;

/// A T1 head in three instances that agree on all but the position, the kernel, and BodyPartExamined.
pub(super) fn head() -> SeriesSummary {
    let agreed = |values: &[&str]| AttributeSummary {
        distinct: vec![values.iter().map(|v| (*v).to_owned()).collect()],
        more: false,
    };
    let differs = |lists: &[&[&str]], more| AttributeSummary {
        distinct: lists.iter().map(|list| list.iter().map(|v| (*v).to_owned()).collect()).collect(),
        more,
    };
    let attributes = [
        ("0008,0008", agreed(&["ORIGINAL", "PRIMARY", "M"])),
        ("0008,0060", agreed(&["MR"])),
        ("0008,103e", agreed(&["Anat T1w MPRAGE"])),
        ("0018,0050", agreed(&["1.00"])),
        ("0018,0087", agreed(&["3"])),
        ("0028,0030", agreed(&["0.7", "0.9"])),
        ("0018,0015", differs(&[&["HEAD"], &[]], false)),
        ("0018,1210", differs(&[&["B31s"], &["B40s"]], false)),
        ("0020,1041", differs(&[&["0"], &["1"], &["2"]], true)),
        ("0009,1001", agreed(&["private"])),
        ("0010,1010", agreed(&["045Y"])),
        ("0008,0020", agreed(&["20231114"])),
        ("0008,0030", agreed(&["231000.5"])),
        ("0019,0010", agreed(&["GEMS_ACQU_01"])),
        ("0019,0011", agreed(&["SIEMENS MR HEADER"])),
        ("0019,110c", agreed(&["1000"])),
        ("0040,0275", agreed(&["2"])),
        ("0040,0275.0040,0009", agreed(&["A", "B"])),
    ];
    SeriesSummary {
        attributes: attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        orientation: Some(Orientation::Sagittal),
        facts: SeriesFacts {
            calling_ae: "MR1".into(),
            called_ae: "SAGITTAL".into(),
            sender: "10.0.0.7".into(),
            received_at: Some(1_700_000_000_000),
            utc_offset: 3600,
            slices: 3,
            geometry: "regular".into(),
            spacing_between_slices: Some(0.700_000_01),
        },
    }
}

fn rule(when: &str) -> String {
    format!("[[rule]]\nname = \"r\"\npipeline = \"p\"\nsend_to = \"d\"\n{when}\n")
}

fn check(when: &str, expected: bool) {
    let rules = RuleSet::parse(&rule(&format!("when.{when}"))).unwrap_or_else(|f| panic!("{when}: {}", f[0]));
    let explanation = rules.explain(&head());
    assert_eq!(explanation.rules[0].matches, expected, "{when}\n{explanation}");
    assert_eq!(!rules.route(&head()).fired.is_empty(), expected, "{when}");
}

#[test]
fn conditions_on_attributes() {
    // equality
    check("Modality = 'MR'", true);
    check("Modality = ' mr '", true);
    check("Modality = 'M'", false);
    check("Modality = ['CT', 'MR']", true);
    check("Modality = ['CT', 'PT']", false);
    check("'0008,0060' = 'MR'", true);
    check("'(0008,0060)' = 'MR'", true);
    check("'0009,1001' = 'private'", true);
    check("MagneticFieldStrength = 3", true);
    check("MagneticFieldStrength = 1.5", false);
    check("SliceThickness = 1", true);
    check("SliceThickness = '1'", true);
    check("SliceThickness = ['2', 1.0]", true);
    check("Modality = 3", false);
    // several values: one is enough
    check("ImageType = 'PRIMARY'", true);
    check("ImageType = 'LOCALIZER'", false);
    check("ImageType = { glob = 'PRIM*' }", true);
    check("ImageType = { not = 'PRIMARY' }", false);
    check("ImageType = { not = ['LOCALIZER', 'DERIVED'] }", true);
    // glob
    check("SeriesDescription = { glob = '*t1*' }", true);
    check("SeriesDescription = { glob = 't1*' }", false);
    check("SeriesDescription = { glob = ['*t2*', '*mprage'] }", true);
    check("SeriesDescription = { glob = 'Anat T?w*' }", true);
    check("SeriesDescription = { glob = '*[0-9]w*' }", true);
    check("SeriesDescription = { glob = '*{flair,mprage}*' }", true);
    // regex: as written, anywhere
    check("SeriesDescription = { regex = 'T1w' }", true);
    check("SeriesDescription = { regex = 't1w' }", false);
    check("SeriesDescription = { regex = '(?i)^anat.*rage$' }", true);
    check("SeriesDescription = { regex = ['^x', 'T1'] }", true);
    // bounds
    check("SliceThickness = { max = 1.5 }", true);
    check("SliceThickness = { max = 1 }", true);
    check("SliceThickness = { max = 0.99 }", false);
    check("SliceThickness = { min = 0.5, max = 1.5 }", true);
    check("SliceThickness = { min = 1.1, max = 1.5 }", false);
    check("PixelSpacing = { max = 0.9 }", true);
    check("PixelSpacing = { max = 0.8 }", false);
    check("Modality = { max = 5 }", false);
    check("RepetitionTime = { min = 0 }", false);
    // presence
    check("Modality = { present = true }", true);
    check("Modality = { present = false }", false);
    check("ContrastBolusAgent = { present = false }", true);
    check("ContrastBolusAgent = 'GADO'", false);
    check("ContrastBolusAgent = { not = 'GADO' }", true);
    check("ContrastBolusAgent = { glob = 'GADO*', missing = true }", true);
    check("Modality = { glob = 'CT', missing = true }", false);
    // combinations
    check("SeriesDescription = { glob = '*t1*', not = { regex = '(?i)post' } }", true);
    check("SeriesDescription = { glob = '*t1*', not = { glob = '*rage*' } }", false);
    check("SliceThickness = { any = [{ max = 0.5 }, { min = 1 }] }", true);
    check("SliceThickness = { any = ['7', { min = 2 }] }", false);
    check("SliceThickness = { not = { not = 1 } }", true);
    // instances differ: every value must pass
    check("BodyPartExamined = 'HEAD'", false);
    check("BodyPartExamined = { glob = 'HEAD', missing = true }", true);
    check("BodyPartExamined = { present = true }", false);
    check("BodyPartExamined = { not = 'FOOT' }", true);
    check("BodyPartExamined = { not = 'HEAD' }", false);
    check("ConvolutionKernel = { glob = 'B*' }", true);
    check("ConvolutionKernel = 'B31s'", false);
    check("SliceLocation = { min = -1000 }", false);
    check("SliceLocation = { not = 7 }", false);
    check("SliceLocation = { present = true }", true);
}

#[test]
fn conditions_on_what_is_computed() {
    check("orientation = 'sagittal'", true);
    check("orientation = ['axial', 'coronal']", false);
    check("slices = { min = 3 }", true);
    check("slices = { min = 4 }", false);
    check("spacing_between_slices = 0.7", true);
    check("spacing_between_slices = { max = 0.7 }", true);
    check("geometry = ['regular', 'single-slice']", true);
    check("geometry = { not = 'regular' }", false);
    check("calling_ae = 'mr1'", true);
    check("called_ae = { glob = 'SAG*' }", true);
    check("sender = { glob = '10.0.*' }", true);
    check("received_at = { glob = '2023-11-14*' }", true);
    // 2023-11-14 is a Tuesday; 22:13:20 UTC is 23:13:20 on the wall
    check("time_of_day = { min = '22:30', max = '06:00' }", true);
    check("time_of_day = { min = '06:00', max = '22:30' }", false);
    check("time_of_day = { min = 23:00:00 }", true);
    check("weekday = ['monday', 'tuesday']", true);
    check("weekday = { not = 'tuesday' }", false);
    check("received_at = { min = '2023-11-14', max = 2023-11-14T22:13:20Z }", true);
    check("slice_gap = { max = 0 }", true);
    check("slice_gap = -0.3", true);
    check("contrast = 'no'", true);
}

#[test]
fn conditions_on_dates_places_and_groups() {
    // ages, dates, times
    check("PatientAge = { min = 18 }", true);
    check("PatientAge = { min = '46Y' }", false);
    check("PatientAge = '45Y'", true);
    check("PatientAge = 45", true);
    check("StudyDate = { min = 2023-11-01, max = '20231130' }", true);
    check("StudyDate = '2023-11-14'", true);
    check("StudyTime = { min = '22:00', max = '05:00' }", true);
    check("StudyTime = { max = '0500' }", false);
    // one value of several, each alone
    check("'ImageType[2]' = 'PRIMARY'", true);
    check("'ImageType[1]' = 'PRIMARY'", false);
    check("'ImageType[9]' = { present = false }", true);
    check("'ConvolutionKernel[1]' = { glob = 'B*' }", true);
    check("ImageType = { all = ['ORIGINAL', 'PRIMARY'] }", true);
    check("ImageType = { all = ['ORIGINAL', 'MPR'] }", false);
    check("ImageType = { every = ['ORIGINAL', 'PRIMARY', 'M'] }", true);
    check("ImageType = { every = ['ORIGINAL', 'PRIMARY'] }", false);
    check("PixelSpacing = { some = { max = 0.8 } }", true);
    check("PixelSpacing = { some = { min = 0.8, max = 0.85 } }", false);
    check("Modality = { equals = ['CT', 'MR'] }", true);
    check("ContrastBolusAgent = { equals = 'GADO', missing = true }", true);
    // inside sequences, any item; private, by creator
    check("'RequestAttributesSequence.ScheduledProcedureStepID' = 'B'", true);
    check("'RequestAttributesSequence.ScheduledProcedureStepID' = 'C'", false);
    check("'0040,0275.0040,0009' = { not = 'C' }", true);
    check("RequestAttributesSequence = 2", true);
    check("ProcedureCodeSequence = { present = false }", true);
    check("'0019,xx0c(SIEMENS MR HEADER)' = 1000", true);
    check("'0019,xx0c(siemens mr header)' = { min = 900 }", true);
    check("'0019,xx0c(GEMS_ACQU_01)' = { present = true }", false);
    check("'0019,110c' = '1000'", true);
    // groups
    check("not = { Modality = 'CT' }", true);
    check("not = [{ Modality = 'CT' }, { slices = 3 }]", false);
    check("not = { Modality = 'MR', slices = 4 }", true);
    check("not = { not = { Modality = 'MR' } }", true);
    check("all = [{ any = [{ slices = 3 }] }, { any = [{ slices = 4 }, { Modality = 'MR' }] }]", true);
    check("all = [{ slices = 3 }, { slices = 4 }]", false);
    check("any = [{ Modality = 'CT' }, { Modality = 'MR', slices = 3 }]", true);
    check("any = [{ Modality = 'CT' }, { Modality = 'MR', slices = 4 }]", false);
    check("any = [{ any = [{ slices = 9 }, { orientation = 'sagittal' }] }]", true);
}

#[test]
fn an_unknown_orientation_is_missing() {
    let unknown = SeriesSummary { orientation: None, ..head() };
    let rules = RuleSet::parse(&rule("when.orientation = { present = false }")).unwrap();
    assert!(rules.explain(&unknown).rules[0].matches);
}

/// Rules on the head: `(name, when, rest)`.
pub(super) fn ruleset(rules: &[(&str, &str, &str)]) -> RuleSet {
    let texts: Vec<String> =
        rules.iter().map(|(name, when, rest)| format!("[[rule]]\nname = '{name}'\nwhen = {when}\n{rest}\n")).collect();
    let text = texts.concat();
    RuleSet::parse(&text).unwrap_or_else(|faults| panic!("{text}: {}", faults[0]))
}

pub(super) const MR: &str = "{ Modality = 'MR' }";
const CT: &str = "{ Modality = 'CT' }";
pub(super) const RUN: &str = "pipeline = 'p'\nsend_to = ['d', 'e', 'd']";

#[test]
fn every_matching_rule_fires_until_one_stops_or_holds() {
    let check = |rules: &[(&str, &str, &str)], fired: &[&str], held: Option<&str>| {
        let routing = ruleset(rules).route(&head());
        let names: Vec<&str> = routing.fired.iter().map(|f| f.name.as_str()).collect();
        assert_eq!((names.as_slice(), routing.held.as_ref().map(|h| h.reason.as_str())), (fired, held), "{rules:?}");
    };
    let stop = format!("{RUN}\nstop = true");
    let off = format!("{stop}\nmode = 'off'");
    let shadow = format!("{stop}\nmode = 'shadow'");
    check(&[("a", MR, RUN), ("b", CT, RUN), ("c", "{}", RUN)], &["a", "c"], None);
    check(&[("a", MR, &stop), ("b", MR, RUN)], &["a"], None);
    check(&[("a", CT, &stop), ("b", MR, RUN)], &["b"], None);
    check(&[("a", MR, &off), ("b", MR, RUN)], &["b"], None);
    check(&[("a", MR, &shadow), ("b", MR, RUN)], &["a", "b"], None);
    check(&[("a", MR, "stop = true"), ("b", MR, RUN)], &[], None);
    check(&[("a", MR, RUN), ("b", MR, "hold = 'look first'"), ("c", MR, RUN)], &["a"], Some("look first"));
    check(&[("a", CT, "hold = 'look first'"), ("b", MR, RUN)], &["b"], None);
    check(&[], &[], None);
}

#[test]
fn a_fired_rule_says_what_is_to_be_done() {
    let urgent = format!("{RUN}\npriority = 'urgent'");
    let shadow = format!("{RUN}\npriority = 'off-peak'\nmode = 'shadow'");
    let fired = ruleset(&[("a", MR, &urgent), ("b", MR, &shadow)]).route(&head()).fired;
    let rule = |name: &str, destinations: &[&str], priority, shadow| FiredRule {
        name: name.into(),
        pipeline: "p".into(),
        destinations: destinations.iter().map(|d| (*d).to_owned()).collect(),
        priority: Some(priority),
        shadow,
        ..FiredRule::default()
    };
    assert_eq!(fired, [rule("a", &["d", "e"], Priority::Urgent, false), rule("b", &[], Priority::OffPeak, true)]);
    assert_eq!(ruleset(&[("a", MR, RUN)]).route(&head()).fired[0].priority, None);
}

#[test]
fn the_explanation_is_a_tree_and_survives_json() {
    let any = "{ any = [{ Modality = 'CT' }, { slices = { min = 2 }, SliceLocation = 3 }] }";
    let rules =
        ruleset(&[("localizer", any, "stop = true"), ("brain", MR, &format!("{RUN}\nstop = true")), ("c", CT, RUN)]);
    let explanation = rules.explain(&head());
    let expected = "\
✗ localizer (line 1): does not match
  └─ ✗ any: one of the alternatives
     alternative 1
       └─ ✗ Modality: \"CT\"; found \"MR\"
     alternative 2
       ├─ ✓ slices: at least 2; found \"3\"
       └─ ✗ SliceLocation: 3; found differs: \"0\", \"1\", \"2\", and many more
✓ brain (line 5): fires: p -> d, e, then stops
  └─ ✓ Modality: \"MR\"; found \"MR\"
✗ c (line 11): not reached, rule \"brain\" ended the evaluation
  └─ ✗ Modality: \"CT\"; found \"MR\"
";
    assert_eq!(explanation.to_string(), expected);
    let json = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
    assert_eq!(explanation.rules_revision, rules.revision());
    assert_eq!(rules.revision().len(), 64);
}

/// The operator reference of `config/README.md` is free of faults, cell by cell and block by block.
#[test]
fn every_example_of_the_reference_can_be_written() {
    let readme = include_str!("../../config/README.md");
    let cells = readme.lines().filter(|line| line.starts_with("| `when."));
    let examples: Vec<&str> = cells.flat_map(|line| line.split('`').filter(|part| part.starts_with("when."))).collect();
    assert!(examples.len() >= 15, "{examples:?}");
    for example in examples {
        RuleSet::parse(&rule(example)).unwrap_or_else(|faults| panic!("{example}: {}", faults[0]));
    }
    let (_, keys) = readme.split_once("### What a condition looks at").unwrap();
    let (keys, _) = keys.split_once("### What it asks").unwrap();
    let first_cells = keys.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    for key in first_cells.flat_map(|(cell, _)| cell.split('`')).filter(|key| !key.is_empty() && *key != ", ") {
        let example = format!("when.{key} = {{ present = true }}");
        RuleSet::parse(&rule(&example)).unwrap_or_else(|faults| panic!("{example}: {}", faults[0]));
    }
    let whole = readme.split("```").filter_map(|block| block.strip_prefix("toml\n"));
    let conditions = whole.clone().filter(|block| block.starts_with("when."));
    for text in conditions.map(rule).chain(whole.filter(|b| b.starts_with("[[rule]]")).map(str::to_owned)) {
        RuleSet::parse(&text).unwrap_or_else(|faults| panic!("{text}: {}", faults[0]));
    }
}
