//! Open revisions, what they hold, and closing one together with all that was decided about it.
//!
//! Whether a series is finished is decided by the caller, outside of any transaction; closing therefore
//! fails when something arrived in between, so that no instance is closed over unseen.

use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use super::events::{Happened, note};
use super::packed::pack;
use super::pending::{supersede, wake};
use super::{ClosedBy, Closing, InstanceRow, Ledger, LedgerError, OpenRevision};
use crate::clock::Millis;
use crate::dicom::SeriesKey;

const OPEN: &str = "SELECT r.id, s.study, s.series, r.number, r.opened_at, r.last_arrival_at, r.released_at,
                           r.instances, r.arrivals,
                           CASE WHEN r.counted_at IN (r.arrivals, -1) THEN r.expected END
                    FROM revisions r JOIN series s ON s.id = r.series_id WHERE r.closed_at IS NULL";

impl Ledger {
    /// All open revisions, the longest quiet first.
    pub fn open_revisions(&self) -> Result<Vec<OpenRevision>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!("{OPEN} ORDER BY r.last_arrival_at, r.id"))?;
            let rows = statement.query_map([], open_revision)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The open revision of a series, for closing it by hand.
    pub fn series_revision(&self, key: &SeriesKey) -> Result<Option<OpenRevision>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!("{OPEN} AND s.study = ?1 AND s.series = ?2"))?;
            Ok(statement.query_row(params![key.study, key.series], open_revision).optional()?)
        })
    }

    /// The instances of a series as of a revision: of each SOP instance the newest bytes up to then,
    /// in order of arrival.
    pub fn revision_instances(&self, revision: i64) -> Result<Vec<InstanceRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT sop_class, sop_instance, transfer_syntax, location, length, calling_ae, called_ae, sender,
                        received_at
                 FROM instances WHERE id IN (
                     SELECT max(id) FROM instances
                     WHERE series_id = (SELECT series_id FROM revisions WHERE id = ?1) AND revision_id <= ?1
                     GROUP BY sop_instance)
                 ORDER BY id",
            )?;
            let rows = statement.query_map([revision], instance)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Closes a revision, makes its infer jobs and wakes what waits on its study, in one transaction; returns the jobs'
    /// ids in order.
    /// Refused when it is closed already, or when an instance arrived after the decision was made.
    pub fn close_revision(&self, closing: &Closing) -> Result<Vec<i64>, LedgerError> {
        let now = self.now();
        let jobs = self.write(|transaction| {
            if !close(transaction, now, closing)? {
                return Err(why_not_closed(transaction, closing)?);
            }
            supersede(transaction, now, closing.revision)?;
            if matches!(closing.by, ClosedBy::Operator | ClosedBy::Api) {
                let (who, what) = (self.inner.options.actor.as_deref(), format!("series closed by {}", closing.by));
                note(transaction, now, Happened::Acted, None, who, &what)?;
            }
            wake(transaction, now, closing.revision, closing.study_rules)?;
            self.apply(transaction, now, closing.revision, &closing.verdict, None)
        })?;
        self.inner.tally.closed(closing.by);
        Ok(jobs)
    }
}

fn close(transaction: &Transaction<'_>, now: Millis, closing: &Closing) -> Result<bool, LedgerError> {
    let changed = transaction
        .prepare_cached(
            "UPDATE revisions SET closed_at = :now, closed_by = :by, geometry = :geometry, summary = :summary,
                    explanation = :explanation, rules_revision = :rules
             WHERE id = :id AND closed_at IS NULL AND arrivals = :arrivals",
        )?
        .execute(named_params! {
            ":now": now,
            ":by": closing.by,
            ":geometry": closing.geometry,
            ":summary": closing.summary,
            ":explanation": pack(&closing.explanation),
            ":rules": closing.rules_revision,
            ":id": closing.revision,
            ":arrivals": closing.arrivals as i64,
        })?;
    Ok(changed == 1)
}

fn why_not_closed(transaction: &Transaction<'_>, closing: &Closing) -> Result<LedgerError, LedgerError> {
    let revision = closing.revision;
    let found: Option<(i64, bool)> = transaction
        .query_row("SELECT arrivals, closed_at IS NOT NULL FROM revisions WHERE id = ?1", [revision], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(match found {
        None => LedgerError::NoSuchRevision(revision),
        Some((_, true)) => LedgerError::RevisionClosed(revision),
        Some((now, false)) => LedgerError::RevisionMoved { revision, seen: closing.arrivals, now: now as u64 },
    })
}

fn open_revision(row: &Row<'_>) -> rusqlite::Result<OpenRevision> {
    Ok(OpenRevision {
        id: row.get(0)?,
        series: SeriesKey { study: row.get(1)?, series: row.get(2)? },
        number: row.get(3)?,
        opened_at: row.get(4)?,
        last_arrival_at: row.get(5)?,
        released_at: row.get(6)?,
        instances: row.get::<_, i64>(7)? as u64,
        arrivals: row.get::<_, i64>(8)? as u64,
        expected: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
    })
}

fn instance(row: &Row<'_>) -> rusqlite::Result<InstanceRow> {
    Ok(InstanceRow {
        sop_class: row.get(0)?,
        sop_instance: row.get(1)?,
        transfer_syntax: row.get(2)?,
        location: row.get(3)?,
        length: row.get::<_, i64>(4)? as u64,
        calling_ae: row.get(5)?,
        called_ae: row.get(6)?,
        sender: row.get(7)?,
        received_at: row.get(8)?,
    })
}
