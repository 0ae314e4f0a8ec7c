//! Decisions that come after a revision closed: rules that wait, and rules of whole studies.
//!
//! What is due is a row with a time; a series that closes moves the time of its study's rows to now, in the transaction
//! that closes it. A decision is written only while its row still says what it was made on. Decides nothing itself.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;

use super::events::{About, Happened, note_about, note_given_up};
use super::making::MadeBy;
use super::packed::{Unpacked, pack};
use super::{Ledger, LedgerError, NewGiveUp, NewInferJob, Verdict};
use crate::clock::Millis;
use crate::dicom::{SeriesKey, Uid};

/// The newest closed revision of a series, as rules see it.
#[derive(Debug, Clone)]
pub struct ClosedRevision {
    pub id: i64,
    pub series: SeriesKey,
    pub number: i64,
    /// `SeriesSummary` as JSON.
    pub summary: String,
    /// The rule that held it until an operator let it go on.
    pub released: Option<String>,
}

/// A revision or a study about which something is to be decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<T> {
    pub what: T,
    /// What the row said: the proof that the decision is guarded by.
    pub seen: Millis,
}

/// A decision about a revision that closed before.
#[derive(Debug, Clone)]
pub struct Redecision {
    pub revision: i64,
    /// `Due::seen`.
    pub seen: Millis,
    /// `Explanation` as JSON.
    pub explanation: String,
    pub rules_revision: String,
    pub verdict: Verdict,
}

/// A decision about a study.
#[derive(Debug, Clone)]
pub struct StudyDecision {
    pub study: Uid,
    /// `Due::seen`.
    pub seen: Millis,
    /// `StudyRouting` as JSON.
    pub explanation: String,
    pub rules_revision: String,
    /// Each with at least one input.
    pub jobs: Vec<NewInferJob>,
    /// When it is to be decided again; `None`: when another series closes.
    pub due: Option<Millis>,
    pub gave_up: Vec<NewGiveUp>,
}

/// Rules that wait.
#[derive(Debug, Clone, Serialize)]
pub struct WaitingRow {
    pub study: Uid,
    /// `None`: rules of the whole study.
    pub series: Option<Uid>,
    pub due_at: Millis,
    /// `Explanation` or `StudyRouting`.
    pub explanation: Option<serde_json::Value>,
}

/// Columns of [`closed_revision`]: newest closed revisions of series that are not made of our own results.
const CLOSED: &str = "
    SELECT r.id, s.study, s.series, r.number, r.summary,
           (SELECT h.rule FROM holds h WHERE h.revision_id = r.id AND h.outcome = 'released')
    FROM revisions r JOIN series s ON s.id = r.series_id
    WHERE r.closed_at IS NOT NULL AND s.series NOT IN (SELECT series FROM results)
      AND r.number = (SELECT max(number) FROM revisions WHERE series_id = s.id AND closed_at IS NOT NULL)";

