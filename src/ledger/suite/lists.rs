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
    check(JobFilter { study: Some(uid("1.2.3")), kind: Some(JobKind::Deliver), ..all() }, &[to_b, to_a]);
    check(JobFilter { study: Some(uid("1.2.3")), series: Some(series(2).series), ..all() }, &[jobs[2]]);
    check(JobFilter { pipeline: Some("meshnet 1".to_owned()), ..all() }, &[jobs[1]]);
    check(JobFilter { rule: Some("brain".to_owned()), limit: Some(1), ..all() }, &[to_b]);
    check(JobFilter { rule: Some("bra".to_owned()), ..all() }, &[]);
    check(JobFilter { since: Some(START.plus(SECOND)), ..all() }, &[to_b, to_a, jobs[2]]);
    check(JobFilter { until: Some(START.plus(SECOND)), ..all() }, &[jobs[1], jobs[0]]);
    let lost = stand.claim_one(JobKind::Deliver);
    stand.ledger.set_back_at(&lost, &Setback::GiveUp { error: "no".to_owned() }, Some("connect")).unwrap();
    check(JobFilter { stage: Some("connect".to_owned()), ..all() }, &[to_b]);
    check(JobFilter { stage: Some("connect".to_owned()), states: vec![JobState::Retryable], ..all() }, &[]);
}

pub(super) fn jobs_are_counted_by_sort_however_they_move(stand: Stand) {
    let jobs = busy(&stand);
    let check = |what: &str| {
        let mut counted = std::collections::BTreeMap::new();
        for job in stand.ledger.jobs(&JobFilter::default()).unwrap() {
            let sort = (job.kind, job.state, job.pipeline, job.rule, job.destination, job.stage);
            let (count, oldest) = counted.entry(sort).or_insert((0, job.created_at));
            (*count, *oldest) = (*count + 1, job.created_at.min(*oldest));
        }
        let sorts = stand.ledger.job_sorts().unwrap().into_iter();
        let told = sorts.map(|s| ((s.kind, s.state, s.pipeline, s.rule, s.destination, s.stage), (s.jobs, s.oldest)));
        assert_eq!(told.collect::<std::collections::BTreeMap<_, _>>(), counted, "{what}");
    };
    check("at first");
    let lost = stand.claim_one(JobKind::Deliver);
    check("claimed");
    stand.ledger.set_back_at(&lost, &retry("away"), Some("connect")).unwrap();
    check("failed");
    stand.ledger.retry_job(lost.job).unwrap();
    check("retried");
    stand.ledger.cancel_job(jobs[1]).unwrap();
    check("cancelled");
    stand.ledger.prioritize_job(jobs[2], Priority::Stat).unwrap();
    let other = NewInferJob { rule: "also".to_owned(), ..infer_job(&["c"]) };
    stand.ledger.record_instances(&[arrived(2, 2, "late")]).unwrap();
    stand.close_with(2, vec![infer_job(&["a"])]);
    stand.ledger.record_instances(&[arrived(9, 1, "new")]).unwrap();
    let open = stand.ledger.series_revision(&series(9)).unwrap().unwrap();
    stand.ledger.close_revision(&closing(&open, vec![infer_job(&["a"]), other])).unwrap();
    check("one job of two rules");
}

