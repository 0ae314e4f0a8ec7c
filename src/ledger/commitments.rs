//! Storage commitment: what peers asked us to keep, what of it is held, and which reports are due (PS3.4
//! annex J).
//!
//! A request is a row before it is answered and stays due until the peer took its report or it was given up. What a report
//! says is held marks its series, which the quota then spares. Never sends one.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Ledger, LedgerError};
use crate::clock::Millis;
use crate::dicom::Uid;
use crate::dicom::commitment::{Reason, Reference, Report, Request};

/// A request and who made it.
#[derive(Debug, Clone)]
pub struct CommitmentAsked {
    pub calling_ae: String,
    pub called_ae: String,
    /// IP address of the peer.
    pub sender: String,
    pub request: Request,
}

/// A request as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CommitmentRow {
    pub id: i64,
    pub transaction: Uid,
    pub calling_ae: String,
    pub requested_at: Millis,
    pub instances: u64,
    /// Tries to bring the report that failed.
    pub attempts: u32,
    pub reported_at: Option<Millis>,
    pub given_up_at: Option<Millis>,
    pub last_error: Option<String>,
}

/// A report whose time has come.
#[derive(Debug, Clone)]
pub struct DueReport {
    pub id: i64,
    pub requested_at: Millis,
    /// Tries that failed so far.
    pub attempts: u32,
    pub calling_ae: String,
    pub called_ae: String,
    pub report: Report,
}

impl Ledger {
    /// Records a request; its report falls due after `hold`, unless [`Ledger::hasten_commitments`] says
    /// otherwise. The same request again is the same row, due once more; another request under a used
    /// Transaction UID is kept, to be told so.
    pub fn request_commitment(&self, asked: &CommitmentAsked, hold: Duration) -> Result<i64, LedgerError> {
        let now = self.now();
        let due = now.plus(hold);
        self.write(|transaction| {
            let earlier = earlier(transaction, asked)?;
            for id in &earlier {
                if references(transaction, *id)? == asked.request.references {
                    transaction
                        .prepare_cached(
                            "UPDATE commitments SET due_at = ?2, reported_at = NULL, given_up_at = NULL WHERE id = ?1",
                        )?
                        .execute(params![id, due])?;
                    return Ok(*id);
                }
            }
            insert(transaction, asked, !earlier.is_empty(), now, due)
        })
    }

    /// The report of request `id` as things are now; what it says is held is kept from now on.
    pub fn commitment_report(&self, id: i64) -> Result<Report, LedgerError> {
        let now = self.now();
        self.write(|transaction| promised(transaction, id, now))
    }

