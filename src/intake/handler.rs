//! Intake behind the receiving AE: what an association hands over, and what its peer is answered.
//!
//! Runs on the association's own thread and waits there for the disk; never answers 0000 before the spool has said that
//! the bytes are kept.

use super::{Arrival, Coming, Intake, IntakeError, sender_name};
use crate::config::Duplicates;
use crate::scp::{
    Announced, CommitmentReport, CommitmentRequest, KeptCommitment, Refusal, StoreAnswer, StoreHandler, StoreRequest,
    UnnamedObject,
};

impl StoreHandler for Intake {
    type Draft = Coming;

    fn begin(&self, object: &Announced<'_>) -> Coming {
        Coming::new(&self.spool, object)
    }

    async fn store(&self, request: StoreRequest<Coming>) -> StoreAnswer {
        match self.counted(self.take_ahead(request)) {
            Ok(()) => StoreAnswer::SUCCESS,
            Err(error) => refusal(&error),
        }
    }

    async fn unnamed(&self, object: UnnamedObject<Coming>, answer: &StoreAnswer) {
        let reason = answer.comment.clone().unwrap_or_default();
        self.quarantine_unnamed(object, answer.status, reason);
    }

    async fn released(&self, association: u64) {
        if let Err(error) = self.association_over(association) {
            tracing::error!(association, "cannot note the end of the association: {error}");
        }
    }

    async fn commit(&self, request: CommitmentRequest) -> Result<KeptCommitment, Refusal> {
        // what the peer has sent so far is to be found
        self.committer.flush().map_err(|error| Refusal::failure(error.to_string()))?;
        self.commitments.keep(request).map_err(|error| Refusal::failure(error.to_string()))
    }

    async fn told(&self, report: CommitmentReport) -> Result<(), Refusal> {
        match self.commitments.told(&report) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::unknown_transaction()),
            Err(error) => Err(Refusal::failure(error.to_string())),
        }
    }

    async fn reported(&self, number: i64, status: u16) {
        if let Err(error) = self.commitments.reported(number, status) {
            tracing::error!("cannot note that a report was taken; it will be sent again: {error}");
        }
    }
}

impl Intake {
    /// As [`Intake::take`], but returns as soon as the instance is durable; its row follows, unless the answer
    /// depends on what the ledger holds. Blocking.
    fn take_ahead(&self, request: StoreRequest<Coming>) -> Result<(), IntakeError> {
        let draft = request.dataset.whole()?;
        let arrival = Arrival {
            calling: &request.calling,
            called: &request.called,
            sender: &sender_name(request.peer),
            association: Some(request.association),
            sop_class: &request.sop_class,
            sop_instance: &request.sop_instance,
            transfer_syntax: &request.transfer_syntax,
        };
        if self.config.load().node.duplicates != Duplicates::Replace {
            return self.take_draft(&arrival, draft).map(drop);
        }
        let series = self.examine(&arrival, &draft)?;
        let stored = self.spool.keep(draft, &series)?;
        self.committer.follow(self.row(&arrival, series, &stored)?)
    }
}

fn refusal(error: &IntakeError) -> StoreAnswer {
    let offending = match error {
        IntakeError::BadUid { attribute, .. } | IntakeError::Mismatch { attribute } => crate::dicom::tag_of(attribute),
        _ => None,
    };
    tracing::warn!(status = format!("{:04X}", error.status().code()), "instance refused: {error}");
    StoreAnswer { status: error.status(), comment: Some(error.to_string()), offending }
}
