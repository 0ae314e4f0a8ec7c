//! What happened that others are to be told of: written in the transaction in which it happened, so that a crash neither
//! loses nor invents it, and forgotten once it was handed on.

use rusqlite::{Transaction, params};

use super::{JobState, Ledger, LedgerError, NewNotice};
use crate::clock::Millis;
use crate::dicom::{SeriesKey, Uid};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A delivery ended well.
    Delivered,
    /// A job was given up.
    GivenUp,
    /// A job waits for an operator.
    Held,
    /// A person did something.
    Acted,
    /// Other rules came into force.
    Rules,
    /// A rule keeps a series for an operator.
    SeriesHeld,
    /// A rule waited in vain.
    RuleGaveUp,
    /// A destination failed several times in a row; what is for it waits.
    Unreachable,
    /// Such a destination answers again.
    Reachable,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub id: i64,
    pub at: Millis,
    pub what: Happened,
    pub job: Option<i64>,
    pub who: Option<String>,
    /// The error of a job, or what was done.
    pub detail: String,
    /// The rule or the destination, where there is no job that says it.
    pub subject: Option<String>,
    pub study: Option<Uid>,
    pub series: Option<SeriesKey>,
}

/// What an event is about, where it is no job.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About<'a> {
    /// A rule or a destination.
    pub subject: &'a str,
    pub study: Option<&'a Uid>,
    pub revision: Option<i64>,
}

impl Ledger {
    /// The oldest events that nobody was told of yet.
    pub fn events(&self, limit: u32) -> Result<Vec<EventRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT e.id, e.at, e.what, e.job_id, e.who, e.detail, e.subject, e.study, s.study, s.series
                 FROM events e LEFT JOIN revisions r ON r.id = e.revision_id LEFT JOIN series s ON s.id = r.series_id
                 ORDER BY e.id LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], |row| {
                let (study, series): (Option<Uid>, Option<Uid>) = (row.get(8)?, row.get(9)?);
                let series = study.zip(series).map(|(study, series)| SeriesKey { study, series });
                Ok(EventRow {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    what: row.get(2)?,
                    job: row.get(3)?,
                    who: row.get(4)?,
                    detail: row.get(5)?,
                    subject: row.get(6)?,
                    study: row.get(7)?,
                    series,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The events up to this one are handed on: what is left of them are these notices.
    pub fn hand_on(&self, up_to: i64, notices: &[NewNotice]) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            for notice in notices {
                super::notices::insert(transaction, now, notice)?;
            }
            transaction.prepare_cached("DELETE FROM events WHERE id <= ?1")?.execute([up_to])?;
            Ok(())
        })
    }

    /// Notes what somebody did that leaves no other trace here.
    pub fn note_action(&self, who: &str, what: &str) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| note(transaction, now, Happened::Acted, None, Some(who), what))
    }
}

/// Notes an event within the transaction in which it happens.
pub(super) fn note(
    transaction: &Transaction<'_>,
    now: Millis,
    what: Happened,
    job: Option<i64>,
    who: Option<&str>,
    detail: &str,
) -> Result<(), LedgerError> {
    transaction
        .prepare_cached("INSERT INTO events (at, what, job_id, who, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![now, what, job, who, detail])?;
    Ok(())
}

/// As [`note`], of a rule or a destination.
pub(super) fn note_about(
    transaction: &Transaction<'_>,
    now: Millis,
    what: Happened,
    about: About<'_>,
    detail: &str,
) -> Result<(), LedgerError> {
    transaction
        .prepare_cached(
            "INSERT INTO events (at, what, detail, subject, study, revision_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![now, what, detail, about.subject, about.study, about.revision])?;
    Ok(())
}

/// Notes that a rule waited in vain, once for each study or revision.
pub(super) fn note_given_up(
    transaction: &Transaction<'_>,
    now: Millis,
    about: About<'_>,
    why: &str,
) -> Result<(), LedgerError> {
    let what = about.study.map_or_else(|| format!("revision {}", about.revision.unwrap_or_default()), Uid::to_string);
    let is_news = transaction
        .prepare_cached("INSERT OR IGNORE INTO gave_up (what, rule, at) VALUES (?1, ?2, ?3)")?
        .execute(params![what, about.subject, now])?;
    if is_news == 1 { note_about(transaction, now, Happened::RuleGaveUp, about, why) } else { Ok(()) }
}

/// Notes the end of an attempt that ended its job, where that is news.
pub(super) fn note_end(
    transaction: &Transaction<'_>,
    now: Millis,
    job: i64,
    to: JobState,
    delivered: bool,
    error: Option<&str>,
) -> Result<(), LedgerError> {
    let what = match to {
        JobState::Completed if delivered => Happened::Delivered,
        JobState::Discarded => Happened::GivenUp,
        JobState::Held => Happened::Held,
        _ => return Ok(()),
    };
    note(transaction, now, what, Some(job), None, error.unwrap_or_default())
}
