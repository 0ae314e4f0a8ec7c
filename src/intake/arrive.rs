//! Reading an arrived data set's header, and the Part 10 header put before it (PS3.10 section 7.1).

use std::io::Read;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use super::{Arrival, IntakeError, duplicate};
use crate::dicom::{self, Dataset, SeriesKey, Uid, UidError, part10};
use crate::ledger::ArrivedInstance;
use crate::spool::{Record, Spool, SpoolError, Stored, checksum};

/// The Part 10 head put before the data set of `arrival`.
pub(super) fn part10_head(arrival: &Arrival<'_>) -> Vec<u8> {
    let Arrival { sop_class, sop_instance, transfer_syntax, calling, .. } = arrival;
    dicom::part10_head(sop_class, sop_instance, transfer_syntax, Some(calling))
}

/// Reads the attributes of a Part 10 stream that stand before PixelData.
pub(super) fn read_header(from: impl Read) -> Result<Dataset, IntakeError> {
    let object = part10::parse_header(from).map_err(|error| IntakeError::Unreadable(error.to_string()))?;
    Ok(object.into_inner())
}

/// As [`read_header`], of a data set that no file has around it.
pub(super) fn read_data_set(transfer_syntax: &Uid, dataset: &[u8]) -> Result<Dataset, IntakeError> {
    let head = part10::head_as_announced("", "", transfer_syntax, None);
    read_header(head.chain(dataset))
}

/// Checks that the object, which begins with `begin`, is readable, is the instance the command spoke of, and names its
/// series.
pub(super) fn check(begin: &[u8], rest: impl Read, arrival: &Arrival<'_>) -> Result<SeriesKey, IntakeError> {
    let object = part10::parse_header_of(begin, rest).map_err(|error| IntakeError::Unreadable(error.to_string()))?;
    let dataset = object.into_inner();
    let uid =
        |tag: Tag, attribute| dicom::uid_of(&dataset, tag).map_err(|source| IntakeError::BadUid { attribute, source });
    if uid(tags::SOP_INSTANCE_UID, "SOPInstanceUID")? != *arrival.sop_instance {
        return Err(IntakeError::Mismatch { attribute: "SOPInstanceUID" });
    }
    if uid(tags::SOP_CLASS_UID, "SOPClassUID")? != *arrival.sop_class {
        return Err(IntakeError::Mismatch { attribute: "SOPClassUID" });
    }
    let study = uid(tags::STUDY_INSTANCE_UID, "StudyInstanceUID")?;
    let series = uid(tags::SERIES_INSTANCE_UID, "SeriesInstanceUID")?;
    Ok(SeriesKey { study, series })
}

/// What the ledger is told of an instance, kept in the spool beside the bytes: rows that a power cut took from
/// the ledger are made of these again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    class: String,
    syntax: String,
    calling: String,
    called: String,
    sender: String,
}

impl Note {
    pub fn of(arrival: &Arrival<'_>) -> Note {
        let Arrival { sop_class, transfer_syntax, calling, called, sender, .. } = arrival;
        Note {
            class: sop_class.to_string(),
            syntax: transfer_syntax.to_string(),
            calling: (*calling).to_owned(),
            called: (*called).to_owned(),
            sender: (*sender).to_owned(),
        }
    }

    pub fn text(&self) -> Result<String, IntakeError> {
        serde_json::to_string(self).map_err(|error| IntakeError::Unreadable(error.to_string()))
    }

    /// The ledger row of a kept instance.
    pub fn row(self, series: SeriesKey, instance: Uid, stored: &Stored) -> Result<ArrivedInstance, UidError> {
        Ok(ArrivedInstance {
            series,
            sop_class: Uid::parse(&self.class)?,
            sop_instance: instance,
            transfer_syntax: Uid::parse(&self.syntax)?,
            location: stored.location.0.clone(),
            length: stored.length,
            digest: format!("crc32:{:08x}:{}", stored.body_checksum, stored.body_length),
            calling_ae: self.calling,
            called_ae: self.called,
            sender: self.sender,
        })
    }
}

/// The row of a record that an earlier arrival left; `None` when the record is no received instance.
pub(super) fn row_of(spool: &Spool, record: &Record) -> Result<Option<ArrivedInstance>, SpoolError> {
    let Ok(note) = serde_json::from_str::<Note>(&record.note) else { return Ok(None) };
    let file = spool.read(&record.location)?;
    let Some(dataset) = duplicate::data_set(&file) else { return Ok(None) };
    let stored = Stored {
        location: record.location.clone(),
        length: file.len() as u64,
        body_length: dataset.len() as u64,
        body_checksum: checksum(dataset),
    };
    Ok(note.row(record.series.clone(), record.instance.clone(), &stored).ok())
}
