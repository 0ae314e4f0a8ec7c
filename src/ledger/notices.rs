//! Notices: what recipients are to be told of events, kept until they took it or were given up.
//!
//! A row is made in the transaction that forgets its event, and is told at least once. Never sends one, and knows no
//! channel.

use std::time::Duration;

use rusqlite::{Row, Transaction, params};
use serde::Serialize;

use super::{Ledger, LedgerError};
use crate::clock::Millis;

/// A notice to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// The same for every try.
    pub message: String,
    pub recipient: String,
    /// JSON.
    pub body: String,
}

/// A notice as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoticeRow {
    pub id: i64,
    pub message: String,
    pub recipient: String,
    #[serde(skip)]
    pub body: String,
    pub made_at: Millis,
    /// When it is tried next.
    pub due_at: Option<Millis>,
    /// Tries that failed.
    pub attempts: u32,
    pub told_at: Option<Millis>,
    pub given_up_at: Option<Millis>,
    pub last_error: Option<String>,
}

/// Which notices are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeFilter {
    All,
    /// Those that are still to be told, and those that were given up.
    Untold,
}

const NOTICE: &str = "SELECT id, message, recipient, body, made_at, due_at, attempts, told_at, given_up_at, last_error
                      FROM notices";
/// How long a notice is remembered when it is over.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

impl Ledger {
    /// Those who have a notice that is due.
    pub fn recipients_due(&self) -> Result<Vec<String>, LedgerError> {
        let now = self.now();
        self.read(|transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT DISTINCT recipient FROM notices WHERE due_at <= ?1 ORDER BY recipient")?;
            let rows = statement.query_map([now], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The oldest notices that are due to `recipient`.
    pub fn notices_due(&self, recipient: &str, limit: u32) -> Result<Vec<NoticeRow>, LedgerError> {
        let now = self.now();
        self.read(|transaction| {
            let mut statement = transaction
                .prepare_cached(&format!("{NOTICE} WHERE recipient = ?1 AND due_at <= ?2 ORDER BY id LIMIT ?3"))?;
            let rows = statement.query_map(params![recipient, now, limit], notice)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The recipient took them.
    pub fn notices_told(&self, ids: &[i64]) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE notices SET due_at = NULL, told_at = ?2, last_error = NULL WHERE id = ?1 AND due_at IS NOT NULL",
            )?;
            ids.iter().try_for_each(|id| statement.execute(params![id, now]).map(drop))?;
            Ok(())
        })
    }

    /// The recipient did not take them: tried again `after` from now, or with `None` no more.
    pub fn notices_failed(&self, ids: &[i64], error: &str, after: Option<Duration>) -> Result<(), LedgerError> {
        let now = self.now();
        let (due, over) = (after.map(|after| now.plus(after)), after.is_none().then_some(now));
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE notices SET due_at = ?2, given_up_at = ?3, attempts = attempts + 1, last_error = ?4
                 WHERE id = ?1 AND due_at IS NOT NULL",
            )?;
            ids.iter().try_for_each(|id| statement.execute(params![id, due, over, error]).map(drop))?;
            Ok(())
        })
    }

    /// Makes a notice that was not told due now, with all its tries before it; `false`: there is none.
    pub fn notice_retry(&self, id: i64) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let changed = transaction.execute(
                "UPDATE notices SET due_at = ?2, given_up_at = NULL, attempts = 0 WHERE id = ?1 AND told_at IS NULL",
                params![id, now],
            )?;
            Ok(changed == 1)
        })
    }

    /// The newest notices, at most `limit`.
    pub fn notices(&self, filter: NoticeFilter, limit: u32) -> Result<Vec<NoticeRow>, LedgerError> {
        self.read(|transaction| {
            let text = format!("{NOTICE} WHERE ?1 OR told_at IS NULL ORDER BY id DESC LIMIT ?2");
            let mut statement = transaction.prepare_cached(&text)?;
            let rows = statement.query_map(params![filter == NoticeFilter::All, limit], notice)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// The same notice again is none.
pub(super) fn insert(transaction: &Transaction<'_>, now: Millis, notice: &NewNotice) -> Result<(), LedgerError> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO notices (message, recipient, body, made_at, due_at) VALUES (?1, ?2, ?3, ?4, ?4)",
        )?
        .execute(params![notice.message, notice.recipient, notice.body, now])?;
    let forgotten = Millis(now.0 - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX));
    transaction
        .prepare_cached("DELETE FROM notices WHERE due_at IS NULL AND coalesce(told_at, given_up_at) < ?1")?
        .execute([forgotten])?;
    Ok(())
}

fn notice(row: &Row<'_>) -> rusqlite::Result<NoticeRow> {
    Ok(NoticeRow {
        id: row.get(0)?,
        message: row.get(1)?,
        recipient: row.get(2)?,
        body: row.get(3)?,
        made_at: row.get(4)?,
        due_at: row.get(5)?,
        attempts: row.get(6)?,
        told_at: row.get(7)?,
        given_up_at: row.get(8)?,
        last_error: row.get(9)?,
    })
}
