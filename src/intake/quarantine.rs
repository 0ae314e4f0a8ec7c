//! The quarantine as intake sees it: who sent what could not be taken, and taking it after all.
//!
//! A note beside each object says why, when and from whom; it holds UIDs and AE titles, never a patient attribute.
//! An object is taken again by the ordinary way of an arrival, under the identifiers that the sender announced or,
//! when asked for, those of the data set itself. No identifier is ever made up.

use std::io::{self, Read};

use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use super::{Arrival, Coming, Intake, IntakeError, arrive, sender_name};
use crate::clock::Millis;
use crate::dicom::part10::{self, Part10Error};
use crate::dicom::{self, Meta, StoreStatus, Uid};
use crate::ledger::Recorded;
use crate::scp::UnnamedObject;
use crate::spool::{Location, Quarantined};

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

/// A file of an upload that is none.
#[derive(Debug, Clone, Copy)]
pub struct UnreadableFile<'a> {
    pub calling: &'a str,
    pub called: &'a str,
    pub sender: &'a str,
    pub bytes: &'a [u8],
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
    pub(super) fn quarantine(
        &self,
        arrival: &Arrival<'_>,
        error: &IntakeError,
        status: StoreStatus,
        dataset: &mut dyn Read,
    ) {
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
        self.keep(&custody, arrival.transfer_syntax, dataset);
    }

    /// As [`Intake::quarantine`], for an object that was announced without a SOP Instance UID. Blocking.
    pub(super) fn quarantine_unnamed(&self, object: UnnamedObject<Coming>, status: StoreStatus, reason: String) {
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
        match object.dataset.whole() {
            Ok(draft) => self.keep(&custody, &object.transfer_syntax, &mut draft.body()),
            Err(fault) => tracing::error!("an object without a SOP Instance UID is not in the quarantine: {fault}"),
        }
    }

    /// As [`Intake::quarantine`], for a file of an upload that cannot be read, kept as it came. Blocking.
    pub fn quarantine_file(&self, file: &UnreadableFile<'_>, status: StoreStatus, reason: &Part10Error) {
        let custody = Custody {
            reason: format!("the uploaded file: {reason}"),
            status: format!("{:04X}", status.code()),
            at: self.clock.now(),
            calling: file.calling.to_owned(),
            called: file.called.to_owned(),
            sender: file.sender.to_owned(),
            sop_class: String::new(),
            sop_instance: String::new(),
            transfer_syntax: String::new(),
            retried: None,
        };
        self.write(&custody, &[], &mut &*file.bytes);
    }

    fn keep(&self, custody: &Custody, transfer_syntax: &Uid, dataset: &mut dyn Read) {
        let Custody { sop_class, sop_instance, calling, .. } = custody;
        let announced = if Uid::parse(sop_instance).is_ok() { sop_instance } else { "" };
        let head = part10::head_as_announced(sop_class, announced, transfer_syntax, Some(calling));
        self.write(custody, &head, dataset);
    }

    /// As [`Intake::quarantine`], of an object that another one stands in the way of; it is in the spool.
    pub(super) fn quarantine_kept(&self, arrival: &Arrival<'_>, status: StoreStatus, location: &Location) {
        let mut reader = match self.spool.open_reader(location) {
            Ok(reader) => reader,
            Err(fault) => return tracing::error!(sop_instance = %arrival.sop_instance, "not quarantined: {fault}"),
        };
        let head = arrive::part10_head(arrival).len() as u64;
        if let Err(fault) = io::copy(&mut reader.by_ref().take(head), &mut io::sink()) {
            return tracing::error!(sop_instance = %arrival.sop_instance, "not quarantined: {fault}");
        }
        self.quarantine(arrival, &IntakeError::Duplicate, status, &mut reader);
    }

    fn write(&self, custody: &Custody, head: &[u8], body: &mut dyn Read) {
        let sop_instance = &custody.sop_instance;
        let named = if Uid::parse(sop_instance).is_ok() { sop_instance } else { "no-uid" };
        let name = format!("{named}-{}.dcm", custody.at.0);
        // What is refused must not fill the disk that what is taken needs.
        let room = self.room.check(custody.at);
        let kept = room.and_then(|()| Ok(self.spool.quarantine(&name, &custody.text(), head, body)?));
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
        let (transfer_syntax, offset) = syntax_of(&bytes, how)?;
        let dataset = &bytes[offset..];
        let uid = |announced: &str, tag, attribute| {
            let fault = |source| IntakeError::BadUid { attribute, source };
            match how {
                Retry::AsAnnounced => Uid::parse(announced).map_err(fault),
                Retry::AsDataSet => {
                    let header = arrive::read_data_set(&transfer_syntax, dataset)?;
                    dicom::uid_of(&header, tag).map_err(fault)
                }
            }
        };
        let arrival = Arrival {
            calling: &custody.calling,
            called: &custody.called,
            sender: &custody.sender,
            association: None,
            sop_class: &uid(&custody.sop_class, tags::SOP_CLASS_UID, "SOPClassUID")?,
            sop_instance: &uid(&custody.sop_instance, tags::SOP_INSTANCE_UID, "SOPInstanceUID")?,
            transfer_syntax: &transfer_syntax,
        };
        self.admit(&arrival, dataset)
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

/// The transfer syntax of a file and where its data set begins; of one without preamble only where its data set is to be
/// believed.
fn syntax_of(bytes: &[u8], how: Retry) -> Result<(Uid, usize), IntakeError> {
    let bare = |error: Part10Error| match (&error, how) {
        (Part10Error::NoPrefix, Retry::AsDataSet) => Meta::bare_syntax(bytes).ok_or(error),
        _ => Err(error),
    };
    Meta::syntax(bytes).or_else(bare).map_err(|error| IntakeError::Unreadable(error.to_string()))
}
