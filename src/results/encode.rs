//! The file form of a result (PS3.10 section 7): preamble, meta group, data set, and how pixel data begins and ends.
//!
//! Data sets are written whole; pixel data follows as it is made, so that no second copy of it exists.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::ResultError;
use crate::dicom::{Dataset, Uid, part10_head};

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_DELIMITER: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_DELIMITER: Tag = Tag(0xfffe, 0xe0dd);
/// The length of what ends with a delimiter.
const UNDEFINED: u32 = u32::MAX;
/// The longest value that a 32-bit length can state.
const LONGEST: u64 = 0xffff_fffe;

/// Preamble, meta group and `dataset`, encoded in the transfer syntax `syntax`.
pub(super) fn head(
    dataset: &Dataset,
    sop_class: &Uid,
    sop_instance: &Uid,
    syntax: &Uid,
) -> Result<Vec<u8>, ResultError> {
    let mut head = part10_head(sop_class, sop_instance, syntax, None);
    write(dataset, syntax.as_str(), &mut head)?;
    Ok(head)
}

/// `dataset` alone, in Explicit VR Little Endian; its texts must be ASCII.
pub(super) fn elements(dataset: &Dataset) -> Result<Vec<u8>, ResultError> {
    let mut encoded = Vec::new();
    write(dataset, uids::EXPLICIT_VR_LITTLE_ENDIAN, &mut encoded)?;
    Ok(encoded)
}

fn write(dataset: &Dataset, syntax: &str, out: &mut Vec<u8>) -> Result<(), ResultError> {
    let known = TransferSyntaxRegistry.get(syntax);
    let known = known.ok_or_else(|| ResultError::Encode(format!("no transfer syntax {syntax}")))?;
    dataset.write_dataset_with_ts(out, known).map_err(|error| ResultError::Encode(chain(&error)))
}

/// What stands before the items of a sequence that is written item by item; behind them, [`end_of_items`].
pub(super) fn sequence_start(tag: Tag) -> [u8; 12] {
    long_header(tag, VR::SQ, UNDEFINED)
}

/// What stands before the elements of an item; behind them, [`item_end`].
pub(super) fn item_start() -> [u8; 8] {
    item_header(ITEM, UNDEFINED)
}

pub(super) fn item_end() -> [u8; 8] {
    item_header(ITEM_DELIMITER, 0)
}

/// What stands before native pixel data of `length` bytes, in Explicit VR Little Endian.
pub(super) fn native_pixels(length: u64) -> Result<[u8; 12], ResultError> {
    let fits = u32::try_from(length).ok().filter(|_| length <= LONGEST && length.is_multiple_of(2));
    fits.map(|length| long_header(tags::PIXEL_DATA, VR::OB, length)).ok_or(ResultError::TooLarge { bytes: length })
}

/// What stands before encapsulated fragments (PS3.5 annex A.4): an empty offset table, so that they can be written as
/// they are made.
pub(super) fn encapsulated_pixels() -> Vec<u8> {
    [&long_header(tags::PIXEL_DATA, VR::OB, UNDEFINED)[..], &item_header(ITEM, 0)].concat()
}

/// What stands before one fragment.
pub(super) fn fragment(length: usize) -> [u8; 8] {
    item_header(ITEM, length as u32)
}

/// What stands behind the last item or fragment.
pub(super) fn end_of_items() -> [u8; 8] {
    item_header(SEQUENCE_DELIMITER, 0)
}

/// An explicit VR element header with a 32-bit length (PS3.5 section 7.1.2).
fn long_header(tag: Tag, vr: VR, length: u32) -> [u8; 12] {
    let mut header = [0_u8; 12];
    header[..4].copy_from_slice(&item_header(tag, 0)[..4]);
    header[4..6].copy_from_slice(&vr.to_bytes());
    header[8..].copy_from_slice(&length.to_le_bytes());
    header
}

fn item_header(tag: Tag, length: u32) -> [u8; 8] {
    let mut header = [0_u8; 8];
    header[..2].copy_from_slice(&tag.group().to_le_bytes());
    header[2..4].copy_from_slice(&tag.element().to_le_bytes());
    header[4..].copy_from_slice(&length.to_le_bytes());
    header
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
