//! Infer jobs whose readers wait in vain: given up, or not finished in time, where a rule asked that the reading room
//! be told. Each is told of once, whatever becomes of the job later.

use rusqlite::{Row, params};

use super::outcomes::{insert_deliver, insert_result, names_in};
use super::{Ledger, LedgerError, ResultRow};
use crate::clock::Millis;

/// How `results.kind` calls a placeholder: it goes out by itself, never among results.
pub(super) const PLACEHOLDER: &str = "placeholder";
/// So many are looked at in one go.
const MOST: i64 = 16;

/// An infer job that has no result and whose readers are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    pub job: i64,
    pub revision: i64,
    pub pipeline: String,
    /// What it was at when it was given up.
    pub stage: Option<String>,
    /// Where it is not given up: when its time was over.
    pub late_at: Option<Millis>,
    pub created_at: Millis,
}

impl Ledger {
    /// The jobs to be told of now. Results that are kept and not sent are nobody's answer.
    pub fn unanswered(&self) -> Result<Vec<Unanswered>, LedgerError> {
        let now = self.now();
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, revision_id, pipeline, stage, CASE state WHEN 'discarded' THEN NULL ELSE inform_at END,
                        created_at
                 FROM jobs
                 WHERE inform_failed = 1 AND informed_at IS NULL AND state NOT IN ('completed', 'cancelled')
                   AND NOT shadow AND (state = 'discarded' OR inform_at <= ?1)
                 ORDER BY id LIMIT ?2",
            )?;
            let rows = statement.query_map(params![now, MOST], |row: &Row<'_>| {
                Ok(Unanswered {
                    job: row.get(0)?,
                    revision: row.get(1)?,
                    pipeline: row.get(2)?,
                    stage: row.get(3)?,
                    late_at: row.get(4)?,
                    created_at: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Sends `placeholder` to every destination of the job, once; without one nothing could be made, and none is tried
    /// again. `false`: somebody was faster, or the result came.
    pub fn inform(&self, job: i64, placeholder: Option<&ResultRow>) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached(
                    "UPDATE jobs SET informed_at = ?2
                     WHERE id = ?1 AND informed_at IS NULL AND state NOT IN ('completed', 'cancelled')",
                )?
                .execute(params![job, now])?;
            let (Some(placeholder), 1) = (placeholder, changed) else { return Ok(changed == 1) };
            insert_result(transaction, job, placeholder)?;
            let destinations: String =
                transaction.query_row("SELECT destinations FROM jobs WHERE id = ?1", [job], |row| row.get(0))?;
            for destination in names_in(&destinations)? {
                let attempts = self.inner.options.attempts(Some(&destination));
                let made = insert_deliver(transaction, now, job, &destination, attempts)?;
                transaction.execute("UPDATE jobs SET placeholder = 1 WHERE id = ?1", [made])?;
            }
            Ok(true)
        })
    }
}
