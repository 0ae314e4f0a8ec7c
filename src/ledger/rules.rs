//! The history of the rules: every text that came into force, since when, by whom and why.
//!
//! Rows are added and never changed. Knows nothing of what a text means.

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::events::{Happened, note};
use super::{Ledger, LedgerError};
use crate::clock::Millis;

/// What brought rules into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RulesSource {
    /// The node started with them.
    Start,
    /// The file changed while the node ran.
    File,
    Signal,
    Rollback,
    Api,
}

/// Rules about to come into force.
#[derive(Debug, Clone)]
pub struct NewRules<'a> {
    /// SHA-256 of `text`, hexadecimal.
    pub revision: &'a str,
    pub source: RulesSource,
    pub who: &'a str,
    pub why: &'a str,
    pub text: &'a str,
}

/// Rules that were or are in force.
#[derive(Debug, Clone, Serialize)]
pub struct RulesRow {
    /// Place in the history, from 1.
    pub number: i64,
    pub revision: String,
    pub since: Millis,
    pub source: RulesSource,
    pub who: String,
    pub why: String,
    pub text: String,
}

const ROW: &str = "SELECT id, revision, since, source, who, why, text FROM rules_history";

impl Ledger {
    /// Records rules that come into force; `false` when they are those in force already.
    pub fn record_rules(&self, rules: &NewRules<'_>) -> Result<bool, LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let last: Option<String> = transaction
                .query_row("SELECT revision FROM rules_history ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
                .optional()?;
            if last.as_deref() == Some(rules.revision) {
                return Ok(false);
            }
            transaction.execute(
                "INSERT INTO rules_history (revision, since, source, who, why, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![rules.revision, now, rules.source, rules.who, rules.why, rules.text],
            )?;
            let what = format!("rules {}: {}", &rules.revision[..rules.revision.len().min(12)], rules.why);
            note(transaction, now, Happened::Rules, None, Some(rules.who), &what)?;
            Ok(true)
        })
    }

    /// The latest `limit` rows of the history, newest first.
    pub fn rules_history(&self, limit: u32) -> Result<Vec<RulesRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!("{ROW} ORDER BY id DESC LIMIT ?1"))?;
            let rows = statement.query_map([limit], rules_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The rules in force at each time, found by their number in the history or the beginning of their revision, newest
    /// first.
    pub fn rules_named(&self, name: &str) -> Result<Vec<RulesRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!(
                "{ROW} WHERE id = CAST(?1 AS INTEGER) AND CAST(id AS TEXT) = ?1
                    OR length(?1) >= 6 AND substr(revision, 1, length(?1)) = lower(?1) ORDER BY id DESC"
            ))?;
            let rows = statement.query_map([name], rules_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// What was in force before row `number` of the history.
    pub fn rules_before(&self, number: i64) -> Result<Option<RulesRow>, LedgerError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!("{ROW} WHERE id < ?1 ORDER BY id DESC LIMIT 1"))?;
            Ok(statement.query_row([number], rules_row).optional()?)
        })
    }
}

fn rules_row(row: &Row<'_>) -> rusqlite::Result<RulesRow> {
    Ok(RulesRow {
        number: row.get(0)?,
        revision: row.get(1)?,
        since: row.get(2)?,
        source: row.get(3)?,
        who: row.get(4)?,
        why: row.get(5)?,
        text: row.get(6)?,
    })
}
