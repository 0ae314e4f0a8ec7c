//! The ledger: one SQLite file that says what was received, what is to be done and what became of it.
//!
//! All SQL lives here, behind named operations; callers never see a connection. Every operation is one
//! transaction. State transitions are decided by the pure functions of [`state`]. Never touches the
//! spool's bytes, knows no model and no destination kind.
//!
//! Journal: WAL, synchronous FULL (NORMAL for rows that the spool can bring back, and for claims and heartbeats, which a power cut
//! ends with their worker), foreign keys on, numbered migrations.

mod answers;
mod arrivals;
pub mod backoff;
mod backup;
mod bulk;
mod circuits;
mod claims;
mod commitments;
mod confirmations;
mod counts;
mod decisions;
mod error;
mod events;
mod expiry;
mod holds;
mod listing;
mod lookups;
mod making;
mod notices;
mod operator;
mod outcomes;
mod packed;
mod pending;
mod queue;
mod rescue;
mod retention;
mod retrievals;
mod revisions;
mod rows;
mod rules;
mod schema;
mod sifting;
pub mod state;
mod statistics;
#[cfg(test)]
mod suite;
mod tally;
mod unanswered;
mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use answers::{CapabilityRow, VerdictRow};
pub use bulk::{Act, Acted};
pub use circuits::{Circuit, OPENS_AFTER};
pub use commitments::{CommitmentAsked, CommitmentRow, DueReport};
pub use confirmations::{Confirmation, ConfirmationAsked};
pub use error::LedgerError;
pub use events::{EventRow, Happened};
pub use holds::HoldRow;
pub use notices::{NewNotice, NoticeFilter, NoticeRow};
pub use pending::{ClosedRevision, Due, Redecision, StudyDecision, WaitingRow};
pub use queue::{Queue, QueueRow};
pub use retention::Droppable;
pub use retrievals::Retrieval;
pub use rows::*;
pub use rules::{NewRules, RulesRow, RulesSource};
pub use statistics::{Spread, Statistics};
pub use tally::{BOUNDS, Histogram, Tally, Target, Totals};
pub use unanswered::Unanswered;
pub use words::UnknownWord;

use crate::clock::{Clock, Millis};

/// How often a job may fail.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// Attempts before a job is given up; also what an operator's retry adds.
    pub max_attempts: u32,
    /// Deliver jobs to the destinations named here have their own number.
    pub destination_attempts: BTreeMap<String, u32>,
    /// Lost leases and dead processes after which a job is taken for the cause and given up.
    pub max_rescues: u32,
    /// Hours of jobs of priority off-peak, seconds of the local day: from, to (past midnight where it is less); `None`: any.
    pub off_peak: Option<(u32, u32)>,
    /// Other bytes under a SOP Instance UID that is held count from their arrival on; else they are not recorded.
    pub replace: bool,
    /// Who acts through this handle: a person at the command line.
    pub actor: Option<String>,
}

impl Default for LedgerOptions {
    fn default() -> LedgerOptions {
        LedgerOptions {
            max_attempts: 5,
            destination_attempts: BTreeMap::new(),
            max_rescues: 20,
            off_peak: None,
            replace: true,
            actor: None,
        }
    }
}

impl LedgerOptions {
    fn is_off_peak(&self, now: Millis) -> bool {
        let second = (now.0.div_euclid(1000) + i64::from(now.utc_offset())).rem_euclid(86_400);
        self.off_peak.is_none_or(|(from, to)| {
            let (after, before) = (second >= i64::from(from), second < i64::from(to));
            if from <= to { after && before } else { after || before }
        })
    }

    fn attempts(&self, destination: Option<&str>) -> u32 {
        let own = destination.and_then(|name| self.destination_attempts.get(name)).copied();
        own.unwrap_or(self.max_attempts).max(1)
    }
}

/// A handle to the ledger; clones share it. Blocking: async callers go through `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: Mutex<Connection>,
    /// Writes without a flush; only who holds `writer` uses it.
    behind: Mutex<Connection>,
    /// Lists are read beside the writer (WAL), so that a console never delays a receipt.
    reader: Mutex<Connection>,
    clock: Arc<dyn Clock>,
    options: LedgerOptions,
    tally: Tally,
}

impl Ledger {
    /// Opens (making it when absent) the ledger at `path` and brings its schema up to date. Running jobs
    /// are left alone: the node, and only the node, calls [`Ledger::rescue_all_running`].
    pub fn open(path: &Path, clock: Arc<dyn Clock>, options: LedgerOptions) -> Result<Ledger, LedgerError> {
        let writer = Mutex::new(schema::open_writer(path, clock.now())?);
        let (behind, reader) = (Mutex::new(schema::open_behind(path)?), Mutex::new(schema::open_reader(path)?));
        let inner = Inner { writer, behind, reader, clock, options, tally: Tally::default() };
        Ok(Ledger { inner: Arc::new(inner) })
    }

    /// What went through this handle and its clones.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.inner.tally
    }

    fn now(&self) -> Millis {
        self.inner.clock.now()
    }

    /// One transaction that has the write lock from its start; an error rolls it back.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let mut connection = lock(&self.inner.writer);
        run(&mut connection, work)
    }

    /// As [`Ledger::write`], but not flushed: the next `write` makes it durable, for the journal is in order.
    fn write_behind<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let _alone = lock(&self.inner.writer);
        run(&mut lock(&self.inner.behind), work)
    }

    /// One read transaction: all statements of `work` see the same state.
    fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let mut connection = lock(&self.inner.reader);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        work(&transaction)
    }
}

fn run<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// A thread that panicked inside a transaction left it rolled back: the connection is sound.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
