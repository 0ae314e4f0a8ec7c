//! Intake: an arrived instance becomes durable bytes and a ledger row, and a quiet series becomes a closed
//! revision with its jobs.
//!
//! The durability point is here: [`Intake::store`] answers 0000 only after the spool has synced the bytes; what
//! it kept beside them makes the ledger's row, now or at the next start. Never runs a model and never sends anything.

mod announced;
mod arrive;
mod close;
mod coming;
mod commit;
mod commitment;
mod decide;
mod duplicate;
mod expiry;
mod handler;
mod quarantine;
mod quota;
mod rebuild;
mod room;
mod stable;
mod study;
mod trouble;
mod unmatched;
mod witness;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::clock::{Clock, Millis};
use crate::config::{Config, Duplicates};
use crate::dicom::{SeriesKey, StoreStatus, Uid};
use crate::ledger::{ArrivedInstance, ClosedBy, Ledger, LedgerError, Recorded};
use crate::spool::{Draft, Location, Spool, SpoolError, Stored};

use announced::Announced;
use arrive::Note;
pub use close::Closed;
pub use coming::Coming;
use commit::Committer;
use commitment::Commitments;
pub use expiry::Expired;
pub use quarantine::{Custody, Retry, UnreadableFile};
use quota::Quota;
pub use rebuild::{Rebuilt, rebuild};
use room::Room;
pub use stable::Stable;
use trouble::Trouble;
pub use unmatched::{Unmatched, unmatched};

/// Why an instance was not taken, or a revision not closed.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("the data set cannot be read: {0}")]
    Unreadable(String),
    #[error("{attribute} is no valid UID: {source}")]
    BadUid { attribute: &'static str, source: crate::dicom::UidError },
    #[error("{attribute} of the data set differs from the command's")]
    Mismatch { attribute: &'static str },
    #[error("another object with this SOP Instance UID is held, and the first counts (`duplicates` in node.toml)")]
    Duplicate,
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("{free} bytes are free on the disk, {keep_free} are to stay free (`keep_free` in node.toml)")]
    NoRoom { free: u64, keep_free: u64 },
    #[error("the ledger cannot be written, see the node's log; nothing more is taken until it can")]
    Behind,
    #[error("the note beside {0} in the quarantine is gone or cannot be read; send the object again from its source")]
    NoCustody(String),
    #[error(
        "{held} bytes are held, {limit} are allowed (`quota` in node.toml), and no finished series is left to drop"
    )]
    OverQuota { held: u64, limit: u64 },
    #[error("the node is shutting down")]
    Stopping,
    #[error("series {0} has no open revision; `sagittal series list` shows the open ones")]
    NothingOpen(Uid),
    #[error("series {0} is not on hold; `sagittal series held` shows those that are")]
    NotHeld(String),
}

impl IntakeError {
    /// The C-STORE status that says this to the peer: the one place where an intake error becomes an answer.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        match self {
            IntakeError::Unreadable(_) | IntakeError::BadUid { .. } => StoreStatus::CannotUnderstand,
            IntakeError::Mismatch { .. } => StoreStatus::DataSetDoesNotMatchSopClass,
            IntakeError::Duplicate => StoreStatus::DuplicateSopInstance,
            IntakeError::Spool(_)
            | IntakeError::NoRoom { .. }
            | IntakeError::OverQuota { .. }
            | IntakeError::Behind => StoreStatus::OutOfResources,
            IntakeError::Ledger(_)
            | IntakeError::Stopping
            | IntakeError::NoCustody(_)
            | IntakeError::NothingOpen(_)
            | IntakeError::NotHeld(_) => StoreStatus::ProcessingFailure,
        }
    }

    /// Whether the instance itself is at fault, so that its bytes go to quarantine.
    fn blames_instance(&self) -> bool {
        matches!(
            self,
            IntakeError::Unreadable(_)
                | IntakeError::BadUid { .. }
                | IntakeError::Mismatch { .. }
                | IntakeError::Duplicate
        )
    }
}

/// The receiving half of the node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intake {
    spool: Arc<Spool>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    config: Arc<ArcSwap<Config>>,
    committer: Committer,
    room: Arc<Room>,
    quota: Arc<Quota>,
    /// Series fed by each open association.
    fed: Arc<Mutex<HashMap<u64, HashSet<SeriesKey>>>>,
    commitments: Commitments,
    announced: Arc<Announced>,
    trouble: Arc<Trouble>,
}

