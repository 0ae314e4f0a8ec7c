//! The file form of a result (PS3.10 section 7): preamble, meta group, data set in Explicit VR Little Endian,
//! and room for pixel data at the end, which the caller fills in place.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;

use super::ResultError;
use crate::dicom::{Dataset, Uid, part10_head};

/// A Part 10 file of `dataset` ending in a Pixel Data element of `pixel_bytes` zero bytes.
///
/// Returns the file and where the pixel data begins in it. `dataset` must hold nothing beyond (7FE0,0010).
pub(super) fn part10(
    dataset: &Dataset,
    sop_class: &Uid,
    sop_instance: &Uid,
    pixel_bytes: u64,
) -> Result<(Vec<u8>, usize), ResultError> {
    let length = u32::try_from(pixel_bytes).ok().filter(|n| *n < u32::MAX);
    let Some(length) = length else { return Err(ResultError::TooLarge { bytes: pixel_bytes }) };
    let failed = |error: &dyn std::error::Error| ResultError::Encode(chain(error));
    let syntax = Uid::parse(uids::EXPLICIT_VR_LITTLE_ENDIAN).map_err(|e| failed(&e))?;
    let mut header = part10_head(sop_class, sop_instance, &syntax, None).map_err(|e| failed(&e))?;
    dataset.write_dataset_with_ts(&mut header, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).map_err(|e| failed(&e))?;
    let start = header.len() + 12;
    let mut file = Vec::with_capacity(start + length as usize);
    file.append(&mut header);
    file.extend(long_header(tags::PIXEL_DATA, VR::OB, length));
    file.resize(start + length as usize, 0);
    Ok((file, start))
}

/// An explicit VR element header with a 32-bit length (PS3.5 section 7.1.2).
fn long_header(tag: Tag, vr: VR, length: u32) -> [u8; 12] {
    let mut header = [0_u8; 12];
    header[..2].copy_from_slice(&tag.group().to_le_bytes());
    header[2..4].copy_from_slice(&tag.element().to_le_bytes());
    header[4..6].copy_from_slice(&vr.to_bytes());
    header[8..].copy_from_slice(&length.to_le_bytes());
    header
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
