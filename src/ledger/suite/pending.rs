//! Exercises of what is decided after closing: rules that wait, holds, rules of whole studies.

use super::*;

/// Closes series `n` with what was decided about it; the revision.
pub(super) fn closed(stand: &Stand, n: u32, verdict: Verdict) -> i64 {
    stand.ledger.record_instances(&[arrived(n, 1, "bytes")]).unwrap();
    let open = stand.ledger.series_revision(&series(n)).unwrap().unwrap();
    stand.ledger.close_revision(&Closing { verdict, study_rules: true, ..closing(&open, vec![]) }).unwrap();
    open.id
}

fn waiting(stand: &Stand) -> Verdict {
    Verdict { due: Some(stand.clock.now().plus(SECOND)), ..Verdict::default() }
}

pub(super) fn held() -> Verdict {
    Verdict { hold: Some(NewHold { rule: "look".to_owned(), reason: "why".to_owned() }), ..Verdict::default() }
}

/// One job, of the rule `brain`.
fn fires() -> Verdict {
    Verdict { jobs: vec![infer_job(&["pacs"])], fired: vec!["brain".to_owned()], ..Verdict::default() }
}

fn redecision(revision: i64, seen: Millis) -> Redecision {
    let (explanation, rules_revision) = (r#"{"rules":["later"]}"#.to_owned(), "r2".to_owned());
    Redecision { revision, seen, explanation, rules_revision, verdict: fires() }
}

pub(super) fn what_waits_is_due_at_its_time_and_decided_once_even_after_a_crash(mut stand: Stand) {
    let revision = closed(&stand, 1, waiting(&stand));
    assert!(stand.ledger.due_revisions().unwrap().is_empty());
    stand.crash();
    stand.clock.advance(SECOND);
    let due = stand.ledger.due_revisions().unwrap().remove(0);
    assert_eq!((due.what.id, &due.what.series), (revision, &series(1)));
    let decided = stand.ledger.decide_again(&redecision(revision, due.seen)).unwrap().unwrap();
    stand.crash();
    assert_eq!(stand.ledger.decide_again(&redecision(revision, due.seen)).unwrap(), None, "it was decided");
    assert!(stand.ledger.due_revisions().unwrap().is_empty());
    assert_eq!(stand.ledger.fired_rules(revision).unwrap(), ["brain"]);
    let shown = stand.detail(decided[0]);
    assert_eq!(
        (shown.rules_revision.as_deref(), shown.explanation.unwrap()["rules"][0].as_str()),
        (Some("r2"), Some("later"))
    );
}

pub(super) fn another_series_of_the_study_brings_the_time_forward(stand: Stand) {
    let revision = closed(&stand, 1, waiting(&stand));
    closed(&stand, 2, Verdict::default());
    let due = stand.ledger.due_revisions().unwrap().remove(0);
    assert_eq!(due.what.id, revision);
    closed(&stand, 3, Verdict::default());
    assert_eq!(
        stand.ledger.decide_again(&redecision(revision, due.seen)).unwrap(),
        None,
        "it was decided without series 3"
    );
    let due = stand.ledger.due_revisions().unwrap().remove(0);
    assert!(stand.ledger.decide_again(&redecision(revision, due.seen)).unwrap().is_some());
}

pub(super) fn a_newer_revision_ends_what_waited_or_was_held(stand: Stand) {
    for (n, verdict) in [(1, waiting(&stand)), (2, held())] {
        closed(&stand, n, verdict);
        stand.ledger.record_instances(&[arrived(n, 2, "late")]).unwrap();
        let open = stand.ledger.series_revision(&series(n)).unwrap().unwrap();
        stand.ledger.close_revision(&closing(&open, vec![])).unwrap();
    }
    stand.clock.advance(2 * SECOND);
    assert!(stand.ledger.due_revisions().unwrap().is_empty() && stand.ledger.holds(false).unwrap().is_empty());
    assert_eq!(stand.ledger.holds(true).unwrap()[0].outcome.as_deref(), Some("superseded"));
}

pub(super) fn a_hold_is_ended_once_and_by_one_person(mut stand: Stand) {
    let revision = closed(&stand, 1, held());
    let (found, rule) = stand.ledger.held_revision(series(1).series.as_str()).unwrap().unwrap();
    assert_eq!((found.id, rule.as_str()), (revision, "look"));
    let release = |who: &str| stand.ledger.release_hold(&redecision(revision, Millis(0)), who, true).unwrap();
    assert_eq!(release("anna").map(|jobs| jobs.len()), Some(1));
    assert_eq!(release("bert"), None);
    assert!(!stand.ledger.drop_hold(series(1).series.as_str(), "bert").unwrap());
    stand.crash();
    let ended = stand.ledger.holds(true).unwrap().remove(0);
    assert_eq!((ended.outcome.as_deref(), ended.who.as_deref()), (Some("released"), Some("anna")));
}

pub(super) fn a_job_is_made_once_and_other_rules_join_it(stand: Stand) {
    let revision = closed(&stand, 1, Verdict { due: waiting(&stand).due, ..fires() });
    let claim = stand.claim_one(JobKind::Infer);
    stand.ledger.complete_infer(&claim, &[result(1, "seg")]).unwrap();
    stand.clock.advance(SECOND);
    let seen = stand.ledger.due_revisions().unwrap()[0].seen;
    let second = NewInferJob { rule: "second".to_owned(), ..infer_job(&["pacs", "archive"]) };
    let verdict = Verdict { jobs: vec![infer_job(&["pacs"]), second], ..Verdict::default() };
    let jobs = stand.ledger.decide_again(&Redecision { verdict, ..redecision(revision, seen) }).unwrap().unwrap();
    assert_eq!(jobs, [claim.job, claim.job]);
    let shown = stand.detail(claim.job);
    assert_eq!((shown.job.rule.as_str(), shown.job.state), ("brain, second", JobState::Completed));
    let destinations: Vec<_> = shown.deliveries.iter().filter_map(|job| job.destination.as_deref()).collect();
    assert_eq!(destinations, ["pacs", "archive"], "what is there already goes to the new destination, too");
}

pub(super) fn a_study_is_decided_on_what_was_there_and_makes_its_job_once(mut stand: Stand) {
    let [t2, adc] = [1, 2].map(|n| closed(&stand, n, Verdict::default()));
    let due = |stand: &Stand| stand.ledger.due_studies().unwrap().remove(0);
    let inputs = [("t2", t2), ("adc", adc)].map(|(name, revision)| JobInput { name: name.to_owned(), revision });
    let job = NewInferJob { inputs: inputs.to_vec(), ..infer_job(&["pacs"]) };
    let decision = |seen: Millis| StudyDecision {
        study: series(1).study,
        seen,
        explanation: r#"{"rules":[]}"#.to_owned(),
        rules_revision: "r2".to_owned(),
        jobs: vec![job.clone()],
        due: None,
        gave_up: Vec::new(),
    };
    let early = due(&stand).seen;
    closed(&stand, 3, Verdict::default());
    assert_eq!(stand.ledger.decide_study(&decision(early)).unwrap(), None, "another series came meanwhile");
    let first = stand.ledger.decide_study(&decision(due(&stand).seen)).unwrap().unwrap();
    stand.crash();
    assert!(stand.ledger.due_studies().unwrap().is_empty());
    closed(&stand, 4, Verdict::default());
    assert_eq!(stand.ledger.decide_study(&decision(due(&stand).seen)).unwrap(), Some(first.clone()), "the same job");
    let shown = stand.detail(first[0]);
    assert_eq!((shown.job.rule.as_str(), &shown.job.series), ("brain", &series(1).series));
    assert_eq!(shown.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["t2", "adc"]);
    let Work::Infer { inputs, .. } = stand.claim_one(JobKind::Infer).work else { panic!("no infer job") };
    assert_eq!(inputs, job.inputs);
    assert_eq!(stand.ledger.rules_fired_in(&series(1).study).unwrap(), ["brain"]);
}
