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

pub(super) fn many_jobs_are_changed_and_the_others_passed_over(stand: Stand) {
    let jobs: Vec<i64> = (1..=3).flat_map(|n| stand.close_with(n, vec![infer_job(&["pacs"])])).collect();
    stand.ledger.cancel_job(jobs[0]).unwrap();
    let all = [&jobs[..], &[4711]].concat();
    let acted = stand.ledger.act_on(&all, &Act::Cancel, "all").unwrap();
    assert_eq!(acted, Acted { changed: 2, passed_over: 2 });
    let acted = stand.ledger.act_on(&jobs, &Act::Retry, "all").unwrap();
    assert_eq!(acted, Acted { changed: 3, passed_over: 0 });
    assert!(jobs.iter().all(|job| stand.state(*job) == JobState::Available));
    assert_eq!(stand.ledger.events(9).unwrap().pop().unwrap().detail, "3 jobs retried: all");
    let acted = stand.ledger.act_on(&jobs, &Act::Resend { to: None }, "all").unwrap();
    assert_eq!(acted, Acted { changed: 0, passed_over: 3 }, "nothing was made yet");
}

pub(super) fn results_are_sent_again_without_running_a_model(stand: Stand) {
    stand.close_with(1, vec![infer_job(&["a", "slow"])]);
    let infer = stand.claim_one(JobKind::Infer);
    stand.ledger.complete_infer(&infer, &[result(1, "seg")]).unwrap();
    while let Some(deliver) = stand.ledger.claim(JobKind::Deliver, "w", LEASE, 1, &[]).unwrap().pop() {
        stand.ledger.complete_deliver(&deliver, Delivered::Confirmed).unwrap();
    }
    let again = stand.ledger.resend_job(infer.job, None).unwrap();
    let rows: Vec<_> = again.iter().map(|job| stand.detail(*job).job).collect();
    let told: Vec<_> =
        rows.iter().map(|row| (row.destination.as_deref().unwrap_or_default(), row.max_attempts)).collect();
    assert_eq!(told, [("a", 3), ("slow", 7)]);
    let claim = stand.claim_one(JobKind::Deliver);
    let Work::Deliver { results, .. } = claim.work else { panic!("no delivery") };
    assert_eq!(results[0].sop_instance, result(1, "seg").sop_instance);
    assert!(stand.ledger.claim(JobKind::Infer, "w", LEASE, 1, &[]).unwrap().is_empty());
    let refused = stand.ledger.resend_job(infer.job, Some("slow")).unwrap_err();
    assert!(matches!(refused, LedgerError::OnItsWay { .. }), "{refused}");
}
