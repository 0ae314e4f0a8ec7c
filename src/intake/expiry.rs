//! Drops what was kept for long enough (`[storage]` in node.toml): instances, results, history, each after its own time.
//!
//! Bytes go before the rows that name them, as for the quota. What is never dropped is the ledger's to say.

use std::time::Duration;

use super::{Intake, IntakeError};
use crate::clock::Millis;
use crate::ledger::Droppable;
use crate::spool::Location;

/// What one round dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Series whose instances went.
    pub series: u64,
    /// Inferences whose results went.
    pub results: u64,
    /// Jobs and revisions that were forgotten.
    pub history: u64,
}

impl Intake {
    /// Drops all that has been kept for long enough. Blocking.
    pub fn expire(&self) -> Result<Expired, IntakeError> {
        let (now, node) = (self.clock.now(), &self.config.load().node);
        let ago = |time: Duration| Millis(now.0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)));
        let mut expired = Expired::default();
        if let Some(kept) = node.keep.results {
            expired.results = self.drop_all(|| self.ledger.expired_results(ago(kept)))?;
        }
        if let Some(kept) = node.keep.inputs {
            let committed = ago(node.committed_for);
            expired.series = self.drop_all(|| self.ledger.expired_inputs(ago(kept), committed))?;
        }
        if let Some(kept) = node.keep.history {
            while let forgotten @ 1.. = self.ledger.forget_history(ago(kept))? {
                expired.history += forgotten;
            }
        }
        Ok(expired)
    }

    fn drop_all(
        &self,
        next: impl Fn() -> Result<Vec<Droppable>, crate::ledger::LedgerError>,
    ) -> Result<u64, IntakeError> {
        let mut dropped = 0;
        loop {
            let found = next()?;
            if found.is_empty() {
                return Ok(dropped);
            }
            for one in found {
                for location in &one.locations {
                    self.spool.remove(&Location(location.clone()))?;
                }
                self.ledger.forget_dropped(&one)?;
                dropped += 1;
            }
        }
    }
}
