//! Requests for storage commitment on their way into the ledger, and what becomes of their reports.
//!
//! A request is committed to the ledger before its N-ACTION is answered. The association that asked has the
//! report first; when it is over, the report is due for the worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ledger::{CommitmentAsked, Ledger, LedgerError};
use crate::scp::{CommitmentReport, CommitmentRequest, KeptCommitment};

/// A report on an association that never ends (its node died, say) is due after this long.
const HOLD: Duration = Duration::from_mins(10);
/// Pause after a peer refused a report.
const REFUSED: Duration = Duration::from_mins(1);

/// Requests of open associations.
#[derive(Debug, Clone)]
pub(super) struct Commitments {
    ledger: Ledger,
    /// Numbers of the requests that each open association made.
    asked: Arc<Mutex<HashMap<u64, Vec<i64>>>>,
}

impl Commitments {
    pub(super) fn new(ledger: Ledger) -> Commitments {
        Commitments { ledger, asked: Arc::default() }
    }

    /// Blocking.
    pub(super) fn keep(&self, request: CommitmentRequest) -> Result<KeptCommitment, LedgerError> {
        let CommitmentRequest { calling, called, peer, association, request } = request;
        let sender = super::sender_name(peer);
        let asked = CommitmentAsked { calling_ae: calling, called_ae: called, sender, request };
        let number = self.ledger.request_commitment(&asked, HOLD)?;
        let report = self.ledger.commitment_report(number)?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(association).or_default().push(number);
        Ok(KeptCommitment { number, report })
    }

    /// The peer answered report `number` with `status`. Blocking.
    pub(super) fn reported(&self, number: i64, status: u16) -> Result<(), LedgerError> {
        if status == 0 {
            return self.ledger.commitment_taken(number);
        }
        self.ledger.commitment_put_off(number, &format!("the peer answered with status {status:04x}"), REFUSED)
    }

    /// Keeps what a destination says of a request of ours; `false` when there is none. Blocking.
    pub(super) fn told(&self, told: &CommitmentReport) -> Result<bool, LedgerError> {
        let CommitmentReport { calling, report, .. } = told;
        let (transaction, held, failed) = (&report.transaction, report.held.len(), report.failed.len());
        let known = self.ledger.confirmation_reported(report)?;
        tracing::info!(calling, %transaction, held, failed, known, "report of storage commitment");
        Ok(known)
    }

    /// Makes what the association did not take due. Blocking.
    pub(super) fn association_over(&self, association: u64) -> Result<(), LedgerError> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&association);
        match asked {
            Some(numbers) => self.ledger.hasten_commitments(&numbers),
            None => Ok(()),
        }
    }
}
