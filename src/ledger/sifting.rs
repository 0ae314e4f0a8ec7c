//! Which jobs pass a filter: found through the sorts that triggers keep count of, so that a history of a million jobs makes no
//! list slower, whatever is asked for and however rare it is.
//!
//! A sort is what jobs of the same kind, state, pipeline, rule, destination and stage have in common; there are some hundred.

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, named_params};
use serde_json::Value;

use super::{JobFilter, JobRow, JobSort, Ledger, LedgerError};

/// Columns of [`job_row`].
pub(super) const JOB: &str = "
    SELECT j.id, j.kind, j.state, j.priority, j.pipeline, j.rule, j.destination, s.study, s.series, r.number,
           j.charged, j.max_attempts, j.scheduled_at, j.created_at, j.finished_at, j.delivered, j.last_error, j.stage
    FROM jobs j JOIN revisions r ON r.id = j.revision_id JOIN series s ON s.id = r.series_id";

const DEFAULT_LIMIT: u32 = 100;
/// SQLite's word for no limit.
const ALL: i64 = -1;

/// What a filter asks of a job, or of a sort of jobs.
macro_rules! is_asked_for {
    ($of:literal) => {
        concat!(
            "(:states IS NULL OR ",
            $of,
            ".state IN (SELECT value FROM json_each(:states)))
             AND (:kind IS NULL OR ",
            $of,
            ".kind = :kind)
             AND (:pipeline IS NULL OR ",
            $of,
            ".pipeline = :pipeline)
             AND (:rule IS NULL OR instr(', ' || ",
            $of,
            ".rule || ', ', ', ' || :rule || ', ') > 0)
             AND (:destination IS NULL OR ",
            $of,
            ".destination = :destination)
             AND (:stage IS NULL OR ",
            $of,
            ".stage = :stage)"
        )
    };
}

/// The newest jobs of each sort, and of these the newest.
const BY_SORT: &str = concat!(
    "SELECT j.id FROM job_counts c CROSS JOIN jobs j ON j.id IN (
         SELECT x.id FROM jobs x
         WHERE x.kind = c.kind AND x.state = c.state AND x.pipeline = c.pipeline AND x.rule = c.rule
           AND coalesce(x.destination, '') = +c.destination AND coalesce(x.stage, '') = +c.stage
           AND x.created_at >= :since AND x.created_at < :until
         ORDER BY x.created_at DESC, x.id DESC LIMIT :limit)
     WHERE c.jobs > 0 AND ",
    is_asked_for!("c"),
    " ORDER BY j.created_at DESC, j.id DESC LIMIT :limit"
);

macro_rules! of_series {
    ($which:literal) => {
        concat!(
            "SELECT j.id FROM series s CROSS JOIN revisions r ON r.series_id = s.id CROSS JOIN jobs j ON j.revision_id = r.id
             WHERE ", $which, " AND j.created_at >= :since AND j.created_at < :until AND ",
            is_asked_for!("j"),
            " ORDER BY j.created_at DESC, j.id DESC LIMIT :limit"
        )
    };
}

const BY_STUDY: &str = of_series!("s.study = :study AND (:series IS NULL OR s.series = :series)");
const BY_SERIES: &str = of_series!("s.series = :series AND :study IS NULL");

impl Ledger {
    /// The jobs that pass a filter, newest first.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>, LedgerError> {
        let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).into();
        self.read(|transaction| rows_of(transaction, &ids(transaction, filter, limit)?))
    }

    /// The numbers of all jobs that pass a filter, whatever its limit, newest first.
    pub fn matching_jobs(&self, filter: &JobFilter) -> Result<Vec<i64>, LedgerError> {
        self.read(|transaction| ids(transaction, filter, ALL))
    }

    /// These jobs, newest first; those that are no more are left out.
    pub fn jobs_by_id(&self, ids: &[i64]) -> Result<Vec<JobRow>, LedgerError> {
        self.read(|transaction| rows_of(transaction, ids))
    }

    /// Every sort of job that there is, and how many of it.
    pub fn job_sorts(&self) -> Result<Vec<JobSort>, LedgerError> {
        self.read(|transaction| sorts(transaction))
    }
}

/// The oldest of a sort is the first of it in the index.
pub(super) fn sorts(connection: &Connection) -> Result<Vec<JobSort>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.kind, c.state, c.pipeline, c.rule, nullif(c.destination, ''), nullif(c.stage, ''), c.jobs,
                (SELECT min(x.created_at) FROM jobs x
                 WHERE x.kind = c.kind AND x.state = c.state AND x.pipeline = c.pipeline AND x.rule = c.rule
                   AND coalesce(x.destination, '') = +c.destination AND coalesce(x.stage, '') = +c.stage)
         FROM job_counts c WHERE c.jobs > 0
         ORDER BY c.kind, c.state, c.pipeline, c.rule, c.destination, c.stage",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(JobSort {
            kind: row.get(0)?,
            state: row.get(1)?,
            pipeline: row.get(2)?,
            rule: row.get(3)?,
            destination: row.get(4)?,
            stage: row.get(5)?,
            jobs: row.get::<_, i64>(6)?.cast_unsigned(),
            oldest: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn ids(connection: &Connection, filter: &JobFilter, limit: i64) -> Result<Vec<i64>, LedgerError> {
    let states: Vec<&str> = filter.states.iter().map(|state| state.word()).collect();
    let states = (!states.is_empty()).then(|| Value::from(states).to_string());
    let since = filter.since.map_or(i64::MIN, |at| at.0);
    let until = filter.until.map_or(i64::MAX, |at| at.0);
    let mut params: Vec<(&str, &dyn ToSql)> = named_params! {
        ":states": states, ":kind": filter.kind, ":pipeline": filter.pipeline, ":rule": filter.rule,
        ":destination": filter.destination, ":stage": filter.stage, ":since": since, ":until": until, ":limit": limit,
    }
    .to_vec();
    let text = match (&filter.study, &filter.series) {
        (None, None) => BY_SORT,
        (Some(_), _) => BY_STUDY,
        (None, Some(_)) => BY_SERIES,
    };
    if text != BY_SORT {
        params.extend_from_slice(named_params! { ":study": filter.study, ":series": filter.series });
    }
    let mut statement = connection.prepare_cached(text)?;
    let rows = statement.query_map(params.as_slice(), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn rows_of(connection: &Connection, ids: &[i64]) -> Result<Vec<JobRow>, LedgerError> {
    let mut statement = connection.prepare_cached(&format!(
        "{JOB} WHERE j.id IN (SELECT value FROM json_each(?1)) ORDER BY j.created_at DESC, j.id DESC"
    ))?;
    let rows = statement.query_map([Value::from(ids).to_string()], job_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn job_row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        priority: row.get(3)?,
        pipeline: row.get(4)?,
        rule: row.get(5)?,
        destination: row.get(6)?,
        study: row.get(7)?,
        series: row.get(8)?,
        revision: row.get(9)?,
        attempt: row.get(10)?,
        max_attempts: row.get(11)?,
        scheduled_at: row.get(12)?,
        created_at: row.get(13)?,
        finished_at: row.get(14)?,
        delivered: row.get(15)?,
        last_error: row.get(16)?,
        stage: row.get(17)?,
    })
}
