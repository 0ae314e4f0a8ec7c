//! Opening the SQLite file: settings of its connections and the numbered migrations.
//!
//! A migration that was released is never edited; the next one is added below it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::LedgerError;
use crate::clock::Millis;

/// Name and text; the number is the position, from 1.
const MIGRATIONS: &[(&str, &str)] = &[
    ("initial", include_str!("migrations/0001_initial.sql")),
    ("commitments", include_str!("migrations/0002_commitments.sql")),
    ("confirmations", include_str!("migrations/0003_confirmations.sql")),
    ("expected_counts", include_str!("migrations/0004_expected_counts.sql")),
    ("rules_history", include_str!("migrations/0005_rules_history.sql")),
    ("commitment_ends", include_str!("migrations/0006_commitment_ends.sql")),
    ("decisions", include_str!("migrations/0007_decisions.sql")),
    ("answers", include_str!("migrations/0008_answers.sql")),
    ("retrievals", include_str!("migrations/0009_retrievals.sql")),
    ("stuck_jobs", include_str!("migrations/0010_stuck_jobs.sql")),
    ("events", include_str!("migrations/0011_events.sql")),
    ("circuits", include_str!("migrations/0012_circuits.sql")),
    ("forms", include_str!("migrations/0013_forms.sql")),
    ("notices", include_str!("migrations/0014_notices.sql")),
    ("job_counts", include_str!("migrations/0015_job_counts.sql")),
    ("placeholders", include_str!("migrations/0016_placeholders.sql")),
    ("former_results", include_str!("migrations/0017_former_results.sql")),
];

/// Another process (the command line beside the node) may hold the write lock this long.
const BUSY: Duration = Duration::from_secs(10);

/// Pages of the journal before they go into the file: each time costs two flushes and scattered writes.
const CHECKPOINT: i64 = 8000;

pub(super) fn open_writer(path: &Path, now: Millis) -> Result<Connection, LedgerError> {
    let failed = |source| LedgerError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    migrate(&mut connection, path, now)?;
    Ok(connection)
}