impl Intake {
    #[must_use]
    pub fn new(spool: Arc<Spool>, ledger: Ledger, clock: Arc<dyn Clock>, config: Arc<ArcSwap<Config>>) -> Intake {
        let committer = Committer::start(spool.clone(), ledger.clone());
        let commitments = Commitments::new(ledger.clone());
        let node = &config.load().node;
        let room = Arc::new(Room::new(node.data.clone(), node.keep_free));
        let quota = Arc::new(Quota::new(node.quota, node.committed_for));
        let (announced, trouble) = Default::default();
        Intake {
            spool,
            ledger,
            clock,
            config,
            committer,
            room,
            quota,
            fed: Arc::default(),
            commitments,
            announced,
            trouble,
        }
    }

    /// What is known of all that was received.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes one instance: checked, durable, recorded. Blocking.
    ///
    /// `dataset` is kept byte for byte as it was received, behind a new Part 10 header.
    pub fn take(&self, arrival: &Arrival<'_>, dataset: &[u8]) -> Result<Recorded, IntakeError> {
        let mut draft = coming::draft(&self.spool, arrival)?;
        draft.write(dataset)?;
        self.counted(self.take_draft(arrival, draft))
    }

    /// Notes a refusal for the metrics.
    fn counted<T>(&self, outcome: Result<T, IntakeError>) -> Result<T, IntakeError> {
        outcome.inspect_err(|error| self.ledger.tally().refused(error.status().code()))
    }

    /// As [`Intake::take`], of an object that is in the spool already.
    fn take_draft(&self, arrival: &Arrival<'_>, draft: Draft) -> Result<Recorded, IntakeError> {
        let series = self.examine(arrival, &draft)?;
        let stored = self.spool.keep(draft, &series)?;
        let location = stored.location.clone();
        let recorded = self.record(self.row(arrival, series, &stored)?);
        if matches!(recorded, Ok(Recorded::Differs)) {
            let first_counts = self.config.load().node.duplicates == Duplicates::KeepFirst;
            let status = if first_counts { StoreStatus::Success } else { IntakeError::Duplicate.status() };
            self.quarantine_kept(arrival, status, &location);
            duplicate::discard(&self.spool, &location);
            return if first_counts { recorded } else { Err(IntakeError::Duplicate) };
        }
        recorded
    }

    /// As [`Intake::take`], but what is refused is kept nowhere.
    fn admit(&self, arrival: &Arrival<'_>, dataset: &[u8]) -> Result<Recorded, IntakeError> {
        let mut draft = coming::draft(&self.spool, arrival)?;
        draft.write(dataset)?;
        let series = self.check(arrival, &draft)?;
        let stored = self.spool.keep(draft, &series)?;
        let recorded = self.record(self.row(arrival, series, &stored)?);
        if matches!(recorded, Ok(Recorded::Differs)) {
            duplicate::discard(&self.spool, &stored.location);
            return Err(IntakeError::Duplicate);
        }
        recorded
    }

    /// Gives the ledger a row; the bytes of one that says nothing new go, those of one that differs are the caller's.
    fn record(&self, row: ArrivedInstance) -> Result<Recorded, IntakeError> {
        let location = Location(row.location.clone());
        let recorded = self.committer.record(row);
        if matches!(recorded, Ok(Recorded::Identical) | Err(_)) {
            duplicate::discard(&self.spool, &location);
        }
        recorded
    }

    /// Whether an instance could be taken now: there is room, and the ledger answers. Blocking.
    pub fn ready(&self) -> Result<(), IntakeError> {
        self.room.check(self.clock.now())?;
        self.committer.ready()?;
        self.ledger.counts()?;
        Ok(())
    }

    /// As [`Intake::check`]; an instance that is at fault is quarantined.
    fn examine(&self, arrival: &Arrival<'_>, draft: &Draft) -> Result<SeriesKey, IntakeError> {
        let checked = self.check(arrival, draft);
        if let Err(error) = &checked
            && error.blames_instance()
        {
            self.quarantine(arrival, error, error.status(), &mut draft.body());
        }
        checked
    }

    /// Whether an instance can be kept; its series. Waits only when room has to be made for it.
    fn check(&self, arrival: &Arrival<'_>, draft: &Draft) -> Result<SeriesKey, IntakeError> {
        let (now, length) = (self.clock.now(), draft.object_length());
        self.room.check(now)?;
        self.committer.ready()?;
        let (begin, rest) = draft.reader();
        let series = arrive::check(begin, rest, arrival)?;
        if !self.quota.has_room(length, now) {
            self.quota.make_room(length, now, &self.ledger, &self.spool)?;
        }
        Ok(series)
    }

