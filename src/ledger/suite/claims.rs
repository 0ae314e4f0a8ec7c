//! Exercises of claims, leases and takeovers.

use std::collections::HashSet;

use super::*;
use crate::ledger::claims::LONGEST_WAIT;

/// A step of priority.
const AGING: Duration = Duration::from_mins(30);

fn claimed(stand: &Stand, limit: u32) -> Vec<i64> {
    let claims = stand.ledger.claim(JobKind::Infer, "worker-1", LEASE, limit, &[]).unwrap();
    claims.into_iter().map(|claim| claim.job).collect()
}

pub(super) fn jobs_are_claimed_by_priority_then_age(stand: Stand) {
    let job = |priority| NewInferJob { priority, ..infer_job(&["pacs"]) };
    let first = stand.close_with(1, vec![job(Priority::OffPeak), job(Priority::Routine), job(Priority::Routine)]);
    stand.clock.advance(SECOND);
    let second = stand.close_with(2, vec![job(Priority::Routine), job(Priority::Stat)]);
    assert_eq!(claimed(&stand, 3), [second[1], first[1], first[2]]);
    assert_eq!(claimed(&stand, 9), [second[0], first[0]]);
    assert_eq!(claimed(&stand, 9), Vec::<i64>::new());
}

pub(super) fn a_job_that_waited_long_enough_overtakes_newer_ones_of_a_higher_priority(stand: Stand) {
    let job = |priority| NewInferJob { priority, ..infer_job(&["pacs"]) };
    let patient = stand.close_with(1, vec![job(Priority::Routine)])[0];
    stand.clock.advance(AGING.mul_f32(1.5));
    let urgent = stand.close_with(2, vec![job(Priority::Urgent)])[0];
    let stat = stand.close_with(3, vec![job(Priority::Stat)])[0];
    assert_eq!(
        claimed(&stand, 9),
        [stat, patient, urgent],
        "urgent waits behind 45 minutes of patience, stat does not"
    );
}

pub(super) fn off_peak_models_run_in_their_hours_only(stand: Stand) {
    let second = |now: Millis| (now.0 / 1000 + i64::from(now.utc_offset())).rem_euclid(86_400) as u32;
    let hour = |ahead: u32| (second(START) + ahead * 3600) % 86_400;
    let ledger = |hours| stand.store.open(&stand.clock, LedgerOptions { off_peak: hours, ..stand.options.clone() });
    let job = |priority| NewInferJob { priority, ..infer_job(&["pacs"]) };
    let jobs = stand.close_with(1, vec![job(Priority::OffPeak), job(Priority::Routine)]);
    let claim = |hours| {
        let claims = ledger(hours).claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap();
        claims.into_iter().map(|claim| claim.job).collect::<Vec<_>>()
    };
    assert_eq!(claim(Some((hour(1), hour(9)))), [jobs[1]]);
    assert_eq!(claim(Some((hour(1), hour(23)))), Vec::<i64>::new());
    assert_eq!(claim(Some((hour(20), hour(2)))), [jobs[0]], "past midnight, wherever that is here");
    let infer = stand.ledger.claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap();
    assert!(infer.is_empty());
}

/// Whatever order the names have, and however much waits.
pub(super) fn a_destination_out_of_service_costs_the_others_nothing(stand: Stand) {
    for n in 1..=30 {
        stand.close_with(n, vec![infer_job(&["a-dead", "pacs", "z-dead"])]);
        let infer = stand.claim_one(JobKind::Infer);
        assert!(stand.ledger.complete_infer(&infer, &[result(n, "seg")]).unwrap());
    }
    let dead = ["a-dead".to_owned(), "z-dead".to_owned()];
    let claims = stand.ledger.claim(JobKind::Deliver, "w", LEASE, 99, &dead).unwrap();
    assert_eq!(claims.len(), 30);
    assert!(claims.windows(2).all(|pair| pair[0].job < pair[1].job), "in the order they were made");
}

pub(super) fn a_clock_that_jumps_loses_and_doubles_nothing(stand: Stand) {
    let jobs = stand.close_with(1, vec![infer_job(&["pacs"]), infer_job(&["pacs"])]);
    let (first, second) = (stand.claim_one(JobKind::Infer), stand.claim_one(JobKind::Infer));
    // A year ahead: every lease is over. Who beats before the rescue keeps the job, who does not is refused.
    stand.clock.advance(LONGEST_WAIT * 46);
    assert!(stand.ledger.heartbeat(&first, LEASE).unwrap());
    assert_eq!(stand.ledger.rescue_expired().unwrap(), 1);
    assert!(!stand.ledger.complete_infer(&second, &[result(2, "seg")]).unwrap());
    let taken = stand.claim_one(JobKind::Infer);
    assert_eq!((taken.job, taken.attempt), (jobs[1], 2));
    assert!(stand.ledger.complete_infer(&first, &[result(1, "seg")]).unwrap());
    assert!(stand.ledger.set_back(&taken, &retry("not yet")).unwrap());
    // And back: what was put off for a second is not put off for a year.
    let earlier = TestClock::at(START.0);
    let ledger = stand.store.open(&earlier, stand.options.clone());
    let claims = ledger.claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap();
    assert_eq!(claims.iter().map(|claim| claim.job).collect::<Vec<_>>(), [jobs[1]]);
    assert!(ledger.complete_infer(&claims[0], &[result(2, "seg")]).unwrap());
    assert_eq!(stand.detail(jobs[0]).deliveries.len() + stand.detail(jobs[1]).deliveries.len(), 2);
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
