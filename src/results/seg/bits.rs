//! One bit a voxel (PS3.5 section 8.1.1 and annex D): the first voxel is the least significant bit of the
//! first byte, and frames follow each other without padding between them.
//!
//! Written by hand because libraries round frames up to whole bytes, which misplaces every frame after
//! the first when rows x columns is not a multiple of eight.

use crate::results::areas::Area;

/// Bytes of `frames` frames of `pixels` voxels each, padded to even length.
pub(super) fn packed_len(frames: usize, pixels: usize) -> u64 {
    let bytes = (frames as u64 * pixels as u64).div_ceil(8);
    bytes + bytes % 2
}

/// How many empty frames beside `frames` let Cornerstone, with which OHIF reads, find where each begins: it concludes from
/// the length alone whether frames begin at whole bytes, and refuses lengths that were padded to be even.
pub(super) fn frames_to_add(frames: usize, pixels: usize) -> usize {
    let is_clear = |frames: usize| {
        let (packed, by_frame) = ((frames * pixels).div_ceil(8), frames * pixels.div_ceil(8));
        packed.is_multiple_of(2) && (packed != by_frame || frames == 1 || pixels.is_multiple_of(8))
    };
    (0..64).find(|more| is_clear(frames + more)).unwrap_or(0)
}

/// Sets the bits of the voxels of `slice` that have `label`, all of which lie in `area`. The frame begins at bit `start`.
pub(super) fn pack(slice: &[u8], columns: usize, (label, area): (u8, Area), start: usize, packed: &mut [u8]) {
    let [left, right] = area.columns;
    for row in area.rows[0]..=area.rows[1] {
        let begin = row * columns + left;
        let line = &slice[begin..=row * columns + right];
        let (eights, rest) = line.as_chunks::<8>();
        for (bit, eight) in (start + begin..).step_by(8).zip(eights) {
            put(equal(*eight, label), bit, packed);
        }
        let mut last = [!label; 8];
        last[..rest.len()].copy_from_slice(rest);
        put(equal(last, label), start + begin + eights.len() * 8, packed);
    }
}

/// Sets the bits of `mask` from bit `at` on, over two bytes where it must.
fn put(mask: u8, at: usize, packed: &mut [u8]) {
    if mask == 0 {
        return;
    }
    let [low, high] = (u16::from(mask) << (at % 8)).to_le_bytes();
    packed[at / 8] |= low;
    if high > 0 {
        packed[at / 8 + 1] |= high;
    }
}

/// Bit `n` says whether byte `n` is `label`.
fn equal(eight: [u8; 8], label: u8) -> u8 {
    let differs = u64::from_le_bytes(eight) ^ u64::from_le_bytes([label; 8]);
    let low = u64::from_le_bytes([0x7f; 8]);
    // The high bit of each byte that is zero, moved to its lowest bit; the product collects these in the highest byte.
    let zero = !(((differs & low) + low) | differs | low) >> 7;
    (zero.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(columns: usize, rows: usize) -> Area {
        Area { columns: [0, columns - 1], rows: [0, rows - 1] }
    }

    #[test]
    fn frames_follow_each_other_within_a_byte() {
        let mut packed = vec![0; packed_len(2, 25) as usize];
        let mut first = [0_u8; 25];
        first[0] = 7;
        first[12] = 7;
        pack(&first, 5, (7, all(5, 5)), 0, &mut packed);
        let mut second = [0_u8; 25];
        second[0] = 7;
        second[24] = 7;
        pack(&second, 5, (7, all(5, 5)), 25, &mut packed);
        assert_eq!(packed, [0x01, 0x10, 0, 0x02, 0, 0, 0x02, 0]);
    }

    #[test]
    fn every_voxel_has_its_bit() {
        let mut dice = fastrand::Rng::with_seed(3);
        for (columns, rows) in [(1, 1), (5, 5), (8, 3), (127, 2), (31, 9)] {
            let slice: Vec<u8> = (0..columns * rows).map(|_| [0, 1, 127, 128, 254, 255][dice.usize(..6)]).collect();
            for (label, start) in [(1, 0), (127, 3), (128, 8), (255, 13), (254, 7)] {
                let mut packed = vec![0; (start + slice.len()).div_ceil(8)];
                pack(&slice, columns, (label, all(columns, rows)), start, &mut packed);
                let bit = |at: usize| packed[at / 8] >> (at % 8) & 1 == 1;
                assert!((0..start).all(|at| !bit(at)));
                assert!(slice.iter().enumerate().all(|(at, value)| bit(start + at) == (*value == label)));
            }
        }
    }

    /// Only sizes that are no multiple of sixteen need any.
    #[test]
    fn frames_are_added_until_their_packing_is_clear() {
        let check =
            |frames, pixels, expected| assert_eq!(frames_to_add(frames, pixels), expected, "{frames} of {pixels}");
        check(1, 512 * 512, 0);
        check(3, 24, 1);
        check(1, 5 * 5, 0);
        check(4, 5 * 5, 1);
        check(1, 127 * 127, 8);
        check(6, 511 * 513, 10);
    }

    #[test]
    fn lengths_are_even() {
        let check = |frames, pixels, expected| assert_eq!(packed_len(frames, pixels), expected);
        check(2, 25, 8);
        check(1, 1, 2);
        check(18, 128 * 128, 36864);
        check(200_000, 512 * 512, 6_553_600_000);
    }
}