    /// The row that the ledger is to be given of an instance that is kept.
    fn row(&self, arrival: &Arrival<'_>, series: SeriesKey, stored: &Stored) -> Result<ArrivedInstance, IntakeError> {
        let bad_uid = |source| IntakeError::BadUid { attribute: "SOPClassUID", source };
        let row = Note::of(arrival).row(series.clone(), arrival.sop_instance.clone(), stored).map_err(bad_uid)?;
        self.remember(arrival.association, series);
        Ok(row)
    }

    fn remember(&self, association: Option<u64>, series: SeriesKey) {
        if let Some(association) = association {
            self.fed.lock().unwrap_or_else(PoisonError::into_inner).entry(association).or_default().insert(series);
        }
    }

    /// The association is over: its series may close after the short quiet time. Blocking.
    pub fn association_over(&self, association: u64) -> Result<(), IntakeError> {
        self.commitments.association_over(association)?;
        self.committer.flush()?;
        let fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner).remove(&association);
        let series: Vec<SeriesKey> = fed.into_iter().flatten().collect();
        if series.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.mark_released(&series)?)
    }

    /// Closes every revision whose time has come, and says when the next one's comes if nothing more arrives; see
    /// [`close`]. Blocking.
    pub fn close_due(&self) -> Result<(Vec<Closed>, Option<Millis>), IntakeError> {
        let config = self.config.load_full();
        let now = self.clock.now();
        let (mut closed, mut next) = (Vec::new(), None::<Millis>);
        let all = self.ledger.open_revisions()?;
        self.announced.keep(&all);
        for open in all {
            let announced = self.announced.of(&self.ledger, &self.spool, &open);
            let (at, by) = close::due(&open, &config.node, announced);
            if at <= now && self.ledger.is_fetching(open.id)? {
                continue;
            }
            if at <= now {
                let close = || close::close(&self.ledger, &self.spool, &config, &open, by, now);
                closed.extend(self.trouble.beside(&format!("series {}", open.series.series), now, close).flatten());
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        Ok((closed, next))
    }

    /// The ledger has a row of everything that was taken so far when this returns. Blocking.
    pub fn settle(&self) -> Result<(), IntakeError> {
        self.committer.flush()
    }

    /// Closes a series now, whatever its timers say. Blocking.
    pub fn close_now(&self, key: &SeriesKey, by: ClosedBy) -> Result<Option<Closed>, IntakeError> {
        self.committer.flush()?;
        let open = self.ledger.series_revision(key)?.ok_or_else(|| IntakeError::NothingOpen(key.series.clone()))?;
        close::close(&self.ledger, &self.spool, &self.config.load(), &open, by, self.clock.now())
    }

    /// As [`Intake::close_now`], for every study that has an open series of this UID.
    pub fn close_series(&self, series: &Uid, by: ClosedBy) -> Result<Vec<Closed>, IntakeError> {
        self.committer.flush()?;
        let open = self.ledger.open_revisions()?.into_iter().map(|revision| revision.series);
        let keys: Vec<SeriesKey> = open.filter(|key| key.series == *series).collect();
        if keys.is_empty() {
            return Err(IntakeError::NothingOpen(series.clone()));
        }
        let closed: Vec<Option<Closed>> = keys.iter().map(|key| self.close_now(key, by)).collect::<Result<_, _>>()?;
        Ok(closed.into_iter().flatten().collect())
    }
}

/// One instance on its way in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub calling: &'a str,
    pub called: &'a str,
    pub sender: &'a str,
    /// The association it came by, if it came by one.
    pub association: Option<u64>,
    pub sop_class: &'a Uid,
    pub sop_instance: &'a Uid,
    /// Of the data set, which comes without a Part 10 header.
    pub transfer_syntax: &'a Uid,
}

fn sender_name(peer: IpAddr) -> String {
    peer.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_status() {
        let check = |error: IntakeError, code: u16| assert_eq!(error.status().code(), code, "{error}");
        check(IntakeError::Unreadable("x".into()), 0xc000);
        check(IntakeError::BadUid { attribute: "StudyInstanceUID", source: crate::dicom::UidError::Empty }, 0xc000);
        check(IntakeError::Mismatch { attribute: "SOPInstanceUID" }, 0xa900);
        check(IntakeError::Spool(SpoolError::Missing("x".into())), 0xa700);
        check(IntakeError::NoRoom { free: 1, keep_free: 2 }, 0xa700);
        check(IntakeError::Behind, 0xa700);
        check(IntakeError::OverQuota { held: 1, limit: 1 }, 0xa700);
        check(IntakeError::Duplicate, 0x0111);
        check(IntakeError::Stopping, 0x0110);
    }
}
