//! At start: the spool's records bring back ledger rows that a power cut took, and what no row may name goes.
//!
//! A received instance that was whole on disk is recorded, whether or not its sender had the answer: to send
//! it again is harmless. Results that the ledger does not name are made again, byte for byte.

use super::{IntakeError, arrive, duplicate};
use crate::ledger::{ArrivedInstance, Ledger, Recorded};
use crate::spool::{Location, Spool, SpoolError};

/// Most rows in one transaction.
const GROUP: usize = 256;

/// What [`rebuild`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Rows made of records.
    pub recorded: u64,
    /// Records removed.
    pub swept: u64,
    /// Rows taken back because their bytes are gone: a power cut under `process-crash`, or a damaged disk.
    pub forgotten: u64,
}

/// Brings ledger and spool together. Blocking; only while nothing is received.
pub fn rebuild(spool: &Spool, ledger: &Ledger) -> Result<Rebuilt, IntakeError> {
    let named = ledger.spool_locations()?;
    let mut gone = ledger.open_locations()?;
    let (mut rows, mut rebuilt) = (Vec::new(), Rebuilt::default());
    for record in spool.records()? {
        let record = record?;
        gone.remove(&record.location.0);
        if named.contains(&record.location.0) {
            continue;
        }
        match arrive::row_of(spool, &record) {
            Ok(Some(row)) => rows.push((record.sequence, row)),
            Ok(None) => {
                spool.remove(&record.location)?;
                rebuilt.swept += 1;
            }
            Err(error @ SpoolError::Damaged(_)) => tracing::error!("an instance is left out: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    if !gone.is_empty() {
        rebuilt.forgotten = ledger.forget_instances(&gone.into_iter().collect::<Vec<_>>())?;
    }
    // as they came: of two copies the later one counts
    rows.sort_unstable_by_key(|(sequence, _)| *sequence);
    let rows: Vec<ArrivedInstance> = rows.into_iter().map(|(_, row)| row).collect();
    for group in rows.chunks(GROUP) {
        for (row, recorded) in group.iter().zip(ledger.record_instances(group)?) {
            let settled = duplicate::settle(spool, ledger, row, recorded)?;
            let kept = matches!(settled, Recorded::New { .. } | Recorded::Replaced { .. });
            if !kept {
                duplicate::discard(spool, &Location(row.location.clone()));
            }
            rebuilt.recorded += u64::from(kept);
            rebuilt.swept += u64::from(!kept);
        }
    }
    Ok(rebuilt)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::clock::TestClock;
    use crate::dicom::{SeriesKey, Uid, part10_head};
    use crate::intake::{Arrival, arrive::Note};
    use crate::ledger::LedgerOptions;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    struct Stand {
        folder: tempfile::TempDir,
        spool: Spool,
    }

    impl Stand {
        fn new() -> Stand {
            let folder = tempfile::tempdir().unwrap();
            let spool = Spool::open(&folder.path().join("spool")).unwrap();
            Stand { folder, spool }
        }

        fn ledger(&self, name: &str) -> Ledger {
            let clock = Arc::new(TestClock::at(0));
            Ledger::open(&self.folder.path().join(name), clock, LedgerOptions::default()).unwrap()
        }

        /// Appends an instance as an arrival does; its row.
        fn arrive(&self, instance: &str, dataset: &[u8]) -> ArrivedInstance {
            let (class, instance, syntax) = (uid("1.2.840.1"), uid(instance), uid("1.2.840.10008.1.2"));
            let arrival = Arrival {
                calling: "CT1",
                called: "SAGITTAL",
                sender: "192.0.2.1",
                association: None,
                sop_class: &class,
                sop_instance: &instance,
                transfer_syntax: &syntax,
            };
            let head = part10_head(&class, &instance, &syntax, None);
            let (series, note) = (SeriesKey { study: uid("1.2"), series: uid("1.3") }, Note::of(&arrival));
            let text = note.text().unwrap();
            let stored = self.spool.append_with(&series, &instance, &text, &head, dataset).unwrap();
            note.row(series, instance, &stored).unwrap()
        }
    }

    #[test]
    fn lost_rows_come_back_as_they_were() {
        let stand = Stand::new();
        let rows = [stand.arrive("1.4", b"one"), stand.arrive("1.5", b"two"), stand.arrive("1.4", b"other")];
        let (kept, lost) = (stand.ledger("kept"), stand.ledger("lost"));
        kept.record_instances(&rows).unwrap();
        lost.record_instances(&rows[..1]).unwrap();
        assert_eq!(rebuild(&stand.spool, &lost).unwrap(), Rebuilt { recorded: 2, ..Rebuilt::default() });
        assert_eq!(rebuild(&stand.spool, &lost).unwrap(), Rebuilt::default());
        let rows = |ledger: &Ledger| {
            let open = ledger.open_revisions().unwrap().remove(0);
            format!("{:?}", ledger.revision_instances(open.id).unwrap())
        };
        assert_eq!(rows(&lost), rows(&kept));
        assert_eq!(lost.spool_locations().unwrap(), kept.spool_locations().unwrap());
    }

    #[test]
    fn second_copies_and_results_without_a_row_are_swept() {
        let stand = Stand::new();
        let first = stand.arrive("1.4", b"one");
        let second = stand.arrive("1.4", b"one");
        let series = SeriesKey { study: uid("1.2"), series: uid("1.9") };
        let result = stand.spool.append(&series, &uid("1.6"), &[b"a result"]).unwrap();
        let ledger = stand.ledger("ledger");
        assert_eq!(rebuild(&stand.spool, &ledger).unwrap(), Rebuilt { recorded: 1, swept: 2, forgotten: 0 });
        assert!(stand.spool.read(&Location(first.location)).is_ok());
        assert!(stand.spool.read(&Location(second.location)).is_err() && stand.spool.read(&result).is_err());
    }

    #[test]
    fn the_first_copy_counts_where_the_policy_says_so() {
        let stand = Stand::new();
        let (first, other) = (stand.arrive("1.4", b"one"), stand.arrive("1.4", b"other"));
        let options = LedgerOptions { replace: false, ..LedgerOptions::default() };
        let path = stand.folder.path().join("ledger");
        let ledger = Ledger::open(&path, Arc::new(TestClock::at(0)), options).unwrap();
        assert_eq!(rebuild(&stand.spool, &ledger).unwrap(), Rebuilt { recorded: 1, swept: 1, forgotten: 0 });
        assert!(stand.spool.read(&Location(first.location)).is_ok());
        assert!(stand.spool.read(&Location(other.location)).is_err());
    }

    #[test]
    fn a_row_without_bytes_is_taken_back_and_the_instance_is_new_again() {
        let stand = Stand::new();
        let rows = [stand.arrive("1.4", b"one"), stand.arrive("1.5", b"two")];
        let ledger = stand.ledger("ledger");
        ledger.record_instances(&rows).unwrap();
        stand.spool.remove(&Location(rows[0].location.clone())).unwrap();
        assert_eq!(rebuild(&stand.spool, &ledger).unwrap(), Rebuilt { forgotten: 1, ..Rebuilt::default() });
        assert_eq!(ledger.open_revisions().unwrap()[0].instances, 1);
        let again = stand.arrive("1.4", b"one");
        assert!(matches!(ledger.record_instances(std::slice::from_ref(&again)).unwrap()[..], [Recorded::New { .. }]));
        for row in [&rows[1], &again] {
            stand.spool.remove(&Location(row.location.clone())).unwrap();
        }
        assert_eq!(rebuild(&stand.spool, &ledger).unwrap(), Rebuilt { forgotten: 2, ..Rebuilt::default() });
        assert!(ledger.open_revisions().unwrap().is_empty());
    }

    #[test]
    fn copies_of_one_digest_and_other_bytes_are_both_kept() {
        let stand = Stand::new();
        let first = stand.arrive("1.4", b"one");
        let ledger = stand.ledger("ledger");
        let second = ArrivedInstance { digest: first.digest.clone(), ..stand.arrive("1.4", b"two") };
        ledger.record_instances(&[first]).unwrap();
        let settled = duplicate::settle(&stand.spool, &ledger, &second, Recorded::Identical).unwrap();
        assert!(matches!(settled, Recorded::Replaced { .. }));
        let newest = ledger.instance_location(&second.series, &second.sop_instance).unwrap();
        assert_eq!(newest, Some(second.location));
    }
}
