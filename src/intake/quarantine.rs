//! The quarantine as intake sees it: who sent what could not be taken, and taking it after all.
//!
//! A note beside each object says why, when and from whom; it holds UIDs and AE titles, never a patient attribute.
//! An object is taken again by the ordinary way of an arrival, under the identifiers that the sender announced or,
//! when asked for, those of the data set itself. No identifier is ever made up.

use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use super::{Arrival, Intake, IntakeError, arrive, sender_name};
use crate::clock::Millis;
use crate::dicom::{self, Meta, StoreStatus, Uid, part10};
use crate::ledger::Recorded;
use crate::scp::UnnamedObject;
use crate::spool::Quarantined;

/// Why an object is in the quarantine, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custody {
    pub reason: String,
    /// What the sender was answered, four hexadecimal digits.
    pub status: String,
    pub at: Millis,
    pub calling: String,
    pub called: String,
    /// Address of the sender.
    pub sender: String,
    /// As announced by the sender; may be no UID.
    pub sop_class: String,
    pub sop_instance: String,
    pub transfer_syntax: String,
    /// The last time somebody had it taken again, in vain, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried: Option<(Millis, String)>,
}

/// Under which identifiers an object of the quarantine is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Those that its sender announced.
    AsAnnounced,
    /// Those of its data set, whatever was announced.
    AsDataSet,
}

impl Retry {
    const AS_DATA_SET: &str = "as-data-set";

    /// The word for it in a wish; see [`crate::spool::Spool::wish_retry`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Retry::AsAnnounced => "as-announced",
            Retry::AsDataSet => Retry::AS_DATA_SET,
        }
    }

    fn of_word(word: &str) -> Retry {
        if word.trim() == Retry::AS_DATA_SET { Retry::AsDataSet } else { Retry::AsAnnounced }
    }
}

impl Custody {
    /// Reads the note of an object; `None` when it was altered beyond recognition.
    #[must_use]
    pub fn of(object: &Quarantined) -> Option<Custody> {
        serde_json::from_str(&object.note).ok()
    }

    fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"reason\":\"{error}\"}}"))
    }
}

impl Intake {
    /// Keeps what was not taken and answered with `status`; a failure to do so is logged and changes no answer.
    pub(super) fn quarantine(&self, arrival: &Arrival<'_>, error: &IntakeError, status: StoreStatus) {
        let custody = Custody {
            reason: error.to_string(),
            status: format!("{:04X}", status.code()),
            at: self.clock.now(),
            calling: arrival.calling.to_owned(),
            called: arrival.called.to_owned(),
            sender: arrival.sender.to_owned(),
            sop_class: arrival.sop_class.to_string(),
            sop_instance: arrival.sop_instance.to_string(),
            transfer_syntax: arrival.transfer_syntax.to_string(),
            retried: None,
        };
        self.keep(&custody, arrival.transfer_syntax, arrival.dataset);
    }

    /// As [`Intake::quarantine`], for an object that was announced without a SOP Instance UID. Blocking.
    pub(super) fn quarantine_unnamed(&self, object: &UnnamedObject, status: StoreStatus, reason: String) {
        let custody = Custody {
            reason: format!("the Affected SOP Instance UID of the command: {reason}"),
            status: format!("{:04X}", status.code()),
            at: self.clock.now(),
            calling: object.calling.clone(),
            called: object.called.clone(),
            sender: sender_name(object.peer),
            sop_class: object.sop_class.to_string(),
            sop_instance: object.announced.chars().take(64).collect(),
            transfer_syntax: object.transfer_syntax.to_string(),
            retried: None,
        };
        self.keep(&custody, &object.transfer_syntax, &object.dataset);
    }

    fn keep(&self, custody: &Custody, transfer_syntax: &Uid, dataset: &[u8]) {
        let Custody { sop_class, sop_instance, calling, .. } = custody;
        let valid = Uid::parse(sop_instance).is_ok();
        let announced = if valid { sop_instance } else { "" };
        let name = format!("{}-{}.dcm", if valid { sop_instance } else { "no-uid" }, custody.at.0);
        let head = part10::head_as_announced(sop_class, announced, transfer_syntax, Some(calling));
        let kept = head
            .map_err(|error| IntakeError::Unreadable(error.to_string()))
            .and_then(|head| Ok(self.spool.quarantine(&name, &custody.text(), &[&head, dataset])?));
        match kept {
            Ok(path) => tracing::warn!(sop_instance, path = %path.display(), "quarantined: {}", custody.reason),
            Err(fault) => tracing::error!(sop_instance, "refused, and not even quarantined: {fault}"),
        }
    }

    /// Takes an object of the quarantine after all; it leaves the quarantine when that succeeds. Blocking.
    pub fn retry(&self, name: &str, how: Retry) -> Result<Recorded, IntakeError> {
        let objects = self.spool.quarantined()?;
        let custody = objects.iter().find(|object| object.name == name).and_then(Custody::of);
        let mut custody = custody.ok_or_else(|| IntakeError::NoCustody(name.to_owned()))?;
        let taken = self.retake(name, &custody, how);
        match &taken {
            Ok(_) => self.spool.drop_quarantined(name)?,
            Err(error) => {
                custody.retried = Some((self.clock.now(), error.to_string()));
                self.spool.renote_quarantined(name, &custody.text())?;
            }
        }
        taken
    }

    fn retake(&self, name: &str, custody: &Custody, how: Retry) -> Result<Recorded, IntakeError> {
        let bytes = self.spool.read_quarantined(name)?;
        let unreadable = |error: part10::Part10Error| IntakeError::Unreadable(error.to_string());
        let (transfer_syntax, offset) = Meta::syntax(&bytes).map_err(unreadable)?;
        let uid = |announced: &str, tag, attribute| {
            let fault = |source| IntakeError::BadUid { attribute, source };
            match how {
                Retry::AsAnnounced => Uid::parse(announced).map_err(fault),
                Retry::AsDataSet => dicom::uid_of(&arrive::read_header(bytes.as_slice())?, tag).map_err(fault),
            }
        };
        self.admit(&Arrival {
            calling: &custody.calling,
            called: &custody.called,
            sender: &custody.sender,
            association: None,
            sop_class: &uid(&custody.sop_class, tags::SOP_CLASS_UID, "SOPClassUID")?,
            sop_instance: &uid(&custody.sop_instance, tags::SOP_INSTANCE_UID, "SOPInstanceUID")?,
            transfer_syntax: &transfer_syntax,
            dataset: &bytes[offset..],
        })
    }

    /// Does what the command line wished for beside this node. Blocking.
    pub fn meet_wishes(&self) -> Result<(), IntakeError> {
        for (name, word) in self.spool.wishes()? {
            match self.retry(&name, Retry::of_word(&word)) {
                Ok(_) => tracing::info!(name, "taken out of the quarantine"),
                Err(error) => tracing::warn!(name, "stays in the quarantine: {error}"),
            }
            self.spool.forget_wish(&name)?;
        }
        Ok(())
    }
}
