//! Exercises of what is fetched before something is decided.

use super::*;

fn due(stand: &Stand) -> Vec<i64> {
    stand.ledger.due_retrievals(9).unwrap().iter().map(|retrieval| retrieval.id).collect()
}

fn wanted() -> Vec<String> {
    vec!["brain".to_owned()]
}

pub(super) fn a_series_is_fetched_once_for_a_revision(mut stand: Stand) {
    let want = |stand: &Stand, revision: i64| stand.ledger.want_series(revision, &series(1), &wanted()).unwrap();
    assert!(!stand.ledger.want_series(1, &series(1), &[]).unwrap(), "no pipeline wants anything");
    assert!(want(&stand, 1) && want(&stand, 1), "it has not come yet");
    stand.crash();
    let [id] = due(&stand)[..] else { panic!("one") };
    stand.ledger.retrieval_failed(id, "nobody there", SECOND).unwrap();
    assert!(due(&stand).is_empty());
    let [open] = &stand.ledger.open_retrievals().unwrap()[..] else { panic!("one") };
    assert_eq!((open.attempts, open.last_error.as_deref()), (1, Some("nobody there")));
    assert_eq!(open.series.as_ref(), Some(&series(1).series));
    stand.clock.advance(SECOND);
    assert_eq!(due(&stand), [id]);
    assert!(stand.ledger.is_fetching(1).unwrap());
    stand.ledger.retrieval_over(id, 3, None).unwrap();
    assert!(!stand.ledger.is_fetching(1).unwrap() && !want(&stand, 1), "it came");
    assert!(want(&stand, 2), "a later state of the series asks again");
}

pub(super) fn a_study_is_decided_when_its_earlier_ones_came(stand: Stand) {
    let study = series(1).study;
    stand.ledger.record_instances(&[arrived(1, 1, "bytes")]).unwrap();
    let open = stand.ledger.series_revision(&series(1)).unwrap().unwrap();
    stand.ledger.close_revision(&Closing { study_rules: true, ..closing(&open, vec![]) }).unwrap();
    assert_eq!(stand.ledger.want_priors(&study, &wanted()).unwrap(), wanted());
    let [seen] = &stand.ledger.due_studies().unwrap()[..] else { panic!("one study") };
    let decision = StudyDecision {
        study: study.clone(),
        seen: seen.seen,
        explanation: "{}".into(),
        rules_revision: "r".into(),
        jobs: vec![],
        due: None,
        gave_up: Vec::new(),
    };
    stand.ledger.decide_study(&decision).unwrap();
    assert!(stand.ledger.due_studies().unwrap().is_empty());
    let prior = SeriesKey { study: uid("1.9"), series: uid("1.9.1") };
    stand.ledger.mark_priors(&[prior.clone(), prior.clone()]).unwrap();
    assert!(stand.ledger.is_prior(&prior).unwrap() && !stand.ledger.is_prior(&series(1)).unwrap());
    stand.ledger.retrieval_over(due(&stand)[0], 7, None).unwrap();
    assert_eq!(stand.ledger.due_studies().unwrap().len(), 1);
    assert!(stand.ledger.want_priors(&study, &wanted()).unwrap().is_empty());
}