impl Ledger {
    /// Revisions whose waiting rules are due; those that a newer revision of the series is about to replace are not.
    pub fn due_revisions(&self) -> Result<Vec<Due<ClosedRevision>>, LedgerError> {
        let now = self.now();
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT r.id, s.study, s.series, r.number, r.summary,
                        (SELECT h.rule FROM holds h WHERE h.revision_id = r.id AND h.outcome = 'released'), r.due_at
                 FROM revisions r JOIN series s ON s.id = r.series_id
                 WHERE r.due_at <= ?1 AND r.number = (SELECT max(number) FROM revisions WHERE series_id = s.id)
                 ORDER BY r.due_at, r.id",
            )?;
            let rows = statement.query_map([now], |row| Ok(Due { what: closed_revision(row)?, seen: row.get(6)? }))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Studies that are due to be decided.
    pub fn due_studies(&self) -> Result<Vec<Due<Uid>>, LedgerError> {
        let now = self.now();
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT study, due_at FROM study_decisions WHERE due_at <= ?1 ORDER BY due_at, study",
            )?;
            let rows = statement.query_map([now], |row| Ok(Due { what: row.get(0)?, seen: row.get(1)? }))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The finished series of a study, our own results left out.
    pub fn study_members(&self, study: &Uid) -> Result<Vec<ClosedRevision>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!("{CLOSED} AND s.study = ?1 ORDER BY s.id"))?;
            let rows = statement.query_map([study], closed_revision)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Finished series of other studies of the patient with this PatientID and issuer (both as in a summary).
    pub fn patient_members(
        &self,
        patient: &str,
        issuer: Option<&str>,
        study: &Uid,
    ) -> Result<Vec<ClosedRevision>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!(
                "{CLOSED} AND s.study <> ?1 AND r.summary IS NOT NULL
                   AND json_extract(r.summary, '$.attributes.\"0010,0020\".distinct[0][0]') = ?2
                   AND json_extract(r.summary, '$.attributes.\"0010,0021\".distinct[0][0]') IS ?3
                   AND EXISTS (SELECT 1 FROM instances i WHERE i.series_id = s.id)
                 ORDER BY s.id"
            ))?;
            let rows = statement.query_map(params![study, patient, issuer], closed_revision)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The last arrival for a series of the study that is not finished.
    pub fn study_arriving(&self, study: &Uid) -> Result<Option<Millis>, LedgerError> {
        self.read(|transaction| {
            Ok(transaction
                .prepare_cached(
                    "SELECT max(r.last_arrival_at) FROM revisions r JOIN series s ON s.id = r.series_id
                     WHERE s.study = ?1 AND r.closed_at IS NULL",
                )?
                .query_row([study], |row| row.get(0))?)
        })
    }

    /// Rules that have fired on a revision.
    pub fn fired_rules(&self, revision: i64) -> Result<Vec<String>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached("SELECT rule FROM fired_rules WHERE revision_id = ?1")?;
            let rows = statement.query_map([revision], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The explanation of the revision before this open one, if rules still wait on it.
    pub fn still_waiting(&self, open: i64) -> Result<Option<String>, LedgerError> {
        self.read(|transaction| {
            Ok(transaction
                .prepare_cached(
                    "SELECT coalesce(b.later_explanation, b.explanation) FROM revisions r
                     JOIN revisions b ON b.series_id = r.series_id AND b.number = r.number - 1
                     WHERE r.id = ?1 AND b.due_at IS NOT NULL",
                )?
                .query_row([open], |row| Ok(row.get::<_, Unpacked>(0)?.0))
                .optional()?)
        })
    }

    /// Rules that have fired in a study.
    pub fn rules_fired_in(&self, study: &Uid) -> Result<Vec<String>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT DISTINCT f.rule FROM fired_rules f JOIN revisions r ON r.id = f.revision_id
                 JOIN series s ON s.id = r.series_id WHERE s.study = ?1",
            )?;
            let rows = statement.query_map([study], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Writes what was decided again about a revision; the jobs it has now of those asked for, or `None` when the row
    /// moved meanwhile.
    pub fn decide_again(&self, decision: &Redecision) -> Result<Option<Vec<i64>>, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached("UPDATE revisions SET later_explanation = ?3 WHERE id = ?1 AND due_at = ?2")?
                .execute(params![decision.revision, decision.seen, pack(&decision.explanation)])?;
            if changed == 0 {
                return Ok(None);
            }
            self.apply(transaction, now, decision.revision, &decision.verdict, Some(decision.made_by())).map(Some)
        })
    }

    /// Writes what was decided about a study, as [`Ledger::decide_again`] does.
    pub fn decide_study(&self, decision: &StudyDecision) -> Result<Option<Vec<i64>>, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached(
                    "UPDATE study_decisions SET due_at = ?3, decided_at = ?4, explanation = ?5
                     WHERE study = ?1 AND due_at = ?2",
                )?
                .execute(params![decision.study, decision.seen, decision.due, now, pack(&decision.explanation)])?;
            if changed == 0 {
                return Ok(None);
            }
            for given_up in &decision.gave_up {
                let about = About { subject: &given_up.rule, study: Some(&decision.study), revision: None };
                note_given_up(transaction, now, about, &given_up.reason)?;
            }
            let made_by = Some(MadeBy { rules_revision: &decision.rules_revision, explanation: &decision.explanation });
            let jobs = decision.jobs.iter().filter_map(|job| Some((job.inputs.first()?.revision, job)));
            let ids = jobs.map(|(revision, job)| {
                remember_fired(transaction, revision, &job.rule)?;
                self.ensure_job(transaction, now, revision, job, made_by)
            });
            ids.collect::<Result<_, _>>().map(Some)
        })
    }

    /// Rules that wait, the next one first.
    pub fn waiting(&self) -> Result<Vec<WaitingRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT s.study, s.series, r.due_at, coalesce(r.later_explanation, r.explanation)
                 FROM revisions r JOIN series s ON s.id = r.series_id WHERE r.due_at IS NOT NULL
                 UNION ALL
                 SELECT study, NULL, due_at, explanation FROM study_decisions WHERE due_at IS NOT NULL
                 ORDER BY 3, 1, 2",
            )?;
            let rows = statement.query_map([], |row| {
                let explanation: Option<Unpacked> = row.get(3)?;
                let explanation = explanation.and_then(|text| serde_json::from_str(&text.0).ok());
                Ok(WaitingRow { study: row.get(0)?, series: row.get(1)?, due_at: row.get(2)?, explanation })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Writes what a decision means for a closed revision; the ids of the jobs, in order.
    pub(super) fn apply(
        &self,
        transaction: &Transaction<'_>,
        now: Millis,
        revision: i64,
        verdict: &Verdict,
        made_by: Option<MadeBy<'_>>,
    ) -> Result<Vec<i64>, LedgerError> {
        transaction
            .prepare_cached("UPDATE revisions SET due_at = ?2, unmatched = ?3 WHERE id = ?1")?
            .execute(params![revision, verdict.due, verdict.unmatched])?;
        for rule in &verdict.fired {
            remember_fired(transaction, revision, rule)?;
        }
        if let Some(hold) = &verdict.hold {
            let is_news = transaction
                .prepare_cached(
                    "INSERT INTO holds (revision_id, rule, reason, since) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (revision_id) DO NOTHING",
                )?
                .execute(params![revision, hold.rule, hold.reason, now])?;
            if is_news == 1 {
                let about = About { subject: &hold.rule, study: None, revision: Some(revision) };
                note_about(transaction, now, Happened::SeriesHeld, about, &hold.reason)?;
            }
        }
        for given_up in &verdict.gave_up {
            let about = About { subject: &given_up.rule, study: None, revision: Some(revision) };
            note_given_up(transaction, now, about, &given_up.reason)?;
        }
        verdict.jobs.iter().map(|job| self.ensure_job(transaction, now, revision, job, made_by)).collect()
    }
}

fn remember_fired(transaction: &Transaction<'_>, revision: i64, rule: &str) -> Result<(), LedgerError> {
    transaction
        .prepare_cached("INSERT OR IGNORE INTO fired_rules (revision_id, rule) VALUES (?1, ?2)")?
        .execute(params![revision, rule])?;
    Ok(())
}

impl Redecision {
    pub(super) fn made_by(&self) -> MadeBy<'_> {
        MadeBy { rules_revision: &self.rules_revision, explanation: &self.explanation }
    }
}

