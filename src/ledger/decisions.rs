//! What was decided when revisions closed, read back: for explanations, and for replaying other rules on it.
//!
//! The past is handed out in pages, so that a long look at it never keeps the reader from short questions.

use rusqlite::{OptionalExtension, Row, params};

use super::packed::Unpacked;
use super::{Decision, HistoryRow, Ledger, LedgerError};
use crate::clock::Millis;
use crate::dicom::SeriesKey;

/// Columns of [`decision`].
const DECISION: &str = "
    SELECT s.study, s.series, r.number, r.instances, r.closed_at, r.closed_by, r.summary";
/// How a job came to be; a deliver job came of its parent.
pub(super) const OF_JOB: &str = "
    coalesce(j.explanation, p.explanation, r.explanation), coalesce(j.rules_revision, p.rules_revision, r.rules_revision)";

impl Ledger {
    /// What was decided about a series last, whatever its study: the newest closed revision of each that has this UID.
    pub fn decisions_of_series(&self, series: &str) -> Result<Vec<Decision>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!(
                "{DECISION}, coalesce(r.later_explanation, r.explanation),
                     CASE WHEN r.later_explanation IS NULL THEN r.rules_revision END, 0, d.explanation
                 FROM revisions r JOIN series s ON s.id = r.series_id
                 LEFT JOIN study_decisions d ON d.study = s.study
                 WHERE s.series = ?1 AND r.number = (
                     SELECT max(number) FROM revisions WHERE series_id = s.id AND closed_at IS NOT NULL)
                 ORDER BY r.id"
            ))?;
            let rows = statement.query_map([series], decision)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The decision that made a job.
    pub fn decision_of_job(&self, job: i64) -> Result<Option<Decision>, LedgerError> {
        self.read(|transaction| {
            let of_job = format!(
                "{DECISION}, {OF_JOB}, coalesce(p.inputs_key, j.inputs_key) IS NOT NULL, NULL
                 FROM jobs j LEFT JOIN jobs p ON p.id = j.parent_id JOIN revisions r ON r.id = j.revision_id
                 JOIN series s ON s.id = r.series_id WHERE j.id = ?1"
            );
            Ok(transaction.prepare_cached(&of_job)?.query_row([job], decision).optional()?)
        })
    }

    /// The revisions closed at `since` or later of the next `studies` studies behind the study `behind` (empty at first),
    /// in the order of studies, series and revisions. Empty: there are no more. Series that we made ourselves are left
    /// out, for no rule sees them.
    pub fn history(&self, since: Millis, behind: &str, studies: u32) -> Result<Vec<HistoryRow>, LedgerError> {
        self.read(|transaction| {
            let mut page = transaction.prepare_cached(
                "SELECT max(study) FROM (SELECT DISTINCT study FROM series WHERE study > ?1 ORDER BY study LIMIT ?2)",
            )?;
            let mut statement = transaction.prepare_cached(
                "SELECT s.study, s.series, r.number, r.closed_at, r.summary
                 FROM series s JOIN revisions r ON r.series_id = s.id
                 WHERE s.study > ?1 AND s.study <= ?2 AND r.closed_at >= ?3
                   AND s.series NOT IN (SELECT series FROM results)
                 ORDER BY s.study, s.series, r.number",
            )?;
            let mut behind = behind.to_owned();
            // A page whose studies are all too old is no end.
            while let Some(last) = page.query_row(params![behind, studies], |row| row.get::<_, Option<String>>(0))? {
                let rows = statement.query_map(params![behind, last, since], history_row)?;
                let rows: Vec<HistoryRow> = rows.collect::<rusqlite::Result<_>>()?;
                if !rows.is_empty() {
                    return Ok(rows);
                }
                behind = last;
            }
            Ok(Vec::new())
        })
    }
}

fn history_row(row: &Row<'_>) -> rusqlite::Result<HistoryRow> {
    Ok(HistoryRow {
        series: SeriesKey { study: row.get(0)?, series: row.get(1)? },
        number: row.get(2)?,
        closed_at: row.get(3)?,
        summary: row.get(4)?,
    })
}

fn decision(row: &Row<'_>) -> rusqlite::Result<Decision> {
    let (explanation, study): (Unpacked, Option<Unpacked>) = (row.get(7)?, row.get(10)?);
    let revision: Option<String> = row.get(8)?;
    Ok(Decision {
        series: SeriesKey { study: row.get(0)?, series: row.get(1)? },
        number: row.get(2)?,
        instances: row.get::<_, i64>(3)? as u64,
        closed_at: row.get(4)?,
        closed_by: row.get(5)?,
        summary: row.get(6)?,
        rules_revision: revision.unwrap_or_else(|| rules_of(&explanation.0)),
        explanation: explanation.0,
        of_study: row.get(9)?,
        study_explanation: study.map(|text| text.0),
    })
}

/// The rules that a later decision was made by stand in its explanation alone.
fn rules_of(explanation: &str) -> String {
    let read: Option<serde_json::Value> = serde_json::from_str(explanation).ok();
    read.and_then(|read| Some(read["rules_revision"].as_str()?.to_owned())).unwrap_or_default()
}
