//! The series of the past, study by study, out of the ledger.

use std::time::Duration;

use crate::clock::Millis;
use crate::ledger::{HistoryRow, Ledger, LedgerError};
use crate::rules::Past;

/// Studies read at a time.
const PAGE: u32 = 200;

/// `span` before `now`.
pub fn back(now: Millis, span: Duration) -> Millis {
    Millis(now.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

/// Hands every study with a series that was finished at `since` or later to `visit`; gives the number of revisions that
/// could not be read.
pub fn each_study(ledger: &Ledger, since: Millis, visit: &mut dyn FnMut(&[Past])) -> Result<usize, LedgerError> {
    let (mut unreadable, mut behind) = (0, String::new());
    loop {
        let rows = ledger.history(since, &behind, PAGE)?;
        let Some(last) = rows.last() else { return Ok(unreadable) };
        last.series.study.as_str().clone_into(&mut behind);
        for study in rows.chunk_by(|a, b| a.series.study == b.series.study) {
            let past: Vec<Past> = study.iter().filter_map(read).collect();
            unreadable += study.len() - past.len();
            visit(&past);
        }
    }
}

fn read(row: &HistoryRow) -> Option<Past> {
    let summary = serde_json::from_str(&row.summary).ok()?;
    Some(Past { series: row.series.clone(), revision: row.number, summary })
}
