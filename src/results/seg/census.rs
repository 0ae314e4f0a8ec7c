//! Where each segment occurs: what decides which segments and frames an object has, and whether segments overlap.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::results::areas::{Area, Marked, marked, slice_of};
use crate::volume::Segmentation;

/// The segments' voxels, slice by slice.
pub(in crate::results) struct Census {
    /// Voxels of each label in the volume.
    pub voxels: [u64; 256],
    /// `[k]`: the labels on slice `k`.
    pub marked: Vec<Vec<Marked>>,
    /// Whether a voxel belongs to two segments.
    pub overlap: bool,
}

/// What one slice holds.
struct Slice {
    marked: Vec<Marked>,
    overlap: bool,
}

impl Census {
    /// Counts the labels of every map.
    pub fn of_labels(finding: &Segmentation) -> Census {
        let columns = finding.labels.len_of(Axis(2));
        Census::of_slices(finding, |k| {
            let found = finding.layers().flat_map(|layer| marked(&slice_of(layer, k), columns)).collect();
            let mut layers = finding.layers().map(|layer| layer.index_axis(Axis(0), k));
            let first = layers.next();
            let overlap = first.is_some_and(|first| shared(first, &layers.collect::<Vec<_>>()));
            Slice { marked: found, overlap }
        })
    }

    /// Counts the voxels in which each segment has any probability.
    pub fn of_probabilities(finding: &Segmentation) -> Census {
        let (_, rows, columns) = finding.labels.dim();
        let area = Area { columns: [0, columns.saturating_sub(1)], rows: [0, rows.saturating_sub(1)] };
        Census::of_slices(finding, |k| {
            let mut found = Vec::new();
            let mut claims = vec![0_u8; rows * columns];
            for (segment, shares) in finding.segments.iter().zip(&finding.probabilities) {
                let mut voxels = 0;
                let slice = shares.index_axis(Axis(0), k);
                for (claim, _) in claims.iter_mut().zip(slice).filter(|(_, share)| **share > 0) {
                    voxels += 1;
                    *claim = claim.saturating_add(1);
                }
                if voxels > 0 {
                    found.push(Marked { label: segment.label, voxels, area });
                }
            }
            Slice { marked: found, overlap: claims.iter().any(|claims| *claims > 1) }
        })
    }

    fn of_slices(finding: &Segmentation, look: impl Fn(usize) -> Slice + Sync + Send) -> Census {
        let slices: Vec<Slice> = (0..finding.labels.len_of(Axis(0))).into_par_iter().map(look).collect();
        let mut voxels = [0_u64; 256];
        for marked in slices.iter().flat_map(|slice| &slice.marked) {
            voxels[usize::from(marked.label)] += marked.voxels;
        }
        let overlap = slices.iter().any(|slice| slice.overlap);
        Census { voxels, marked: slices.into_iter().map(|slice| slice.marked).collect(), overlap }
    }

    /// Where `label` lies on slice `k`, if it has voxels there.
    pub fn area(&self, k: usize, label: u8) -> Option<Area> {
        self.marked[k].iter().find(|marked| marked.label == label).map(|marked| marked.area)
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
