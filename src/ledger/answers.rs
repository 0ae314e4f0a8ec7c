//! What destinations said: of each object of a delivery, and of the presentation contexts proposed to them.
//!
//! The first decides what the next attempt sends, the second what a destination is known to take. Neither moves a job.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{Claim, Ledger, LedgerError};
use crate::clock::Millis;
use crate::dicom::ladder::Choice;
use crate::dicom::{Answer, Learned, Uid, Verdict};

/// The latest word of a destination on an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictRow {
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Number of the attempt in which it was said.
    pub attempt: u32,
    pub answered_at: Millis,
}

/// Whether a destination takes a SOP class in a transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapabilityRow {
    pub destination: String,
    #[serde(flatten)]
    pub learned: Learned,
    pub seen_at: Millis,
}

impl Ledger {
    /// Keeps what `destination` said in an attempt. Not flushed by itself: the end of the attempt follows, and a lost
    /// word costs one object sent twice.
    pub fn record_answers(
        &self,
        claim: &Claim,
        destination: &str,
        verdicts: &[Verdict],
        learned: &[Learned],
    ) -> Result<(), LedgerError> {
        let now = self.now();
        if verdicts.is_empty() && learned.is_empty() {
            return Ok(());
        }
        self.write_behind(|transaction| {
            for verdict in verdicts {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO verdicts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                    .execute(params![
                        claim.job,
                        verdict.sop_instance,
                        claim.attempt,
                        verdict.answer,
                        verdict.status,
                        verdict.comment,
                        now
                    ])?;
            }
            learn(transaction, now, destination, learned)
        })
    }

    /// Keeps which form of its results a delivery chose.
    pub fn record_choice(&self, claim: &Claim, choice: &Choice) -> Result<(), LedgerError> {
        let choice = serde_json::json!(choice).to_string();
        self.write_behind(|transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO choices VALUES (?1, ?2)")?
                .execute(params![claim.job, choice])?;
            Ok(())
        })
    }

    /// Keeps what an association with `destination` told about it.
    pub fn learn(&self, destination: &str, learned: &[Learned]) -> Result<(), LedgerError> {
        let now = self.now();
        self.write_behind(|transaction| learn(transaction, now, destination, learned))
    }

    /// The objects that the destination of a deliver job has acknowledged.
    pub fn acknowledged(&self, job: i64) -> Result<Vec<Uid>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT sop_instance FROM verdicts WHERE job_id = ?1 AND answer IN ('stored', 'warned')",
            )?;
            let rows = statement.query_map([job], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Everything is to be sent again: the destination says that it does not hold what it acknowledged.
    pub fn forget_acknowledged(&self, job: i64) -> Result<(), LedgerError> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE verdicts SET answer = 'missing' WHERE job_id = ?1 AND answer IN ('stored', 'warned')",
                )?
                .execute([job])?;
            Ok(())
        })
    }

    /// What is known of what destinations take, of all or of one.
    pub fn capabilities(&self, destination: Option<&str>) -> Result<Vec<CapabilityRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT destination, sop_class, transfer_syntax, accepted, seen_at FROM capabilities
                 WHERE ?1 IS NULL OR destination = ?1 ORDER BY 1, 2, 3",
            )?;
            let rows = statement.query_map([destination], |row| {
                let learned = Learned { sop_class: row.get(1)?, transfer_syntax: row.get(2)?, accepted: row.get(3)? };
                Ok(CapabilityRow { destination: row.get(0)?, learned, seen_at: row.get(4)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn learn(connection: &Connection, now: Millis, destination: &str, learned: &[Learned]) -> Result<(), LedgerError> {
    for Learned { sop_class, transfer_syntax, accepted } in learned {
        connection
            .prepare_cached("INSERT OR REPLACE INTO capabilities VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![destination, sop_class, transfer_syntax, accepted, now])?;
    }
    Ok(())
}

/// The [`Choice`] of a deliver job as JSON.
pub(super) fn choice_of(connection: &Connection, job: i64) -> Result<Option<String>, LedgerError> {
    let mut statement = connection.prepare_cached("SELECT choice FROM choices WHERE job_id = ?1")?;
    Ok(statement.query_row([job], |row| row.get(0)).optional()?)
}

pub(super) fn verdicts_of(connection: &Connection, job: i64) -> Result<Vec<VerdictRow>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT sop_instance, answer, status, comment, attempt, answered_at FROM verdicts
         WHERE job_id = ?1 ORDER BY answered_at, sop_instance",
    )?;
    let rows = statement.query_map([job], |row: &Row<'_>| {
        let (sop_instance, answer): (Uid, Answer) = (row.get(0)?, row.get(1)?);
        let verdict = Verdict { sop_instance, answer, status: row.get(2)?, comment: row.get(3)? };
        Ok(VerdictRow { verdict, attempt: row.get(4)?, answered_at: row.get(5)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
