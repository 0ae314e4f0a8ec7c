//! What has been kept for long enough: instances, results and the history of jobs, each by a time of its own.
//!
//! Never names what somebody may still need: a series that is open, waited for, held or committed to, work that is not over,
//! results that a destination has not taken. A job that was given up keeps its inputs and results until a person retries or cancels
//! it, or the time of the history is over.

use rusqlite::{Transaction, params};

use super::{Droppable, Ledger, LedgerError};
use crate::clock::Millis;
use crate::dicom::Uid;

/// Series, or jobs with results, of one look.
const BATCH: u32 = 100;
/// Jobs and revisions forgotten in one transaction.
const FORGOTTEN: u32 = 500;

const INPUTS: &str = "
    SELECT s.id, s.series FROM (SELECT DISTINCT series_id FROM instances) held JOIN series s ON s.id = held.series_id
    WHERE (s.committed_at IS NULL OR s.committed_at <= ?2)
      AND NOT EXISTS (SELECT 1 FROM revisions r WHERE r.series_id = s.id
                      AND (r.closed_at IS NULL OR r.due_at IS NOT NULL OR r.last_arrival_at > ?1))
      AND NOT EXISTS (SELECT 1 FROM holds h JOIN revisions r ON r.id = h.revision_id
                      WHERE r.series_id = s.id AND h.ended_at IS NULL)
      AND NOT EXISTS (SELECT 1 FROM study_decisions d WHERE d.study = s.study AND d.due_at IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM revisions r JOIN jobs j ON j.revision_id = r.id
                      WHERE r.series_id = s.id AND (j.finished_at IS NULL OR j.state = 'discarded' OR j.finished_at > ?1))
      AND NOT EXISTS (SELECT 1 FROM revisions r JOIN job_inputs i ON i.revision_id = r.id JOIN jobs j ON j.id = i.job_id
                      WHERE r.series_id = s.id AND (j.finished_at IS NULL OR j.state = 'discarded' OR j.finished_at > ?1))
    LIMIT ?3";

const RESULTS: &str = "
    SELECT j.id, s.series FROM (SELECT DISTINCT job_id FROM results) held JOIN jobs j ON j.id = held.job_id
    JOIN revisions r ON r.id = j.revision_id JOIN series s ON s.id = r.series_id
    WHERE j.finished_at <= ?1
      AND NOT EXISTS (SELECT 1 FROM jobs d WHERE d.parent_id = j.id
                      AND (d.finished_at IS NULL OR d.state = 'discarded' OR d.finished_at > ?1))
    LIMIT ?2";

/// Deliveries before the inferences that they are of.
const JOBS: &str = "
    SELECT j.id FROM jobs j
    WHERE j.finished_at <= ?1 AND NOT EXISTS (SELECT 1 FROM results WHERE job_id IN (j.id, j.parent_id))
      AND NOT EXISTS (SELECT 1 FROM jobs d WHERE d.parent_id = j.id)
    ORDER BY j.id LIMIT ?2";

const REVISIONS: &str = "
    SELECT r.id FROM revisions r
    WHERE r.closed_at <= ?1 AND r.due_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM instances WHERE series_id = r.series_id)
      AND NOT EXISTS (SELECT 1 FROM jobs WHERE revision_id = r.id)
      AND NOT EXISTS (SELECT 1 FROM job_inputs WHERE revision_id = r.id)
      AND NOT EXISTS (SELECT 1 FROM holds WHERE revision_id = r.id AND ended_at IS NULL)
    ORDER BY r.id LIMIT ?2";

const OF_JOBS: [&str; 6] = [
    "DELETE FROM attempts WHERE job_id = ?1",
    "DELETE FROM verdicts WHERE job_id = ?1",
    "DELETE FROM choices WHERE job_id = ?1",
    "DELETE FROM confirmations WHERE job_id = ?1",
    "DELETE FROM job_inputs WHERE job_id = ?1",
    "DELETE FROM jobs WHERE id = ?1",
];

const OF_REVISIONS: [&str; 3] = [
    "DELETE FROM fired_rules WHERE revision_id = ?1",
    "DELETE FROM holds WHERE revision_id = ?1",
    "DELETE FROM revisions WHERE id = ?1",
];

impl Ledger {
    /// Finished series whose work was over `before`, with where their instances lie; those committed to since `committed` stay.
    pub fn expired_inputs(&self, before: Millis, committed: Millis) -> Result<Vec<Droppable>, LedgerError> {
        self.read(|transaction| {
            let found: Vec<(i64, Uid)> = transaction
                .prepare_cached(INPUTS)?
                .query_map(params![before, committed, BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let of = "SELECT location, length FROM instances WHERE series_id = ?1";
            found.into_iter().map(|(id, series)| droppable(transaction, of, id, series)).collect()
        })
    }

    /// Results of inference that every destination has taken, `before`.
    pub fn expired_results(&self, before: Millis) -> Result<Vec<Droppable>, LedgerError> {
        self.read(|transaction| {
            let found: Vec<(i64, Uid)> = transaction
                .prepare_cached(RESULTS)?
                .query_map(params![before, BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let of = "SELECT location, length FROM results WHERE job_id = ?1";
            found.into_iter().map(|(id, series)| droppable(transaction, of, id, series)).collect()
        })
    }

    /// Forgets jobs that were over `before` and whose results are gone, and then revisions without jobs and instances. How many
    /// rows went; some may be left for another call.
    pub fn forget_history(&self, before: Millis) -> Result<u64, LedgerError> {
        let jobs = self.forget_all(JOBS, &OF_JOBS, before)?;
        if jobs > 0 {
            return Ok(jobs);
        }
        self.forget_all(REVISIONS, &OF_REVISIONS, before)
    }

    fn forget_all(&self, which: &str, deletions: &[&str], before: Millis) -> Result<u64, LedgerError> {
        let ids: Vec<i64> = self.read(|transaction| {
            let mut statement = transaction.prepare_cached(which)?;
            let rows = statement.query_map(params![before, FORGOTTEN], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        if ids.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            // asked again where nothing can change any more: somebody may have retried a job since
            let still: Vec<i64> = transaction
                .prepare_cached(which)?
                .query_map(params![before, FORGOTTEN], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for id in still.iter().filter(|id| ids.contains(id)) {
                deletions.iter().try_for_each(|text| transaction.prepare_cached(text)?.execute([id]).map(drop))?;
            }
            Ok(still.len() as u64)
        })
    }
}

fn droppable(transaction: &Transaction<'_>, of: &str, id: i64, series: Uid) -> Result<Droppable, LedgerError> {
    let rows: Vec<(String, i64)> = transaction
        .prepare_cached(of)?
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let bytes = rows.iter().map(|(_, length)| length.cast_unsigned()).sum();
    Ok(Droppable { series, locations: rows.into_iter().map(|(location, _)| location).collect(), bytes })
}
