//! What it marks: bits read one by one, compared with the labels, and with each other for overlap.

use dicom_dictionary_std::tags;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::Fault;
use super::reader::SegObject;
use crate::dicom::text;
use crate::results::SourceSeries;
use crate::volume;

pub(super) fn check(object: &SegObject, source: &SourceSeries, expected: Option<&volume::Segmentation>) -> Vec<Fault> {
    let Some(data) = object.pixel_data() else { return Vec::new() };
    let pixels = object.rows * object.columns;
    let bits = object.frames.len() * pixels;
    // A wrong length is V8's to report; there is nothing to be read then.
    if data.len() < bits.div_ceil(8) || pixels == 0 {
        return Vec::new();
    }
    let size = (source.slices().len(), object.rows, object.columns);
    if expected.is_some_and(|e| e.labels.dim() != size) {
        return vec![Fault::new("V8", "the object and the finding differ in size")];
    }
    let mut faults = Vec::new();
    if set_bits(&data, bits, data.len() * 8 - bits).next().is_some() {
        faults.push(Fault::new("V8", "bits are set in the padding behind the last frame"));
    }
    let labels = expected.map(|e| (e, labels_of_segments(e)));
    let slice = |k: usize| {
        let expected = labels.as_ref().map(|(e, labels)| (e.labels.index_axis(Axis(0), k), labels.as_slice()));
        Tally::of_slice(object, &data, k, expected)
    };
    let tally = (0..source.slices().len()).into_par_iter().map(slice).reduce(Tally::default, Tally::with);
    let overlap = if tally.overlaps { "YES" } else { "NO" };
    let stated = text(&object.dataset, tags::SEGMENTS_OVERLAP).unwrap_or_default();
    if stated != overlap && stated != "UNDEFINED" {
        faults.push(Fault::new("V7", format!("SegmentsOverlap is not {overlap}, as the pixels have it")));
    }
    if tally.repeated {
        faults.push(Fault::new("V6", "a segment has two frames at one position"));
    }
    let Tally { set, wrong, wanted, .. } = tally;
    if expected.is_some() && (wrong > 0 || set != wanted) {
        let message = format!("{set} voxels are marked, {wrong} of them wrongly; the finding has {wanted}");
        faults.push(Fault::new("V8", message));
    }
    faults
}

/// `[segment number - 1]`: the label of each segment that has voxels.
fn labels_of_segments(expected: &volume::Segmentation) -> Vec<u8> {
    let of_slice = |k: usize| {
        let mut present = [false; 256];
        expected.labels.index_axis(Axis(0), k).iter().for_each(|label| present[usize::from(*label)] = true);
        present
    };
    let either = |a: [bool; 256], b: [bool; 256]| std::array::from_fn(|label| a[label] | b[label]);
    let slices = (0..expected.labels.len_of(Axis(0))).into_par_iter();
    let present = slices.map(of_slice).reduce(|| [false; 256], either);
    expected.segments.iter().map(|s| s.label).filter(|l| present[usize::from(*l)]).collect()
}

#[derive(Default)]
struct Tally {
    set: usize,
    wrong: usize,
    /// Voxels of the finding that should be marked.
    wanted: usize,
    overlaps: bool,
    repeated: bool,
}

impl Tally {
    fn with(self, other: Tally) -> Tally {
        Tally {
            set: self.set + other.set,
            wrong: self.wrong + other.wrong,
            wanted: self.wanted + other.wanted,
            overlaps: self.overlaps | other.overlaps,
            repeated: self.repeated | other.repeated,
        }
    }

    /// Goes through the frames made from slice `k`.
    fn of_slice(object: &SegObject, data: &[u8], k: usize, expected: Option<(ArrayView2<u8>, &[u8])>) -> Tally {
        let mut tally = Tally::default();
        if let Some((slice, labels)) = expected {
            let marked: [bool; 256] = std::array::from_fn(|label| labels.contains(&(label as u8)));
            tally.wanted = slice.iter().filter(|label| marked[usize::from(**label)]).count();
        }
        let pixels = object.rows * object.columns;
        let mut owner = vec![0_u16; pixels];
        let mut seen = Vec::new();
        for (index, frame) in object.frames.iter().enumerate().filter(|(_, f)| f.slice == Some(k)) {
            let segment = frame.segment.unwrap_or(0);
            tally.repeated |= seen.contains(&segment);
            seen.push(segment);
            let label = expected.and_then(|(_, labels)| labels.get(usize::from(segment).wrapping_sub(1)).copied());
            for pixel in set_bits(data, index * pixels, pixels) {
                tally.set += 1;
                tally.overlaps |= owner[pixel] != 0 && owner[pixel] != segment;
                owner[pixel] = segment;
                let voxel = expected.map(|(slice, _)| slice[(pixel / object.columns, pixel % object.columns)]);
                let right = voxel.is_none_or(|v| Some(v) == label);
                tally.wrong += usize::from(!right);
            }
        }
        tally
    }
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