    /// The oldest due report of each peer that is not in `busy` (calling AE titles), at most `limit`.
    pub fn commitments_due(&self, busy: &[String], limit: usize) -> Result<Vec<DueReport>, LedgerError> {
        let now = self.now();
        let busy = serde_json::json!(busy).to_string();
        let due: Vec<DueReport> = self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT min(id), requested_at, attempts, calling_ae, called_ae FROM commitments
                 WHERE due_at <= ?1 AND given_up_at IS NULL AND calling_ae NOT IN (SELECT value FROM json_each(?2))
                 GROUP BY calling_ae LIMIT ?3",
            )?;
            let rows = statement.query_map(params![now, busy, limit as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?;
            let due = |row: rusqlite::Result<(i64, Millis, u32, String, String)>| {
                let (id, requested_at, attempts, calling_ae, called_ae) = row?;
                let report = report(transaction, id)?;
                Ok(DueReport { id, requested_at, attempts, calling_ae, called_ae, report })
            };
            rows.map(due).collect::<Result<_, LedgerError>>()
        })?;
        if due.is_empty() {
            return Ok(due);
        }
        self.write(|transaction| due.iter().try_for_each(|due| promise(transaction, due.id, &due.report, now)))?;
        Ok(due)
    }

    /// Makes the reports of `ids` due now: the association that asked is over.
    pub fn hasten_commitments(&self, ids: &[i64]) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let mut statement =
                transaction.prepare_cached("UPDATE commitments SET due_at = ?2 WHERE id = ?1 AND due_at > ?2")?;
            ids.iter().try_for_each(|id| statement.execute(params![id, now]).map(drop))?;
            Ok(())
        })
    }

    /// The peer took the report.
    pub fn commitment_taken(&self, id: i64) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE commitments SET due_at = NULL, reported_at = ?2, last_error = NULL
                     WHERE id = ?1 AND due_at IS NOT NULL",
                )?
                .execute(params![id, now])?;
            Ok(())
        })
    }

    /// The report did not get through; the next try is due `after` from now.
    pub fn commitment_put_off(&self, id: i64, error: &str, after: Duration) -> Result<(), LedgerError> {
        let due = self.now().plus(after);
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE commitments SET due_at = ?2, attempts = attempts + 1, last_error = ?3
                     WHERE id = ?1 AND due_at IS NOT NULL",
                )?
                .execute(params![id, due, error])?;
            Ok(())
        })
    }

    /// The report is brought no more: its peer cannot be reached, for `error`.
    pub fn commitment_given_up(&self, id: i64, error: &str) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE commitments SET given_up_at = ?2, attempts = attempts + 1, last_error = ?3
                     WHERE id = ?1 AND due_at IS NOT NULL",
                )?
                .execute(params![id, now, error])?;
            Ok(())
        })
    }

    /// Has the report of request `id` brought once more, now; `false` when there is none or it was taken.
    pub fn commitment_retry(&self, id: i64) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached(
                    "UPDATE commitments SET given_up_at = NULL, due_at = ?2 WHERE id = ?1 AND due_at IS NOT NULL",
                )?
                .execute(params![id, now])?;
            Ok(changed == 1)
        })
    }

    /// The newest requests, at most `limit`; `waiting`: only those whose report was not taken.
    pub fn commitments(&self, waiting: bool, limit: usize) -> Result<Vec<CommitmentRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, transaction_uid, calling_ae, requested_at, attempts, reported_at, given_up_at, last_error,
                        (SELECT count(*) FROM commitment_references WHERE commitment_id = id)
                 FROM commitments WHERE NOT ?1 OR reported_at IS NULL ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![waiting, limit as i64], |row| {
                Ok(CommitmentRow {
                    id: row.get(0)?,
                    transaction: row.get(1)?,
                    calling_ae: row.get(2)?,
                    requested_at: row.get(3)?,
                    attempts: row.get(4)?,
                    reported_at: row.get(5)?,
                    given_up_at: row.get(6)?,
                    last_error: row.get(7)?,
                    instances: row.get::<_, i64>(8)? as u64,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// The report of request `id`, and the promise that goes with it.
fn promised(transaction: &Transaction<'_>, id: i64, now: Millis) -> Result<Report, LedgerError> {
    let report = report(transaction, id)?;
    promise(transaction, id, &report, now)?;
    Ok(report)
}

/// Marks the series of what `report` says is held.
fn promise(transaction: &Transaction<'_>, id: i64, report: &Report, now: Millis) -> Result<(), LedgerError> {
    if !report.held.is_empty() {
        transaction
            .prepare_cached(
                "UPDATE series SET committed_at = ?2 WHERE id IN (
                     SELECT i.series_id FROM commitment_references c
                     JOIN instances i ON i.sop_instance = c.sop_instance WHERE c.commitment_id = ?1)",
            )?
            .execute(params![id, now])?;
    }
    Ok(())
}

/// Requests of the same peer under the same Transaction UID, the first one first.
fn earlier(transaction: &Transaction<'_>, asked: &CommitmentAsked) -> Result<Vec<i64>, LedgerError> {
    let mut statement = transaction
        .prepare_cached("SELECT id FROM commitments WHERE calling_ae = ?1 AND transaction_uid = ?2 ORDER BY id")?;
    let ids = statement.query_map(params![asked.calling_ae, asked.request.transaction], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn insert(
    transaction: &Transaction<'_>,
    asked: &CommitmentAsked,
    duplicate: bool,
    now: Millis,
    due: Millis,
) -> Result<i64, LedgerError> {
    let CommitmentAsked { calling_ae, called_ae, sender, request } = asked;
    transaction
        .prepare_cached(
            "INSERT INTO commitments (transaction_uid, calling_ae, called_ae, sender, duplicate, requested_at, due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![request.transaction, calling_ae, called_ae, sender, duplicate, now, due])?;
    let id = transaction.last_insert_rowid();
    let mut statement = transaction.prepare_cached("INSERT INTO commitment_references VALUES (?1, ?2, ?3, ?4)")?;
    for (position, reference) in (0_i64..).zip(&request.references) {
        statement.execute(params![id, position, reference.sop_class, reference.sop_instance])?;
    }
    Ok(id)
}

fn references(transaction: &Transaction<'_>, id: i64) -> Result<Vec<Reference>, LedgerError> {
    let mut statement = transaction.prepare_cached(
        "SELECT sop_class, sop_instance FROM commitment_references WHERE commitment_id = ?1 ORDER BY position",
    )?;
    let rows = statement.query_map([id], |row| Ok(Reference { sop_class: row.get(0)?, sop_instance: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn report(transaction: &Transaction<'_>, id: i64) -> Result<Report, LedgerError> {
    let (uid, duplicate): (Uid, bool) = transaction
        .prepare_cached("SELECT transaction_uid, duplicate FROM commitments WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut report = Report { transaction: uid, held: Vec::new(), failed: Vec::new() };
    for reference in references(transaction, id)? {
        let reason = if duplicate { Some(Reason::DuplicateTransaction) } else { missing(transaction, &reference)? };
        match reason {
            None => report.held.push(reference),
            Some(reason) => report.failed.push((reference, reason)),
        }
    }
    Ok(report)
}

/// Why an instance is not held as it was named; `None` when it is.
fn missing(transaction: &Transaction<'_>, reference: &Reference) -> Result<Option<Reason>, LedgerError> {
    let class: Option<Uid> = transaction
        .prepare_cached("SELECT sop_class FROM instances WHERE sop_instance = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([&reference.sop_instance], |row| row.get(0))
        .optional()?;
    Ok(match class {
        None => Some(Reason::NoSuchInstance),
        Some(class) if class != reference.sop_class => Some(Reason::ClassInstanceConflict),
        Some(_) => None,
    })
}
