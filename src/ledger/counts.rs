//! How many instances a series has according to its sender: whom to ask, and what was said.
//!
//! A sender's count belongs to one state of a revision: whatever arrives later makes it void. A count that was announced
//! (`counted_at` is -1) is of the finished series and holds for every state. Decides nothing about completion.

use std::time::Duration;

use rusqlite::params;

use super::{Ledger, LedgerError, Uncounted};
use crate::dicom::SeriesKey;

impl Ledger {
    /// Open revisions of `senders` (calling AE titles) that nothing reached for `still` and that were not counted in
    /// their present state, the longest quiet first.
    pub fn uncounted_revisions(&self, senders: &[String], still: Duration) -> Result<Vec<Uncounted>, LedgerError> {
        let before = self.now().0 - still.as_millis() as i64;
        let senders = serde_json::Value::from(senders).to_string();
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, arrivals, study, series, calling_ae FROM (
                     SELECT r.id, r.arrivals, s.study, s.series, r.last_arrival_at,
                            (SELECT calling_ae FROM instances WHERE revision_id = r.id ORDER BY id DESC LIMIT 1)
                                AS calling_ae
                     FROM revisions r JOIN series s ON s.id = r.series_id
                     WHERE r.closed_at IS NULL AND r.last_arrival_at <= ?1 AND r.counted_at IS NOT r.arrivals)
                 WHERE calling_ae IN (SELECT value FROM json_each(?2)) ORDER BY last_arrival_at, id",
            )?;
            let rows = statement.query_map(params![before, senders], |row| {
                let series = SeriesKey { study: row.get(2)?, series: row.get(3)? };
                let arrivals = row.get::<_, i64>(1)?.cast_unsigned();
                Ok(Uncounted { revision: row.get(0)?, arrivals, series, calling_ae: row.get(4)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Records how many instances an open revision will have in the end.
    pub fn announce(&self, revision: i64, instances: u64) -> Result<(), LedgerError> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE revisions SET expected = ?2, counted_at = -1 WHERE id = ?1 AND closed_at IS NULL",
                )?
                .execute(params![revision, instances.cast_signed()])?;
            Ok(())
        })
    }

    /// Records what the sender said of a revision in the state of `counted`; `None`: it could not be asked.
    pub fn count_revision(&self, counted: &Uncounted, expected: Option<u64>) -> Result<(), LedgerError> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE revisions SET expected = ?2, counted_at = ?3 WHERE id = ?1 AND closed_at IS NULL",
                )?
                .execute(params![counted.revision, expected.map(u64::cast_signed), counted.arrivals.cast_signed()])?;
            Ok(())
        })
    }
}
