//! Exercises of claims, leases and takeovers.

use std::collections::HashSet;

use super::*;

fn claimed(stand: &Stand, limit: u32) -> Vec<i64> {
    let claims = stand.ledger.claim(JobKind::Infer, "worker-1", LEASE, limit, &[]).unwrap();
    claims.into_iter().map(|claim| claim.job).collect()
}

pub(super) fn jobs_are_claimed_by_priority_then_due_time_then_id(stand: Stand) {
    let job = |priority| NewInferJob { priority, ..infer_job(&["pacs"]) };
    let first = stand.close_with(1, vec![job(Priority::OffPeak), job(Priority::Routine), job(Priority::Routine)]);
    stand.clock.advance(SECOND);
    let second = stand.close_with(2, vec![job(Priority::Routine), job(Priority::Stat)]);
    assert_eq!(claimed(&stand, 3), [second[1], first[1], first[2]]);
    assert_eq!(claimed(&stand, 9), [second[0], first[0]]);
    assert_eq!(claimed(&stand, 9), Vec::<i64>::new());
}

pub(super) fn excluded_destinations_are_passed_over(stand: Stand) {
    stand.close_with(1, vec![infer_job(&["dead", "busy", "pacs"])]);
    let infer = stand.claim_one(JobKind::Infer);
    assert!(stand.ledger.complete_infer(&infer, &[result(1, "seg")]).unwrap());
    let claims = stand.ledger.claim(JobKind::Deliver, "w", LEASE, 9, &["dead".to_owned(), "busy".to_owned()]).unwrap();
    let destinations: Vec<&str> = claims
        .iter()
        .map(|claim| match &claim.work {
            Work::Deliver { destination, .. } => destination.as_str(),
            Work::Infer { .. } => "infer",
        })
        .collect();
    assert_eq!(destinations, ["pacs"]);
}

pub(super) fn the_analysis_time_is_that_of_the_first_claim(stand: Stand) {
    stand.close_with(1, vec![infer_job(&["pacs"])]);
    stand.clock.advance(SECOND);
    for attempt in 1..=3 {
        let claim = stand.claim_one(JobKind::Infer);
        let Work::Infer { analysis_started_at, .. } = claim.work else { panic!("no infer job") };
        assert_eq!((claim.attempt, analysis_started_at), (attempt, START.plus(SECOND)));
        stand.ledger.rescue_all_running().unwrap();
        stand.clock.advance(SECOND);
    }
}

pub(super) fn a_heartbeat_keeps_the_lease_and_reports_a_lost_one(stand: Stand) {
    stand.close_with(1, vec![infer_job(&["pacs"])]);
    let claim = stand.claim_one(JobKind::Infer);
    for _ in 0..3 {
        stand.clock.advance(LEASE.mul_f32(0.9));
        assert!(stand.ledger.heartbeat(&claim, LEASE).unwrap());
        assert_eq!(stand.ledger.rescue_expired().unwrap(), 0);
    }
    stand.clock.advance(LEASE);
    assert_eq!(stand.ledger.rescue_expired().unwrap(), 1);
    assert!(!stand.ledger.heartbeat(&claim, LEASE).unwrap());
}

pub(super) fn a_lost_lease_is_taken_over_and_the_first_worker_is_refused(stand: Stand) {
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    let first = stand.claim_one(JobKind::Infer);
    assert!(stand.ledger.claim(JobKind::Infer, "worker-2", LEASE, 9, &[]).unwrap().is_empty());
    stand.clock.advance(LEASE);
    assert_eq!(stand.ledger.rescue_expired().unwrap(), 1);
    let second = stand.ledger.claim(JobKind::Infer, "worker-2", LEASE, 9, &[]).unwrap().remove(0);
    assert_eq!((second.job, second.attempt), (job, 2));

    assert!(!stand.ledger.complete_infer(&first, &[result(1, "from the first")]).unwrap());
    assert!(!stand.ledger.set_back(&first, &retry("late")).unwrap());
    assert_eq!(stand.state(job), JobState::Running);
    assert!(stand.detail(job).results.is_empty());

    assert!(stand.ledger.complete_infer(&second, &[result(1, "from the second")]).unwrap());
    assert!(!stand.ledger.complete_infer(&second, &[result(1, "from the second")]).unwrap(), "once only");
    assert_eq!(stand.outcomes(job), ["lease-expired", "completed"]);
    assert_eq!(stand.detail(job).deliveries.len(), 1);
}

pub(super) fn concurrent_claims_never_share_a_job(stand: Stand) {
    const JOBS: usize = 60;
    stand.close_with(1, vec![infer_job(&["pacs"]); JOBS]);
    // clones share a connection, the second handle has its own
    let handles = [stand.ledger.clone(), stand.ledger.clone(), stand.second_handle()];
    let claims: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = handles.iter().map(|ledger| scope.spawn(|| claim_until_empty(ledger))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(claims.len(), JOBS);
    assert_eq!(claims.iter().collect::<HashSet<_>>().len(), JOBS);
}

fn claim_until_empty(ledger: &Ledger) -> Vec<i64> {
    let mut jobs = Vec::new();
    loop {
        let claims = ledger.claim(JobKind::Infer, "w", LEASE, 2, &[]).unwrap();
        if claims.is_empty() {
            return jobs;
        }
        jobs.extend(claims.into_iter().map(|claim| claim.job));
    }
}
