//! Taking jobs: one statement claims, a lease says for how long, heartbeats prolong it.
//!
//! SQLite has one writer, so the statement needs no `SKIP LOCKED`; PostgreSQL's form would.

use std::time::Duration;

use rusqlite::{Row, Transaction, named_params, params};

use super::lookups::results_of;
use super::outcomes::names_in;
use super::{Claim, JobInput, JobKind, Ledger, LedgerError, Work};
use crate::clock::Millis;
use crate::dicom::SeriesKey;

/// The order inside is the claiming order; that of RETURNING is not defined, hence the columns to sort by.
const CLAIM: &str = "
    UPDATE jobs SET state = 'running', attempt = attempt + 1, charged = charged + 1, worker = :worker,
           lease_until = :lease_until,
           analysis_started_at = CASE kind WHEN 'infer' THEN coalesce(analysis_started_at, :now) END
    WHERE id IN (
        SELECT id FROM jobs
        WHERE kind = :kind AND state IN ('available', 'retryable') AND scheduled_at <= :now
          AND (destination IS NULL OR destination NOT IN (SELECT value FROM json_each(:excluded)))
        ORDER BY priority, scheduled_at, id LIMIT :limit)
    RETURNING id, attempt, priority, scheduled_at";

impl Ledger {
    /// Claims up to `limit` due jobs of a kind for `worker`, in the order priority, due time, id. Deliver
    /// jobs to `exclude_destinations` (busy, or with an open circuit) are passed over.
    pub fn claim(
        &self,
        kind: JobKind,
        worker: &str,
        lease: Duration,
        limit: u32,
        exclude_destinations: &[String],
    ) -> Result<Vec<Claim>, LedgerError> {
        let now = self.now();
        let excluded = serde_json::Value::from(exclude_destinations).to_string();
        let claims = self.write(|transaction| {
            let mut claimed: Vec<Claimed> = transaction
                .prepare_cached(CLAIM)?
                .query_map(
                    named_params! {
                        ":worker": worker, ":lease_until": now.plus(lease), ":now": now, ":kind": kind,
                        ":excluded": excluded, ":limit": limit,
                    },
                    Claimed::of,
                )?
                .collect::<rusqlite::Result<_>>()?;
            claimed.sort_unstable_by_key(|claimed| claimed.order);
            claimed.into_iter().map(|claimed| claimed.begin(transaction, now, worker)).collect::<Result<Vec<_>, _>>()
        })?;
        for claim in &claims {
            self.inner.tally.claimed(claim);
        }
        Ok(claims)
    }

    /// Prolongs the lease of a claim to `lease` from now. `false`: the job is no longer this claim's (the
    /// lease was lost or an operator cancelled it) and the work is to be stopped.
    pub fn heartbeat(&self, claim: &Claim, lease: Duration) -> Result<bool, LedgerError> {
        let until = self.now().plus(lease);
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached(
                    "UPDATE jobs SET lease_until = ?3 WHERE id = ?1 AND state = 'running' AND attempt = ?2",
                )?
                .execute(params![claim.job, claim.attempt, until])?;
            Ok(changed == 1)
        })
    }
}

struct Claimed {
    job: i64,
    attempt: u32,
    order: (i64, Millis, i64),
}

impl Claimed {
    fn of(row: &Row<'_>) -> rusqlite::Result<Claimed> {
        let job = row.get(0)?;
        Ok(Claimed { job, attempt: row.get(1)?, order: (row.get(2)?, row.get(3)?, job) })
    }

    fn begin(self, transaction: &Transaction<'_>, now: Millis, worker: &str) -> Result<Claim, LedgerError> {
        transaction
            .prepare_cached("INSERT INTO attempts (job_id, number, worker, started_at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![self.job, self.attempt, worker, now])?;
        let (series_closed_at, work) = work(transaction, self.job)?;
        let (job, attempt, due_at) = (self.job, self.attempt, self.order.1);
        Ok(Claim { job, attempt, due_at, claimed_at: now, series_closed_at, work })
    }
}

/// When the job's series was finished, and what the job asks for.
fn work(transaction: &Transaction<'_>, job: i64) -> Result<(Option<Millis>, Work), LedgerError> {
    let mut statement = transaction.prepare_cached(
        "SELECT j.destination, j.parent_id, j.revision_id, s.study, s.series, j.pipeline, j.rule, j.destinations,
                j.shadow, j.analysis_started_at, j.accept, r.closed_at
         FROM jobs j JOIN revisions r ON r.id = j.revision_id JOIN series s ON s.id = r.series_id WHERE j.id = ?1",
    )?;
    let mut rows = statement.query([job])?;
    let row = rows.next()?.ok_or(LedgerError::NoSuchJob(job))?;
    if let Some(destination) = row.get(0)? {
        return Ok((row.get(11)?, Work::Deliver { destination, results: results_of(transaction, row.get(1)?)? }));
    }
    let (destinations, accept): (String, Option<String>) = (row.get(7)?, row.get(10)?);
    let work = Work::Infer {
        revision: row.get(2)?,
        series: SeriesKey { study: row.get(3)?, series: row.get(4)? },
        pipeline: row.get(5)?,
        rule: row.get(6)?,
        destinations: names_in(&destinations)?,
        shadow: row.get(8)?,
        accept: accept.map(|names| names_in(&names)).transpose()?,
        inputs: inputs_of(transaction, job)?,
        analysis_started_at: row.get(9)?,
    };
    Ok((row.get(11)?, work))
}

fn inputs_of(transaction: &Transaction<'_>, job: i64) -> Result<Vec<JobInput>, LedgerError> {
    let mut statement =
        transaction.prepare_cached("SELECT name, revision_id FROM job_inputs WHERE job_id = ?1 ORDER BY position")?;
    let rows = statement.query_map([job], |row| Ok(JobInput { name: row.get(0)?, revision: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
