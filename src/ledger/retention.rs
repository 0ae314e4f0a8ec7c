//! What may be dropped to make room: the oldest finished series, all of whose jobs are over.
//!
//! Series, revisions and jobs stay as history; only what names bytes goes. Never touches a series that is open or has
//! work before it, nor one that was committed to until its time is over.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::{Ledger, LedgerError};
use crate::clock::Millis;
use crate::dicom::Uid;

/// A series whose bytes may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Droppable {
    pub series: Uid,
    /// Where its instances and results lie.
    pub locations: Vec<String>,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Ledger {
    /// Bytes of all instances and results.
    pub fn held_bytes(&self) -> Result<u64, LedgerError> {
        self.read(|transaction| {
            let sum: i64 = transaction
                .prepare_cached(
                    "SELECT (SELECT coalesce(sum(length), 0) FROM instances)
                          + (SELECT coalesce(sum(length), 0) FROM results)",
                )?
                .query_row([], |row| row.get(0))?;
            Ok(sum as u64)
        })
    }

    /// The series that goes first: finished, no job before it; one with a job that was given up comes last, for
    /// somebody may still retry it. A series that was committed to stays for `committed` after the report.
    pub fn oldest_finished(&self, committed: Duration) -> Result<Option<Droppable>, LedgerError> {
        let since = Millis(self.now().0.saturating_sub(committed.as_millis() as i64));
        self.read(|transaction| {
            let found: Option<(i64, Uid)> = transaction
                .prepare_cached(
                    "WITH work AS (SELECT r.series_id, j.state, j.finished_at
                                   FROM jobs j JOIN revisions r ON r.id = j.revision_id
                                   UNION ALL
                                   SELECT r.series_id, j.state, j.finished_at
                                   FROM job_inputs i JOIN jobs j ON j.id = i.job_id
                                   JOIN revisions r ON r.id = i.revision_id)
                     SELECT s.id, s.series FROM series s
                     WHERE EXISTS (SELECT 1 FROM instances i WHERE i.series_id = s.id)
                       AND (s.committed_at IS NULL OR s.committed_at <= ?1)
                       AND NOT EXISTS (SELECT 1 FROM revisions r
                                       WHERE r.series_id = s.id AND (r.closed_at IS NULL OR r.due_at IS NOT NULL))
                       AND NOT EXISTS (SELECT 1 FROM holds h JOIN revisions r ON r.id = h.revision_id
                                       WHERE r.series_id = s.id AND h.ended_at IS NULL)
                       AND NOT EXISTS (SELECT 1 FROM study_decisions d WHERE d.study = s.study AND d.due_at IS NOT NULL)
                       AND NOT EXISTS (SELECT 1 FROM work w WHERE w.series_id = s.id AND w.finished_at IS NULL)
                     ORDER BY EXISTS (SELECT 1 FROM work w WHERE w.series_id = s.id AND w.state = 'discarded'),
                              (SELECT max(last_arrival_at) FROM revisions r WHERE r.series_id = s.id), s.id
                     LIMIT 1",
                )?
                .query_row([since], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((id, series)) = found else { return Ok(None) };
            let rows: Vec<(String, i64)> = transaction
                .prepare_cached(
                    "SELECT location, length FROM instances WHERE series_id = ?1
                     UNION ALL
                     SELECT x.location, x.length FROM results x
                     JOIN jobs j ON j.id = x.job_id JOIN revisions r ON r.id = j.revision_id WHERE r.series_id = ?1",
                )?
                .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let bytes = rows.iter().map(|(_, length)| *length as u64).sum();
            Ok(Some(Droppable { series, locations: rows.into_iter().map(|(location, _)| location).collect(), bytes }))
        })
    }

    /// Forgets the instances and results whose bytes were dropped.
    pub fn forget_dropped(&self, dropped: &Droppable) -> Result<(), LedgerError> {
        self.write(|transaction| {
            for location in &dropped.locations {
                transaction.prepare_cached("DELETE FROM instances WHERE location = ?1")?.execute(params![location])?;
                transaction.prepare_cached("DELETE FROM results WHERE location = ?1")?.execute(params![location])?;
            }
            Ok(())
        })
    }
}
