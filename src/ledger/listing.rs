//! One job in full, and counts: read beside the writer.
//!
//! Never changes anything and never delays a receipt; what is shown is one consistent state.

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::answers::{choice_of, verdicts_of};
use super::decisions::OF_JOB;
use super::lookups::results_of;
use super::packed::Unpacked;
use super::sifting::{JOB, job_row};
use super::{AttemptRow, Counts, InputRow, JobDetail, JobRow, Ledger, LedgerError};

impl Ledger {
    /// Everything about one job. A deliver job shows the results that it sends.
    pub fn job(&self, id: i64) -> Result<Option<JobDetail>, LedgerError> {
        self.read(|transaction| {
            let found =
                transaction.prepare_cached(&format!("{JOB} WHERE j.id = ?1"))?.query_row([id], job_row).optional()?;
            found.map(|job| detail(transaction, job)).transpose()
        })
    }

    /// How many jobs there are of each kind and state, and how many revisions.
    pub fn counts(&self) -> Result<Counts, LedgerError> {
        self.read(|transaction| {
            let jobs = transaction
                .prepare_cached("SELECT kind, state, sum(jobs) FROM job_counts WHERE jobs > 0 GROUP BY kind, state")?
                .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, i64>(2)? as u64)))?
                .collect::<rusqlite::Result<_>>()?;
            let count = |text: &str| -> rusqlite::Result<u64> {
                Ok(transaction.prepare_cached(text)?.query_row([], |row| row.get::<_, i64>(0))?.cast_unsigned())
            };
            let open_revisions = count("SELECT count(*) FROM revisions WHERE closed_at IS NULL")?;
            Ok(Counts {
                jobs,
                open_revisions,
                closed_revisions: count("SELECT count(*) FROM revisions")? - open_revisions,
                unmatched: count("SELECT count(*) FROM revisions WHERE unmatched = 1")?,
                held: count("SELECT count(*) FROM holds WHERE ended_at IS NULL")?,
                waiting: count(
                    "SELECT (SELECT count(*) FROM revisions WHERE due_at IS NOT NULL)
                                     + (SELECT count(*) FROM study_decisions WHERE due_at IS NOT NULL)",
                )?,
            })
        })
    }
}

fn detail(connection: &Connection, job: JobRow) -> Result<JobDetail, LedgerError> {
    let (parent, closed_by, geometry, explanation, rules_revision) = connection
        .prepare_cached(&format!(
            "SELECT j.parent_id, r.closed_by, r.geometry, {OF_JOB} FROM jobs j LEFT JOIN jobs p ON p.id = j.parent_id
                 JOIN revisions r ON r.id = j.revision_id WHERE j.id = ?1"
        ))?
        .query_row([job.id], |row| {
            Ok((
                row.get::<_, Option<i64>>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get::<_, Option<Unpacked>>(3)?,
                row.get(4)?,
            ))
        })?;
    Ok(JobDetail {
        closed_by,
        geometry: json("revisions.geometry", geometry)?,
        explanation: json("revisions.explanation", explanation.map(|text| text.0))?,
        rules_revision,
        inputs: inputs_of(connection, parent.unwrap_or(job.id))?,
        attempts: attempts_of(connection, job.id)?,
        results: results_of(connection, parent.unwrap_or(job.id))?,
        choice: json("choices.choice", choice_of(connection, job.id)?)?,
        answers: verdicts_of(connection, job.id)?,
        deliveries: deliveries_of(connection, job.id)?,
        job,
    })
}

fn json(column: &'static str, text: Option<String>) -> Result<Option<Value>, LedgerError> {
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|source| LedgerError::Unreadable { column, source })
}

fn inputs_of(connection: &Connection, job: i64) -> Result<Vec<InputRow>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT i.name, s.study, s.series, r.number FROM job_inputs i JOIN revisions r ON r.id = i.revision_id
         JOIN series s ON s.id = r.series_id WHERE i.job_id = ?1 ORDER BY i.position",
    )?;
    let rows = statement.query_map([job], |row| {
        Ok(InputRow { name: row.get(0)?, study: row.get(1)?, series: row.get(2)?, revision: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn attempts_of(connection: &Connection, job: i64) -> Result<Vec<AttemptRow>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, worker, started_at, ended_at, outcome, error, stage, stages FROM attempts WHERE job_id = ?1 ORDER BY number",
    )?;
    let rows = statement.query_map([job], |row| {
        let stages: Option<String> = row.get(7)?;
        Ok(AttemptRow {
            number: row.get(0)?,
            worker: row.get(1)?,
            started_at: row.get(2)?,
            ended_at: row.get(3)?,
            outcome: row.get(4)?,
            error: row.get(5)?,
            stage: row.get(6)?,
            stages: stages.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn deliveries_of(connection: &Connection, job: i64) -> Result<Vec<JobRow>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!("{JOB} WHERE j.parent_id = ?1 ORDER BY j.id"))?;
    let rows = statement.query_map([job], job_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
