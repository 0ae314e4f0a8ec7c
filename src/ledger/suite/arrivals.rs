//! Exercises of recording what arrived.

use super::*;

fn held(stand: &Stand, revision: i64) -> Vec<(String, String)> {
    let rows = stand.ledger.revision_instances(revision).unwrap();
    rows.into_iter().map(|row| (row.sop_instance.to_string(), row.location)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(instance, location)| ((*instance).to_owned(), (*location).to_owned())).collect()
}

pub(super) fn a_first_instance_opens_revision_1(stand: Stand) {
    let recorded =
        stand.ledger.record_instances(&[arrived(1, 1, "a"), arrived(1, 2, "b"), arrived(2, 1, "c")]).unwrap();
    let open = stand.ledger.open_revisions().unwrap();
    assert_eq!(open.len(), 2);
    let (first, second) = (open[0].id, open[1].id);
    assert_eq!(
        recorded,
        [Recorded::New { revision: first }, Recorded::New { revision: first }, Recorded::New { revision: second }]
    );
    assert_eq!((open[0].number, open[0].instances, open[0].opened_at), (1, 2, START));
    assert_eq!(held(&stand, first), pairs(&[("1.2.3.1.1", "1/1/a"), ("1.2.3.1.2", "1/2/b")]));
    let row = stand.ledger.revision_instances(second).unwrap().remove(0);
    assert_eq!((row.calling_ae.as_str(), row.length, row.received_at), ("MODALITY", 1, START));
}

pub(super) fn identical_bytes_change_nothing(stand: Stand) {
    stand.ledger.record_instances(&[arrived(1, 1, "a")]).unwrap();
    stand.ledger.mark_released(&[series(1)]).unwrap();
    stand.clock.advance(SECOND);
    let mut again = arrived(1, 1, "a");
    again.location = "1/1/a-second-copy".to_owned();
    assert_eq!(stand.ledger.record_instances(&[again.clone()]).unwrap(), [Recorded::Identical]);
    let open = stand.ledger.series_revision(&series(1)).unwrap().unwrap();
    assert_eq!((open.last_arrival_at, open.released_at, open.arrivals), (START, Some(START), 1));
    stand.ledger.close_revision(&closing(&open, vec![])).unwrap();
    assert_eq!(stand.ledger.record_instances(&[again]).unwrap(), [Recorded::Identical]);
    assert!(stand.ledger.series_revision(&series(1)).unwrap().is_none(), "no revision 2 for nothing new");
}

pub(super) fn other_bytes_replace_from_their_revision_on(stand: Stand) {
    stand.close_with(1, vec![]);
    let recorded = stand.ledger.record_instances(&[arrived(1, 1, "corrected")]).unwrap();
    let open = stand.ledger.series_revision(&series(1)).unwrap().unwrap();
    assert_eq!(recorded, [Recorded::Replaced { revision: open.id }]);
    assert_eq!((open.number, open.instances, open.arrivals), (2, 1, 1));
    assert_eq!(held(&stand, open.id - 1), pairs(&[("1.2.3.1.1", "1/1/bytes")]));
    assert_eq!(held(&stand, open.id), pairs(&[("1.2.3.1.1", "1/1/corrected")]));
    // back to the first bytes: they are news again
    let mut first = arrived(1, 1, "bytes");
    first.location = "1/1/bytes-again".to_owned();
    assert_eq!(stand.ledger.record_instances(&[first]).unwrap(), [Recorded::Replaced { revision: open.id }]);
    assert_eq!(held(&stand, open.id), pairs(&[("1.2.3.1.1", "1/1/bytes-again")]));
}

pub(super) fn a_late_instance_opens_revision_2_with_all_earlier_ones(stand: Stand) {
    stand.close_with(1, vec![infer_job(&["pacs"])]);
    stand.clock.advance(SECOND);
    stand.ledger.record_instances(&[arrived(1, 2, "late")]).unwrap();
    let open = stand.ledger.series_revision(&series(1)).unwrap().unwrap();
    assert_eq!((open.number, open.instances, open.opened_at), (2, 2, START.plus(SECOND)));
    assert_eq!(held(&stand, open.id), pairs(&[("1.2.3.1.1", "1/1/bytes"), ("1.2.3.1.2", "1/2/late")]));
    let Work::Infer { revision, .. } = stand.claim_one(JobKind::Infer).work else { panic!("no infer job") };
    assert_eq!(held(&stand, revision), pairs(&[("1.2.3.1.1", "1/1/bytes")]), "revision 1 is what it was");
}

pub(super) fn a_batch_is_recorded_whole_or_not_at_all(stand: Stand) {
    let mut clash = arrived(1, 2, "b");
    clash.location = arrived(1, 1, "a").location;
    let refused = stand.ledger.record_instances(&[arrived(1, 1, "a"), clash]).unwrap_err();
    assert!(matches!(refused, LedgerError::Database(_)), "{refused}");
    assert!(stand.ledger.open_revisions().unwrap().is_empty());
    assert!(stand.ledger.spool_locations().unwrap().is_empty());
}

pub(super) fn a_release_counts_until_the_next_arrival(stand: Stand) {
    let released = || stand.ledger.series_revision(&series(1)).unwrap().unwrap().released_at;
    stand.ledger.record_instances(&[arrived(1, 1, "a")]).unwrap();
    assert_eq!(released(), None);
    stand.clock.advance(SECOND);
    stand.ledger.mark_released(&[series(1), series(7)]).unwrap();
    assert_eq!(released(), Some(START.plus(SECOND)));
    stand.ledger.record_instances(&[arrived(1, 2, "b")]).unwrap();
    assert_eq!(released(), None);
}

pub(super) fn concurrent_arrivals_share_one_revision(stand: Stand) {
    let handles = [stand.ledger.clone(), stand.second_handle()];
    std::thread::scope(|scope| {
        for (thread, ledger) in (0..).zip(&handles) {
            scope.spawn(move || {
                for instance in 1..=40 {
                    ledger.record_instances(&[arrived(1, thread * 40 + instance, "a")]).unwrap();
                }
            });
        }
    });
    let open = stand.ledger.open_revisions().unwrap();
    assert_eq!((open.len(), open[0].instances, open[0].arrivals), (1, 80, 80));
}
