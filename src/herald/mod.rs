//! Tells what happened to those who are to know: the audit trail.
//!
//! Reads the ledger's events in order and forgets them when they were handed on; after a crash the last ones are told
//! twice rather than never. Decides nothing and changes no job.

mod audit;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::intake::Intake;
use crate::ledger::{Ledger, LedgerError};
use crate::observe::audit::Trail;

/// How often the ledger is asked for events, and how many are taken at a time.
const LOOK: Duration = Duration::from_millis(500);
const BATCH: u32 = 200;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Herald {
    pub ledger: Ledger,
    pub intake: Intake,
    pub config: Arc<ArcSwap<Config>>,
    pub trail: Option<Trail>,
}

impl Herald {
    /// Tells what happens until `stop`, and then the last of it.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            let herald = self.clone();
            match tokio::task::spawn_blocking(move || herald.tell()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("cannot tell what happened: {error}"),
                Err(fault) => tracing::error!("telling what happened failed: {fault}"),
            }
            if stopping {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Tells all that nobody was told of yet. Blocking.
    fn tell(&self) -> Result<(), LedgerError> {
        loop {
            let events = self.ledger.events(BATCH)?;
            let Some(last) = events.last() else { return Ok(()) };
            for event in &events {
                if let (Some(trail), Some(told)) = (&self.trail, self.audited(event)?) {
                    trail.tell(told);
                }
            }
            self.ledger.forget_events(last.id)?;
        }
    }
}
