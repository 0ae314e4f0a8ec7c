//! Jobs whose worker is gone, and when there is something to do next.
//!
//! A lost lease says nothing about the job, so the attempt is given back. An infer job that is lost again and again is
//! taken for the cause and given up; a delivery only lets others go first, for its result exists and must not be lost.

use std::time::Duration;

use rusqlite::{Params, Transaction};

use super::outcomes::{Ending, Standing, end_attempt};
use super::state::Event;
use super::{JobKind, Ledger, LedgerError};
use crate::clock::Millis;

/// How long a delivery waits that its worker did not live through again and again.
const LET_OTHERS: Duration = Duration::from_secs(10);

impl Ledger {
    /// Makes running jobs whose lease has ended available again; returns how many were touched.
    pub fn rescue_expired(&self) -> Result<u64, LedgerError> {
        let now = self.now();
        self.rescue("SELECT id FROM jobs WHERE state = 'running' AND lease_until <= ?1", [now], "the lease ended")
    }

    /// Makes every running job available again: for the start of the only node on this ledger, when those
    /// who ran them are known to be dead.
    pub fn rescue_all_running(&self) -> Result<u64, LedgerError> {
        self.rescue("SELECT id FROM jobs WHERE state = 'running'", [], "the node stopped during the attempt")
    }

    /// The earliest time at which a job is due; past times mean that one can be claimed now.
    pub fn next_due(&self) -> Result<Option<Millis>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT min(scheduled_at) FROM jobs WHERE state IN ('available', 'retryable')")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })
    }

    fn rescue(&self, lost: &str, params: impl Params, error: &str) -> Result<u64, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let jobs: Vec<i64> = transaction
                .prepare_cached(lost)?
                .query_map(params, |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for job in &jobs {
                self.rescue_one(transaction, now, *job, error)?;
            }
            Ok(jobs.len() as u64)
        })
    }

    fn rescue_one(&self, transaction: &Transaction<'_>, now: Millis, job: i64, error: &str) -> Result<(), LedgerError> {
        let standing = Standing::of(transaction, job)?;
        let is_usual = standing.rescues < self.inner.options.max_rescues;
        let hopeless = !is_usual && standing.kind == JobKind::Infer;
        let error = if hopeless {
            format!("{error} for the {}th time; the job is taken for the cause", standing.rescues + 1)
        } else {
            error.to_owned()
        };
        let ending = Ending {
            event: Event::Rescue { hopeless },
            outcome: "lease-expired",
            error: Some(&error),
            stage: None,
            due: Some(if is_usual { now } else { now.plus(LET_OTHERS) }),
            given_back: true,
            delivered: None,
            stages: &[],
        };
        end_attempt(transaction, now, job, standing.attempt, &ending)?;
        Ok(())
    }
}
