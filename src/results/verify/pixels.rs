//! What it marks: voxels read one by one, compared with the finding, and with each other for overlap.

use dicom_dictionary_std::tags;
use rayon::prelude::*;

use super::Fault;
use super::pixel_data::PixelData;
use super::reader::{Frame, SegObject};
use super::truth::Truth;
use crate::dicom::{SegmentationType, text};
use crate::results::SourceSeries;

pub(super) fn check(object: &SegObject, source: &SourceSeries, expected: Option<&Truth>) -> Vec<Fault> {
    let (Some(data), Some(stored)) = (&object.pixel_data, object.stored) else { return Vec::new() };
    // What has a wrong length is V8's to report; there is nothing to be read then.
    if object.area() == 0 || !is_whole(object, data) {
        return Vec::new();
    }
    let size = (source.slices().len(), object.rows, object.columns);
    if expected.is_some_and(|truth| truth.size() != size) {
        return vec![Fault::new("V8", "the object and the finding differ in size")];
    }
    let mut faults = padding(object, data);
    let slices = (0..source.slices().len()).into_par_iter();
    let tally = slices.map(|k| Tally::of_slice(object, k, expected)).reduce(Tally::default, Tally::with);
    let overlap = if tally.overlaps { "YES" } else { "NO" };
    let stated = text(&object.dataset, tags::SEGMENTS_OVERLAP).unwrap_or_default();
    if stated != overlap && (stated != "UNDEFINED" || stored == SegmentationType::Labelmap) {
        faults.push(Fault::new("V7", format!("SegmentsOverlap is not {overlap}, as the pixels have it")));
    }
    if tally.repeated {
        faults.push(Fault::new("V6", "a segment has two frames at one position"));
    }
    if tally.unreadable > 0 {
        faults.push(Fault::new("V8", format!("{} frames cannot be decoded", tally.unreadable)));
    }
    if tally.unknown > 0 {
        faults.push(Fault::new("S3", format!("{} voxels have the number of no described segment", tally.unknown)));
    }
    let Tally { set, wrong, wanted, .. } = tally;
    if expected.is_some() && (wrong > 0 || set != wanted) {
        let message = format!("{set} voxels are marked, {wrong} of them wrongly; the finding has {wanted}");
        faults.push(Fault::new("V8", message));
    }
    faults
}

/// Whether every frame can be looked at.
fn is_whole(object: &SegObject, data: &PixelData) -> bool {
    match data {
        PixelData::Native(bytes) => bytes.len() >= native_length(object),
        PixelData::Fragments(all) => all.len() == object.frames.len(),
    }
}

/// Bytes of native frames, without padding.
pub(super) fn native_length(object: &SegObject) -> usize {
    let voxels = object.frames.len() * object.area();
    if object.stored == Some(SegmentationType::Binary) { voxels.div_ceil(8) } else { voxels }
}

fn padding(object: &SegObject, data: &PixelData) -> Vec<Fault> {
    let PixelData::Native(bytes) = data else { return Vec::new() };
    let voxels = object.frames.len() * object.area();
    let dirty = if object.stored == Some(SegmentationType::Binary) {
        set_bits(bytes, voxels, bytes.len() * 8 - voxels).next().is_some()
    } else {
        bytes[voxels..].iter().any(|byte| *byte != 0)
    };
    if dirty { vec![Fault::new("V8", "bits are set in the padding behind the last frame")] } else { Vec::new() }
}

#[derive(Default)]
struct Tally {
    set: usize,
    wrong: usize,
    /// Voxels of the finding that should be marked.
    wanted: usize,
    overlaps: bool,
    repeated: bool,
    /// Frames that cannot be decoded.
    unreadable: usize,
    /// Voxels of a label map with a number that no segment has.
    unknown: usize,
}

impl Tally {
    fn with(self, other: Tally) -> Tally {
        Tally {
            set: self.set + other.set,
            wrong: self.wrong + other.wrong,
            wanted: self.wanted + other.wanted,
            overlaps: self.overlaps | other.overlaps,
            repeated: self.repeated | other.repeated,
            unreadable: self.unreadable + other.unreadable,
            unknown: self.unknown + other.unknown,
        }
    }

    /// Goes through the frames made from slice `k`.
    fn of_slice(object: &SegObject, k: usize, expected: Option<&Truth>) -> Tally {
        let mut tally = Tally { wanted: expected.map_or(0, |truth| truth.marked(k)), ..Tally::default() };
        let mut owner = vec![0_u16; object.area()];
        let mut seen = Vec::new();
        for (index, frame) in object.frames.iter().enumerate().filter(|(_, f)| f.slice == Some(k)) {
            tally.repeated |= seen.contains(&frame.segment);
            seen.push(frame.segment);
            let mut mark = |pixel: usize, number: u16, value: u8| {
                tally.set += 1;
                tally.overlaps |= owner[pixel] != 0 && owner[pixel] != number;
                owner[pixel] = number;
                let at = [k, pixel / object.columns, pixel % object.columns];
                tally.wrong += usize::from(expected.is_some_and(|truth| truth.value(number, at) != value));
            };
            if !marks(object, index, frame, &mut mark) {
                tally.unreadable += 1;
            }
        }
        if object.is_labelmap() {
            let described = object.segments().len();
            tally.unknown = owner.iter().filter(|number| usize::from(**number) > described).count();
        }
        tally
    }
}

/// Tells `mark` the pixel, segment number and value of every marked voxel of a frame; false where it has no bytes.
fn marks(object: &SegObject, index: usize, frame: &Frame, mark: &mut impl FnMut(usize, u16, u8)) -> bool {
    let number = frame.segment.unwrap_or(0);
    if let (Some(SegmentationType::Binary), Some(PixelData::Native(bits))) = (object.stored, &object.pixel_data) {
        set_bits(bits, index * object.area(), object.area()).for_each(|pixel| mark(pixel, number, 1));
        return true;
    }
    let Some(bytes) = object.frame_bytes(index) else { return false };
    for (pixel, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        if object.is_labelmap() {
            mark(pixel, u16::from(*byte), 1);
        } else {
            mark(pixel, number, *byte);
        }
    }
    true
}

/// Which of the `count` bits from bit `start` on are set, counted from `start`; bit 0 of a byte comes first.
fn set_bits(data: &[u8], start: usize, count: usize) -> impl Iterator<Item = usize> + '_ {
    let end = start + count;
    let bytes = start / 8..end.div_ceil(8).min(data.len());
    let in_byte = move |byte: usize| {
        let value = data[byte];
        (0..8).filter(move |bit| value >> bit & 1 == 1).map(move |bit| byte * 8 + bit)
    };
    bytes
        .filter(move |byte| data[*byte] != 0)
        .flat_map(in_byte)
        .filter(move |b| (start..end).contains(b))
        .map(move |b| b - start)
}

#[cfg(test)]
mod tests {
    use super::set_bits;

    #[test]
    fn bits_are_read_lsb_first_across_bytes() {
        let data = [0x01, 0x10, 0, 0x02, 0, 0, 0x02, 0];
        assert_eq!(set_bits(&data, 0, 25).collect::<Vec<_>>(), [0, 12]);
        assert_eq!(set_bits(&data, 25, 25).collect::<Vec<_>>(), [0, 24]);
        assert_eq!(set_bits(&data, 50, 14).count(), 0);
    }
}