/// A second writer that leaves the flush to the first, for the journal is in order.
pub(super) fn open_behind(path: &Path) -> Result<Connection, LedgerError> {
    let failed = |source| LedgerError::Open { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    connection.pragma_update(None, "synchronous", "normal").map_err(failed)?;
    Ok(connection)
}

pub(super) fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    let failed = |source| LedgerError::Open { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path, now: Millis) -> Result<(), LedgerError> {
    // a migration may make a table anew, and while it does nothing refers to anything
    connection.pragma_update(None, "foreign_keys", false)?;
    // the lock first: a second process that opens the same new file waits and then finds the work done
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
             number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
         ) STRICT",
    )?;
    let found: i64 = transaction.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(LedgerError::NewerSchema { path: path.to_owned(), found, known });
    }
    for (number, (name, text)) in (1_i64..).zip(MIGRATIONS).skip(found as usize) {
        transaction.execute_batch(text)?;
        transaction.execute("INSERT INTO migrations VALUES (?1, ?2, ?3)", params![number, name, now])?;
    }
    if let Some(table) = transaction.prepare("PRAGMA foreign_key_check")?.query_row([], |row| row.get(0)).optional()? {
        return Err(LedgerError::Dangling { path: path.to_owned(), table });
    }
    transaction.commit()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_new_file_is_migrated_once_and_has_the_promised_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        drop(open_writer(&path, Millis(1)).unwrap());
        let connection = open_writer(&path, Millis(2)).unwrap();
        let applied: Vec<(i64, i64)> = connection
            .prepare("SELECT number, applied_at FROM migrations")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let once: Vec<(i64, i64)> = (1..=MIGRATIONS.len() as i64).map(|number| (number, 1)).collect();
        assert_eq!(applied, once);
        let setting = |name: &str| {
            connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
        };
        assert_eq!(setting("journal_mode"), "wal".to_owned().into());
        assert_eq!(setting("synchronous"), 2.into());
        assert_eq!(setting("foreign_keys"), 1.into());
        assert_eq!(setting("busy_timeout"), 10_000.into());
    }

    /// The tables of the first version with a job that has everything that refers to it, brought up to date.
    #[test]
    fn jobs_and_what_refers_to_them_outlive_the_migrations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at INTEGER)")
            .unwrap();
        old.execute_batch(MIGRATIONS[0].1).unwrap();
        old.execute_batch(
            "INSERT INTO migrations VALUES (1, 'initial', 0);
             INSERT INTO series VALUES (1, '1.2', '1.3');
             INSERT INTO revisions (id, series_id, number, opened_at, last_arrival_at, instances)
             VALUES (1, 1, 1, 0, 0, 0);
             INSERT INTO jobs (id, kind, state, priority, revision_id, parent_id, rule, pipeline, destinations, destination,
                               shadow, max_attempts, scheduled_at, created_at, finished_at, delivered, attempt)
             VALUES (7, 'infer', 'completed', 2, 1, NULL, 'r', 'p', '[]', NULL, 0, 5, 0, 0, 9, NULL, 1),
                    (8, 'deliver', 'completed', 2, 1, 7, 'r', 'p', '[]', 'pacs', 0, 5, 0, 0, 9, 'confirmed', 1),
                    (9, 'infer', 'available', 2, 1, NULL, 'r', 'p', '[]', NULL, 0, 5, 0, 0, NULL, NULL, 0);
             INSERT INTO attempts VALUES (8, 1, 'w', 0, 1, 'completed', NULL);
             DELETE FROM jobs WHERE id = 9;",
        )
        .unwrap();
        drop(old);
        let connection = open_writer(&path, Millis(2)).unwrap();
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(number("SELECT count(*) FROM jobs WHERE id IN (7, 8) AND finished_at = 9"), 2);
        assert_eq!(number("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"), 9);
        connection.execute("UPDATE jobs SET delivered = 'reported' WHERE id = 8", []).unwrap();
        let refused = connection.execute("DELETE FROM jobs WHERE id = 8", []).unwrap_err();
        assert!(refused.to_string().contains("FOREIGN KEY"), "{refused}");
    }

    #[test]
    fn revisions_of_earlier_programs_are_kept_and_can_close_in_new_ways() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let before = Connection::open(&path).unwrap();
        before
            .execute_batch("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at INTEGER)")
            .unwrap();
        for (number, (name, text)) in (1_i64..).zip(&MIGRATIONS[..6]) {
            before.execute_batch(text).unwrap();
            before.execute("INSERT INTO migrations VALUES (?1, ?2, 1)", params![number, name]).unwrap();
        }
        let rows = "INSERT INTO series (id, study, series) VALUES (1, '1.2', '1.3');
            INSERT INTO revisions (id, series_id, number, opened_at, last_arrival_at, instances, closed_at, closed_by, geometry,
                                   summary, explanation, expected, counted_at)
            VALUES (3, 1, 1, 10, 20, 5, 30, 'quiet', '{}', '{}', '{\"a\":1}', 5, 4);
            INSERT INTO revisions (id, series_id, number, opened_at, last_arrival_at, instances) VALUES (7, 1, 2, 40, 50, 6);
            INSERT INTO jobs (kind, state, priority, revision_id, rule, pipeline, destinations, shadow, max_attempts,
                              scheduled_at, created_at) VALUES ('infer', 'available', 2, 3, 'r', 'p', '[]', 0, 1, 0, 0);";
        before.execute_batch(rows).unwrap();
        drop(before);
        let connection = open_writer(&path, Millis(2)).unwrap();
        let kept: String = connection
            .query_row("SELECT concat_ws(' ', r.id, number, last_arrival_at, closed_by, r.explanation, expected, counted_at, rule)
                        FROM revisions r JOIN jobs j ON j.revision_id = r.id", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, "3 1 20 quiet {\"a\":1} 5 4 r");
        let again =
            "INSERT INTO revisions (series_id, number, opened_at, last_arrival_at, instances) VALUES (1, 3, 0, 0, 0)";
        assert!(connection.execute(again, []).is_err(), "one revision of a series is open");
        let close =
            "UPDATE revisions SET closed_at = 1, closed_by = 'api', geometry = '{}', summary = '{}', explanation = '{}'
                     WHERE id = 7";
        assert_eq!(connection.execute(close, []), Ok(1));
        assert_eq!(connection.execute(again, []), Ok(1));
        assert_eq!(connection.last_insert_rowid(), 8, "ids go on");
        assert!(
            connection.execute("DELETE FROM revisions WHERE id = 3", []).is_err(),
            "what refers to it is looked after"
        );
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let connection = open_writer(&path, Millis(1)).unwrap();
        connection.execute("INSERT INTO migrations VALUES (99, 'from tomorrow', 0)", []).unwrap();
        drop(connection);
        let refused = open_writer(&path, Millis(2)).unwrap_err();
        assert!(matches!(refused, LedgerError::NewerSchema { found: 99, .. }), "{refused}");
        assert!(refused.to_string().contains("ledger.sqlite has schema 99"), "{refused}");
    }

    #[test]
    fn a_file_that_is_no_database_or_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        std::fs::write(&path, "this is no database, but long enough to be taken for one".repeat(40)).unwrap();
        for path in [path, folder.path().join("absent").join("ledger.sqlite")] {
            let refused = open_writer(&path, Millis(1)).unwrap_err();
            assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
        }
    }

    #[test]
    fn the_schema_refuses_a_job_whose_end_and_state_disagree() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(&folder.path().join("ledger.sqlite"), Millis(1)).unwrap();
        connection
            .execute_batch(
                "INSERT INTO series (id, study, series) VALUES (1, '1.2', '1.3');
                 INSERT INTO revisions (id, series_id, number, opened_at, last_arrival_at, instances)
                 VALUES (1, 1, 1, 0, 0, 0);",
            )
            .unwrap();
        let insert = |state: &str, finished: Option<i64>| {
            connection.execute(
                "INSERT INTO jobs (kind, state, priority, revision_id, rule, pipeline, destinations, shadow,
                                   max_attempts, scheduled_at, created_at, finished_at)
                 VALUES ('infer', ?1, 2, 1, 'r', 'p', '[]', 0, 1, 0, 0, ?2)",
                params![state, finished],
            )
        };
        assert_eq!(insert("available", None), Ok(1));
        for (state, finished) in [("available", Some(5)), ("completed", None), ("running", None), ("done", None)] {
            let refused = insert(state, finished).unwrap_err();
            assert!(refused.to_string().contains("CHECK"), "{state}: {refused}");
        }
    }
}
