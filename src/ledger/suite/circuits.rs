//! Exercises of destinations that fail as a whole.

use super::*;

fn fail(stand: &Stand, times: u32) -> Vec<bool> {
    (0..times).map(|_| stand.ledger.destination_failed("pacs", "nobody there", SECOND).unwrap()).collect()
}

pub(super) fn three_failures_in_a_row_open_a_circuit_and_an_answer_closes_it(mut stand: Stand) {
    assert_eq!(fail(&stand, 2), [false, false]);
    assert!(!stand.ledger.destination_answered("pacs").unwrap(), "it was not open");
    assert_eq!(fail(&stand, 4), [false, false, true, false], "in a row, and it opens once");
    stand.crash();
    let circuit = stand.ledger.circuits().unwrap().remove(0);
    assert_eq!((circuit.opened_at, circuit.probe_at, circuit.probes), (Some(START), Some(START.plus(SECOND)), 0));
    assert!(stand.ledger.probes_due().unwrap().is_empty());
    stand.clock.advance(SECOND);
    assert_eq!(stand.ledger.probes_due().unwrap().len(), 1);
    stand.ledger.probe_failed("pacs", "still nobody", SECOND).unwrap();
    let circuit = stand.ledger.circuits().unwrap().remove(0);
    assert_eq!((circuit.probes, circuit.last_error.as_str()), (1, "still nobody"));
    assert!(stand.ledger.probes_due().unwrap().is_empty());
    assert!(stand.ledger.destination_answered("pacs").unwrap());
    assert!(stand.ledger.circuits().unwrap().is_empty());
}

pub(super) fn what_waited_is_due_at_once_the_most_urgent_first(stand: Stand) {
    let job = |priority| NewInferJob { priority, ..infer_job(&["pacs", "other"]) };
    stand.close_with(1, vec![job(Priority::Routine), job(Priority::Stat)]);
    for n in 1..=2 {
        let infer = stand.claim_one(JobKind::Infer);
        stand.ledger.complete_infer(&infer, &[result(n, "seg")]).unwrap();
    }
    let later = Setback::Retry { error: "nobody there".to_owned(), after: LEASE };
    for claim in stand.ledger.claim(JobKind::Deliver, "w", LEASE, 9, &[]).unwrap() {
        stand.ledger.set_back(&claim, &later).unwrap();
    }
    fail(&stand, 3);
    assert!(stand.ledger.destination_answered("pacs").unwrap());
    let claims = stand.ledger.claim(JobKind::Deliver, "w", LEASE, 9, &[]).unwrap();
    let priorities: Vec<_> = claims.iter().map(|claim| stand.detail(claim.job).job.priority).collect();
    assert_eq!(priorities, [Priority::Stat, Priority::Routine], "those of the other destination wait on");
}
