//! Recording instances that arrived: which revision they belong to, and whether they say anything new.
//!
//! Goes by study and series, never by association. Decides nothing about completion: it only notes the
//! times that completion is decided on.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{ArrivedInstance, Ledger, LedgerError, Recorded};
use crate::clock::Millis;
use crate::dicom::SeriesKey;

impl Ledger {
    /// Records instances whose bytes are durable, in one transaction: all of them or none. The answers are
    /// in the order of `batch`. An arrival that says something new opens revision 1 of its series, or the
    /// next one when the last is closed (a late instance), and restarts the open revision's quiet time.
    /// Durable no later than the next operation of another kind: a power cut may take the latest rows, which
    /// the spool's records bring back.
    pub fn record_instances(&self, batch: &[ArrivedInstance]) -> Result<Vec<Recorded>, LedgerError> {
        let now = self.now();
        let outcomes = self.write_behind(|transaction| {
            let replace = self.inner.options.replace;
            batch.iter().map(|arrived| record(transaction, now, arrived, replace)).collect::<Result<Vec<_>, _>>()
        })?;
        self.inner.tally.recorded(batch, &outcomes);
        Ok(outcomes)
    }

    /// Takes back rows of open revisions whose bytes are gone, so that the instance is new when it comes again
    /// and its series can close without it. How many rows there were.
    pub fn forget_instances(&self, locations: &[String]) -> Result<u64, LedgerError> {
        self.write(|transaction| {
            let mut forgotten = 0;
            for location in locations {
                forgotten += transaction
                    .prepare_cached(
                        "DELETE FROM instances WHERE location = ?1
                         AND revision_id IN (SELECT id FROM revisions WHERE closed_at IS NULL)",
                    )?
                    .execute([location])?;
            }
            transaction.execute_batch(
                "DELETE FROM revisions WHERE closed_at IS NULL AND id NOT IN (SELECT revision_id FROM instances);
                 UPDATE revisions SET arrivals = arrivals + 1, instances =
                     (SELECT count(DISTINCT sop_instance) FROM instances i WHERE i.series_id = revisions.series_id)
                 WHERE closed_at IS NULL;",
            )?;
            Ok(forgotten as u64)
        })
    }

    /// Notes that the association which fed these series was released; series without an open revision
    /// are passed over.
    pub fn mark_released(&self, series: &[SeriesKey]) -> Result<(), LedgerError> {
        let now = self.now();
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE revisions SET released_at = ?3 WHERE closed_at IS NULL
                 AND series_id = (SELECT id FROM series WHERE study = ?1 AND series = ?2)",
            )?;
            for key in series {
                statement.execute(params![key.study, key.series, now])?;
            }
            Ok(())
        })
    }
}

fn record(
    transaction: &Transaction<'_>,
    now: Millis,
    arrived: &ArrivedInstance,
    replace: bool,
) -> Result<Recorded, LedgerError> {
    let series = series_id(transaction, &arrived.series)?;
    let held: Option<String> = transaction
        .prepare_cached(
            "SELECT sha256 FROM instances WHERE series_id = ?1 AND sop_instance = ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![series, arrived.sop_instance], |row| row.get(0))
        .optional()?;
    if held.as_ref() == Some(&arrived.digest) {
        return Ok(Recorded::Identical);
    }
    if held.is_some() && !replace {
        return Ok(Recorded::Differs);
    }
    let revision = open_revision(transaction, now, series)?;
    insert_instance(transaction, now, series, revision, arrived)?;
    transaction
        .prepare_cached(
            "UPDATE revisions SET last_arrival_at = ?2, released_at = NULL, arrivals = arrivals + 1,
             instances = instances + ?3 WHERE id = ?1",
        )?
        .execute(params![revision, now, held.is_none()])?;
    Ok(if held.is_none() { Recorded::New { revision } } else { Recorded::Replaced { revision } })
}

fn series_id(transaction: &Transaction<'_>, key: &SeriesKey) -> Result<i64, LedgerError> {
    let known = transaction
        .prepare_cached("SELECT id FROM series WHERE study = ?1 AND series = ?2")?
        .query_row(params![key.study, key.series], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    transaction
        .prepare_cached("INSERT INTO series (study, series) VALUES (?1, ?2)")?
        .execute(params![key.study, key.series])?;
    Ok(transaction.last_insert_rowid())
}

/// The open revision of a series, opened now when there is none.
fn open_revision(transaction: &Transaction<'_>, now: Millis, series: i64) -> Result<i64, LedgerError> {
    let open = transaction
        .prepare_cached("SELECT id FROM revisions WHERE series_id = ?1 AND closed_at IS NULL")?
        .query_row([series], |row| row.get(0))
        .optional()?;
    if let Some(id) = open {
        return Ok(id);
    }
    transaction
        .prepare_cached(
            "INSERT INTO revisions (series_id, number, opened_at, last_arrival_at, instances)
             SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?2, coalesce(max(instances), 0)
             FROM revisions WHERE series_id = ?1",
        )?
        .execute(params![series, now])?;
    Ok(transaction.last_insert_rowid())
}

fn insert_instance(
    transaction: &Transaction<'_>,
    now: Millis,
    series: i64,
    revision: i64,
    arrived: &ArrivedInstance,
) -> Result<(), LedgerError> {
    transaction
        .prepare_cached(
            "INSERT INTO instances (series_id, revision_id, sop_class, sop_instance, transfer_syntax, location,
                                    length, sha256, calling_ae, called_ae, sender, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            series,
            revision,
            arrived.sop_class,
            arrived.sop_instance,
            arrived.transfer_syntax,
            arrived.location,
            arrived.length as i64,
            arrived.digest,
            arrived.calling_ae,
            arrived.called_ae,
            arrived.sender,
            now,
        ])?;
    Ok(())
}
