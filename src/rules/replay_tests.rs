//! Two rule sets on a small past: what differs, and that nothing else does.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::rules::AttributeSummary;

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn past(series: &str, revision: i64, modality: &str, slices: usize) -> Past {
    let modality = AttributeSummary { distinct: vec![vec![modality.to_owned()]], more: false };
    let facts = SeriesFacts { slices, geometry: "regular".into(), ..SeriesFacts::default() };
    let summary = SeriesSummary { attributes: [("0008,0060".into(), modality)].into(), orientation: None, facts };
    Past { series: SeriesKey { study: uid("1.2"), series: uid(series) }, revision, summary }
}

fn replay(before: &str, after: &str, studies: &[&[Past]]) -> Report {
    let [before, after] =
        [before, after].map(|text| RuleSet::parse(text).unwrap_or_else(|f| panic!("{text}: {}", f[0])));
    let profile = |_: &SeriesFacts| Profile { seen: None, priority: Priority::Routine };
    let mut replay = Replay::new(&before, &after, &profile);
    for study in studies {
        replay.study(study);
    }
    replay.finish()
}

fn rule(name: &str, when: &str, rest: &str) -> String {
    format!("[[rule]]\nname = '{name}'\nwhen = {{ {when} }}\n{rest}\n")
}

fn run(pipeline: &str) -> String {
    format!("pipeline = '{pipeline}'\nsend_to = ['a', 'b']")
}

#[test]
fn jobs_are_gained_lost_and_changed_by_their_pipeline() {
    let before = rule("mr", "Modality = 'MR'", &run("brain")) + &rule("ct", "Modality = 'CT'", &run("chest"));
    let after = rule("heads", "Modality = 'MR', slices = { min = 10 }", &(run("brain") + "\npriority = 'urgent'"))
        + &rule("ct", "Modality = 'CT'", "pipeline = 'chest'\nsend_to = ['b', 'a']")
        + &rule("ct too", "Modality = 'CT'", &run("spine"));
    let study = [past("1.2.1", 1, "MR", 5), past("1.2.1", 2, "MR", 20), past("1.2.2", 1, "CT", 9)];
    let report = replay(&before, &after, &[&study]);
    let places = |changes: &[JobChange]| {
        let pipeline = |c: &JobChange| c.before.as_ref().or(c.after.as_ref()).unwrap().pipeline.clone();
        let place =
            |c: &JobChange| (c.place.series.as_ref().unwrap().to_string(), c.place.revision.unwrap(), pipeline(c));
        changes.iter().map(place).collect::<Vec<_>>()
    };
    assert_eq!(places(&report.gained), [("1.2.2".to_owned(), 1, "spine".to_owned())]);
    assert_eq!(places(&report.lost), [("1.2.1".to_owned(), 1, "brain".to_owned())]);
    assert_eq!(
        places(&report.changed),
        [("1.2.1".to_owned(), 2, "brain".to_owned())],
        "the order of destinations is no change"
    );
    assert_eq!((report.series, report.jobs, report.is_same()), (3, [3, 3], false));
    let counts: Vec<_> = report.rules.iter().map(|r| (r.name.as_str(), r.before, r.after)).collect();
    let expected =
        [("heads", None, Some(1)), ("ct", Some(1), Some(1)), ("ct too", None, Some(1)), ("mr", Some(2), None)];
    assert_eq!(counts, expected);
}

#[test]
fn the_same_rules_do_the_same_whatever_their_names_and_order() {
    let (mr, ct) = (rule("mr", "Modality = 'MR'", &run("brain")), rule("ct", "Modality = 'CT'", &run("chest")));
    let renamed = rule("radiographs", "Modality = 'CT'", &run("chest")) + &mr;
    let study = [past("1.2.1", 1, "MR", 5), past("1.2.2", 1, "CT", 9), past("1.2.3", 1, "US", 1)];
    assert!(replay(&(mr + &ct), &renamed, &[&study]).is_same());
}

#[test]
fn holds_and_stops_count() {
    let hold = rule("one slice", "slices = 1", "hold = 'look'");
    let stop = rule("none", "slices = 2", "stop = true");
    let all = rule("all", "", &run("brain"));
    let study = [past("1.2.1", 1, "MR", 1), past("1.2.2", 1, "MR", 2), past("1.2.3", 1, "MR", 3)];
    let report = replay(&all, &(hold + &stop + &all), &[&study]);
    assert_eq!((report.lost.len(), report.held.len(), report.gained.len()), (2, 1, 0));
    let held = report.held[0].after.as_ref().unwrap();
    assert_eq!((held.rule.as_str(), report.held[0].before.is_none()), ("one slice", true));
    assert_eq!(report.rules.iter().map(|r| r.after.unwrap()).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn a_rule_of_the_study_fires_once_for_its_newest_revisions() {
    let study_rule = "[[rule]]\nname = 's'\nscope = 'study'\nwhen = {}\npipeline = 'pair'\nsend_to = 'a'\n\
                      inputs.a.when = { Modality = 'MR', slices = { min = 9 } }\ninputs.b.when.Modality = 'CT'\n";
    let whole = [past("1.2.1", 1, "MR", 5), past("1.2.1", 2, "MR", 9), past("1.2.2", 1, "CT", 9)];
    let report = replay("", study_rule, &[&whole, &whole[..1]]);
    assert_eq!((report.gained.len(), report.jobs, report.rules[0].after), (1, [0, 1], Some(1)));
    assert_eq!((report.gained[0].place.series.as_ref(), report.gained[0].place.study.as_str()), (None, "1.2"));
}
