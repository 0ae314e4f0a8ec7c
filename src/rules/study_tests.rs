//! Study rules: which series become which inputs, when, and what happens to incomplete sets.
#![allow(clippy::unwrap_used)]

use super::*;

const MINUTE: i64 = 60_000;

/// A series of the study: description, slices, minute of its last arrival, and the rest of its attributes.
fn series(description: &str, slices: usize, minute: i64, rest: &[(&str, &str)]) -> SeriesSummary {
    let agreed = |value: &str| AttributeSummary { distinct: vec![vec![value.to_owned()]], more: false };
    let fixed = [("0008,0060", "MR"), ("0008,0020", "20260301"), ("0008,103e", description)];
    let attributes = fixed.iter().chain(rest).map(|(key, value)| ((*key).to_owned(), agreed(value))).collect();
    let facts = SeriesFacts {
        received_at: Some(minute * MINUTE),
        slices,
        geometry: "regular".to_owned(),
        ..SeriesFacts::default()
    };
    SeriesSummary { attributes, orientation: None, facts }
}

fn prostate(keys: &str, dwi: &str) -> RuleSet {
    let text = format!(
        "[[rule]]\nname = 'scouts'\nwhen.SeriesDescription = {{ glob = '*loc*' }}\nstop = true\n\
         [[rule]]\nname = 'prostate'\nscope = 'study'\nwhen.Modality = 'MR'\npipeline = 'p'\nsend_to = 'pacs'\n{keys}\n\
         [rule.inputs.t2]\nwhen.SeriesDescription = {{ glob = 't2*' }}\n\
         [rule.inputs.dwi]\nwhen.SeriesDescription = {{ glob = '*dwi*' }}\n{dwi}\n"
    );
    RuleSet::parse(&text).unwrap_or_else(|faults| panic!("{text}: {}", faults[0]))
}

/// The verdict of the only study rule, `minute` minutes in; members whose name begins with `prior` are earlier.
fn verdict(rules: &RuleSet, minute: Option<i64>, members: &[(&str, &SeriesSummary)]) -> String {
    let mut members: Vec<StudyMember<'_>> = members
        .iter()
        .map(|(id, summary)| StudyMember { id, summary, prior: id.starts_with("prior"), seen: None })
        .collect();
    let now = StudyNow { now: minute.map(|m| m * MINUTE), arriving: None };
    let routing = rules.decide_study(&members, now);
    members.reverse();
    let reversed = rules.decide_study(&members, now);
    assert_eq!(reversed.rules[0].verdict, routing.rules[0].verdict, "the order of arrival counts");
    let json = serde_json::to_string(&routing).unwrap();
    assert_eq!(serde_json::from_str::<StudyRouting>(&json).unwrap(), routing);
    match &routing.rules[0].verdict {
        StudyVerdict::Fires { job, inputs, missing } => {
            let inputs: Vec<String> = inputs.iter().map(|i| format!("{}={}", i.name, i.member)).collect();
            let without = if missing.is_empty() { String::new() } else { format!(" without {}", missing.join(" ")) };
            format!("{} {}{without}", job.name, inputs.join(" "))
        }
        StudyVerdict::Waits { missing, until } => format!("waits to {} for [{}]", until / MINUTE, missing.join(" ")),
        StudyVerdict::GivenUp { missing } => format!("gives up without {}", missing.join(" ")),
        StudyVerdict::NoMatch => "no match".to_owned(),
        StudyVerdict::Off => "off".to_owned(),
    }
}

#[test]
fn a_study_rule_fires_with_all_its_inputs_when_the_study_is_quiet() {
    let (t2, dwi) = (series("t2 tra", 30, 10, &[]), series("ep dwi", 60, 12, &[]));
    let (report, scout) = (series("report", 1, 14, &[]), series("t2 loc", 90, 14, &[]));
    let check = |minute: Option<i64>, members: &[(&str, &SeriesSummary)], expected: &str| {
        assert_eq!(verdict(&prostate("", ""), minute, members), expected, "{minute:?}");
    };
    check(Some(10), &[("r", &report)], "no match");
    check(Some(10), &[("a", &t2)], "waits to 40 for [dwi]");
    check(Some(12), &[("a", &t2), ("b", &dwi)], "waits to 13 for []");
    check(Some(13), &[("a", &t2), ("b", &dwi)], "prostate t2=a dwi=b");
    check(Some(14), &[("a", &t2), ("b", &dwi), ("r", &report)], "waits to 15 for []");
    check(Some(20), &[("a", &t2), ("b", &dwi), ("s", &scout)], "prostate t2=a dwi=b");
    check(None, &[("a", &t2), ("b", &dwi)], "prostate t2=a dwi=b");
    check(Some(40), &[("a", &t2)], "gives up without dwi");
    check(None, &[("a", &t2)], "gives up without dwi");
    assert_eq!(verdict(&prostate("mode = 'off'", ""), None, &[("a", &t2), ("b", &dwi)]), "off");
    let quiet = verdict(&prostate("quiet = '5 min'", ""), Some(13), &[("a", &t2), ("b", &dwi)]);
    assert_eq!(quiet, "waits to 17 for []");
}

