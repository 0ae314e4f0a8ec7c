//! What rules wait for: the verdict at each time, and that nobody else waits for it.
#![allow(clippy::unwrap_used)]

use super::tests::{MR, RUN, head, ruleset};
use super::*;

/// When the last instance of [`head`] came.
const ARRIVED: i64 = 1_700_000_000_000;

fn outcome(rules: &RuleSet, seconds: Option<i64>, others: &[&SeriesSummary]) -> Vec<String> {
    let situation = Situation { now: seconds.map(|s| ARRIVED + 1000 * s), others };
    let (routing, explanation) = rules.decide_in(&head(), None, &situation);
    let waiting: Vec<&str> = routing.waiting.iter().map(|waiting| waiting.name.as_str()).collect();
    let told: Vec<&str> = explanation
        .rules
        .iter()
        .filter(|rule| matches!(rule.outcome, Outcome::Waits { .. }))
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(waiting, told);
    let fired = routing.fired.iter().map(|fired| format!("fires {}", fired.name));
    let until = |w: &WaitingRule| format!("{} waits to {}: {}", w.name, (w.until - ARRIVED) / 1000, w.lacking);
    let held = routing.held.iter().map(|held| format!("held by {}: {}", held.rule, held.reason));
    fired.chain(routing.waiting.iter().map(until)).chain(held).collect()
}

#[test]
fn a_quiet_time_of_its_own_delays_no_other_rule() {
    let rules = ruleset(&[("a", MR, &format!("{RUN}\nquiet = '90 s'")), ("b", MR, RUN)]);
    assert_eq!(outcome(&rules, Some(5), &[]), ["fires b", "a waits to 90: quiet"]);
    assert_eq!(outcome(&rules, Some(89), &[]), ["fires b", "a waits to 90: quiet"]);
    assert_eq!(outcome(&rules, Some(90), &[]), ["fires a", "fires b"]);
    assert_eq!(outcome(&rules, None, &[]), ["fires a", "fires b"]);
}

#[test]
fn a_waiting_rule_that_stops_keeps_later_rules_until_it_is_decided() {
    let rules = |then: &str| {
        let wait = format!("{RUN}\nstop = true\nwait_for = {{ slices = 9, for = '2 min'{then} }}");
        ruleset(&[("a", MR, &wait), ("b", MR, RUN)])
    };
    let waits = ["a waits to 120: 9 slices, 3 are there"];
    assert_eq!(outcome(&rules(""), Some(5), &[]), waits);
    assert_eq!(outcome(&rules(""), Some(120), &[]), ["fires b"]);
    assert_eq!(outcome(&rules(", then = 'run'"), Some(5), &[]), waits);
    assert_eq!(outcome(&rules(", then = 'run'"), Some(120), &[]), ["fires a"]);
    let held = outcome(&rules(", then = 'hold'"), None, &[]);
    assert_eq!(held, ["held by a: it lacks 9 slices, 3 are there"]);
}

#[test]
fn another_series_is_waited_for_until_it_is_there() {
    let wait = "wait_for = { series = [{ Modality = 'SR' }, { slices = 7 }], for = '1 h' }";
    let rules = ruleset(&[("a", MR, &format!("{RUN}\n{wait}"))]);
    let mut report = head();
    report.attributes.get_mut("0008,0060").unwrap().distinct = vec![vec!["SR".to_owned()]];
    let mut large = head();
    large.facts.slices = 7;
    let lacking = |n: u8| [format!("a waits to 3600: another series of the study, number {n} in wait_for.series")];
    assert_eq!(outcome(&rules, Some(9), &[]), lacking(1));
    assert_eq!(outcome(&rules, Some(9), &[&large]), lacking(1));
    assert_eq!(outcome(&rules, Some(9), &[&report]), lacking(2));
    assert_eq!(outcome(&rules, Some(9), &[&large, &report]), ["fires a"]);
    assert_eq!(outcome(&rules, Some(3600), &[&report]), [""; 0]);
}

#[test]
fn a_rule_takes_the_geometries_it_accepts() {
    let rules = |accept: &str| ruleset(&[("a", MR, &format!("{RUN}\naccept = {accept}"))]);
    let fired = rules("['regular', 'missing-slices']").route(&head()).fired;
    assert_eq!(fired[0].accept.as_deref(), Some(&["regular".to_owned(), "missing-slices".to_owned()][..]));
    assert_eq!(rules("'single-slice'").route(&head()), Routing::default());
    let explanation = rules("'single-slice'").explain(&head()).to_string();
    assert!(explanation.contains("✗ accept: \"single-slice\"; found \"regular\""), "{explanation}");
}
