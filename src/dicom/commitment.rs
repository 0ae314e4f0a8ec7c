//! Storage commitment's data sets: what a peer asks us to keep, and what we report (PS3.4 annex J, PS3.3
//! section C.14).
//!
//! Pure: bytes of a transfer syntax to values and back. Never knows what is held.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::{Dataset, Uid, UidError, extent, uid_of};

/// Action Type ID of "Request Storage Commitment".
pub const REQUEST: u16 = 1;

/// An instance that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub sop_class: Uid,
    pub sop_instance: Uid,
}

/// The Action Information of an N-ACTION-RQ (PS3.4 table J.3-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub transaction: Uid,
    pub references: Vec<Reference>,
}

/// Why an instance is not committed (Failure Reason, PS3.3 section C.14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 0112
    NoSuchInstance,
    /// 0119
    ClassInstanceConflict,
    /// 0131: the Transaction UID was used for another request.
    DuplicateTransaction,
    /// One that only another provider gives, such as 0110 (processing failure) or 0213 (resource limitation).
    Other(u16),
}

impl Reason {
    /// Those that this node gives.
    pub const OURS: [Reason; 3] = [Reason::NoSuchInstance, Reason::ClassInstanceConflict, Reason::DuplicateTransaction];

    /// When it is given, for the conformance statement.
    #[must_use]
    pub fn when(self) -> &'static str {
        match self {
            Reason::NoSuchInstance => "no such instance is held",
            Reason::ClassInstanceConflict => "the instance is held with another SOP class",
            Reason::DuplicateTransaction => "the Transaction UID was used by this peer for another request",
            Reason::Other(_) => "never by this node",
        }
    }

    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Reason::NoSuchInstance => 0x0112,
            Reason::ClassInstanceConflict => 0x0119,
            Reason::DuplicateTransaction => 0x0131,
            Reason::Other(code) => code,
        }
    }

    fn from_code(code: u16) -> Reason {
        Reason::OURS.into_iter().find(|reason| reason.code() == code).unwrap_or(Reason::Other(code))
    }
}

/// The Event Information of an N-EVENT-REPORT-RQ (PS3.4 table J.3-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub transaction: Uid,
    pub held: Vec<Reference>,
    pub failed: Vec<(Reference, Reason)>,
}

#[derive(Debug, thiserror::Error)]
pub enum CommitmentError {
    #[error("the data set cannot be read: {0}")]
    Unreadable(String),
    #[error("the data set cannot be written: {0}")]
    Unwritable(String),
    #[error("{keyword}: {fault}")]
    BadUid { keyword: &'static str, fault: UidError },
    #[error("no instance is referenced")]
    Nothing,
}

impl Request {
    /// Reads the data set of an N-ACTION-RQ in `transfer_syntax`.
    pub fn decode(bytes: &[u8], transfer_syntax: &str) -> Result<Request, CommitmentError> {
        let dataset = read(bytes, transfer_syntax)?;
        let transaction = checked(&dataset, tags::TRANSACTION_UID, "TransactionUID")?;
        let items = items(&dataset, tags::REFERENCED_SOP_SEQUENCE);
        let references = items.iter().map(reference).collect::<Result<Vec<_>, _>>()?;
        if references.is_empty() { Err(CommitmentError::Nothing) } else { Ok(Request { transaction, references }) }
    }

    /// Writes the data set in `transfer_syntax`.
    pub fn encode(&self, transfer_syntax: &str) -> Result<Vec<u8>, CommitmentError> {
        let mut dataset = head(&self.transaction);
        put_sequence(&mut dataset, tags::REFERENCED_SOP_SEQUENCE, self.references.iter().map(item).collect());
        write(&dataset, transfer_syntax)
    }
}

impl Report {
    /// Event Type ID: 1 "successful", 2 "failures exist".
    #[must_use]
    pub fn event(&self) -> u16 {
        if self.failed.is_empty() { 1 } else { 2 }
    }

    /// Reads the data set of an N-EVENT-REPORT-RQ in `transfer_syntax`.
    pub fn decode(bytes: &[u8], transfer_syntax: &str) -> Result<Report, CommitmentError> {
        let dataset = read(bytes, transfer_syntax)?;
        let transaction = checked(&dataset, tags::TRANSACTION_UID, "TransactionUID")?;
        let held = items(&dataset, tags::REFERENCED_SOP_SEQUENCE).iter().map(reference).collect::<Result<_, _>>()?;
        let failed = items(&dataset, tags::FAILED_SOP_SEQUENCE).iter().map(|item| {
            let code = item.get(tags::FAILURE_REASON).and_then(|element| element.to_int::<u16>().ok());
            Ok((reference(item)?, Reason::from_code(code.unwrap_or_default())))
        });
        Ok(Report { transaction, held, failed: failed.collect::<Result<_, CommitmentError>>()? })
    }