#[test]
fn a_series_that_is_arriving_is_awaited() {
    let (t2, dwi) = (series("t2 tra", 30, 10, &[]), series("ep dwi", 60, 12, &[]));
    let member = |id, summary| StudyMember { id, summary, prior: false, seen: None };
    let members = [member("a", &t2), member("b", &dwi)];
    let at = |now| StudyNow { now: Some(now), arriving: Some(20 * MINUTE) };
    let decided = |now| prostate("", "").decide_study(&members, at(now)).rules[0].verdict.clone();
    let waits = StudyVerdict::Waits { missing: Vec::new(), until: 21 * MINUTE };
    assert_eq!(decided(20 * MINUTE), waits);
    assert!(matches!(decided(21 * MINUTE), StudyVerdict::Fires { .. }));
}

#[test]
fn incomplete_sets_proceed_wait_or_are_given_up() {
    let (t2, dwi) = (series("t2 tra", 30, 10, &[]), series("ep dwi", 60, 60, &[]));
    let check = |keys: &str, minute: i64, late: bool, expected: &str| {
        let members = [("a", &t2), ("b", &dwi)];
        let members = if late { &members[..] } else { &members[..1] };
        assert_eq!(verdict(&prostate(keys, ""), Some(minute), members), expected, "{keys} {minute}");
    };
    let (proceed, wait) = ("partial = 'proceed'", "partial = 'wait'\ngive_up_after = '2 h'");
    check(proceed, 39, false, "waits to 40 for [dwi]");
    check(proceed, 40, false, "prostate t2=a without dwi");
    check(proceed, 61, true, "prostate t2=a without dwi");
    check(wait, 40, false, "waits to 130 for [dwi]");
    check(wait, 61, true, "prostate t2=a dwi=b");
    check(wait, 130, false, "gives up without dwi");
    check("", 61, true, "gives up without dwi");
    check("window = '1 h'", 61, true, "prostate t2=a dwi=b");
}

#[test]
fn an_optional_input_is_used_and_not_waited_for() {
    let (t2, dwi) = (series("t2 tra", 30, 10, &[]), series("ep dwi", 60, 10, &[]));
    let rules = prostate("", "optional = true");
    assert_eq!(verdict(&rules, Some(11), &[("a", &t2)]), "prostate t2=a");
    assert_eq!(verdict(&rules, Some(11), &[("a", &t2), ("b", &dwi)]), "prostate t2=a dwi=b");
}

#[test]
fn one_of_several_is_chosen_whatever_their_order() {
    let t2 = series("t2 tra", 30, 10, &[]);
    let thin = series("dwi", 20, 10, &[("0018,0050", "2"), ("0008,0021", "20260301"), ("0008,0031", "1030")]);
    let many = series("dwi", 40, 10, &[("0018,0050", "3"), ("0008,0021", "20260301"), ("0008,0031", "101500.5")]);
    let last = series("dwi", 20, 10, &[("0018,0050", "4"), ("0008,0021", "20260301"), ("0008,0031", "110000")]);
    let check = |choose: &str, expected: &str| {
        let rules = prostate("", &format!("choose = '{choose}'"));
        let members = [("a", &t2), ("thin", &thin), ("many", &many), ("last", &last)];
        assert_eq!(verdict(&rules, None, &members), format!("prostate t2=a dwi={expected}"), "{choose}");
    };
    check("most-slices", "many");
    check("thinnest", "thin");
    check("latest", "last");
    check("first", "many");
}

#[test]
fn a_series_serves_one_input_only() {
    let both = series("t2 dwi", 30, 10, &[]);
    assert_eq!(verdict(&prostate("", ""), Some(10), &[("a", &both)]), "waits to 40 for [dwi]");
    assert_eq!(verdict(&prostate("", ""), None, &[("a", &both), ("b", &both)]), "prostate t2=a dwi=b");
}

#[test]
fn priors_come_from_earlier_studies_and_are_not_too_old() {
    let (now, old) = (series("t2 tra", 30, 10, &[]), |date: &str| series("t2 dwi", 60, 0, &[("0008,0020", date)]));
    let (year, decade) = (old("20250301"), old("20160301"));
    let rules = prostate("", "prior = true\nmax_age = '730 d'\nchoose = 'latest'");
    assert_eq!(verdict(&rules, None, &[("a", &now), ("prior", &year)]), "prostate t2=a dwi=prior");
    assert_eq!(verdict(&rules, None, &[("a", &now), ("prior", &decade)]), "gives up without dwi");
    assert_eq!(verdict(&rules, None, &[("a", &now), ("b", &year)]), "gives up without dwi");
    assert_eq!(verdict(&rules, None, &[("prior", &year)]), "no match");
}

#[test]
fn a_series_knows_which_inputs_it_can_be() {
    let explanation = prostate("", "").explain(&series("t2 tra", 30, 10, &[])).to_string();
    let line = "✓ prostate (line 5): is for studies; this series can be its t2\n";
    assert!(explanation.contains(line), "{explanation}");
}
