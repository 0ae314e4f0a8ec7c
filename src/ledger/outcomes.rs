//! How an attempt ends: completed, set back, given up. Every move is guarded by the claim (invariant 5).
//!
//! The pure table says where a move leads, one statement makes it if the job still runs in that attempt.
//! What follows from it (results, deliver jobs) is written in the same transaction, or not at all.

use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use super::events::note_end;
use super::state::{self, Event};
use super::{Claim, Delivered, JobKind, JobState, Ledger, LedgerError, ResultRow, Setback, StageTime};
use crate::clock::Millis;

/// A job's counters, as the transitions need them.
pub(super) struct Standing {
    pub kind: JobKind,
    pub state: JobState,
    pub attempt: u32,
    pub charged: u32,
    pub max_attempts: u32,
    pub rescues: u32,
}

impl Standing {
    pub(super) fn of(transaction: &Transaction<'_>, job: i64) -> Result<Standing, LedgerError> {
        transaction
            .prepare_cached("SELECT kind, state, attempt, charged, max_attempts, rescues FROM jobs WHERE id = ?1")?
            .query_row([job], |row: &Row<'_>| {
                Ok(Standing {
                    kind: row.get(0)?,
                    state: row.get(1)?,
                    attempt: row.get(2)?,
                    charged: row.get(3)?,
                    max_attempts: row.get(4)?,
                    rescues: row.get(5)?,
                })
            })
            .optional()?
            .ok_or(LedgerError::NoSuchJob(job))
    }
}

/// The end of a running attempt: which columns move.
pub(super) struct Ending<'a> {
    pub event: Event,
    /// Word of `attempts.outcome`.
    pub outcome: &'static str,
    pub error: Option<&'a str>,
    /// What the attempt was at when it ended badly.
    pub stage: Option<&'static str>,
    /// When the job is due again, where it is.
    pub due: Option<Millis>,
    /// The attempt does not weigh against `max_attempts`.
    pub given_back: bool,
    pub delivered: Option<Delivered>,
    /// How long its stages took.
    pub stages: &'a [StageTime],
}

