//! What an operator does to a job: retry, cancel, hold, release, another priority.
//!
//! The same table of transitions as the workers' decides; a refusal names the job, its state and what is
//! allowed. Never touches results that exist.

use rusqlite::{Transaction, named_params, params};

use super::events::{Happened, note};
use super::outcomes::Standing;
use super::state::{self, Event};
use super::{JobState, Ledger, LedgerError, Priority};
use crate::clock::Millis;

impl Ledger {
    /// Makes a job that waits, was given up, cancelled or held available now, with a fresh budget of
    /// attempts. The attempts made so far are kept.
    pub fn retry_job(&self, job: i64) -> Result<JobState, LedgerError> {
        self.operate(job, Event::Retry)
    }

    /// Ends a job that is not final yet. A running one is stopped by its worker's next heartbeat, and what
    /// it made is not kept.
    pub fn cancel_job(&self, job: i64) -> Result<JobState, LedgerError> {
        self.operate(job, Event::Cancel)
    }

    /// Keeps a waiting job from being claimed until it is released.
    pub fn hold_job(&self, job: i64) -> Result<JobState, LedgerError> {
        self.operate(job, Event::Hold)
    }

    /// Lets a held job go on, due now.
    pub fn release_job(&self, job: i64) -> Result<JobState, LedgerError> {
        self.operate(job, Event::Release)
    }

    /// Changes where a job stands in the queue; of an infer job, also its deliver jobs made later.
    pub fn prioritize_job(&self, job: i64, priority: Priority) -> Result<JobState, LedgerError> {
        self.write(|transaction| {
            let standing = Standing::of(transaction, job)?;
            transaction.execute("UPDATE jobs SET priority = ?2 WHERE id = ?1", params![job, priority])?;
            Ok(standing.state)
        })
    }

    fn operate(&self, job: i64, event: Event) -> Result<JobState, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let to = self.operate_within(transaction, now, job, event)?;
            let what = format!("job {job} {}, now {to}", event.participle());
            note(transaction, now, Happened::Acted, Some(job), self.inner.options.actor.as_deref(), &what)?;
            Ok(to)
        })
    }

    pub(super) fn operate_within(
        &self,
        transaction: &Transaction<'_>,
        now: Millis,
        job: i64,
        event: Event,
    ) -> Result<JobState, LedgerError> {
        let standing = Standing::of(transaction, job)?;
        let to = state::next(standing.state, event).map_err(|source| LedgerError::NotAllowed { job, source })?;
        end_running(transaction, now, job)?;
        move_job(transaction, now, job, to)?;
        if event == Event::Retry {
            self.renew_budget(transaction, job)?;
        }
        Ok(to)
    }

    fn renew_budget(&self, transaction: &Transaction<'_>, job: i64) -> Result<(), LedgerError> {
        let destination: Option<String> =
            transaction.query_row("SELECT destination FROM jobs WHERE id = ?1", [job], |row| row.get(0))?;
        let attempts = self.inner.options.attempts(destination.as_deref());
        transaction.execute(
            "UPDATE jobs SET max_attempts = charged + ?2, rescues = 0 WHERE id = ?1",
            params![job, attempts],
        )?;
        Ok(())
    }
}

/// Closes the attempt row of a job that is running; of no other job is one open.
fn end_running(transaction: &Transaction<'_>, now: Millis, job: i64) -> Result<(), LedgerError> {
    transaction.execute(
        "UPDATE attempts SET ended_at = ?2, outcome = 'cancelled' WHERE job_id = ?1 AND ended_at IS NULL",
        params![job, now],
    )?;
    Ok(())
}

fn move_job(transaction: &Transaction<'_>, now: Millis, job: i64, to: JobState) -> Result<(), LedgerError> {
    transaction.execute(
        "UPDATE jobs SET state = :to, lease_until = NULL, worker = NULL, finished_at = :finished,
                scheduled_at = CASE :to WHEN 'available' THEN :now ELSE scheduled_at END
         WHERE id = :job",
        named_params! { ":to": to, ":finished": state::is_final(to).then_some(now), ":now": now, ":job": job },
    )?;
    Ok(())
}
