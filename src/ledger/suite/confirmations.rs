//! Exercises of deliveries that wait for a report of storage commitment.

use super::*;
use crate::dicom::commitment::{Reason, Reference, Report};

const WAIT: Duration = Duration::from_mins(1);

/// A claimed deliver job of two objects.
fn delivery(stand: &Stand) -> Claim {
    stand.close_with(1, vec![infer_job(&["pacs"])]);
    let infer = stand.claim_one(JobKind::Infer);
    assert!(stand.ledger.complete_infer(&infer, &[result(1, "seg"), result(2, "sr")]).unwrap());
    stand.claim_one(JobKind::Deliver)
}

fn report(asked: &ConfirmationAsked, held: &[u32], failed: &[u32]) -> Report {
    let reference = |n: &u32| Reference { sop_class: uid("1.2.3"), sop_instance: uid(&format!("2.25.{n}")) };
    let failed = failed.iter().map(|n| (reference(n), Reason::NoSuchInstance)).collect();
    Report { transaction: asked.transaction.clone(), held: held.iter().map(reference).collect(), failed }
}

fn asked_for(claim: &Claim) -> Vec<Uid> {
    let Work::Deliver { results, .. } = &claim.work else { panic!("no deliver job") };
    results.iter().map(|row| row.sop_instance.clone()).collect()
}

fn nothing_to_claim(stand: &Stand) -> bool {
    stand.ledger.claim(JobKind::Deliver, "w", LEASE, 9, &[]).unwrap().is_empty()
}

pub(super) fn a_waiting_delivery_goes_on_when_its_report_comes_even_after_a_crash(mut stand: Stand) {
    let claim = delivery(&stand);
    let asked = stand.ledger.ask_confirmation(&claim, &asked_for(&claim), WAIT).unwrap();
    assert!(stand.ledger.await_confirmation(&claim, &asked).unwrap());
    assert!(nothing_to_claim(&stand));
    stand.crash();
    assert!(stand.ledger.confirmation_reported(&report(&asked, &[1, 2], &[])).unwrap());
    let again = stand.claim_one(JobKind::Deliver);
    assert_eq!(again.job, claim.job);
    assert_eq!(stand.ledger.take_confirmation(claim.job).unwrap(), Some(Confirmation::Held));
    assert_eq!(stand.ledger.take_confirmation(claim.job).unwrap(), None, "once");
    assert!(stand.ledger.complete_deliver(&again, Delivered::Confirmed).unwrap());
    assert_eq!(stand.detail(claim.job).job.attempt, 1, "waiting costs no attempt");
}

pub(super) fn a_report_may_come_before_the_delivery_waits(stand: Stand) {
    let claim = delivery(&stand);
    let asked = stand.ledger.ask_confirmation(&claim, &asked_for(&claim), WAIT).unwrap();
    assert!(stand.ledger.confirmation_reported(&report(&asked, &[1, 2], &[])).unwrap());
    assert_eq!(stand.state(claim.job), JobState::Running, "a report ends no attempt");
    assert!(stand.ledger.await_confirmation(&claim, &asked).unwrap());
    assert_eq!(stand.claim_one(JobKind::Deliver).job, claim.job);
    assert_eq!(stand.ledger.take_confirmation(claim.job).unwrap(), Some(Confirmation::Held));
}

pub(super) fn what_a_report_does_not_name_is_not_committed_to(stand: Stand) {
    let check = |held: &[u32], failed: &[u32], expected: &str| {
        let stand = stand.another();
        let claim = delivery(&stand);
        let asked = stand.ledger.ask_confirmation(&claim, &asked_for(&claim), WAIT).unwrap();
        assert!(stand.ledger.await_confirmation(&claim, &asked).unwrap());
        assert!(stand.ledger.confirmation_reported(&report(&asked, held, failed)).unwrap());
        let found = stand.ledger.take_confirmation(claim.job).unwrap();
        assert_eq!(found, Some(Confirmation::Missing(expected.to_owned())));
    };
    check(&[1], &[2], "the destination does not commit to 1 of 2 objects; 2.25.2: reason 0112");
    check(&[1], &[], "the destination does not commit to 1 of 2 objects");
    check(&[], &[], "the destination does not commit to 2 of 2 objects");
}

/// Of several forms of a result a destination gets one.
pub(super) fn what_was_not_asked_for_is_not_missed(stand: Stand) {
    let claim = delivery(&stand);
    let asked = stand.ledger.ask_confirmation(&claim, &asked_for(&claim)[..1], WAIT).unwrap();
    stand.ledger.await_confirmation(&claim, &asked).unwrap();
    stand.ledger.confirmation_reported(&report(&asked, &[1], &[])).unwrap();
    assert_eq!(stand.ledger.take_confirmation(claim.job).unwrap(), Some(Confirmation::Held));
}

pub(super) fn a_report_that_never_comes_is_waited_for_no_longer_than_said(stand: Stand) {
    let claim = delivery(&stand);
    let asked = stand.ledger.ask_confirmation(&claim, &asked_for(&claim), WAIT).unwrap();
    stand.clock.advance(WAIT);
    assert_eq!(stand.ledger.take_confirmation(claim.job).unwrap(), None, "whether it left is not known");
    stand.ledger.await_confirmation(&claim, &asked).unwrap();
    assert_eq!(stand.claim_one(JobKind::Deliver).job, claim.job);
    assert_eq!(stand.ledger.take_confirmation(claim.job).unwrap(), Some(Confirmation::Overdue));
    assert!(!stand.ledger.confirmation_reported(&report(&asked, &[1, 2], &[])).unwrap(), "now nobody waits");
}
