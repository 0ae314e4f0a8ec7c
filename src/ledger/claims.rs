//! Taking jobs: who is next, a lease that says for how long, heartbeats that prolong it.
//!
//! SQLite has one writer, so the statement needs no `SKIP LOCKED`; PostgreSQL's form would.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, named_params, params};

use super::lookups::results_of;
use super::outcomes::names_in;
use super::unanswered::PLACEHOLDER;
use super::{Claim, JobInput, JobKind, Ledger, LedgerError, Priority, Work};
use crate::clock::Millis;
use crate::dicom::SeriesKey;

/// Nothing is put off longer than this; a job that seems to be is due: the machine's clock was set back.
pub(super) const LONGEST_WAIT: Duration = Duration::from_hours(8 * 24);

/// The first due job of each queue that is not excluded, and the first of these: a queue that nothing is claimed from costs
/// one step, however long it is. The order is that of the index of migration 9.
const NEXT: &str = "
    WITH RECURSIVE queue (name) AS (
        SELECT min(coalesce(destination, '')) FROM jobs WHERE kind = :kind AND state IN ('available', 'retryable')
        UNION ALL
        SELECT (SELECT min(coalesce(j.destination, '')) FROM jobs j
                WHERE j.kind = :kind AND j.state IN ('available', 'retryable')
                  AND coalesce(j.destination, '') > queue.name)
        FROM queue WHERE queue.name IS NOT NULL)
    SELECT first.id FROM queue JOIN jobs first ON first.id = (
        SELECT j.id FROM jobs j
        WHERE j.kind = :kind AND coalesce(j.destination, '') = queue.name AND j.state IN ('available', 'retryable')
          AND (j.scheduled_at <= :now OR j.scheduled_at > :beyond) AND j.priority <= :lowest
        ORDER BY j.created_at + j.priority * 1800000, j.id LIMIT 1)
    WHERE queue.name IS NOT NULL AND queue.name NOT IN (SELECT value FROM json_each(:excluded))
    ORDER BY first.created_at + first.priority * 1800000, first.id LIMIT 1";

const CLAIM: &str = "
    UPDATE jobs SET state = 'running', attempt = attempt + 1, charged = charged + 1, worker = :worker,
           lease_until = :lease_until,
           analysis_started_at = CASE kind WHEN 'infer' THEN coalesce(analysis_started_at, :now) END
    WHERE id = :id RETURNING attempt, scheduled_at";

impl Ledger {
    /// Claims up to `limit` due jobs of a kind for `worker`, the longest waiting first, where each step of priority counts as
    /// half an hour. Deliver jobs to `exclude_destinations` (busy, or with an open circuit) are passed over, and infer jobs
    /// of priority off-peak outside the hours that [`LedgerOptions::off_peak`] names.
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
        let runs = kind == JobKind::Deliver || self.inner.options.is_off_peak(now);
        let lowest = if runs { Priority::OffPeak } else { Priority::Routine };
        // Unflushed: a claim that a power cut takes is one whose worker is gone, too, and what the worker says later is flushed
        // behind it.
        let claims = self.write_behind(|transaction| {
            let mut claims = Vec::new();
            while claims.len() < limit as usize {
                let next: Option<i64> = transaction
                    .prepare_cached(NEXT)?
                    .query_row(
                        named_params! {
                            ":kind": kind, ":now": now, ":beyond": now.plus(LONGEST_WAIT), ":lowest": lowest,
                            ":excluded": excluded,
                        },
                        |row| row.get(0),
                    )
                    .optional()?;
                let Some(job) = next else { break };
                let (attempt, due_at) = transaction.prepare_cached(CLAIM)?.query_row(
                    named_params! { ":worker": worker, ":lease_until": now.plus(lease), ":now": now, ":id": job },
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                begin(transaction, now, worker, (job, attempt))?;
                let (series_closed_at, work) = work(transaction, job)?;
                claims.push(Claim {
                    job,
                    attempt,
                    due_at,
                    claimed_at: now,
                    series_closed_at,
                    work,
                    stages: Vec::new(),
                });
            }
            Ok(claims)
        })?;
        for claim in &claims {
            self.inner.tally.claimed(claim);
        }
        Ok(claims)
    }

    /// Does a claim's job still run in its attempt? Asked beside the writer.
    pub fn is_running(&self, claim: &Claim) -> Result<bool, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1 AND state = 'running' AND attempt = ?2")?;
            Ok(statement.exists(params![claim.job, claim.attempt])?)
        })
    }

    /// Prolongs the lease of a claim to `lease` from now. `false`: the job is no longer this claim's (the
    /// lease was lost or an operator cancelled it) and the work is to be stopped.
    pub fn heartbeat(&self, claim: &Claim, lease: Duration) -> Result<bool, LedgerError> {
        let until = self.now().plus(lease);
        self.write_behind(|transaction| {
            let changed = transaction
                .prepare_cached(
                    "UPDATE jobs SET lease_until = ?3 WHERE id = ?1 AND state = 'running' AND attempt = ?2",
                )?
                .execute(params![claim.job, claim.attempt, until])?;
            Ok(changed == 1)
        })
    }
}

fn begin(
    transaction: &Transaction<'_>,
    now: Millis,
    worker: &str,
    (job, attempt): (i64, u32),
) -> Result<(), LedgerError> {
    transaction
        .prepare_cached("INSERT INTO attempts (job_id, number, worker, started_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![job, attempt, worker, now])?;
    Ok(())
}

/// When the job's series was finished, and what the job asks for.
fn work(transaction: &Transaction<'_>, job: i64) -> Result<(Option<Millis>, Work), LedgerError> {
    let mut statement = transaction.prepare_cached(
        "SELECT j.destination, j.parent_id, j.revision_id, s.study, s.series, j.pipeline, j.rule, j.destinations,
                j.shadow, j.analysis_started_at, j.accept, r.closed_at, j.placeholder, j.inform_nothing
         FROM jobs j JOIN revisions r ON r.id = j.revision_id JOIN series s ON s.id = r.series_id WHERE j.id = ?1",
    )?;
    let mut rows = statement.query([job])?;
    let row = rows.next()?.ok_or(LedgerError::NoSuchJob(job))?;
    if let Some(destination) = row.get(0)? {
        let (mut results, is_placeholder): (_, bool) = (results_of(transaction, row.get(1)?)?, row.get(12)?);
        results.retain(|result| (result.kind == PLACEHOLDER) == is_placeholder);
        return Ok((row.get(11)?, Work::Deliver { destination, results }));
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
        tells_nothing_found: row.get(13)?,
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
