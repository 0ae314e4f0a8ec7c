//! The quota of the spool: the oldest finished series make room for what arrives.
//!
//! Bytes go before the rows that name them: after a crash in between the rows are found again and dropped for good,
//! where records without a row would be taken for instances that a power cut took from the ledger.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::IntakeError;
use crate::clock::Millis;
use crate::ledger::Ledger;
use crate::spool::{Location, Spool};

/// How long a look at the ledger is good for, milliseconds: results, too, take room.
const FRESH: i64 = 10_000;

/// Held while room is made, so that two arrivals do not drop for the same need.
#[derive(Debug)]
pub(super) struct Quota {
    /// Bytes; `None`: as much as the disk holds.
    limit: Option<u64>,
    /// How long what was committed to is kept, whatever the limit.
    committed: Duration,
    /// When the ledger was asked, and the bytes held then and arrived since.
    seen: Mutex<Option<(Millis, u64)>>,
}

impl Quota {
    pub(super) fn new(limit: Option<u64>, committed: Duration) -> Quota {
        Quota { limit, committed, seen: Mutex::new(None) }
    }

    /// Whether there is room for `length` bytes without any being made; if so, it is taken.
    pub(super) fn has_room(&self, length: u64, now: Millis) -> bool {
        let Some(limit) = self.limit else { return true };
        let Ok(mut seen) = self.seen.try_lock() else { return false };
        let fits = seen.filter(|(at, held)| now.0 - at.0 < FRESH && held + length <= limit);
        *seen = fits.map(|(at, held)| (at, held + length)).or(*seen);
        fits.is_some()
    }

