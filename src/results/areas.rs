//! Where the labels of a slice lie: found once, so that what follows looks only there.
//!
//! Label maps are mostly background and runs of equal labels; both are passed over many voxels at a time.

use std::borrow::Cow;

use ndarray::{Array3, Axis};

/// The columns and rows that a label reaches over, first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub columns: [usize; 2],
    pub rows: [usize; 2],
}

/// A label on one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marked {
    pub label: u8,
    pub voxels: u64,
    pub area: Area,
}

/// The labels of a slice that are not 0, ascending.
pub(super) fn marked(labels: &[u8], width: usize) -> Vec<Marked> {
    let mut found: Vec<Option<Marked>> = vec![None; 256];
    for (row, line) in labels.chunks_exact(width.max(1)).enumerate() {
        let mut column = 0;
        while column < line.len() {
            let (label, length) = (line[column], run_of(&line[column..]));
            if label > 0 {
                let [first, last] = [column, column + length - 1];
                let new = Marked { label, voxels: 0, area: Area { columns: [first, last], rows: [row; 2] } };
                let known = found[usize::from(label)].get_or_insert(new);
                known.voxels += length as u64;
                known.area.columns = [known.area.columns[0].min(first), known.area.columns[1].max(last)];
                known.area.rows[1] = row;
            }
            column += length;
        }
    }
    found.into_iter().flatten().collect()
}

/// How many bytes from the first one on are equal to it.
pub(super) fn run_of(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first() else { return 0 };
    let wide = [*first; 16];
    let blocks = bytes.chunks_exact(16).take_while(|block| **block == wide).count() * 16;
    blocks + bytes[blocks..].iter().take_while(|byte| *byte == first).count()
}

/// One slice of a label map or of probabilities, contiguous in memory.
pub(super) fn slice_of(volume: &Array3<u8>, k: usize) -> Cow<'_, [u8]> {
    let slice = volume.index_axis(Axis(0), k);
    match slice.to_slice() {
        Some(contiguous) => contiguous.into(),
        None => slice.iter().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_reach_over_all_of_a_label() {
        let labels = [0, 0, 2, 0, /**/ 2, 0, 0, 0, /**/ 0, 0, 7, 0];
        let found: Vec<_> =
            marked(&labels, 4).into_iter().map(|m| (m.label, m.voxels, m.area.columns, m.area.rows)).collect();
        assert_eq!(found, [(2, 2, [0, 2], [0, 1]), (7, 1, [2, 2], [2, 2])]);
    }

    #[test]
    fn runs_end_where_bytes_change() {
        for length in [1, 15, 16, 17, 31, 32, 40] {
            let mut bytes = vec![5; length];
            assert_eq!(run_of(&bytes), length);
            bytes.extend([6, 5]);
            assert_eq!(run_of(&bytes), length);
        }
        assert_eq!(run_of(&[]), 0);
    }
}
