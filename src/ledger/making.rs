//! From a decision to infer jobs: each is made once, whatever is decided again.
//!
//! A pipeline that was already asked for with the same inputs is not run twice: its results go to the new
//! destinations, too.

use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::Value;

use super::events::{Happened, note};
use super::outcomes::{insert_deliver, names_in};
use super::packed::pack;
use super::unanswered::PLACEHOLDER;
use super::{JobKind, JobState, Ledger, LedgerError, NewInferJob};
use crate::clock::Millis;

/// The rules and the explanation of a job that was not made when its revision closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct MadeBy<'a> {
    pub rules_revision: &'a str,
    pub explanation: &'a str,
}

impl Ledger {
    /// The job of `revision` that runs this pipeline on these inputs; made when there is none.
    pub(super) fn ensure_job(
        &self,
        transaction: &Transaction<'_>,
        now: Millis,
        revision: i64,
        job: &NewInferJob,
        made_by: Option<MadeBy<'_>>,
    ) -> Result<i64, LedgerError> {
        // one that was refused from the start keeps no other rule from having the work done
        let known: Option<(i64, JobState)> = transaction
            .prepare_cached(
                "SELECT id, state FROM jobs WHERE revision_id = ?1 AND kind = 'infer' AND pipeline = ?2
                 AND inputs_key IS ?3 AND (?4 OR state <> 'discarded' OR attempt > 0) ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![revision, job.pipeline, job.inputs_key(), job.refused.is_some()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        if let Some((id, state)) = known {
            self.widen(transaction, now, id, state, job)?;
            return Ok(id);
        }
        let id = insert_infer(transaction, now, revision, job, self.inner.options.attempts(None), made_by)?;
        for (position, input) in (0_i64..).zip(&job.inputs) {
            transaction
                .prepare_cached("INSERT INTO job_inputs (job_id, position, name, revision_id) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![id, position, input.name, input.revision])?;
        }
        Ok(id)
    }

    /// A further rule asks for the same work; one that asked before changes nothing. What an operator or the last attempt ended stays as it is.
    fn widen(
        &self,
        transaction: &Transaction<'_>,
        now: Millis,
        id: i64,
        state: JobState,
        job: &NewInferJob,
    ) -> Result<(), LedgerError> {
        if matches!(state, JobState::Discarded | JobState::Cancelled) || job.refused.is_some() {
            return Ok(());
        }
        let (held, rules): (String, String) =
            transaction.query_row("SELECT destinations, rule FROM jobs WHERE id = ?1", [id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if format!(", {rules}, ").contains(&format!(", {}, ", job.rule)) {
            return Ok(());
        }
        let mut destinations = names_in(&held)?;
        let new: Vec<String> = job.destinations.iter().filter(|name| !destinations.contains(name)).cloned().collect();
        destinations.extend(new.iter().cloned());
        transaction.execute(
            "UPDATE jobs SET rule = rule || ', ' || ?2, destinations = ?3, priority = min(priority, ?4),
                    shadow = shadow AND ?5,
                    inform_failed = inform_failed OR ?6, inform_nothing = inform_nothing OR ?7,
                    inform_at = min(coalesce(inform_at, ?8), coalesce(?8, inform_at)) WHERE id = ?1",
            params![
                id,
                job.rule,
                Value::from(destinations).to_string(),
                job.priority,
                job.shadow,
                job.inform.failed,
                job.inform.nothing_found,
                job.inform.after.map(|after| now.plus(after)),
            ],
        )?;
        let made: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM results WHERE job_id = ?1 AND kind <> ?2)",
            params![id, PLACEHOLDER],
            |row| row.get(0),
        )?;
        for destination in new.iter().filter(|_| state == JobState::Completed && made && !job.shadow) {
            let attempts = self.inner.options.attempts(Some(destination));
            insert_deliver(transaction, now, id, destination, attempts)?;
        }
        Ok(())
    }
}

fn insert_infer(
    transaction: &Transaction<'_>,
    now: Millis,
    revision: i64,
    job: &NewInferJob,
    attempts: u32,
    made_by: Option<MadeBy<'_>>,
) -> Result<i64, LedgerError> {
    let state = if job.refused.is_some() { JobState::Discarded } else { JobState::Available };
    transaction
        .prepare_cached(
            "INSERT INTO jobs (kind, state, priority, revision_id, rule, pipeline, destinations, shadow,
                               max_attempts, scheduled_at, created_at, finished_at, last_error, accept, inputs_key,
                               rules_revision, explanation, inform_failed, inform_nothing, inform_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .execute(params![
            JobKind::Infer,
            state,
            job.priority,
            revision,
            job.rule,
            job.pipeline,
            Value::from(job.destinations.as_slice()).to_string(),
            job.shadow,
            attempts,
            now,
            job.refused.as_ref().map(|_| now),
            job.refused,
            job.accept.as_ref().map(|names| Value::from(names.as_slice()).to_string()),
            job.inputs_key(),
            made_by.map(|by| by.rules_revision),
            made_by.map(|by| pack(by.explanation)),
            job.inform.failed,
            job.inform.nothing_found,
            job.inform.after.map(|after| now.plus(after)),
        ])?;
    let id = transaction.last_insert_rowid();
    if let Some(why) = &job.refused {
        note(transaction, now, Happened::GivenUp, Some(id), None, why)?;
    }
    Ok(id)
}
