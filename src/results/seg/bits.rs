//! One bit a voxel (PS3.5 section 8.1.1 and annex D): the first voxel is the least significant bit of the
//! first byte, and frames follow each other without padding between them.
//!
//! Written by hand because libraries round frames up to whole bytes, which misplaces every frame after
//! the first when rows x columns is not a multiple of eight.

/// Bytes of `frames` frames of `pixels` voxels each, padded to even length.
pub(super) fn packed_len(frames: usize, pixels: usize) -> u64 {
    let bytes = (frames as u64 * pixels as u64).div_ceil(8);
    bytes + bytes % 2
}

/// Sets, for every voxel of `slice` whose label has a frame, that voxel's bit in `packed`.
///
/// `frame_of[label]` is the frame's index, if the label has one on this slice; label 0 never has.
pub(super) fn pack_slice(slice: &[u8], frame_of: &[Option<u32>; 256], packed: &mut [u8]) {
    let start_of = frame_of.map(|frame| frame.map(|f| f as usize * slice.len()));
    for (chunk_index, chunk) in slice.chunks(8).enumerate() {
        // Background is most of a volume: skip it eight voxels at a time.
        if chunk == [0; 8] {
            continue;
        }
        for (offset, label) in chunk.iter().enumerate() {
            if let Some(start) = start_of[usize::from(*label)] {
                let bit = start + chunk_index * 8 + offset;
                packed[bit / 8] |= 1 << (bit % 8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_within_a_byte() {
        let mut frame_of = [None; 256];
        frame_of[7] = Some(0);
        let mut packed = vec![0; packed_len(2, 25) as usize];
        let mut first = [0_u8; 25];
        first[0] = 7;
        first[12] = 7;
        pack_slice(&first, &frame_of, &mut packed);
        frame_of[7] = Some(1);
        let mut second = [0_u8; 25];
        second[0] = 7;
        second[24] = 7;
        pack_slice(&second, &frame_of, &mut packed);
        assert_eq!(packed, [0x01, 0x10, 0, 0x02, 0, 0, 0x02, 0]);
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
