//! What is to be fetched from a PACS before a series, or a study, is decided about: each once, tried until it came or was
//! given up. Series that came as earlier studies are marked, so that no rule takes them for new ones.
//!
//! Never fetches; never says what a pipeline wants.

use std::time::Duration;

use rusqlite::{Row, params};
use serde::Serialize;

use super::{Ledger, LedgerError};
use crate::clock::Millis;
use crate::dicom::{SeriesKey, Uid};

/// Something to be fetched that has not come yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retrieval {
    pub id: i64,
    pub pipeline: String,
    pub study: Uid,
    /// The series whose rest is wanted; `None`: earlier studies of the patient.
    pub series: Option<Uid>,
    pub wanted_at: Millis,
    /// Tries that failed.
    pub attempts: u32,
    pub last_error: Option<String>,
}

const OPEN: &str = "SELECT id, pipeline, study, series, wanted_at, attempts, last_error FROM retrievals";

impl Ledger {
    /// Has the rest of an open revision's series fetched for each of `pipelines`. Is something still to come?
    pub fn want_series(&self, revision: i64, key: &SeriesKey, pipelines: &[String]) -> Result<bool, LedgerError> {
        Ok(!self.want(key, Some(&key.series), revision, pipelines)?.is_empty())
    }

    /// Has earlier studies of a study's patient fetched for `pipelines`; those for which something is still to come.
    pub fn want_priors(&self, study: &Uid, pipelines: &[String]) -> Result<Vec<String>, LedgerError> {
        let key = SeriesKey { study: study.clone(), series: study.clone() };
        self.want(&key, None, 0, pipelines)
    }

    fn want(
        &self,
        key: &SeriesKey,
        series: Option<&Uid>,
        revision: i64,
        pipelines: &[String],
    ) -> Result<Vec<String>, LedgerError> {
        if pipelines.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now();
        self.write(|transaction| {
            let mut open = Vec::new();
            for pipeline in pipelines {
                transaction
                    .prepare_cached(
                        "INSERT INTO retrievals (pipeline, study, series, revision_id, wanted_at, due_at)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![pipeline, key.study, series, revision, now])?;
                let is_open: bool = transaction
                    .prepare_cached(
                        "SELECT due_at IS NOT NULL FROM retrievals
                         WHERE pipeline = ?1 AND study = ?2 AND revision_id = ?3",
                    )?
                    .query_row(params![pipeline, key.study, revision], |row| row.get(0))?;
                open.extend(is_open.then(|| pipeline.clone()));
            }
            Ok(open)
        })
    }

    /// Is the rest of an open revision's series still being fetched?
    pub fn is_fetching(&self, revision: i64) -> Result<bool, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM retrievals WHERE due_at IS NOT NULL AND revision_id = ?1)",
            )?;
            Ok(statement.query_row([revision], |row| row.get(0))?)
        })
    }

    /// What is due to be fetched, the longest wanted first, at most `limit`.
    pub fn due_retrievals(&self, limit: usize) -> Result<Vec<Retrieval>, LedgerError> {
        let now = self.now();
        self.read(|transaction| {
            let mut statement =
                transaction.prepare_cached(&format!("{OPEN} WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?2"))?;
            let rows = statement.query_map(params![now, limit as i64], retrieval)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// All that has not come yet and is not given up.
    pub fn open_retrievals(&self) -> Result<Vec<Retrieval>, LedgerError> {
        self.read(|transaction| {
            let mut statement =
                transaction.prepare_cached(&format!("{OPEN} WHERE due_at IS NOT NULL ORDER BY wanted_at, id"))?;
            let rows = statement.query_map([], retrieval)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// It has failed with `error`, and is due again in `after`.
    pub fn retrieval_failed(&self, id: i64, error: &str, after: Duration) -> Result<(), LedgerError> {
        let due = self.now().plus(after);
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE retrievals SET due_at = ?2, attempts = attempts + 1, last_error = ?3
                     WHERE id = ?1 AND due_at IS NOT NULL",
                )?
                .execute(params![id, due, error])?;
            Ok(())
        })
    }

    /// It is over: `fetched` instances came, or it is given up for `error`. The study that waits for earlier ones is due to
    /// be decided.
    pub fn retrieval_over(&self, id: i64, fetched: u64, error: Option<&str>) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            transaction
                .prepare_cached("UPDATE retrievals SET due_at = NULL, fetched = ?2, last_error = ?3 WHERE id = ?1")?
                .execute(params![id, fetched as i64, error])?;
            transaction
                .prepare_cached(
                    "UPDATE study_decisions SET due_at = min(coalesce(due_at, ?2), ?2) - 1
                     WHERE study = (SELECT study FROM retrievals WHERE id = ?1 AND series IS NULL)",
                )?
                .execute(params![id, now])?;
            Ok(())
        })
    }

    /// Marks series as those of earlier studies, before their first instance comes.
    pub fn mark_priors(&self, series: &[SeriesKey]) -> Result<(), LedgerError> {
        self.write(|transaction| {
            for key in series {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO prior_series (study, series) VALUES (?1, ?2)")?
                    .execute(params![key.study, key.series])?;
            }
            Ok(())
        })
    }

    /// Was the series fetched as one of an earlier study?
    pub fn is_prior(&self, key: &SeriesKey) -> Result<bool, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM prior_series WHERE study = ?1 AND series = ?2)")?;
            Ok(statement.query_row(params![key.study, key.series], |row| row.get(0))?)
        })
    }
}

fn retrieval(row: &Row<'_>) -> rusqlite::Result<Retrieval> {
    Ok(Retrieval {
        id: row.get(0)?,
        pipeline: row.get(1)?,
        study: row.get(2)?,
        series: row.get(3)?,
        wanted_at: row.get(4)?,
        attempts: row.get(5)?,
        last_error: row.get(6)?,
    })
}
