//! Exercises of the sender's count of a series.

use super::*;

const STILL: Duration = SECOND;

fn uncounted(stand: &Stand, senders: &[&str]) -> Vec<Uncounted> {
    let senders: Vec<String> = senders.iter().map(|&sender| sender.to_owned()).collect();
    stand.ledger.uncounted_revisions(&senders, STILL).unwrap()
}

fn expected(stand: &Stand) -> Option<u64> {
    stand.ledger.series_revision(&series(1)).unwrap().unwrap().expected
}

pub(super) fn a_count_is_good_until_the_next_arrival(stand: Stand) {
    stand.ledger.record_instances(&[arrived(1, 1, "bytes")]).unwrap();
    let sender = arrived(1, 1, "bytes").calling_ae;
    assert_eq!(uncounted(&stand, &[&sender]), [], "something may still be coming");
    stand.clock.advance(STILL);
    assert_eq!(uncounted(&stand, &["OTHER"]), []);
    let asked = uncounted(&stand, &["OTHER", &sender]);
    assert_eq!((asked.len(), &asked[0].series, &asked[0].calling_ae), (1, &series(1), &sender));
    stand.ledger.count_revision(&asked[0], Some(3)).unwrap();
    assert_eq!((expected(&stand), uncounted(&stand, &[&sender])), (Some(3), vec![]));
    stand.ledger.record_instances(&[arrived(1, 2, "bytes")]).unwrap();
    assert_eq!(expected(&stand), None, "the count is of another state");
    stand.clock.advance(STILL);
    let again = uncounted(&stand, &[&sender]);
    stand.ledger.count_revision(&asked[0], Some(1)).unwrap();
    assert_eq!(expected(&stand), None, "an answer that comes late counts for its own state");
    stand.ledger.count_revision(&again[0], None).unwrap();
    assert_eq!((expected(&stand), uncounted(&stand, &[&sender])), (None, vec![]), "asked once a state");
}
