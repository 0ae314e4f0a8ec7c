//! Reading an arrived data set's header, and the Part 10 header put before it (PS3.10 section 7.1).

use std::io::{Cursor, Read};

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::{Arrival, IntakeError};
use crate::dicom::{self, Dataset, SeriesKey, Uid, part10};
use crate::ledger::ArrivedInstance;
use crate::spool::{Location, sha256};

/// What must be known of an instance before it is kept.
#[derive(Debug, Clone)]
pub struct Header {
    pub series: SeriesKey,
}

/// The Part 10 head put before the data set of `arrival`.
pub(super) fn part10_head(arrival: &Arrival<'_>) -> Result<Vec<u8>, IntakeError> {
    let Arrival { sop_class, sop_instance, transfer_syntax, calling, .. } = arrival;
    dicom::part10_head(sop_class, sop_instance, transfer_syntax, Some(calling))
        .map_err(|error| IntakeError::Unreadable(error.to_string()))
}

/// Reads the attributes of a Part 10 stream that stand before PixelData.
pub(super) fn read_header(from: impl Read) -> Result<Dataset, IntakeError> {
    let object = part10::parse_header(from).map_err(|error| IntakeError::Unreadable(error.to_string()))?;
    Ok(object.into_inner())
}

/// Checks that the data set is readable, is the instance the command spoke of, and names its series.
pub(super) fn check(head: &[u8], arrival: &Arrival<'_>) -> Result<Header, IntakeError> {
    let dataset = read_header(Cursor::new(head).chain(Cursor::new(arrival.dataset)))?;
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
    Ok(Header { series: SeriesKey { study, series } })
}

/// The ledger row of a parked instance.
pub(super) fn row(arrival: &Arrival<'_>, header: &Header, head: &[u8], location: &Location) -> ArrivedInstance {
    let owned = |uid: &Uid| uid.clone();
    ArrivedInstance {
        series: header.series.clone(),
        sop_class: owned(arrival.sop_class),
        sop_instance: owned(arrival.sop_instance),
        transfer_syntax: owned(arrival.transfer_syntax),
        location: location.0.clone(),
        length: (head.len() + arrival.dataset.len()) as u64,
        sha256: sha256(arrival.dataset),
        calling_ae: arrival.calling.to_owned(),
        called_ae: arrival.called.to_owned(),
        sender: arrival.sender.to_owned(),
    }
}
