//! What an operator does to many jobs at a time, and sending results once more.
//!
//! The table of transitions decides for each job as it does for one; jobs that moved on meanwhile are passed over. Some hundred
//! jobs a transaction, so that a node at work is not kept waiting. Never runs a model again.

use rusqlite::{OptionalExtension, Transaction, params};

use super::events::{Happened, note};
use super::outcomes::{insert_deliver, names_in};
use super::state::Event;
use super::unanswered::PLACEHOLDER;
use super::{Ledger, LedgerError};
use crate::clock::Millis;

/// Jobs of one transaction.
const CHUNK: usize = 500;

/// What is done to jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Retry,
    Cancel,
    /// The results are delivered again: to `to`, or where they went before.
    Resend {
        to: Option<String>,
    },
}

impl Act {
    const fn participle(&self) -> &'static str {
        match self {
            Act::Retry => Event::Retry.participle(),
            Act::Cancel => Event::Cancel.participle(),
            Act::Resend { .. } => "sent again",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Acted {
    pub changed: u64,
    /// Jobs whose state does not allow it, and those without anything to send.
    pub passed_over: u64,
}

impl Ledger {
    /// Does `act` to every one of `jobs` that allows it; `chosen_by` says in the audit trail how they were chosen.
    pub fn act_on(&self, jobs: &[i64], act: &Act, chosen_by: &str) -> Result<Acted, LedgerError> {
        let mut acted = Acted::default();
        for chunk in jobs.chunks(CHUNK) {
            let now = self.now();
            let changed = self.write(|transaction| {
                let mut changed = 0;
                for job in chunk {
                    changed += u64::from(self.is_done(transaction, now, *job, act)?);
                }
                let what = format!("{changed} jobs {}: {chosen_by}", act.participle());
                let who = self.inner.options.actor.as_deref();
                note(transaction, now, Happened::Acted, None, who, &what)?;
                Ok(changed)
            })?;
            acted.changed += changed;
            acted.passed_over += chunk.len() as u64 - changed;
        }
        Ok(acted)
    }

    /// Delivers the results of an infer job, or those that a deliver job sends, once more: to `to`, or where they went. The
    /// new jobs.
    pub fn resend_job(&self, job: i64, to: Option<&str>) -> Result<Vec<i64>, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let made = self.resend_within(transaction, now, job, to)?;
            let numbers: Vec<String> = made.iter().map(ToString::to_string).collect();
            let what = format!("results of job {job} sent again, now job {}", numbers.join(", "));
            note(transaction, now, Happened::Acted, Some(job), self.inner.options.actor.as_deref(), &what)?;
            Ok(made)
        })
    }

    fn is_done(&self, transaction: &Transaction<'_>, now: Millis, job: i64, act: &Act) -> Result<bool, LedgerError> {
        let done = match act {
            Act::Retry => self.operate_within(transaction, now, job, Event::Retry).map(drop),
            Act::Cancel => self.operate_within(transaction, now, job, Event::Cancel).map(drop),
            Act::Resend { to } => self.resend_within(transaction, now, job, to.as_deref()).map(drop),
        };
        match done {
            Ok(()) => Ok(true),
            Err(
                LedgerError::NotAllowed { .. }
                | LedgerError::NoSuchJob(_)
                | LedgerError::NothingToSend(_)
                | LedgerError::OnItsWay { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn resend_within(
        &self,
        transaction: &Transaction<'_>,
        now: Millis,
        job: i64,
        to: Option<&str>,
    ) -> Result<Vec<i64>, LedgerError> {
        let (maker, destinations) = origin(transaction, job)?;
        let destinations = to.map_or(destinations, |to| vec![to.to_owned()]);
        let mut made = Vec::new();
        for destination in &destinations {
            if !is_on_its_way(transaction, maker, destination)? {
                let attempts = self.inner.options.attempts(Some(destination));
                made.push(insert_deliver(transaction, now, maker, destination, attempts)?);
            }
        }
        match destinations.into_iter().next() {
            Some(destination) if made.is_empty() => Err(LedgerError::OnItsWay { job, destination }),
            None => Err(LedgerError::NothingToSend(job)),
            Some(_) => Ok(made),
        }
    }
}

/// The infer job whose results `job` is about, and where they go.
fn origin(transaction: &Transaction<'_>, job: i64) -> Result<(i64, Vec<String>), LedgerError> {
    let (maker, destination, destinations, has_results): (i64, Option<String>, String, bool) = transaction
        .prepare_cached(
            "SELECT m.id, j.destination, m.destinations, EXISTS (SELECT 1 FROM results WHERE job_id = m.id AND kind <> ?2)
             FROM jobs j JOIN jobs m ON m.id = coalesce(j.parent_id, j.id) WHERE j.id = ?1",
        )?
        .query_row(params![job, PLACEHOLDER], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?
        .ok_or(LedgerError::NoSuchJob(job))?;
    if !has_results {
        return Err(LedgerError::NothingToSend(job));
    }
    Ok((maker, destination.map_or_else(|| names_in(&destinations), |name| Ok(vec![name]))?))
}

fn is_on_its_way(transaction: &Transaction<'_>, maker: i64, destination: &str) -> Result<bool, LedgerError> {
    let mut statement = transaction.prepare_cached(
        "SELECT 1 FROM jobs WHERE parent_id = ?1 AND destination = ?2 AND finished_at IS NULL AND state <> 'held'",
    )?;
    Ok(statement.exists(params![maker, destination])?)
}
