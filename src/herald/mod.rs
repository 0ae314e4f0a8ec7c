//! Tells what happened to those who are to know: the audit trail, and the recipients of `[notify]`.
//!
//! Reads the ledger's events in order. The trail is told at once; for each recipient a notice is written in the transaction
//! that forgets the event, and brought until it is taken. After a crash the last ones are told twice rather than never.
//! Decides nothing and changes no job.

mod audit;
mod email;
mod notice;
mod post;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Millis};
use crate::config::{Config, NodeConfig};
use crate::intake::Intake;
use crate::ledger::{Ledger, LedgerError, NewNotice};
use crate::observe::audit::Trail;

/// How often the ledger is asked for events, and how many are taken at a time.
const LOOK: Duration = Duration::from_millis(500);
const BATCH: u32 = 200;

/// Why somebody was not told.
#[derive(Debug, thiserror::Error)]
pub enum HeraldError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("there is no [notify.{recipient}] in the node.toml in force")]
    Unknown { recipient: String },
    #[error("{receiver}: {reason}")]
    Unreached { receiver: String, reason: String },
    #[error("{receiver} answers {status}: {remedy}")]
    Refused { receiver: String, status: u16, remedy: &'static str },
    #[error("a fault in Sagittal itself (please report it): {0}")]
    Fault(String),
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Herald {
    pub ledger: Ledger,
    pub intake: Intake,
    pub config: Arc<ArcSwap<Config>>,
    pub clock: Arc<dyn Clock>,
    pub trail: Option<Trail>,
}

impl Herald {
    /// Tells what happens until `stop`, and then the last of it.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(self.clone().listen(stop.clone()), post::run(self, stop));
    }

    async fn listen(self, stop: CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            let herald = self.clone();
            if let Err(error) = blocking(move || herald.tell()).await {
                tracing::error!("cannot tell what happened: {error}");
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

    /// Hands on all that nobody was told of yet. Blocking.
    fn tell(&self) -> Result<(), HeraldError> {
        loop {
            let events = self.ledger.events(BATCH)?;
            let Some(last) = events.last() else { return Ok(()) };
            let mut notices: Vec<NewNotice> = Vec::new();
            for event in &events {
                if let (Some(trail), Some(told)) = (&self.trail, self.audited(event)?) {
                    trail.tell(told);
                }
                notices.extend(self.notices(event)?);
            }
            self.ledger.hand_on(last.id, &notices)?;
        }
    }
}

/// Tells a recipient that this is a trial; nothing of it is kept.
pub async fn test(node: &NodeConfig, now: Millis, recipient: &str) -> Result<(), HeraldError> {
    let unknown = || HeraldError::Unknown { recipient: recipient.to_owned() };
    let known = node.recipients.get(recipient).ok_or_else(unknown)?;
    let title = node.reception.ae_title.as_str();
    post::bring(known, title, &[notice::trial(recipient, title, now)], now).await
}

/// Runs `work` on a blocking thread; a panic becomes an error text.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(fault) => Err(HeraldError::Fault(fault.to_string()).to_string()),
    }
}