    /// Writes the data set in `transfer_syntax`.
    pub fn encode(&self, transfer_syntax: &str) -> Result<Vec<u8>, CommitmentError> {
        let mut dataset = head(&self.transaction);
        let failed = self.failed.iter().map(|(reference, reason)| {
            let mut item = item(reference);
            item.put(DataElement::new(tags::FAILURE_REASON, VR::US, PrimitiveValue::from(reason.code())));
            item
        });
        put_sequence(&mut dataset, tags::FAILED_SOP_SEQUENCE, failed.collect());
        put_sequence(&mut dataset, tags::REFERENCED_SOP_SEQUENCE, self.held.iter().map(item).collect());
        write(&dataset, transfer_syntax)
    }
}

fn read(bytes: &[u8], transfer_syntax: &str) -> Result<Dataset, CommitmentError> {
    let unknown = || CommitmentError::Unreadable(format!("unknown transfer syntax {transfer_syntax}"));
    let syntax = TransferSyntaxRegistry.get(transfer_syntax).ok_or_else(unknown)?;
    extent::check(bytes, syntax).map_err(|error| CommitmentError::Unreadable(error.to_string()))?;
    let dataset = Dataset::read_dataset_with_ts(bytes, syntax);
    dataset.map_err(|error| CommitmentError::Unreadable(error.to_string()))
}

fn items(dataset: &Dataset, sequence: dicom_core::Tag) -> &[Dataset] {
    dataset.get(sequence).and_then(|element| element.items()).unwrap_or_default()
}

fn checked(dataset: &Dataset, tag: dicom_core::Tag, keyword: &'static str) -> Result<Uid, CommitmentError> {
    uid_of(dataset, tag).map_err(|fault| CommitmentError::BadUid { keyword, fault })
}

fn reference(item: &Dataset) -> Result<Reference, CommitmentError> {
    Ok(Reference {
        sop_class: checked(item, tags::REFERENCED_SOP_CLASS_UID, "ReferencedSOPClassUID")?,
        sop_instance: checked(item, tags::REFERENCED_SOP_INSTANCE_UID, "ReferencedSOPInstanceUID")?,
    })
}

fn head(transaction: &Uid) -> Dataset {
    let uid = PrimitiveValue::from(transaction.as_str());
    Dataset::from_element_iter([DataElement::new(tags::TRANSACTION_UID, VR::UI, uid)])
}

fn item(reference: &Reference) -> Dataset {
    let uid = |tag, uid: &Uid| DataElement::new(tag, VR::UI, PrimitiveValue::from(uid.as_str()));
    Dataset::from_element_iter([
        uid(tags::REFERENCED_SOP_CLASS_UID, &reference.sop_class),
        uid(tags::REFERENCED_SOP_INSTANCE_UID, &reference.sop_instance),
    ])
}

/// An empty sequence is left out: its presence would say that something failed, or succeeded.
fn put_sequence(dataset: &mut Dataset, tag: dicom_core::Tag, items: Vec<Dataset>) {
    if !items.is_empty() {
        dataset.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }
}

fn write(dataset: &Dataset, transfer_syntax: &str) -> Result<Vec<u8>, CommitmentError> {
    let unknown = || CommitmentError::Unwritable(format!("unknown transfer syntax {transfer_syntax}"));
    let syntax = TransferSyntaxRegistry.get(transfer_syntax).ok_or_else(unknown)?;
    let mut bytes = Vec::new();
    let written = dataset.write_dataset_with_ts(&mut bytes, syntax);
    written.map_err(|error| CommitmentError::Unwritable(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::dicom::tables::{EXPLICIT_LITTLE, IMPLICIT_LITTLE};

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn reference_to(instance: &str) -> Reference {
        Reference { sop_class: uid("1.2.840.10008.5.1.4.1.1.4"), sop_instance: uid(instance) }
    }

    #[test]
    fn a_request_reads_back_in_both_syntaxes() {
        let request =
            Request { transaction: uid("2.25.7"), references: vec![reference_to("1.2"), reference_to("1.3")] };
        for syntax in [IMPLICIT_LITTLE, EXPLICIT_LITTLE] {
            assert_eq!(Request::decode(&request.encode(syntax).unwrap(), syntax).unwrap(), request);
        }
    }

    #[test]
    fn a_request_without_transaction_or_instances_says_so() {
        let check = |dataset: &Dataset, expected: &str| {
            let bytes = write(dataset, IMPLICIT_LITTLE).unwrap();
            assert_eq!(Request::decode(&bytes, IMPLICIT_LITTLE).unwrap_err().to_string(), expected);
        };
        check(&Dataset::new_empty(), "TransactionUID: the UID is empty");
        check(&head(&uid("1.2")), "no instance is referenced");
    }

    #[test]
    fn a_report_has_the_sequences_that_apply_and_no_others() {
        let syntax = TransferSyntaxRegistry.get(EXPLICIT_LITTLE).unwrap();
        let read = |report: &Report| {
            let bytes = report.encode(EXPLICIT_LITTLE).unwrap();
            Dataset::read_dataset_with_ts(bytes.as_slice(), syntax).unwrap()
        };
        let all = Report { transaction: uid("2.25.7"), held: vec![reference_to("1.2")], failed: Vec::new() };
        assert!(read(&all).get(tags::FAILED_SOP_SEQUENCE).is_none());
        assert_eq!(all.event(), 1);
        let none = Report { held: Vec::new(), failed: vec![(reference_to("1.2"), Reason::NoSuchInstance)], ..all };
        let dataset = read(&none);
        assert!(dataset.get(tags::REFERENCED_SOP_SEQUENCE).is_none());
        let failed = &dataset.get(tags::FAILED_SOP_SEQUENCE).unwrap().items().unwrap()[0];
        assert_eq!(failed.get(tags::FAILURE_REASON).unwrap().to_int::<u16>().unwrap(), 0x0112);
        assert_eq!(none.event(), 2);
    }
}
