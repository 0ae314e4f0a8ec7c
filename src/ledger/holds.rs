//! Series that a rule keeps for an operator, and what the operator does with them.

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::events::{Happened, note};
use super::packed::pack;
use super::pending::wake;
use super::{ClosedRevision, Ledger, LedgerError, Redecision};
use crate::clock::Millis;
use crate::dicom::{SeriesKey, Uid};

/// A series that is on hold or was.
#[derive(Debug, Clone, Serialize)]
pub struct HoldRow {
    pub study: Uid,
    pub series: Uid,
    /// Number of the revision within its series.
    pub revision: i64,
    pub rule: String,
    pub reason: String,
    pub since: Millis,
    pub ended_at: Option<Millis>,
    /// `released`, `dropped`, or `superseded` by a newer revision.
    pub outcome: Option<String>,
    /// Who released or dropped it.
    pub who: Option<String>,
}

impl Ledger {
    /// Series on hold, the longest first; with `all` also those that were.
    pub fn holds(&self, all: bool) -> Result<Vec<HoldRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT s.study, s.series, r.number, h.rule, h.reason, h.since, h.ended_at, h.outcome, h.who
                 FROM holds h JOIN revisions r ON r.id = h.revision_id JOIN series s ON s.id = r.series_id
                 WHERE ?1 OR h.ended_at IS NULL ORDER BY h.since, r.id",
            )?;
            let rows = statement.query_map([all], hold_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The revision on hold of a series, and the rule that holds it.
    pub fn held_revision(&self, series: &str) -> Result<Option<(ClosedRevision, String)>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT r.id, s.study, s.series, r.number, r.summary, h.rule
                 FROM holds h JOIN revisions r ON r.id = h.revision_id JOIN series s ON s.id = r.series_id
                 WHERE h.ended_at IS NULL AND s.series = ?1 ORDER BY r.id DESC LIMIT 1",
            )?;
            let found = statement.query_row([series], |row| {
                let series = SeriesKey { study: row.get(1)?, series: row.get(2)? };
                let (id, number, summary) = (row.get(0)?, row.get(3)?, row.get(4)?);
                Ok((ClosedRevision { id, series, number, summary, released: None }, row.get(5)?))
            });
            Ok(found.optional()?)
        })
    }

    /// Lets a revision on hold go on as `decision` says (its `seen` is not looked at). `study_rules`: there are rules of
    /// whole studies. The jobs made, or `None` when it is not on hold any more.
    pub fn release_hold(
        &self,
        decision: &Redecision,
        who: &str,
        study_rules: bool,
    ) -> Result<Option<Vec<i64>>, LedgerError> {
        let (now, revision) = (self.now(), decision.revision);
        self.write(|transaction| {
            let ended = transaction.execute(
                "UPDATE holds SET ended_at = ?2, outcome = 'released', who = ?3 WHERE revision_id = ?1 AND ended_at IS NULL",
                params![revision, now, who],
            )?;
            if ended == 0 {
                return Ok(None);
            }
            note(transaction, now, Happened::Acted, None, Some(who), "series on hold: released")?;
            transaction.execute(
                "UPDATE revisions SET later_explanation = ?2 WHERE id = ?1",
                params![revision, pack(&decision.explanation)],
            )?;
            wake(transaction, now, revision, study_rules)?;
            self.apply(transaction, now, revision, &decision.verdict, Some(decision.made_by())).map(Some)
        })
    }

    /// Ends the hold of a series and decides nothing more about it; `false`: it is not on hold.
    pub fn drop_hold(&self, series: &str, who: &str) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let of_series = "SELECT r.id FROM revisions r JOIN series s ON s.id = r.series_id
                             JOIN holds h ON h.revision_id = r.id WHERE s.series = ?1 AND h.ended_at IS NULL";
            transaction.execute(&format!("UPDATE revisions SET due_at = NULL WHERE id IN ({of_series})"), [series])?;
            let ended = transaction.execute(
                &format!(
                    "UPDATE holds SET ended_at = ?2, outcome = 'dropped', who = ?3 WHERE revision_id IN ({of_series})"
                ),
                params![series, now, who],
            )?;
            if ended > 0 {
                note(transaction, now, Happened::Acted, None, Some(who), &format!("series {series} on hold: dropped"))?;
            }
            Ok(ended > 0)
        })
    }
}

fn hold_row(row: &Row<'_>) -> rusqlite::Result<HoldRow> {
    Ok(HoldRow {
        study: row.get(0)?,
        series: row.get(1)?,
        revision: row.get(2)?,
        rule: row.get(3)?,
        reason: row.get(4)?,
        since: row.get(5)?,
        ended_at: row.get(6)?,
        outcome: row.get(7)?,
        who: row.get(8)?,
    })
}
