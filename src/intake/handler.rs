//! Intake behind the receiving AE: what an association hands over, and what its peer is answered.
//!
//! Waits for the disk without keeping a thread where several associations write at once; never answers 0000 before the
//! spool has said that the bytes are kept.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::{Arrival, Coming, Intake, IntakeError, sender_name};
use crate::config::Duplicates;
use crate::dicom::Uid;
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
        match self.counted(self.take_ahead(request).await) {
            Ok(()) => StoreAnswer::SUCCESS,
            Err(error) => refusal(&error),
        }
    }

    async fn unnamed(&self, object: UnnamedObject<Coming>, answer: &StoreAnswer) {
        let (intake, status) = (self.clone(), answer.status);
        let reason = answer.comment.clone().unwrap_or_default();
        let kept = tokio::task::spawn_blocking(move || intake.quarantine_unnamed(object, status, reason)).await;
        if let Err(fault) = kept {
            tracing::error!("an object without a SOP Instance UID is not in the quarantine: {fault}");
        }
    }

    async fn released(&self, association: u64) {
        let intake = self.clone();
        let outcome = tokio::task::spawn_blocking(move || intake.association_over(association)).await;
        if let Ok(Err(error)) = outcome {
            tracing::error!(association, "cannot note the end of the association: {error}");
        }
    }

    async fn commit(&self, request: CommitmentRequest) -> Result<KeptCommitment, Refusal> {
        let intake = self.clone();
        let keep = move || {
            // what the peer has sent so far is to be found
            intake.committer.flush().map_err(|error| error.to_string())?;
            intake.commitments.keep(request).map_err(|error| error.to_string())
        };
        match tokio::task::spawn_blocking(keep).await {
            Ok(kept) => kept.map_err(Refusal::failure),
            Err(_) => Err(Refusal::failure("internal fault, see the node's log")),
        }
    }

    async fn told(&self, report: CommitmentReport) -> Result<(), Refusal> {
        let commitments = self.commitments.clone();
        match tokio::task::spawn_blocking(move || commitments.told(&report)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Refusal::unknown_transaction()),
            Ok(Err(error)) => Err(Refusal::failure(error.to_string())),
            Err(_) => Err(Refusal::failure("internal fault, see the node's log")),
        }
    }

    async fn reported(&self, number: i64, status: u16) {
        let commitments = self.commitments.clone();
        let outcome = tokio::task::spawn_blocking(move || commitments.reported(number, status)).await;
        if let Ok(Err(error)) = outcome {
            tracing::error!("cannot note that a report was taken; it will be sent again: {error}");
        }
    }
}

impl Intake {
    /// As [`Intake::take`], but returns as soon as the instance is durable; its row follows, unless the answer
    /// depends on what the ledger holds.
    async fn take_ahead(&self, request: StoreRequest<Coming>) -> Result<(), IntakeError> {
        let StoreRequest { calling, called, peer, association, sop_class, sop_instance, transfer_syntax, dataset } =
            request;
        let named =
            Named { calling, called, sender: sender_name(peer), association, sop_class, sop_instance, transfer_syntax };
        let (intake, draft) = (self.clone(), dataset.whole()?);
        if self.config.load().node.duplicates != Duplicates::Replace {
            return blocking(move || intake.take_draft(&named.arrival(), draft).map(drop)).await;
        }
        if draft.is_large() || self.spool.is_calm() {
            // nobody else has a use for this thread, and no instance pays for two changes of thread
            let keep = move || {
                let series = intake.examine(&named.arrival(), &draft)?;
                let stored = intake.spool.keep(draft, &series)?;
                intake.committer.follow(intake.row(&named.arrival(), series, &stored)?)
            };
            return blocking(keep).await;
        }
        let series = self.examine(&named.arrival(), &draft)?;
        let (told, outcome) = oneshot::channel();
        self.spool.keep_then(draft, &series, move |stored| drop(told.send(stored)));
        let stored = outcome.await.map_err(|_| IntakeError::Stopping)??;
        match self.committer.try_follow(self.row(&named.arrival(), series, &stored)?)? {
            Some(row) => blocking(move || intake.committer.follow(row)).await,
            None => Ok(()),
        }
    }
}

/// What is known of an instance beside its bytes.
struct Named {
    calling: String,
    called: String,
    sender: String,
    association: u64,
    sop_class: Uid,
    sop_instance: Uid,
    transfer_syntax: Uid,
}

impl Named {
    fn arrival(&self) -> Arrival<'_> {
        Arrival {
            calling: &self.calling,
            called: &self.called,
            sender: &self.sender,
            association: Some(self.association),
            sop_class: &self.sop_class,
            sop_instance: &self.sop_instance,
            transfer_syntax: &self.transfer_syntax,
        }
    }
}

/// Runs `work`, which waits for the disk, where it keeps no association waiting: on this very thread where the
/// runtime can do without it, so that no instance pays for two changes of thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IntakeError> + Send + 'static,
) -> Result<T, IntakeError> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        return tokio::task::block_in_place(work);
    }
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(IntakeError::Stopping))
}

fn refusal(error: &IntakeError) -> StoreAnswer {
    let offending = match error {
        IntakeError::BadUid { attribute, .. } | IntakeError::Mismatch { attribute } => crate::dicom::tag_of(attribute),
        _ => None,
    };
    tracing::warn!(status = format!("{:04X}", error.status().code()), "instance refused: {error}");
    StoreAnswer { status: error.status(), comment: Some(error.to_string()), offending }
}