    /// Makes room for `length` bytes. Blocking.
    pub(super) fn make_room(
        &self,
        length: u64,
        now: Millis,
        ledger: &Ledger,
        spool: &Spool,
    ) -> Result<(), IntakeError> {
        let Some(limit) = self.limit else { return Ok(()) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.filter(|(at, held)| now.0 - at.0 < FRESH && held + length <= limit);
        let (at, mut held) = match fresh {
            Some(known) => known,
            None => (now, ledger.held_bytes()?),
        };
        while held + length > limit {
            *seen = None;
            let oldest = ledger.oldest_finished(self.committed)?.ok_or(IntakeError::OverQuota { held, limit })?;
            for location in &oldest.locations {
                spool.remove(&Location(location.clone()))?;
            }
            ledger.forget_dropped(&oldest)?;
            tracing::info!(series = %oldest.series, bytes = oldest.bytes, "dropped for the quota");
            held = held.saturating_sub(oldest.bytes);
        }
        *seen = Some((at, held + length));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::clock::TestClock;
    use crate::dicom::commitment::{Reference, Request};
    use crate::dicom::{SeriesKey, Uid};
    use crate::ledger::{
        ArrivedInstance, ClosedBy, Closing, CommitmentAsked, JobKind, LedgerOptions, NewInferJob, Verdict,
    };

    const COMMITTED: Duration = Duration::from_hours(24);

    struct Stand {
        _folder: tempfile::TempDir,
        clock: TestClock,
        ledger: Ledger,
        spool: Spool,
    }

    impl Stand {
        fn new() -> Stand {
            let folder = tempfile::tempdir().unwrap();
            let clock = TestClock::at(0);
            let path = folder.path().join("ledger");
            let ledger = Ledger::open(&path, Arc::new(clock.clone()), LedgerOptions::default()).unwrap();
            let spool = Spool::open(&folder.path().join("spool")).unwrap();
            Stand { _folder: folder, clock, ledger, spool }
        }

        /// A series of one instance of 100 bytes.
        fn receive(&self, series: &str) -> SeriesKey {
            let uid = |text: &str| Uid::parse(text).unwrap();
            let key = SeriesKey { study: uid("1.2"), series: uid(series) };
            let sop_instance = uid(&format!("{series}.3"));
            let location = self.spool.append(&key, &sop_instance, &[&[7; 100]]).unwrap();
            let row = ArrivedInstance {
                series: key.clone(),
                sop_class: uid("1.2.840.1"),
                sop_instance,
                transfer_syntax: uid("1.2.840.10008.1.2"),
                location: location.0,
                length: 100,
                digest: "x".into(),
                calling_ae: "CT1".into(),
                called_ae: "SAGITTAL".into(),
                sender: "192.0.2.1".into(),
            };
            self.clock.advance(std::time::Duration::from_mins(1));
            self.ledger.record_instances(&[row]).unwrap();
            key
        }

        fn finish(&self, key: &SeriesKey, jobs: usize) {
            let open = self.ledger.series_revision(key).unwrap().unwrap();
            let job = |n: usize| NewInferJob { pipeline: format!("p{n}"), ..NewInferJob::default() };
            let empty = || "{}".to_owned();
            let closing = Closing {
                revision: open.id,
                arrivals: open.arrivals,
                by: ClosedBy::Quiet,
                geometry: empty(),
                summary: empty(),
                explanation: empty(),
                rules_revision: "1".into(),
                verdict: Verdict { jobs: (0..jobs).map(job).collect(), ..Verdict::default() },
                study_rules: false,
            };
            self.ledger.close_revision(&closing).unwrap();
        }

        fn make_room(&self, length: u64, limit: u64) -> Result<(), IntakeError> {
            Quota::new(Some(limit), COMMITTED).make_room(length, Millis(0), &self.ledger, &self.spool)
        }

        fn left(&self) -> usize {
            self.spool.locations().unwrap().count()
        }
    }

    #[test]
    fn the_oldest_finished_series_go_and_no_more_than_needed() {
        let stand = Stand::new();
        let keys = ["1.1", "1.2", "1.3"].map(|series| stand.receive(series));
        for key in &keys {
            stand.finish(key, 0);
        }
        stand.make_room(100, 400).unwrap();
        assert_eq!((stand.left(), stand.ledger.held_bytes().unwrap()), (3, 300));
        stand.make_room(100, 300).unwrap();
        assert_eq!((stand.left(), stand.ledger.held_bytes().unwrap()), (2, 200));
        assert!(stand.ledger.series_objects("1.1").unwrap().is_empty());
        stand.make_room(100, 100).unwrap();
        assert_eq!(stand.left(), 0);
        assert!(matches!(stand.make_room(101, 100), Err(IntakeError::OverQuota { held: 0, limit: 100 })));
        let again = stand.receive("1.1");
        assert_eq!(stand.ledger.series_revision(&again).unwrap().unwrap().number, 2, "what was dropped may come again");
    }

    #[test]
    fn what_was_committed_to_stays_for_its_time() {
        let stand = Stand::new();
        let [promised, other] = ["1.1", "1.2"].map(|series| stand.receive(series));
        for key in [&promised, &other] {
            stand.finish(key, 0);
        }
        let held = &stand.ledger.series_objects("1.1").unwrap()[0];
        let sop_class = Uid::parse("1.2.840.1").unwrap();
        let references = vec![Reference { sop_class, sop_instance: held.0.clone() }];
        let request = Request { transaction: Uid::parse("2.25.7").unwrap(), references };
        let [calling_ae, called_ae, sender] = ["CT1", "SAGITTAL", "192.0.2.1"].map(str::to_owned);
        let asked = CommitmentAsked { calling_ae, called_ae, sender, request };
        let id = stand.ledger.request_commitment(&asked, Duration::ZERO).unwrap();
        assert_eq!(stand.ledger.commitment_report(id).unwrap().held.len(), 1);
        stand.make_room(200, 300).unwrap();
        assert!(stand.ledger.series_objects("1.2").unwrap().is_empty(), "the newer one went");
        assert!(matches!(stand.make_room(300, 300), Err(IntakeError::OverQuota { held: 100, limit: 300 })));
        stand.clock.advance(COMMITTED);
        stand.make_room(300, 300).unwrap();
        assert_eq!(stand.left(), 0);
    }

    #[test]
    fn open_series_and_unfinished_jobs_are_never_dropped() {
        let stand = Stand::new();
        let (cancelled, busy, done) = (stand.receive("1.1"), stand.receive("1.2"), stand.receive("1.3"));
        stand.receive("1.4");
        stand.finish(&cancelled, 1);
        let claim = stand.ledger.claim(JobKind::Infer, "w", std::time::Duration::from_mins(1), 1, &[]).unwrap();
        stand.ledger.cancel_job(claim[0].job).unwrap();
        stand.finish(&busy, 1);
        stand.finish(&done, 0);
        let full = stand.make_room(300, 400);
        assert!(matches!(full, Err(IntakeError::OverQuota { held: 200, limit: 400 })), "{full:?}");
        let held = |series: &str| stand.ledger.series_objects(series).unwrap().len();
        assert_eq!(["1.1", "1.2", "1.3", "1.4"].map(held), [0, 1, 0, 1]);
    }
}