/// A revision closed, or is let go on: what waits on its study is due at once. The time always changes, so that a
/// decision made on what was there before is not written.
pub(super) fn wake(
    transaction: &Transaction<'_>,
    now: Millis,
    revision: i64,
    study_rules: bool,
) -> Result<(), LedgerError> {
    let study: Uid = transaction
        .prepare_cached("SELECT s.study FROM revisions r JOIN series s ON s.id = r.series_id WHERE r.id = ?1")?
        .query_row([revision], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "UPDATE revisions SET due_at = min(due_at, ?3) - 1 WHERE due_at IS NOT NULL AND id <> ?1
             AND series_id IN (SELECT id FROM series WHERE study = ?2)",
        )?
        .execute(params![revision, study, now])?;
    if study_rules {
        transaction
            .prepare_cached(
                "INSERT INTO study_decisions (study, due_at) VALUES (?1, ?2)
                 ON CONFLICT (study) DO UPDATE SET due_at = min(coalesce(due_at, ?2), ?2) - 1",
            )?
            .execute(params![study, now])?;
    }
    Ok(())
}

/// A newer revision of the series closed: nothing is decided about the earlier ones any more.
pub(super) fn supersede(transaction: &Transaction<'_>, now: Millis, revision: i64) -> Result<(), LedgerError> {
    const EARLIER: &str = "SELECT e.id FROM revisions e JOIN revisions r ON r.series_id = e.series_id
                           WHERE r.id = ?1 AND e.number < r.number";
    transaction
        .prepare_cached(&format!("UPDATE revisions SET due_at = NULL WHERE due_at IS NOT NULL AND id IN ({EARLIER})"))?
        .execute([revision])?;
    transaction
        .prepare_cached(&format!(
            "UPDATE holds SET ended_at = ?2, outcome = 'superseded' WHERE ended_at IS NULL AND revision_id IN ({EARLIER})"
        ))?
        .execute(params![revision, now])?;
    Ok(())
}

fn closed_revision(row: &Row<'_>) -> rusqlite::Result<ClosedRevision> {
    Ok(ClosedRevision {
        id: row.get(0)?,
        series: SeriesKey { study: row.get(1)?, series: row.get(2)? },
        number: row.get(3)?,
        summary: row.get(4)?,
        released: row.get(5)?,
    })
}