pub(super) fn the_way_of_the_work_is_told_by_stage(stand: Stand) {
    let jobs = stand.close_with(1, vec![infer_job(&["a"])]);
    stand.clock.advance(SECOND);
    let mut infer = stand.claim_one(JobKind::Infer);
    infer.stages = vec![StageTime { stage: "model".to_owned(), milliseconds: 900 }];
    stand.clock.advance(SECOND);
    stand.ledger.complete_infer(&infer, &[result(1, "seg")]).unwrap();
    assert_eq!(stand.detail(jobs[0]).attempts[0].stages, infer.stages);
    let mut deliver = stand.claim_one(JobKind::Deliver);
    deliver.stages = vec![StageTime { stage: "send".to_owned(), milliseconds: 30 }];
    stand.clock.advance(SECOND);
    stand.ledger.set_back_at(&deliver, &retry("away"), Some("connect")).unwrap();
    assert_eq!(stand.detail(deliver.job).attempts[0].stages, deliver.stages);
    stand.clock.advance(SECOND);
    let again = stand.claim_one(JobKind::Deliver);
    stand.clock.advance(SECOND);
    stand.ledger.complete_deliver(&again, Delivered::Confirmed).unwrap();
    let told = stand.ledger.statistics(START).unwrap();
    let median = |by, name: &str, stage| told[&(by, name.to_owned())].stages.get(stage).map(|spread| spread.median);
    assert_eq!(median("pipeline", "meshnet", "wait"), Some(1000));
    assert_eq!(median("pipeline", "meshnet", "model"), Some(900));
    assert_eq!(median("destination", "a", "send"), Some(30));
    assert_eq!(told[&("destination", "a".to_owned())].stages["attempt"].count, 2);
    assert_eq!(median("destination", "a", "job"), Some(3000));
    assert_eq!(median("destination", "a", "series"), Some(5000));
    assert_eq!(told[&("rule", "brain".to_owned())].completed, 2);
    let later = stand.ledger.statistics(START.plus(SECOND * 60)).unwrap();
    assert_eq!(
        (later[&("destination", "a".to_owned())].completed, later[&("rule", "brain".to_owned())].stages.len()),
        (0, 0)
    );
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
        ..Counts::default()
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

pub(super) fn the_past_is_told_in_pages(stand: Stand) {
    busy(&stand);
    stand.ledger.record_instances(&[arrived(3, 1, "open")]).unwrap();
    let mut own = arrived(4, 1, "came back");
    own.series.series = uid("2.25.99");
    stand.ledger.record_instances(&[own.clone()]).unwrap();
    let open = stand.ledger.series_revision(&own.series).unwrap().unwrap();
    stand.ledger.close_revision(&closing(&open, Vec::new())).unwrap();

    let mut other = arrived(5, 1, "of another study");
    other.series.study = uid("1.2.4");
    stand.clock.advance(SECOND);
    stand.ledger.record_instances(&[other.clone()]).unwrap();
    let open = stand.ledger.series_revision(&other.series).unwrap().unwrap();
    stand.ledger.close_revision(&closing(&open, Vec::new())).unwrap();

    let page = |since: Millis, behind: &str, studies| {
        let rows = stand.ledger.history(since, behind, studies).unwrap();
        rows.into_iter().map(|row| (row.series, row.number, row.closed_at)).collect::<Vec<_>>()
    };
    let (first, second, third) = (START, START.plus(SECOND), START.plus(SECOND * 2));
    let of_first_study = [(series(1), 1, first), (series(2), 1, second)];
    let of_other = (other.series.clone(), 1, third);
    assert_eq!(page(Millis(0), "", 1), of_first_study, "neither open ones nor our own");
    assert_eq!(page(Millis(0), "1.2.3", 1), std::slice::from_ref(&of_other));
    assert_eq!(page(Millis(0), "", 9), [&of_first_study[..], std::slice::from_ref(&of_other)].concat());
    assert_eq!(page(second, "", 1), of_first_study[1..]);
    assert_eq!(page(third, "", 1), [of_other], "a page of old studies is passed over");
    assert_eq!(page(third.plus(SECOND), "", 1), []);
    assert_eq!(page(Millis(0), "1.2.4", 1), []);
}

pub(super) fn a_decision_is_found_by_series_and_by_job(stand: Stand) {
    let jobs = busy(&stand);
    stand.ledger.record_instances(&[arrived(1, 2, "late")]).unwrap();
    let of_series = |n: u32| stand.ledger.decisions_of_series(series(n).series.as_str()).unwrap();
    let [first] = of_series(1).try_into().unwrap();
    assert_eq!((first.series, first.number, first.instances, first.closed_at), (series(1), 1, 1, START));
    assert_eq!((first.closed_by, first.rules_revision.as_str()), (ClosedBy::Quiet, "r1"));
    assert_eq!((first.summary.as_str(), first.explanation.as_str()), (r#"{"slices":2}"#, r#"{"rules":[]}"#));
    assert!(of_series(3).is_empty());
    let again = stand.close_with(1, vec![infer_job(&["a"])]);
    assert_eq!(of_series(1).iter().map(|d| d.number).collect::<Vec<_>>(), [2], "the newest closed one");
    let of_job = |id| stand.ledger.decision_of_job(id).unwrap().map(|d| (d.series, d.number));
    assert_eq!((of_job(jobs[0]), of_job(again[0]), of_job(4711)), (Some((series(1), 1)), Some((series(1), 2)), None));
}

pub(super) fn what_waits_and_what_went_through_is_measured(stand: Stand) {
    busy(&stand);
    stand.clock.advance(SECOND);
    let lost = stand.claim_one(JobKind::Infer);
    stand.clock.advance(SECOND);
    stand.ledger.set_back(&lost, &Setback::GiveUp { error: "no".to_owned() }).unwrap();
    assert!(!stand.ledger.set_back(&lost, &retry("too late")).unwrap(), "counted once");
    let Work::Infer { pipeline, .. } = lost.work.clone() else { panic!("no infer job") };
    let queue = stand.ledger.queue().unwrap();
    let rows: Vec<String> =
        queue.jobs.iter().map(|row| format!("{} {} {} {}", row.kind, row.state, row.target, row.count)).collect();
    assert!(rows.contains(&"deliver available b 1".to_owned()), "{rows:?}");
    assert!(rows.contains(&format!("infer discarded {pipeline} 1")), "{rows:?}");
    assert!(!rows.iter().any(|row| row.contains("completed")), "{rows:?}");
    assert_eq!((queue.series["open"], queue.series["held"], queue.reports_due), (0, 0, 0));

    let totals = stand.ledger.tally().totals();
    assert_eq!((totals.instances["new"], totals.closed["quiet"]), (2, 2));
    let gave_up = &totals.attempts[&((JobKind::Infer, pipeline.clone()), "gave-up")];
    assert_eq!((gave_up.count(), gave_up.sum.round() as u64), (1, 1));
    let confirmed = ("a".to_owned(), "confirmed");
    assert_eq!(totals.results[&confirmed].count(), 1);
    assert!(totals.waits[&(JobKind::Infer, pipeline)].sum >= 1.0);
}

pub(super) fn events_are_kept_until_they_were_told_even_after_a_crash(mut stand: Stand) {
    let jobs = busy(&stand);
    let lost = stand.claim_one(JobKind::Infer);
    stand.ledger.set_back(&lost, &Setback::GiveUp { error: "no".to_owned() }).unwrap();
    stand.ledger.retry_job(lost.job).unwrap();
    stand.ledger.note_action("amy", "opened the box").unwrap();
    stand.crash();
    let events = stand.ledger.events(9).unwrap();
    let told: Vec<(Happened, Option<i64>, &str)> =
        events.iter().map(|event| (event.what, event.job, event.detail.as_str())).collect();
    let retried = format!("job {} retried, now available", lost.job);
    let expected = [
        (Happened::Delivered, Some(jobs[2] + 1), ""),
        (Happened::GivenUp, Some(lost.job), "no"),
        (Happened::Acted, Some(lost.job), retried.as_str()),
        (Happened::Acted, None, "opened the box"),
    ];
    assert_eq!(told, expected);
    stand.ledger.hand_on(events[1].id, &[]).unwrap();
    assert_eq!(stand.ledger.events(1).unwrap()[0].id, events[2].id);
}

pub(super) fn a_copy_holds_what_was_committed(stand: Stand) {
    let jobs = busy(&stand);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a copy.sqlite");
    stand.ledger.backup(&path).unwrap();
    stand.ledger.cancel_job(jobs[1]).unwrap();
    let copy = Ledger::open(&path, Arc::new(stand.clock.clone()), LedgerOptions::default()).unwrap();
    assert_eq!(copy.job(jobs[1]).unwrap().unwrap().job.state, JobState::Available);
    assert_eq!(
        copy.jobs(&JobFilter::default()).unwrap().len(),
        stand.ledger.jobs(&JobFilter::default()).unwrap().len()
    );
    assert!(stand.ledger.backup(&path).is_err(), "a copy is not overwritten");
}
