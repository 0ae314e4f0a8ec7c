//! Exercises of closing revisions.

use super::*;

fn received(stand: &Stand) -> OpenRevision {
    stand.ledger.record_instances(&[arrived(1, 1, "a")]).unwrap();
    stand.ledger.series_revision(&series(1)).unwrap().unwrap()
}

pub(super) fn closing_makes_the_jobs_in_order(stand: Stand) {
    let open = received(&stand);
    let second = NewInferJob { pipeline: "bet".to_owned(), shadow: true, ..infer_job(&["a", "b"]) };
    let jobs = stand.ledger.close_revision(&closing(&open, vec![infer_job(&["pacs"]), second])).unwrap();
    assert!(stand.ledger.open_revisions().unwrap().is_empty());
    let claims = stand.ledger.claim(JobKind::Infer, "w", LEASE, 9, &[]).unwrap();
    assert_eq!(claims.iter().map(|claim| claim.job).collect::<Vec<_>>(), jobs);
    let Work::Infer { revision, series: key, pipeline, rule, destinations, shadow, .. } = &claims[1].work else {
        panic!("no infer job")
    };
    assert_eq!((*revision, key, pipeline.as_str(), rule.as_str()), (open.id, &series(1), "bet", "brain"));
    assert_eq!((destinations.join(" "), *shadow), ("a b".to_owned(), true));
}

pub(super) fn a_revision_that_moved_on_is_not_closed(stand: Stand) {
    for news in [arrived(1, 2, "new"), arrived(1, 1, "replaced")] {
        let open = received_or_open(&stand);
        stand.ledger.record_instances(&[news]).unwrap();
        let refused = stand.ledger.close_revision(&closing(&open, vec![infer_job(&["pacs"])])).unwrap_err();
        let expected = (open.arrivals, open.arrivals + 1);
        assert!(
            matches!(refused, LedgerError::RevisionMoved { seen, now, .. } if (seen, now) == expected),
            "{refused}"
        );
        assert_eq!(stand.ledger.counts().unwrap(), Counts { open_revisions: 1, ..Counts::default() });
    }
}

fn received_or_open(stand: &Stand) -> OpenRevision {
    stand.ledger.series_revision(&series(1)).unwrap().unwrap_or_else(|| received(stand))
}

pub(super) fn a_revision_closes_once(stand: Stand) {
    let decided = closing(&received(&stand), vec![infer_job(&["pacs"])]);
    assert_eq!(stand.ledger.close_revision(&decided).unwrap().len(), 1);
    let refused = stand.ledger.close_revision(&decided).unwrap_err();
    assert!(matches!(refused, LedgerError::RevisionClosed(_)), "{refused}");
    let unknown = stand.ledger.close_revision(&Closing { revision: 77, ..decided }).unwrap_err();
    assert!(matches!(unknown, LedgerError::NoSuchRevision(77)), "{unknown}");
    assert_eq!(stand.ledger.jobs(&JobFilter::default()).unwrap().len(), 1);
}

pub(super) fn a_closing_that_cannot_be_stored_leaves_the_revision_open(stand: Stand) {
    let open = received(&stand);
    let broken = Closing { geometry: "not JSON".to_owned(), ..closing(&open, vec![infer_job(&["pacs"])]) };
    assert!(stand.ledger.close_revision(&broken).is_err());
    assert_eq!(stand.ledger.counts().unwrap(), Counts { open_revisions: 1, ..Counts::default() });
    assert_eq!(stand.ledger.close_revision(&closing(&open, vec![])).unwrap(), Vec::<i64>::new());
}
