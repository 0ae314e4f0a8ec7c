//! The circuit of each destination: after several failures in a row that are the destination's as a whole nothing is claimed
//! for it, until a probe finds it answering; then all that waited is due at once.
//!
//! Kept in the ledger, so that it is seen by every process and outlives a restart. Who probes, and how, is the worker's.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::claims::LONGEST_WAIT;
use super::events::{About, Happened, note_about};
use super::{Ledger, LedgerError};
use crate::clock::Millis;

/// Failures in a row that open a circuit: one may be a deploy, two a coincidence.
pub const OPENS_AFTER: u32 = 3;

/// A destination that failed and has not answered since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Circuit {
    pub destination: String,
    /// Deliveries in a row that found it failing.
    pub failures: u32,
    /// Since when nothing is tried; `None`: it is tried still.
    pub opened_at: Option<Millis>,
    pub probe_at: Option<Millis>,
    /// In vain so far.
    pub probes: u32,
    pub last_error: String,
}

impl Ledger {
    /// A delivery found `destination` failing as a whole. `true`: this failure opens its circuit; the first probe is due `after`.
    pub fn destination_failed(&self, destination: &str, error: &str, after: Duration) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let failures: u32 = transaction
                .prepare_cached(
                    "INSERT INTO circuits (destination, failures, last_error) VALUES (?1, 1, ?2)
                     ON CONFLICT (destination) DO UPDATE SET failures = failures + 1, last_error = ?2
                     RETURNING failures",
                )?
                .query_row(params![destination, error], |row| row.get(0))?;
            let opened = transaction
                .prepare_cached(
                    "UPDATE circuits SET opened_at = ?2, probe_at = ?3
                     WHERE destination = ?1 AND opened_at IS NULL AND ?4 >= ?5",
                )?
                .execute(params![destination, now, now.plus(after), failures, OPENS_AFTER])?;
            if opened == 1 {
                let about = About { subject: destination, ..About::default() };
                note_about(transaction, now, Happened::Unreachable, about, error)?;
            }
            Ok(opened == 1)
        })
    }

    /// `destination` answered, whatever it said. What waits to be tried again is due now when its circuit was open.
    /// `true`: it was.
    pub fn destination_answered(&self, destination: &str) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let opened: Option<Option<Millis>> = transaction
                .prepare_cached("DELETE FROM circuits WHERE destination = ?1 RETURNING opened_at")?
                .query_row([destination], |row| row.get(0))
                .optional()?;
            let was_open = opened.flatten().is_some();
            if was_open {
                let about = About { subject: destination, ..About::default() };
                note_about(transaction, now, Happened::Reachable, about, "")?;
                transaction
                    .prepare_cached(
                        "UPDATE jobs SET scheduled_at = ?2
                         WHERE kind = 'deliver' AND coalesce(destination, '') = ?1 AND state IN ('available', 'retryable')
                           AND state = 'retryable'",
                    )?
                    .execute(params![destination, now])?;
            }
            Ok(was_open)
        })
    }

    /// A probe found `destination` failing still; the next is due `after`.
    pub fn probe_failed(&self, destination: &str, error: &str, after: Duration) -> Result<(), LedgerError> {
        let probe_at = self.now().plus(after);
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE circuits SET probes = probes + 1, probe_at = ?3, last_error = ?2
                     WHERE destination = ?1 AND opened_at IS NOT NULL",
                )?
                .execute(params![destination, error, probe_at])?;
            Ok(())
        })
    }

    /// Destinations whose probe is due.
    pub fn probes_due(&self) -> Result<Vec<Circuit>, LedgerError> {
        let now = self.now();
        let is_due = |at: Millis| at <= now || at > now.plus(LONGEST_WAIT);
        let circuits = self.circuits()?.into_iter();
        Ok(circuits.filter(|circuit| circuit.probe_at.is_some_and(is_due)).collect())
    }

    /// Every destination that has not answered since it failed.
    pub fn circuits(&self) -> Result<Vec<Circuit>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT destination, failures, opened_at, probe_at, probes, last_error FROM circuits ORDER BY destination",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Circuit {
                    destination: row.get(0)?,
                    failures: row.get(1)?,
                    opened_at: row.get(2)?,
                    probe_at: row.get(3)?,
                    probes: row.get(4)?,
                    last_error: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
