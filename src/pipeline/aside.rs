//! What must not leave the house: results that the referee refuses, and results whose bytes are no longer those that it
//! passed. They go to the quarantine, with a note that `sagittal quarantine` shows.

use std::io::Read;

use super::{JobRunner, PipelineError};
use crate::clock::Millis;
use crate::dicom::{Uid, sha256};
use crate::ledger::ResultRow;
use crate::spool::{Location, SpoolError};

/// Why a result is not sent.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    #[error(
        "the result {instance} is no longer what the referee passed: {reason}; what is left of it is in the quarantine; \
         retry its infer job, and check the disk"
    )]
    Altered { instance: Uid, reason: String },
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// What a note says of an object.
struct Aside<'a> {
    reason: &'a str,
    sender: &'a str,
    at: Millis,
    sop_class: &'a Uid,
    sop_instance: &'a Uid,
    transfer_syntax: &'a Uid,
}

impl JobRunner {
    /// Keeps what the referee refused for a person to look at.
    pub(super) fn quarantine(&self, error: &PipelineError, pipeline: &str, at: Millis) {
        let PipelineError::Refused { object, faults } = error else { return };
        let sender = format!("pipeline {pipeline}");
        let aside = Aside {
            reason: faults,
            sender: &sender,
            at,
            sop_class: &object.sop_class,
            sop_instance: &object.sop_instance,
            transfer_syntax: &object.transfer_syntax,
        };
        self.set_aside(&aside, &mut object.bytes.as_slice());
    }

    /// The bytes of a result as the referee passed them: its verdict holds for these and no others. Blocking.
    pub fn read_back(&self, row: &ResultRow, at: Millis) -> Result<Vec<u8>, Unsendable> {
        let location = Location(row.location.clone());
        let reason = match self.spool.read(&location) {
            Ok(bytes) if sha256(&bytes) == row.sha256 => return Ok(bytes),
            Ok(_) => "its digest is another one than when it was made".to_owned(),
            Err(error @ (SpoolError::Damaged(_) | SpoolError::Missing(_))) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        let aside = Aside {
            reason: &reason,
            sender: "delivery",
            at,
            sop_class: &row.sop_class,
            sop_instance: &row.sop_instance,
            transfer_syntax: &row.transfer_syntax,
        };
        if let Ok(mut left) = self.spool.open_reader(&location) {
            self.set_aside(&aside, &mut left);
        }
        Err(Unsendable::Altered { instance: row.sop_instance.clone(), reason })
    }

    /// A failure to do so is logged: the job is held anyway.
    fn set_aside(&self, aside: &Aside<'_>, body: &mut dyn Read) {
        let Aside { reason, sender, at, sop_class, sop_instance, transfer_syntax } = aside;
        // As intake's notes, so that `sagittal quarantine` shows it.
        let note = serde_json::json!({
            "reason": reason, "status": "", "at": at, "calling": "", "called": "", "sender": sender,
            "sop_class": sop_class.as_str(), "sop_instance": sop_instance.as_str(),
            "transfer_syntax": transfer_syntax.as_str(),
        });
        let name = format!("{sop_instance}-{}.dcm", at.0);
        if let Err(fault) = self.spool.quarantine(&name, &note.to_string(), &[], body) {
            tracing::error!(sender, "not to be sent, and not even quarantined: {fault}");
        }
    }
}
