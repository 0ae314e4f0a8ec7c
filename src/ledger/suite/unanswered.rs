//! Exercises of jobs without a result, whose readers are told once.

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn asking(after: Option<Duration>) -> NewInferJob {
    NewInferJob { inform: Inform { failed: true, after, nothing_found: true }, ..infer_job(&["pacs", "slow"]) }
}

fn placeholder() -> ResultRow {
    ResultRow { kind: "placeholder".to_owned(), ..result(7, "placeholder") }
}

fn told(stand: &Stand) -> Vec<(i64, Option<Millis>)> {
    stand.ledger.unanswered().unwrap().into_iter().map(|job| (job.job, job.late_at)).collect()
}

fn sent(claim: &Claim) -> Vec<String> {
    let Work::Deliver { results, .. } = &claim.work else { panic!("no deliver job") };
    results.iter().map(|row| row.sop_instance.to_string()).collect()
}

pub(super) fn readers_are_told_once_of_a_job_that_was_given_up(stand: Stand) {
    let job = stand.close_with(1, vec![asking(None)])[0];
    let claim = stand.claim_one(JobKind::Infer);
    assert!(matches!(&claim.work, Work::Infer { tells_nothing_found: true, .. }));
    assert_eq!(told(&stand), []);
    stand.ledger.set_back_at(&claim, &Setback::GiveUp { error: "no".to_owned() }, Some("model")).unwrap();
    let unanswered = stand.ledger.unanswered().unwrap().remove(0);
    assert_eq!((unanswered.job, unanswered.stage.as_deref(), unanswered.late_at), (job, Some("model"), None));
    assert!(stand.ledger.inform(job, Some(&placeholder())).unwrap());
    assert!(!stand.ledger.inform(job, Some(&placeholder())).unwrap(), "twice");
    assert_eq!(told(&stand), []);
    for _ in 0..2 {
        let claim = stand.claim_one(JobKind::Deliver);
        assert_eq!(sent(&claim), ["2.25.7"]);
        stand.ledger.complete_deliver(&claim, Delivered::Confirmed).unwrap();
    }

    // The result that comes after all goes out without the placeholder; a second failure is not told of.
    stand.ledger.retry_job(job).unwrap();
    stand.ledger.complete_infer(&stand.claim_one(JobKind::Infer), &[result(1, "seg")]).unwrap();
    assert_eq!(sent(&stand.claim_one(JobKind::Deliver)), ["2.25.1"]);
    assert_eq!(stand.detail(job).results.len(), 2);
}

pub(super) fn a_late_job_is_told_of_and_may_still_end_well(stand: Stand) {
    let job = stand.close_with(1, vec![asking(Some(HOUR))])[0];
    stand.clock.advance(Duration::from_mins(59));
    assert_eq!(told(&stand), []);
    stand.clock.advance(Duration::from_mins(1));
    assert_eq!(told(&stand), [(job, Some(START.plus(HOUR)))]);
    assert!(stand.ledger.inform(job, Some(&placeholder())).unwrap());
    stand.ledger.complete_infer(&stand.claim_one(JobKind::Infer), &[]).unwrap();
    let claims = stand.ledger.claim(JobKind::Deliver, "w", LEASE, 9, &[]).unwrap();
    assert_eq!(claims.iter().map(sent).collect::<Vec<_>>(), [["2.25.7"], ["2.25.7"]]);
    assert_eq!((told(&stand), stand.state(job)), (vec![], JobState::Completed));
}

pub(super) fn nobody_is_told_of_what_ended_well_was_cancelled_or_was_not_asked_for(stand: Stand) {
    let shadow = NewInferJob { shadow: true, ..asking(None) };
    let refused = NewInferJob { refused: Some("no geometry".to_owned()), ..asking(None) };
    let jobs = stand.close_with(1, vec![asking(Some(HOUR)), asking(Some(HOUR)), shadow, infer_job(&["pacs"]), refused]);
    stand.ledger.cancel_job(jobs[0]).unwrap();
    stand.ledger.complete_infer(&stand.claim_one(JobKind::Infer), &[]).unwrap();
    for _ in 0..2 {
        stand.ledger.set_back(&stand.claim_one(JobKind::Infer), &Setback::GiveUp { error: "no".to_owned() }).unwrap();
    }
    stand.clock.advance(HOUR);
    assert_eq!(told(&stand), [(jobs[4], None)], "one that was refused from the start");
    assert!(!stand.ledger.inform(jobs[0], Some(&placeholder())).unwrap());
    assert!(stand.ledger.inform(jobs[4], None).unwrap(), "no placeholder can be made");
    assert_eq!(told(&stand), []);
    assert!(stand.ledger.claim(JobKind::Deliver, "w", LEASE, 9, &[]).unwrap().is_empty());
}
