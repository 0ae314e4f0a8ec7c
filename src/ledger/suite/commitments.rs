//! Exercises of storage commitment.

use super::*;
use crate::dicom::commitment::{Reason, Reference, Request};

const HOLD: Duration = Duration::from_mins(1);

fn named(class: &str, instance: &str) -> Reference {
    Reference { sop_class: uid(class), sop_instance: uid(instance) }
}

fn held() -> Reference {
    named("1.2.840.10008.5.1.4.1.1.4", "1.2.3.1.1")
}

fn asked(peer: &str, transaction: &str, references: Vec<Reference>) -> CommitmentAsked {
    CommitmentAsked {
        calling_ae: peer.to_owned(),
        called_ae: "SAGITTAL".to_owned(),
        sender: "127.0.0.1".to_owned(),
        request: Request { transaction: uid(transaction), references },
    }
}

fn due(stand: &Stand) -> Vec<i64> {
    stand.ledger.commitments_due(&[], 9).unwrap().iter().map(|report| report.id).collect()
}

pub(super) fn a_report_says_what_is_held_and_why_the_rest_is_not(stand: Stand) {
    stand.ledger.record_instances(&[arrived(1, 1, "bytes")]).unwrap();
    let wrong_class = named("1.2.840.10008.5.1.4.1.1.2", "1.2.3.1.1");
    let absent = named("1.2.840.10008.5.1.4.1.1.4", "1.2.3.1.2");
    let request = asked("CT1", "2.25.7", vec![held(), wrong_class.clone(), absent.clone()]);
    let id = stand.ledger.request_commitment(&request, HOLD).unwrap();
    let report = stand.ledger.commitment_report(id).unwrap();
    assert_eq!(report.transaction, uid("2.25.7"));
    assert_eq!(report.held, [held()]);
    assert_eq!(report.failed, [(wrong_class, Reason::ClassInstanceConflict), (absent.clone(), Reason::NoSuchInstance)]);
    stand.ledger.record_instances(&[arrived(1, 2, "bytes")]).unwrap();
    assert_eq!(stand.ledger.commitment_report(id).unwrap().held, [held(), absent], "what came since counts");
}

pub(super) fn a_report_is_due_until_it_is_taken_whatever_happens(mut stand: Stand) {
    let id = stand.ledger.request_commitment(&asked("CT1", "2.25.7", vec![held()]), HOLD).unwrap();
    assert!(due(&stand).is_empty(), "the association that asked has it for now");
    stand.ledger.hasten_commitments(&[id]).unwrap();
    assert_eq!(due(&stand), [id]);
    stand.ledger.commitment_put_off(id, "nobody there", SECOND).unwrap();
    assert!(due(&stand).is_empty());
    stand.crash();
    stand.clock.advance(SECOND);
    let again = stand.ledger.commitments_due(&[], 9).unwrap();
    assert_eq!((again[0].id, again[0].attempts, again[0].calling_ae.as_str()), (id, 1, "CT1"));
    stand.ledger.commitment_taken(id).unwrap();
    stand.clock.advance(HOLD);
    assert!(due(&stand).is_empty());
    stand.ledger.commitment_put_off(id, "too late", SECOND).unwrap();
    stand.ledger.hasten_commitments(&[id]).unwrap();
    stand.clock.advance(SECOND);
    assert!(due(&stand).is_empty(), "a report that was taken is not made again");
}

pub(super) fn a_report_that_was_given_up_waits_for_the_operator(stand: Stand) {
    let id = stand.ledger.request_commitment(&asked("CT1", "2.25.7", vec![held()]), Duration::ZERO).unwrap();
    stand.ledger.commitment_given_up(id, "nobody there").unwrap();
    stand.clock.advance(HOLD);
    assert!(due(&stand).is_empty());
    let [row] = &stand.ledger.commitments(true, 9).unwrap()[..] else { panic!("one request") };
    assert_eq!((row.id, row.attempts, row.instances, row.reported_at), (id, 1, 1, None));
    assert!(row.given_up_at.is_some() && row.last_error.as_deref() == Some("nobody there"));
    assert!(stand.ledger.commitment_retry(id).unwrap());
    assert_eq!(due(&stand), [id]);
    stand.ledger.commitment_taken(id).unwrap();
    assert!(stand.ledger.commitments(true, 9).unwrap().is_empty());
    assert_eq!(stand.ledger.commitments(false, 9).unwrap().len(), 1);
    assert!(!stand.ledger.commitment_retry(id).unwrap(), "it was taken");
}

pub(super) fn a_transaction_uid_stands_for_one_request(stand: Stand) {
    stand.ledger.record_instances(&[arrived(1, 1, "bytes")]).unwrap();
    let first = stand.ledger.request_commitment(&asked("CT1", "2.25.7", vec![held()]), HOLD).unwrap();
    stand.ledger.commitment_taken(first).unwrap();
    let again = stand.ledger.request_commitment(&asked("CT1", "2.25.7", vec![held()]), Duration::ZERO).unwrap();
    assert_eq!((again, due(&stand)), (first, vec![first]), "a peer that missed the report asks again");
    let other = vec![held(), held()];
    let other = stand.ledger.request_commitment(&asked("CT1", "2.25.7", other), HOLD).unwrap();
    let report = stand.ledger.commitment_report(other).unwrap();
    assert_eq!(report.failed, [(held(), Reason::DuplicateTransaction), (held(), Reason::DuplicateTransaction)]);
    let stranger = stand.ledger.request_commitment(&asked("CT2", "2.25.7", vec![held()]), HOLD).unwrap();
    assert!(stand.ledger.commitment_report(stranger).unwrap().failed.is_empty());
}

pub(super) fn a_peer_gets_one_report_at_a_time(stand: Stand) {
    let ask = |peer: &str, transaction: &str| {
        stand.ledger.request_commitment(&asked(peer, transaction, vec![held()]), Duration::ZERO).unwrap()
    };
    let (first, _, other) = (ask("CT1", "2.25.1"), ask("CT1", "2.25.2"), ask("CT2", "2.25.3"));
    assert_eq!(due(&stand), [first, other]);
    let idle = stand.ledger.commitments_due(&["CT1".to_owned()], 9).unwrap();
    assert_eq!(idle.iter().map(|report| report.id).collect::<Vec<_>>(), [other]);
}
