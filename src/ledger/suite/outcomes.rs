//! Exercises of how attempts end.

use super::*;

fn deliver_ids(stand: &Stand, infer: i64) -> Vec<(Option<String>, u32)> {
    let rows = stand.detail(infer).deliveries;
    rows.into_iter().map(|row| (row.destination, row.max_attempts)).collect()
}

pub(super) fn a_completed_infer_job_makes_one_deliver_job_for_each_destination(stand: Stand) {
    let urgent = NewInferJob { priority: Priority::Urgent, ..infer_job(&["pacs", "slow", "pacs"]) };
    let job = stand.close_with(1, vec![urgent])[0];
    let claim = stand.claim_one(JobKind::Infer);
    let results = [result(2, "second uid first"), result(1, "seg")];
    assert!(stand.ledger.complete_infer(&claim, &results).unwrap());
    assert_eq!(stand.state(job), JobState::Completed);
    assert_eq!(deliver_ids(&stand, job), [(Some("pacs".to_owned()), 3), (Some("slow".to_owned()), 7)]);

    let deliver = stand.claim_one(JobKind::Deliver);
    let Work::Deliver { results: sent, .. } = &deliver.work else { panic!("no deliver job") };
    let order: Vec<&str> = sent.iter().map(|row| row.sop_instance.as_str()).collect();
    assert_eq!(order, ["2.25.2", "2.25.1"], "in the order they were given");
    assert!(stand.ledger.complete_deliver(&deliver, Delivered::SentUnconfirmed).unwrap());
    let row = stand.detail(deliver.job).job;
    assert_eq!((row.delivered, row.priority), (Some(Delivered::SentUnconfirmed), Priority::Urgent));
    assert_eq!(row.finished_at, Some(START));
}

pub(super) fn a_shadow_job_or_one_without_results_delivers_nothing(stand: Stand) {
    let shadow = NewInferJob { shadow: true, ..infer_job(&["pacs"]) };
    let jobs = stand.close_with(1, vec![shadow, infer_job(&["pacs"])]);
    for results in [&[result(1, "seg")][..], &[]] {
        let claim = stand.claim_one(JobKind::Infer);
        assert!(stand.ledger.complete_infer(&claim, results).unwrap());
    }
    assert_eq!(jobs.iter().map(|job| stand.detail(*job).results.len()).collect::<Vec<_>>(), [1, 0]);
    assert!(stand.ledger.claim(JobKind::Deliver, "w", LEASE, 9, &[]).unwrap().is_empty());
}

pub(super) fn the_same_result_twice_is_one_and_different_bytes_are_refused(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    let claim = stand.claim_one(JobKind::Infer);
    let refused = stand.ledger.complete_infer(&claim, &[result(1, "seg"), result(1, "other")]).unwrap_err();
    assert!(matches!(&refused, LedgerError::ResultDiffers { job: at, .. } if *at == job), "{refused}");
    assert_eq!((stand.state(job), stand.detail(job).results.len()), (JobState::Running, 0), "nothing was written");

    let copy = ResultRow { location: "results/1/copy".to_owned(), ..result(1, "seg") };
    assert!(stand.ledger.complete_infer(&claim, &[result(1, "seg"), copy]).unwrap());
    let kept: Vec<String> = stand.detail(job).results.into_iter().map(|row| row.location).collect();
    assert_eq!(kept, ["results/1/seg"]);
}

pub(super) fn one_failing_destination_delays_no_other(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["dead", "pacs"])])[0];
    let infer = stand.claim_one(JobKind::Infer);
    stand.ledger.complete_infer(&infer, &[result(1, "seg")]).unwrap();
    let dead = stand.claim_one(JobKind::Deliver);
    stand.ledger.set_back(&dead, &retry("connection refused")).unwrap();
    let pacs = stand.claim_one(JobKind::Deliver);
    assert!(stand.ledger.complete_deliver(&pacs, Delivered::Confirmed).unwrap());
    let states: Vec<JobState> = stand.detail(job).deliveries.iter().map(|row| row.state).collect();
    assert_eq!(states, [JobState::Retryable, JobState::Completed]);
    assert!(stand.ledger.claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap().is_empty(), "no model runs again");
    assert_eq!(stand.ledger.next_due().unwrap(), Some(START.plus(SECOND)));
}

