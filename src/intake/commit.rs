//! Rows follow their bytes in groups: the spool's record is what was promised, the row is made of it.
//!
//! A sender is answered when its bytes are kept; its row is committed soon after, together with
//! those of other associations, or at the next start by [`super::rebuild`]. Who needs the ledger to be up to
//! date calls [`Committer::flush`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use super::{IntakeError, duplicate};
use crate::ledger::{ArrivedInstance, Ledger, LedgerError, Recorded};
use crate::spool::{Location, Spool};

/// Most rows in one transaction.
const GROUP: usize = 256;
/// Rows that may wait before those who bring more have to wait, too.
const WAITING: usize = 4 * GROUP;
/// How long a group is collected while nobody waits for it.
const COLLECT: Duration = Duration::from_millis(25);
/// Pause before a ledger that refused a row is asked again.
const AGAIN: Duration = Duration::from_millis(200);

type Outcome = Result<Recorded, IntakeError>;

enum Entry {
    Row(Box<ArrivedInstance>, Option<SyncSender<Outcome>>),
    Flush(SyncSender<()>),
}

/// The one thread that writes instance rows. It ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Committer {
    entries: SyncSender<Entry>,
    thread: Thread,
    /// The ledger refuses rows of instances that were acknowledged.
    stalled: Arc<AtomicBool>,
}

impl Committer {
    pub(super) fn start(spool: Arc<Spool>, ledger: Ledger) -> Committer {
        let (entries, received) = sync_channel(WAITING);
        let stalled = Arc::new(AtomicBool::new(false));
        let writer = Writer { spool, ledger, stalled: stalled.clone() };
        let thread = std::thread::spawn(move || writer.run(&received)).thread().clone();
        Committer { entries, thread, stalled }
    }

    /// Fails while rows of earlier instances cannot be committed: then nothing more is promised.
    pub(super) fn ready(&self) -> Result<(), IntakeError> {
        if self.stalled.load(Ordering::Relaxed) { Err(IntakeError::Behind) } else { Ok(()) }
    }

    /// The row of an instance whose bytes are kept; committed soon.
    pub(super) fn follow(&self, row: ArrivedInstance) -> Result<(), IntakeError> {
        self.entries.send(Entry::Row(Box::new(row), None)).map_err(|_| IntakeError::Stopping)
    }

    /// As [`Committer::follow`], but returns when the row is committed, with what it said to the ledger. The bytes of
    /// one that got no row are the caller's.
    pub(super) fn record(&self, row: ArrivedInstance) -> Outcome {
        let (answer, outcome) = sync_channel(1);
        self.entries.send(Entry::Row(Box::new(row), Some(answer))).map_err(|_| IntakeError::Stopping)?;
        self.thread.unpark();
        outcome.recv().map_err(|_| IntakeError::Stopping)?
    }

    /// Returns when every row given before is committed.
    pub(super) fn flush(&self) -> Result<(), IntakeError> {
        let (answer, done) = sync_channel(1);
        self.entries.send(Entry::Flush(answer)).map_err(|_| IntakeError::Stopping)?;
        self.thread.unpark();
        done.recv().map_err(|_| IntakeError::Stopping)
    }
}

struct Writer {
    spool: Arc<Spool>,
    ledger: Ledger,
    stalled: Arc<AtomicBool>,
}

impl Writer {
    fn run(&self, entries: &Receiver<Entry>) {
        while let Ok(first) = entries.recv() {
            if matches!(first, Entry::Row(_, None)) {
                // a sender that need not wake this thread is a faster sender
                std::thread::park_timeout(COLLECT);
            }
            let (mut rows, mut flushes) = (Vec::new(), Vec::new());
            for entry in std::iter::once(first).chain(entries.try_iter().take(GROUP - 1)) {
                match entry {
                    Entry::Row(row, answer) => rows.push((*row, answer)),
                    Entry::Flush(answer) => flushes.push(answer),
                }
            }
            self.commit(rows);
            for answer in flushes {
                let _ = answer.send(());
            }
        }
    }

    fn commit(&self, group: Vec<(ArrivedInstance, Option<SyncSender<Outcome>>)>) {
        let (rows, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let outcomes: Vec<Outcome> = match self.ledger.record_instances(&rows) {
            Ok(recorded) => recorded.into_iter().zip(&rows).map(|(recorded, row)| self.settle(row, recorded)).collect(),
            // One bad row must not fail its neighbours: each is tried on its own.
            Err(_) => rows.iter().zip(&answers).map(|(row, answer)| self.alone(row, answer.is_some())).collect(),
        };
        for ((answer, outcome), row) in answers.into_iter().zip(outcomes).zip(&rows) {
            // A peer that went away no longer waits; its row stands all the same.
            match (answer, outcome) {
                (Some(answer), outcome) => drop(answer.send(outcome)),
                (None, Ok(Recorded::Identical | Recorded::Differs)) => {
                    duplicate::discard(&self.spool, &Location(row.location.clone()));
                }
                (None, Ok(_)) => {}
                (None, Err(error)) => tracing::warn!("an instance's row has to wait for the next start: {error}"),
            }
        }
    }

    /// A row by itself. `answered`: somebody hears of a failure; else the instance was acknowledged and the ledger
    /// is asked until it takes it.
    fn alone(&self, row: &ArrivedInstance, answered: bool) -> Outcome {
        loop {
            let recorded = self.ledger.record_instances(std::slice::from_ref(row));
            match recorded {
                Ok(recorded) => {
                    self.stalled.store(false, Ordering::Relaxed);
                    return self.settle(row, recorded.into_iter().next().ok_or(IntakeError::Stopping)?);
                }
                Err(error) if answered => return Err(error.into()),
                Err(error) => self.wait(&error),
            }
        }
    }

    fn wait(&self, error: &LedgerError) {
        if !self.stalled.swap(true, Ordering::Relaxed) {
            tracing::error!("instances are refused until the ledger takes the rows of those received before: {error}");
        }
        std::thread::park_timeout(AGAIN);
    }

    fn settle(&self, row: &ArrivedInstance, recorded: Recorded) -> Outcome {
        duplicate::settle(&self.spool, &self.ledger, row, recorded)
    }
}
