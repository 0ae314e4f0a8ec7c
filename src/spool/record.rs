//! The form of a record: 64 bytes of header, a label, the object's bytes, padding to whole pages.
//!
//! Whole pages, so that writing one never has to read what the disk held there, and no two writers share one.
//!
//! The header carries what a scan needs after a crash: lengths, checksums of label and bytes (CRC-32 of
//! ISO 3309), the life of the segment it belongs to, a sequence number that no other record ever has.
//! Never does I/O.

use crc32fast::Hasher;

use crate::dicom::{SeriesKey, Uid};

pub(super) const HEADER: usize = 64;
/// A record begins and ends on such a boundary.
pub(super) const PAGE: u64 = 4096;
/// Longest label; more in a header is damage.
pub(super) const LONGEST_LABEL: usize = 16 * 1024;
/// Where a header says whether its record still counts; not under its checksum, so that one write frees it.
pub(super) const STATE: u64 = 60;
pub(super) const FREED: [u8; 4] = *b"FREE";

const MAGIC: [u8; 4] = *b"SgR1";

/// A header as it stands on disk, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of the segment's life; a recycled segment has a new one.
    pub generation: u64,
    pub sequence: u64,
    /// Bytes of the object.
    pub length: u64,
    pub checksum: u32,
    pub label: u32,
    pub freed: bool,
    sum: u32,
}

/// Bytes that a record of these lengths takes in its segment.
pub(super) fn room(label: usize, length: u64) -> u64 {
    (HEADER as u64 + label as u64).saturating_add(length).next_multiple_of(PAGE)
}

/// Header and label, ready to be written.
pub(super) fn encode(generation: u64, sequence: u64, length: u64, checksum: u32, label: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + label.len());
    bytes.extend(MAGIC);
    bytes.extend([0; 4]);
    for number in [generation, sequence, length] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(checksum.to_le_bytes());
    bytes.extend((label.len() as u32).to_le_bytes());
    bytes.resize(HEADER, 0);
    bytes.extend(label);
    let sum = header_sum(&bytes[..HEADER], label);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

impl Header {
    /// The header in front of `bytes`; its sum is checked by [`Header::owns`], which needs the label.
    pub fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let header = Header {
            generation: long(8),
            sequence: long(16),
            length: long(24),
            checksum: short(32),
            label: short(36),
            freed: bytes[STATE as usize..] == FREED,
            sum: short(4),
        };
        (bytes[..4] == MAGIC && header.label as usize <= LONGEST_LABEL).then_some(header)
    }

    /// Whether `label` is this header's label and neither was altered. `header`: the bytes decoded.
    pub fn owns(&self, header: &[u8], label: &[u8]) -> bool {
        label.len() == self.label as usize && self.sum == header_sum(&header[..HEADER], label)
    }

    /// Where the object's bytes begin, counted from the record's place.
    pub fn body(&self) -> u64 {
        HEADER as u64 + u64::from(self.label)
    }

    pub fn room(&self) -> u64 {
        room(self.label as usize, self.length)
    }
}

fn header_sum(header: &[u8], label: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&header[8..STATE as usize]);
    hasher.update(label);
    hasher.finalize()
}

pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Room for the label of an instance with this note, whatever its series: a record is begun before that is known. What
/// the label leaves of it is filled with zeros.
pub(super) fn longest_label(instance: &Uid, note: &str) -> usize {
    2 * (Uid::LONGEST + 1) + instance.as_str().len() + 1 + note.len()
}

/// Series, instance and the caller's note; no UID has a line feed.
pub(super) fn label(series: &SeriesKey, instance: &Uid, note: &str) -> Vec<u8> {
    format!("{}\n{}\n{instance}\n{note}", series.study, series.series).into_bytes()
}

/// What [`label`] put together; `None` when another program wrote it.
pub(super) fn read_label(label: &[u8]) -> Option<(SeriesKey, Uid, String)> {
    let text = std::str::from_utf8(label).ok()?;
    let mut lines = text.splitn(4, '\n');
    let mut uid = || Uid::parse(lines.next()?).ok();
    let (study, series, instance) = (uid()?, uid()?, uid()?);
    Some((SeriesKey { study, series }, instance, lines.next()?.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_every_altered_byte_is_seen() {
        let uid = |text| Uid::parse(text).unwrap();
        let series = SeriesKey { study: uid("1.2"), series: uid("1.3") };
        let label = label(&series, &uid("1.4"), "a note\nof two lines");
        let bytes = encode(7, 9, 11, 13, &label);
        let header = Header::decode(&bytes).unwrap();
        assert_eq!((header.generation, header.sequence, header.length, header.checksum), (7, 9, 11, 13));
        assert!(header.owns(&bytes, &bytes[HEADER..]) && !header.freed);
        assert_eq!(header.room() % PAGE, 0);
        assert_eq!(read_label(&label).unwrap(), (series, uid("1.4"), "a note\nof two lines".to_owned()));
        for at in (0..STATE as usize).chain(HEADER..bytes.len()) {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let sound = Header::decode(&altered)
                .is_some_and(|h| altered.get(HEADER..).is_some_and(|label| h.owns(&altered, label)));
            assert!(!sound, "byte {at}");
        }
    }
}
