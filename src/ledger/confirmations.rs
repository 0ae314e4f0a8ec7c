//! Our own requests for storage commitment: which delivery waits for which report, and what the report said (PS3.4
//! annex J).
//!
//! A waiting job is `available` with its time set to the end of the wait; a report brings that time forward, and
//! whoever claims the job then takes the answer. So a report changes no state by itself (invariant 5), and neither a
//! report that comes before the job waits nor a restart loses it.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::outcomes::{Ending, Standing, end_attempt};
use super::{Claim, Ledger, LedgerError, Setback};
use crate::clock::Millis;
use crate::dicom::Uid;
use crate::dicom::commitment::Report;

/// A request that a delivery makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmationAsked {
    /// Never used before, here or by another node.
    pub transaction: Uid,
}

/// What is known of the commitment that a delivery asked for last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The destination commits to every object.
    Held,
    /// It does not; the reason.
    Missing(String),
    /// It took objects and request, and said nothing within the time.
    Overdue,
}

impl Ledger {
    /// Records that `claim` is about to ask for commitment to `objects` and will wait for the report for `wait`.
    pub fn ask_confirmation(
        &self,
        claim: &Claim,
        objects: &[Uid],
        wait: Duration,
    ) -> Result<ConfirmationAsked, LedgerError> {
        let now = self.now();
        let chance = fastrand::u128(..).to_string();
        let transaction = Uid::derived(&["storage commitment", &claim.job.to_string(), &now.0.to_string(), &chance]);
        let objects = serde_json::json!(objects).to_string();
        self.write(|connection| {
            connection
                .prepare_cached(
                    "INSERT INTO confirmations (transaction_uid, job_id, due_at, asked) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![transaction, claim.job, now.plus(wait), objects])?;
            Ok(())
        })?;
        Ok(ConfirmationAsked { transaction })
    }

    /// The destination took the objects and the request: the job waits for its report, at no cost of an attempt.
    /// `false`: the job is no longer this claim's.
    pub fn await_confirmation(&self, claim: &Claim, asked: &ConfirmationAsked) -> Result<bool, LedgerError> {
        let now = self.now();
        let ours = self.write(|connection| {
            let (due, answered): (Millis, bool) = connection
                .prepare_cached(
                    "UPDATE confirmations SET sent = 1 WHERE transaction_uid = ?1
                     RETURNING due_at, answered_at IS NOT NULL",
                )?
                .query_row([&asked.transaction], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let left = if answered { 0 } else { due.0.saturating_sub(now.0).max(0) };
            let after = Duration::from_millis(left.cast_unsigned());
            let reason = format!("waits for the report of storage commitment {}", asked.transaction);
            let setback = Setback::Snooze { reason, after };
            let standing = Standing::of(connection, claim.job)?;
            let ending = Ending { stages: &claim.stages, ..Ending::set_back(&setback, now, &standing) };
            end_attempt(connection, now, claim.job, claim.attempt, &ending)
        })?;
        Ok(self.counted(ours, claim, now, "sent"))
    }

    /// What the latest request of `job` came to, once; `None` when there is none, or nothing to say yet.
    pub fn take_confirmation(&self, job: i64) -> Result<Option<Confirmation>, LedgerError> {
        let now = self.now();
        self.write(|connection| {
            let Some(found) = latest(connection, job, now)? else { return Ok(None) };
            connection.prepare_cached("DELETE FROM confirmations WHERE job_id = ?1")?.execute([job])?;
            Ok(Some(found))
        })
    }

    /// Keeps a destination's report and lets the job that waits for it go on. `false`: no such request is known.
    pub fn confirmation_reported(&self, report: &Report) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|connection| {
            let asked: Option<(i64, i64)> = connection
                .prepare_cached("SELECT id, job_id FROM confirmations WHERE transaction_uid = ?1")?
                .query_row([&report.transaction], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((id, job)) = asked else { return Ok(false) };
            let refused = refusal(connection, id, report)?;
            connection
                .prepare_cached(
                    "UPDATE confirmations SET answered_at = ?2, refused = ?3 WHERE id = ?1 AND answered_at IS NULL",
                )?
                .execute(params![id, now, refused])?;
            connection
                .prepare_cached(
                    "UPDATE jobs SET scheduled_at = ?2 WHERE id = ?1 AND state = 'available' AND scheduled_at > ?2
                     AND ?3 = (SELECT max(id) FROM confirmations WHERE job_id = ?1)",
                )?
                .execute(params![job, now, id])?;
            Ok(true)
        })
    }
}

fn latest(connection: &Transaction<'_>, job: i64, now: Millis) -> Result<Option<Confirmation>, LedgerError> {
    let row: Option<(Millis, bool, bool, Option<String>)> = connection
        .prepare_cached(
            "SELECT due_at, sent, answered_at IS NOT NULL, refused FROM confirmations
             WHERE job_id = ?1 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([job], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    Ok(row.and_then(|(due, sent, answered, refused)| match (answered, refused) {
        (true, None) => Some(Confirmation::Held),
        (true, Some(why)) => Some(Confirmation::Missing(why)),
        // A request that never left says nothing about the objects.
        (false, _) => (sent && due <= now).then_some(Confirmation::Overdue),
    }))
}

/// Why `report` does not cover all that request `id` asked for: an object that it does not name is not committed to.
fn refusal(connection: &Transaction<'_>, id: i64, report: &Report) -> Result<Option<String>, LedgerError> {
    let held: Vec<&str> = report.held.iter().map(|reference| reference.sop_instance.as_str()).collect();
    let (missing, total): (i64, i64) = connection
        .prepare_cached(
            "SELECT coalesce(sum(o.value NOT IN (SELECT value FROM json_each(?2))), 0), count(*)
             FROM confirmations c, json_each(c.asked) o WHERE c.id = ?1",
        )?
        .query_row(params![id, serde_json::json!(held).to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let reason = match report.failed.first() {
        Some((reference, reason)) => format!("; {}: reason {:04x}", reference.sop_instance, reason.code()),
        None => String::new(),
    };
    let text = || format!("the destination does not commit to {missing} of {total} objects{reason}");
    Ok((missing > 0).then(text))
}
