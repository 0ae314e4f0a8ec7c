//! Where each segment occurs: what decides which segments and frames an object has, and whether segments overlap.

use ndarray::{Array3, ArrayView2, Axis};
use rayon::prelude::*;

use crate::volume::Segmentation;

/// Voxels of each label, slice by slice.
pub(super) struct Census {
    /// Voxels of each label in the volume.
    pub voxels: [u64; 256],
    /// `[k][label]`: whether the label has voxels on slice `k`.
    pub present: Vec<[bool; 256]>,
    /// Whether a voxel belongs to two segments.
    pub overlap: bool,
}

/// What one slice holds.
struct Slice {
    counts: [u64; 256],
    overlap: bool,
}

impl Census {
    /// Counts the labels of every map.
    pub fn of_labels(finding: &Segmentation) -> Census {
        Census::of_slices(finding, |k| {
            let mut layers = finding.layers().map(|layer| layer.index_axis(Axis(0), k));
            let mut counts = [0; 256];
            layers.clone().for_each(|layer| count(layer, &mut counts));
            let first = layers.next();
            let overlap = first.is_some_and(|first| shared(first, &layers.collect::<Vec<_>>()));
            Slice { counts, overlap }
        })
    }

    /// Counts the voxels in which each segment has any probability.
    pub fn of_probabilities(finding: &Segmentation) -> Census {
        Census::of_slices(finding, |k| {
            let mut counts = [0; 256];
            let mut claims = vec![0_u8; finding.labels.index_axis(Axis(0), k).len()];
            for (segment, shares) in finding.segments.iter().zip(&finding.probabilities) {
                let slice = shares.index_axis(Axis(0), k);
                for (claim, _) in claims.iter_mut().zip(slice).filter(|(_, share)| **share > 0) {
                    counts[usize::from(segment.label)] += 1;
                    *claim = claim.saturating_add(1);
                }
            }
            Slice { counts, overlap: claims.iter().any(|claims| *claims > 1) }
        })
    }

    fn of_slices(finding: &Segmentation, look: impl Fn(usize) -> Slice + Sync + Send) -> Census {
        let slices: Vec<Slice> = (0..finding.labels.len_of(Axis(0))).into_par_iter().map(look).collect();
        let mut voxels = [0_u64; 256];
        for slice in &slices {
            voxels.iter_mut().zip(slice.counts).for_each(|(total, n)| *total += n);
        }
        let overlap = slices.iter().any(|slice| slice.overlap);
        Census { voxels, present: slices.into_iter().map(|slice| slice.counts.map(|n| n > 0)).collect(), overlap }
    }
}

fn count(slice: ArrayView2<u8>, counts: &mut [u64; 256]) {
    for row in slice.rows() {
        // Background is most of a volume.
        if row.iter().fold(0, |any, label| any | label) == 0 {
            counts[0] += row.len() as u64;
            continue;
        }
        row.iter().for_each(|label| counts[usize::from(*label)] += 1);
    }
}

/// Whether two of the maps mark the same voxel.
fn shared(first: ArrayView2<u8>, others: &[ArrayView2<u8>]) -> bool {
    if others.is_empty() {
        return false;
    }
    let mut taken = first.mapv(|label| label > 0);
    others.iter().any(|layer| {
        layer.iter().zip(taken.iter_mut()).any(|(label, taken)| {
            let twice = *label > 0 && *taken;
            *taken |= *label > 0;
            twice
        })
    })
}

/// One slice of a label map or of probabilities, contiguous in memory.
pub(in crate::results) fn slice_of(volume: &Array3<u8>, k: usize) -> std::borrow::Cow<'_, [u8]> {
    let slice = volume.index_axis(Axis(0), k);
    match slice.to_slice() {
        Some(contiguous) => contiguous.into(),
        None => slice.iter().copied().collect(),
    }
}