impl<'a> Ending<'a> {
    const fn completed(claim: &'a Claim, delivered: Option<Delivered>) -> Ending<'a> {
        Ending {
            event: Event::Complete,
            outcome: "completed",
            error: None,
            stage: None,
            due: None,
            given_back: false,
            delivered,
            stages: claim.stages.as_slice(),
        }
    }

    pub(super) fn set_back(setback: &'a Setback, now: Millis, standing: &Standing) -> Ending<'a> {
        let last = standing.charged >= standing.max_attempts;
        let (event, outcome, error, after) = match setback {
            Setback::Retry { error, after } => (Event::Fail { last }, "retry", error, Some(*after)),
            Setback::Snooze { reason, after } => (Event::Snooze, "snoozed", reason, Some(*after)),
            Setback::GiveUp { error } => (Event::GiveUp, "gave-up", error, None),
            Setback::Hold { error } => (Event::Park, "held", error, None),
        };
        let due = after.map(|after| now.plus(after));
        Ending {
            event,
            outcome,
            error: Some(error),
            stage: None,
            due,
            given_back: event == Event::Snooze,
            delivered: None,
            stages: &[],
        }
    }
}

impl Ledger {
    /// Ends an infer job well: its results, one deliver job for each destination and the job's end, in one
    /// transaction. A shadow job, or one without results, delivers nothing. `false`: the job is no longer
    /// this claim's; nothing was written.
    pub fn complete_infer(&self, claim: &Claim, results: &[ResultRow]) -> Result<bool, LedgerError> {
        let now = self.now();
        let ours = self.write(|transaction| {
            if !end_attempt(transaction, now, claim.job, claim.attempt, &Ending::completed(claim, None))? {
                return Ok(false);
            }
            for result in results {
                insert_result(transaction, claim.job, result)?;
            }
            // As the row has them now: another rule may have asked for the same work since the claim.
            let (destinations, shadow): (String, bool) = transaction
                .prepare_cached("SELECT destinations, shadow FROM jobs WHERE id = ?1")?
                .query_row([claim.job], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut seen: Vec<String> = Vec::new();
            for destination in names_in(&destinations)?.into_iter().filter(|_| !results.is_empty() && !shadow) {
                if !seen.contains(&destination) {
                    let attempts = self.inner.options.attempts(Some(&destination));
                    insert_deliver(transaction, now, claim.job, &destination, attempts)?;
                    seen.push(destination);
                }
            }
            Ok(true)
        })?;
        Ok(self.counted(ours, claim, now, "completed"))
    }

    /// Ends a deliver job well. `false`: the job is no longer this claim's.
    pub fn complete_deliver(&self, claim: &Claim, delivered: Delivered) -> Result<bool, LedgerError> {
        let now = self.now();
        let ours = self.write(|transaction| {
            end_attempt(transaction, now, claim.job, claim.attempt, &Ending::completed(claim, Some(delivered)))
        })?;
        if ours {
            self.inner.tally.delivered(claim, delivered, now);
        }
        Ok(self.counted(ours, claim, now, "completed"))
    }

    /// Ends an attempt badly. A retry of the last attempt discards the job and keeps the error.
    /// `false`: the job is no longer this claim's.
    pub fn set_back(&self, claim: &Claim, setback: &Setback) -> Result<bool, LedgerError> {
        self.set_back_at(claim, setback, None)
    }

    /// As [`Ledger::set_back`], and says what the attempt was at.
    pub fn set_back_at(
        &self,
        claim: &Claim,
        setback: &Setback,
        stage: Option<&'static str>,
    ) -> Result<bool, LedgerError> {
        let now = self.now();
        let (ours, outcome) = self.write(|transaction| {
            let standing = Standing::of(transaction, claim.job)?;
            let ending = Ending { stage, stages: &claim.stages, ..Ending::set_back(setback, now, &standing) };
            Ok((end_attempt(transaction, now, claim.job, claim.attempt, &ending)?, ending.outcome))
        })?;
        Ok(self.counted(ours, claim, now, outcome))
    }

    /// Counts an attempt that ended, if it was the claim's to end.
    pub(super) fn counted(&self, ours: bool, claim: &Claim, now: Millis, outcome: &'static str) -> bool {
        if ours {
            self.inner.tally.ended(claim, now, outcome);
        }
        ours
    }
}

/// Ends attempt number `attempt` of a job, if that is what is running.
pub(super) fn end_attempt(
    transaction: &Transaction<'_>,
    now: Millis,
    job: i64,
    attempt: u32,
    ending: &Ending<'_>,
) -> Result<bool, LedgerError> {
    // `running` is what the statement's guard insists on
    let to = state::next(JobState::Running, ending.event).map_err(|source| LedgerError::NotAllowed { job, source })?;
    let changed = transaction
        .prepare_cached(
            "UPDATE jobs SET state = :to, lease_until = NULL, worker = NULL, finished_at = :finished,
                    scheduled_at = coalesce(:due, scheduled_at), charged = charged - :given_back,
                    rescues = rescues + :rescued, delivered = :delivered, last_error = :error, stage = :stage
             WHERE id = :job AND state = 'running' AND attempt = :attempt",
        )?
        .execute(named_params! {
            ":to": to,
            ":finished": state::is_final(to).then_some(now),
            ":due": ending.due.filter(|_| !state::is_final(to)),
            ":given_back": ending.given_back,
            ":rescued": matches!(ending.event, Event::Rescue { .. }),
            ":delivered": ending.delivered,
            ":error": ending.error,
            ":stage": ending.stage,
            ":job": job,
            ":attempt": attempt,
        })?;
    if changed == 1 {
        transaction
            .prepare_cached(
                "UPDATE attempts SET ended_at = ?3, outcome = ?4, error = ?5, stage = ?6, stages = ?7
                 WHERE job_id = ?1 AND number = ?2",
            )?
            .execute(params![
                job,
                attempt,
                now,
                ending.outcome,
                ending.error,
                ending.stage,
                in_column(ending.stages)
            ])?;
        forget_older_snoozes(transaction, job, attempt, ending)?;
        note_end(transaction, now, job, to, ending.delivered.is_some(), ending.error)?;
    }
    Ok(changed == 1)
}

/// As a column of `attempts` has them.
fn in_column(stages: &[StageTime]) -> Option<String> {
    (!stages.is_empty()).then(|| serde_json::to_string(stages).ok()).flatten()
}

/// A device can be busy for hours: of the snoozes in between only the latest row is worth keeping.
fn forget_older_snoozes(
    transaction: &Transaction<'_>,
    job: i64,
    attempt: u32,
    ending: &Ending<'_>,
) -> Result<(), LedgerError> {
    if ending.event == Event::Snooze {
        transaction
            .prepare_cached("DELETE FROM attempts WHERE job_id = ?1 AND outcome = 'snoozed' AND number < ?2")?
            .execute(params![job, attempt])?;
    }
    Ok(())
}

/// The names in a column of `jobs`.
pub(super) fn names_in(column: &str) -> Result<Vec<String>, LedgerError> {
    serde_json::from_str(column).map_err(|source| LedgerError::Unreadable { column: "jobs.destinations", source })
}

/// The same result again changes nothing; other bytes under its UID are a fault of the pipeline.
pub(super) fn insert_result(transaction: &Transaction<'_>, job: i64, result: &ResultRow) -> Result<(), LedgerError> {
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO results (job_id, sop_class, sop_instance, study, series, transfer_syntax, kind, location,
                                  length, sha256, form)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (job_id, sop_instance) DO NOTHING",
        )?
        .execute(params![
            job,
            result.sop_class,
            result.sop_instance,
            result.study,
            result.series,
            result.transfer_syntax,
            result.kind,
            result.location,
            result.length as i64,
            result.sha256,
            result.form,
        ])?;
    if inserted == 1 {
        return Ok(());
    }
    let held: String = transaction
        .prepare_cached("SELECT sha256 FROM results WHERE job_id = ?1 AND sop_instance = ?2")?
        .query_row(params![job, result.sop_instance], |row| row.get(0))?;
    if held == result.sha256 {
        return Ok(());
    }
    Err(LedgerError::ResultDiffers { job, sop_instance: result.sop_instance.clone() })
}

pub(super) fn insert_deliver(
    transaction: &Transaction<'_>,
    now: Millis,
    parent: i64,
    destination: &str,
    attempts: u32,
) -> Result<i64, LedgerError> {
    transaction
        .prepare_cached(
            "INSERT INTO jobs (kind, state, priority, revision_id, parent_id, rule, pipeline, destinations,
                               destination, shadow, max_attempts, scheduled_at, created_at)
             SELECT ?2, ?3, priority, revision_id, id, rule, pipeline, '[]', ?4, 0, ?5, ?6, ?6
             FROM jobs WHERE id = ?1",
        )?
        .execute(params![parent, JobKind::Deliver, JobState::Available, destination, attempts, now])?;
    Ok(transaction.last_insert_rowid())
}
