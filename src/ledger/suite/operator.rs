//! Exercises of what an operator does.

use super::*;

pub(super) fn a_retry_gives_a_fresh_budget(stand: Stand) {
    stand.close_with(1, vec![infer_job(&["slow"])]);
    let infer = stand.claim_one(JobKind::Infer);
    stand.ledger.complete_infer(&infer, &[result(1, "seg")]).unwrap();
    let first = stand.claim_one(JobKind::Deliver);
    stand.ledger.set_back(&first, &Setback::GiveUp { error: "refused".to_owned() }).unwrap();
    assert_eq!(stand.ledger.retry_job(first.job).unwrap(), JobState::Available);
    let row = stand.detail(first.job).job;
    assert_eq!((row.attempt, row.max_attempts, row.finished_at), (1, 8, None));
    let again = stand.claim_one(JobKind::Deliver);
    assert_eq!((again.job, again.attempt), (first.job, 2));
    assert!(!stand.ledger.complete_deliver(&first, Delivered::Confirmed).unwrap());
    assert!(stand.ledger.complete_deliver(&again, Delivered::Confirmed).unwrap());
}

pub(super) fn a_cancelled_running_job_keeps_nothing_of_its_worker(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    let claim = stand.claim_one(JobKind::Infer);
    assert_eq!(stand.ledger.cancel_job(job).unwrap(), JobState::Cancelled);
    assert!(!stand.ledger.heartbeat(&claim, LEASE).unwrap());
    assert!(!stand.ledger.complete_infer(&claim, &[result(1, "seg")]).unwrap());
    assert_eq!(stand.outcomes(job), ["cancelled"]);
    assert!(!stand.ledger.is_own_result(&result(1, "seg").sop_instance).unwrap());
    assert_eq!(stand.ledger.retry_job(job).unwrap(), JobState::Available);
    assert_eq!(stand.claim_one(JobKind::Infer).attempt, 2);
}

pub(super) fn a_held_job_is_not_claimed_until_it_is_released(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    assert_eq!(stand.ledger.hold_job(job).unwrap(), JobState::Held);
    assert!(stand.ledger.claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap().is_empty());
    stand.clock.advance(SECOND);
    assert_eq!(stand.ledger.release_job(job).unwrap(), JobState::Available);
    assert_eq!(stand.detail(job).job.scheduled_at, START.plus(SECOND));
    assert_eq!(stand.claim_one(JobKind::Infer).job, job);
}

pub(super) fn a_stat_job_overtakes(stand: Stand) {
    let jobs = stand.close_with(1, vec![infer_job(&["pacs"]), infer_job(&["pacs"])]);
    assert_eq!(stand.ledger.prioritize_job(jobs[1], Priority::Stat).unwrap(), JobState::Available);
    assert_eq!(stand.claim_one(JobKind::Infer).job, jobs[1]);
}

pub(super) fn refusals_name_the_job_its_state_and_what_is_allowed(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    stand.ledger.cancel_job(job).unwrap();
    let refused = stand.ledger.cancel_job(job).unwrap_err();
    assert_eq!(refused.to_string(), format!("job {job} is cancelled and cannot be cancelled; it can be retried"));
    assert_eq!(stand.state(job), JobState::Cancelled);
    let unknown = stand.ledger.retry_job(4711).unwrap_err();
    assert!(matches!(unknown, LedgerError::NoSuchJob(4711)), "{unknown}");
}
