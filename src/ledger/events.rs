//! What happened that others are to be told of: written in the transaction in which it happened, so that a crash neither
//! loses nor invents it, and forgotten once it was handed on.

use rusqlite::{Transaction, params};

use super::{JobState, Ledger, LedgerError};
use crate::clock::Millis;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A delivery ended well.
    Delivered,
    /// A job was given up.
    GivenUp,
    /// A job waits for an operator.
    Held,
    /// A person did something.
    Acted,
    /// Other rules came into force.
    Rules,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub id: i64,
    pub at: Millis,
    pub what: Happened,
    pub job: Option<i64>,
    pub who: Option<String>,
    /// The error of a job, or what was done.
    pub detail: String,
}

impl Ledger {
    /// The oldest events that nobody was told of yet.
    pub fn events(&self, limit: u32) -> Result<Vec<EventRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT id, at, what, job_id, who, detail FROM events ORDER BY id LIMIT ?1")?;
            let rows = statement.query_map([limit], |row| {
                let (what, job, who) = (row.get(2)?, row.get(3)?, row.get(4)?);
                Ok(EventRow { id: row.get(0)?, at: row.get(1)?, what, job, who, detail: row.get(5)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Everybody was told of the events up to this one.
    pub fn forget_events(&self, up_to: i64) -> Result<(), LedgerError> {
        self.write(|transaction| {
            transaction.prepare_cached("DELETE FROM events WHERE id <= ?1")?.execute([up_to])?;
            Ok(())
        })
    }

    /// Notes what somebody did that leaves no other trace here.
    pub fn note_action(&self, who: &str, what: &str) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| note(transaction, now, Happened::Acted, None, Some(who), what))
    }
}

/// Notes an event within the transaction in which it happens.
pub(super) fn note(
    transaction: &Transaction<'_>,
    now: Millis,
    what: Happened,
    job: Option<i64>,
    who: Option<&str>,
    detail: &str,
) -> Result<(), LedgerError> {
    transaction
        .prepare_cached("INSERT INTO events (at, what, job_id, who, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![now, what, job, who, detail])?;
    Ok(())
}

/// Notes the end of an attempt that ended its job, where that is news.
pub(super) fn note_end(
    transaction: &Transaction<'_>,
    now: Millis,
    job: i64,
    to: JobState,
    delivered: bool,
    error: Option<&str>,
) -> Result<(), LedgerError> {
    let what = match to {
        JobState::Completed if delivered => Happened::Delivered,
        JobState::Discarded => Happened::GivenUp,
        JobState::Held => Happened::Held,
        _ => return Ok(()),
    };
    note(transaction, now, what, Some(job), None, error.unwrap_or_default())
}