pub(super) fn the_last_failed_attempt_discards_and_keeps_the_error(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    for attempt in 1..=3 {
        let claim = stand.claim_one(JobKind::Infer);
        assert!(stand.ledger.set_back(&claim, &retry(&format!("error {attempt}"))).unwrap());
        assert!(stand.ledger.claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap().is_empty(), "not before it is due");
        stand.clock.advance(SECOND);
    }
    let shown = stand.detail(job);
    assert_eq!((shown.job.state, shown.job.attempt, shown.job.max_attempts), (JobState::Discarded, 3, 3));
    assert_eq!(shown.job.last_error.as_deref(), Some("error 3"));
    let errors: Vec<String> = shown.attempts.into_iter().filter_map(|attempt| attempt.error).collect();
    assert_eq!(errors, ["error 1", "error 2", "error 3"]);
    assert!(stand.ledger.claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap().is_empty());
    assert_eq!(stand.ledger.next_due().unwrap(), None);
}

pub(super) fn a_snooze_gives_the_attempt_back(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    for _ in 0..10 {
        let claim = stand.claim_one(JobKind::Infer);
        assert!(stand.ledger.set_back(&claim, &snooze()).unwrap());
        assert!(!stand.ledger.set_back(&claim, &snooze()).unwrap(), "once only");
        stand.clock.advance(SECOND);
    }
    let shown = stand.detail(job);
    assert_eq!((shown.job.state, shown.job.attempt), (JobState::Available, 0));
    assert_eq!(shown.job.last_error.as_deref(), Some("device busy"));
    assert_eq!(shown.attempts.len(), 1, "only the latest snooze is kept");
    let claim = stand.claim_one(JobKind::Infer);
    assert!(stand.ledger.complete_infer(&claim, &[]).unwrap());
    assert_eq!(stand.detail(job).job.last_error, None);
}

pub(super) fn giving_up_and_holding_wait_for_an_operator(stand: Stand) {
    let jobs = stand.close_with(1, vec![infer_job(&["pacs"]), infer_job(&["pacs"])]);
    let error = || "S7: segment without a label".to_owned();
    for setback in [Setback::GiveUp { error: error() }, Setback::Hold { error: error() }] {
        let claim = stand.claim_one(JobKind::Infer);
        assert!(stand.ledger.set_back(&claim, &setback).unwrap());
    }
    assert_eq!(jobs.iter().map(|job| stand.state(*job)).collect::<Vec<_>>(), [JobState::Discarded, JobState::Held]);
    assert_eq!(jobs.iter().flat_map(|job| stand.outcomes(*job)).collect::<Vec<_>>(), ["gave-up", "held"]);
    assert!(jobs.iter().all(|job| stand.detail(*job).job.last_error == Some(error())));
    assert_eq!(stand.ledger.next_due().unwrap(), None);
}

pub(super) fn a_delivery_that_no_worker_lives_through_lets_others_go_first_and_is_never_given_up(stand: Stand) {
    stand.close_with(1, vec![infer_job(&["pacs"])]);
    stand.ledger.complete_infer(&stand.claim_one(JobKind::Infer), &[result(1, "seg")]).unwrap();
    for _ in 0..4 {
        stand.claim_one(JobKind::Deliver);
        assert_eq!(stand.ledger.rescue_all_running().unwrap(), 1);
    }
    for _ in 0..3 {
        let claim = stand.claim_one(JobKind::Deliver);
        assert_eq!(stand.ledger.rescue_all_running().unwrap(), 1);
        assert_eq!(stand.state(claim.job), JobState::Available);
        assert!(stand.ledger.claim(JobKind::Deliver, "w", LEASE, 1, &[]).unwrap().is_empty());
        stand.clock.advance(Duration::from_secs(10));
    }
    let claim = stand.claim_one(JobKind::Deliver);
    assert!(stand.ledger.complete_deliver(&claim, Delivered::Confirmed).unwrap());
}

pub(super) fn a_job_that_kills_its_worker_again_and_again_is_given_up(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    for _ in 0..4 {
        stand.claim_one(JobKind::Infer);
        assert_eq!(stand.ledger.rescue_all_running().unwrap(), 1);
        assert_eq!((stand.state(job), stand.detail(job).job.attempt), (JobState::Available, 0));
    }
    stand.claim_one(JobKind::Infer);
    stand.clock.advance(LEASE);
    assert_eq!(stand.ledger.rescue_expired().unwrap(), 1);
    let row = stand.detail(job).job;
    assert_eq!(row.state, JobState::Discarded);
    assert!(row.last_error.unwrap().contains("for the 5th time"));
}
