//! Short questions: own results, bytes in use.
//!
//! The sweep of the spool and the guard against routing our own results (invariant 9) rest on these.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row};

use super::packed::Unpacked;
use super::{Ledger, LedgerError, ResultRow, UnmatchedRow};
use crate::clock::Millis;
use crate::dicom::{SeriesKey, Uid};

impl Ledger {
    /// Whether an object is one of our own results, which no rule may send to a model (invariant 9).
    pub fn is_own_result(&self, sop_instance: &Uid) -> Result<bool, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM results WHERE sop_instance = ?1)
                                                OR EXISTS (SELECT 1 FROM former_results WHERE sop_instance = ?1)",
            )?;
            Ok(statement.query_row([sop_instance], |row| row.get(0))?)
        })
    }

    /// Every spool location that a row names. What the spool holds beyond them was never acknowledged, as
    /// long as nothing is being received: bytes are durable before their row is.
    pub fn spool_locations(&self) -> Result<HashSet<String>, LedgerError> {
        self.read(|transaction| {
            let mut statement =
                transaction.prepare("SELECT location FROM instances UNION ALL SELECT location FROM results")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Where the bytes of instances of open revisions lie.
    pub fn open_locations(&self) -> Result<HashSet<String>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare(
                "SELECT i.location FROM instances i JOIN revisions r ON r.id = i.revision_id WHERE r.closed_at IS NULL",
            )?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Where the bytes lie that count for an instance: its newest copy.
    pub fn instance_location(&self, series: &SeriesKey, sop_instance: &Uid) -> Result<Option<String>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT i.location FROM instances i JOIN series s ON s.id = i.series_id
                 WHERE s.study = ?1 AND s.series = ?2 AND i.sop_instance = ?3 ORDER BY i.id DESC LIMIT 1",
            )?;
            Ok(statement.query_row((&series.study, &series.series, sop_instance), |row| row.get(0)).optional()?)
        })
    }

    /// Every instance of a series, whatever its study: its UID and where its newest copy lies.
    pub fn series_objects(&self, series: &str) -> Result<Vec<(Uid, String)>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT i.sop_instance, i.location, max(i.id) FROM instances i JOIN series s ON s.id = i.series_id
                 WHERE s.series = ?1 GROUP BY s.id, i.sop_instance ORDER BY i.sop_instance",
            )?;
            let rows = statement.query_map([series], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Series whose newest revision closed at `since` or later and that no rule had anything to do with, newest first.
    pub fn unmatched(&self, since: Millis, limit: u32) -> Result<Vec<UnmatchedRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT s.study, s.series, r.number, r.closed_at, coalesce(r.later_explanation, r.explanation)
                 FROM revisions r JOIN series s ON s.id = r.series_id
                 WHERE r.unmatched = 1 AND r.closed_at >= ?1
                   AND r.number = (SELECT max(number) FROM revisions WHERE series_id = s.id)
                 ORDER BY r.closed_at DESC, r.id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(rusqlite::params![since, limit], |row| {
                Ok(UnmatchedRow {
                    series: SeriesKey { study: row.get(0)?, series: row.get(1)? },
                    number: row.get(2)?,
                    closed_at: row.get(3)?,
                    explanation: row.get::<_, Unpacked>(4)?.0,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// The results of an infer job, in the order they were given.
pub(super) fn results_of(connection: &Connection, job: i64) -> Result<Vec<ResultRow>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT sop_class, sop_instance, study, series, transfer_syntax, kind, location, length, sha256, form
         FROM results WHERE job_id = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([job], |row: &Row<'_>| {
        Ok(ResultRow {
            sop_class: row.get(0)?,
            sop_instance: row.get(1)?,
            study: row.get(2)?,
            series: row.get(3)?,
            transfer_syntax: row.get(4)?,
            kind: row.get(5)?,
            location: row.get(6)?,
            length: row.get::<_, i64>(7)? as u64,
            sha256: row.get(8)?,
            form: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
