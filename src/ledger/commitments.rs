//! Storage commitment: what peers asked us to keep, what of it is held, and which reports are due (PS3.4
//! annex J).
//!
//! A request is a row before it is answered and stays due until the peer took its report. Never sends one.

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

/// A report whose time has come.
#[derive(Debug, Clone)]
pub struct DueReport {
    pub id: i64,
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
                        .prepare_cached("UPDATE commitments SET due_at = ?2, reported_at = NULL WHERE id = ?1")?
                        .execute(params![id, due])?;
                    return Ok(*id);
                }
            }
            insert(transaction, asked, !earlier.is_empty(), now, due)
        })
    }

    /// The report of request `id` as things are now.
    pub fn commitment_report(&self, id: i64) -> Result<Report, LedgerError> {
        self.read(|transaction| report(transaction, id))
    }

    /// The oldest due report of each peer that is not in `busy` (calling AE titles), at most `limit`.
    pub fn commitments_due(&self, busy: &[String], limit: usize) -> Result<Vec<DueReport>, LedgerError> {
        let now = self.now();
        let busy = serde_json::json!(busy).to_string();
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT min(id), attempts, calling_ae, called_ae FROM commitments
                 WHERE due_at <= ?1 AND calling_ae NOT IN (SELECT value FROM json_each(?2))
                 GROUP BY calling_ae LIMIT ?3",
            )?;
            let rows = statement.query_map(params![now, busy, limit as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            let due = |row: rusqlite::Result<(i64, u32, String, String)>| {
                let (id, attempts, calling_ae, called_ae) = row?;
                Ok(DueReport { id, attempts, calling_ae, called_ae, report: report(transaction, id)? })
            };
            rows.map(due).collect()
        })
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
