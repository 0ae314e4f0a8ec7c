//! Group commit: rows that arrive while a commit is under way share the next one, so that many
//! associations pay for one flush.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::IntakeError;
use crate::ledger::{ArrivedInstance, Ledger, Recorded};

/// Most rows in one transaction.
const GROUP: usize = 256;

struct Waiting {
    row: ArrivedInstance,
    answer: SyncSender<Result<Recorded, IntakeError>>,
}

/// The one thread that writes instance rows. It ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Committer(SyncSender<Waiting>);

impl Committer {
    pub(super) fn start(ledger: Ledger) -> Committer {
        let (sender, receiver) = sync_channel(GROUP);
        std::thread::spawn(move || commit_groups(&ledger, &receiver));
        Committer(sender)
    }

    /// Returns when the row is committed.
    pub(super) fn record(&self, row: ArrivedInstance) -> Result<Recorded, IntakeError> {
        let (answer, outcome) = sync_channel(1);
        self.0.send(Waiting { row, answer }).map_err(|_| IntakeError::Stopping)?;
        outcome.recv().map_err(|_| IntakeError::Stopping)?
    }
}

fn commit_groups(ledger: &Ledger, waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Waiting> = std::iter::once(first).chain(waiting.try_iter().take(GROUP - 1)).collect();
        let (rows, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|w| (w.row, w.answer)).unzip();
        let outcomes: Vec<Result<Recorded, IntakeError>> = match ledger.record_instances(&rows) {
            Ok(recorded) => recorded.into_iter().map(Ok).collect(),
            // One bad row must not fail its neighbours: each is tried on its own.
            Err(_) => rows.iter().map(|row| record_alone(ledger, row)).collect(),
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A peer that went away no longer waits; its row stands all the same.
            let _ = answer.send(outcome);
        }
    }
}

fn record_alone(ledger: &Ledger, row: &ArrivedInstance) -> Result<Recorded, IntakeError> {
    let recorded = ledger.record_instances(std::slice::from_ref(row))?;
    recorded.into_iter().next().ok_or(IntakeError::Stopping)
}
