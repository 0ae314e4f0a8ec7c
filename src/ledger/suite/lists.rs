//! Exercises of lists, counts and lookups.

use std::collections::HashSet;

use super::*;

/// Two infer jobs of series 1, the first delivered to `a` and not yet to `b`; one of series 2.
fn busy(stand: &Stand) -> Vec<i64> {
    let mut jobs = stand.close_with(1, vec![infer_job(&["a", "b"]), infer_job(&["a"])]);
    stand.clock.advance(SECOND);
    jobs.extend(stand.close_with(2, vec![infer_job(&["a"])]));
    let infer = stand.claim_one(JobKind::Infer);
    stand.ledger.complete_infer(&infer, &[result(1, "seg")]).unwrap();
    let deliver = stand.claim_one(JobKind::Deliver);
    stand.ledger.complete_deliver(&deliver, Delivered::Confirmed).unwrap();
    jobs
}

pub(super) fn filters_select_and_limit(stand: Stand) {
    let jobs = busy(&stand);
    let check = |filter: JobFilter, expected: &[i64]| {
        let found: Vec<i64> = stand.ledger.jobs(&filter).unwrap().iter().map(|row| row.id).collect();
        assert_eq!(found, expected, "{filter:?}");
    };
    let (to_a, to_b) = (jobs[2] + 1, jobs[2] + 2);
    let all = JobFilter::default;
    check(all(), &[to_b, to_a, jobs[2], jobs[1], jobs[0]]);
    check(JobFilter { limit: Some(2), ..all() }, &[to_b, to_a]);
    check(JobFilter { kind: Some(JobKind::Infer), ..all() }, &[jobs[2], jobs[1], jobs[0]]);
    check(JobFilter { states: vec![JobState::Completed], ..all() }, &[to_a, jobs[0]]);
    check(
        JobFilter { states: vec![JobState::Completed, JobState::Available], ..all() },
        &[to_b, to_a, jobs[2], jobs[1], jobs[0]],
    );
    check(JobFilter { states: vec![JobState::Held], ..all() }, &[]);
    check(JobFilter { destination: Some("b".to_owned()), ..all() }, &[to_b]);
    check(JobFilter { series: Some(series(2).series), ..all() }, &[jobs[2]]);
    check(JobFilter { study: Some(uid("9.9")), ..all() }, &[]);
}

pub(super) fn a_job_is_shown_in_full(stand: Stand) {
    let jobs = busy(&stand);
    let shown = stand.detail(jobs[0]);
    assert_eq!(shown.closed_by.as_deref(), Some("quiet"));
    assert_eq!(shown.geometry, Some(serde_json::json!("regular")));
    assert_eq!(shown.explanation, Some(serde_json::json!({"rules": []})));
    assert_eq!(shown.rules_revision.as_deref(), Some("r1"));
    assert_eq!((shown.job.revision, &shown.job.series), (1, &series(1).series));
    let attempt = &shown.attempts[0];
    assert_eq!((attempt.number, attempt.worker.as_str()), (1, "worker-1"));
    assert_eq!((attempt.started_at, attempt.ended_at), (START.plus(SECOND), Some(START.plus(SECOND))));
    let delivery = stand.detail(shown.deliveries[0].id);
    assert_eq!(delivery.results.len(), 1, "a deliver job shows what it sends");
    assert!(delivery.deliveries.is_empty());
    assert!(stand.ledger.job(4711).unwrap().is_none());
}

pub(super) fn counts_are_by_kind_and_state(stand: Stand) {
    assert_eq!(stand.ledger.counts().unwrap(), Counts::default());
    busy(&stand);
    stand.ledger.record_instances(&[arrived(3, 1, "open")]).unwrap();
    let expected = Counts {
        jobs: [
            ((JobKind::Infer, JobState::Available), 2),
            ((JobKind::Infer, JobState::Completed), 1),
            ((JobKind::Deliver, JobState::Available), 1),
            ((JobKind::Deliver, JobState::Completed), 1),
        ]
        .into(),
        open_revisions: 1,
        closed_revisions: 2,
    };
    assert_eq!(stand.ledger.counts().unwrap(), expected);
}

pub(super) fn own_results_and_their_bytes_are_known(stand: Stand) {
    busy(&stand);
    assert!(stand.ledger.is_own_result(&uid("2.25.1")).unwrap());
    assert!(!stand.ledger.is_own_result(&uid("1.2.3.1.1")).unwrap());
    let expected = ["1/1/bytes", "2/1/bytes", "results/1/seg"].map(str::to_owned);
    assert_eq!(stand.ledger.spool_locations().unwrap(), HashSet::from(expected));
}

pub(super) fn history_is_newest_first(stand: Stand) {
    busy(&stand);
    stand.ledger.record_instances(&[arrived(3, 1, "open")]).unwrap();
    let history = stand.ledger.series_history(9).unwrap();
    let found: Vec<_> = history.iter().map(|row| (row.series.clone(), row.number, row.closed_at)).collect();
    assert_eq!(found, [(series(2), 1, START.plus(SECOND)), (series(1), 1, START)]);
    assert_eq!(history[0].summary, r#"{"slices":2}"#);
    assert_eq!(stand.ledger.series_history(1).unwrap().len(), 1);
}
