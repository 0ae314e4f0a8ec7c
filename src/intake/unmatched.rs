//! Series that no rule had anything to do with, and what kept the nearest rule away. Holds attribute values.

use serde::Serialize;

use super::IntakeError;
use crate::clock::Millis;
use crate::dicom::Uid;
use crate::ledger::{Ledger, LedgerError};
use crate::rules::{Explanation, Nearest};

#[derive(Debug, Serialize)]
pub struct Unmatched {
    pub study: Uid,
    pub series: Uid,
    /// Number of the revision within its series.
    pub revision: i64,
    pub closed_at: Millis,
    /// `None`: no rule was asked.
    pub nearest: Option<Nearest>,
}

/// Those that were finished at `since` or later, newest first.
pub fn unmatched(ledger: &Ledger, since: Millis, limit: u32) -> Result<Vec<Unmatched>, IntakeError> {
    let rows = ledger.unmatched(since, limit)?.into_iter().map(|row| {
        let unreadable = |source| LedgerError::Unreadable { column: "revisions.explanation", source };
        let explanation: Explanation = serde_json::from_str(&row.explanation).map_err(unreadable)?;
        let (study, series) = (row.series.study, row.series.series);
        Ok(Unmatched { study, series, revision: row.number, closed_at: row.closed_at, nearest: explanation.nearest() })
    });
    rows.collect()
}
