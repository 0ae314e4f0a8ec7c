//! What an object should say: the finding's segments and voxels, worked out without the writer's code.

use ndarray::Axis;
use rayon::prelude::*;

use crate::dicom::SegmentationType;
use crate::volume::{Segment, Segmentation};

/// The finding as an object of one form should show it.
pub(super) struct Truth<'f> {
    finding: &'f Segmentation,
    stored: SegmentationType,
    /// The segments that occur; segment number = index + 1.
    pub segments: Vec<&'f Segment>,
    /// For each of `segments`, its index in the finding.
    places: Vec<usize>,
}

impl<'f> Truth<'f> {
    pub fn new(finding: &'f Segmentation, stored: SegmentationType) -> Truth<'f> {
        let mut truth = Truth { finding, stored, segments: Vec::new(), places: Vec::new() };
        let present = truth.present();
        let listed = finding.segments.iter().enumerate().filter(|(place, segment)| {
            if truth.by_shares() { truth.has_share(*place) } else { present[usize::from(segment.label)] }
        });
        (truth.places, truth.segments) = listed.unzip();
        truth
    }

    fn by_shares(&self) -> bool {
        self.stored == SegmentationType::Fractional && !self.finding.probabilities.is_empty()
    }

    fn has_share(&self, place: usize) -> bool {
        self.finding.probabilities.get(place).is_some_and(|shares| shares.iter().any(|share| *share > 0))
    }

    /// Which labels occur in any map.
    fn present(&self) -> [bool; 256] {
        let of_slice = |k: usize| {
            let mut present = [false; 256];
            let slices = self.finding.layers().map(|layer| layer.index_axis(Axis(0), k));
            slices.for_each(|slice| slice.iter().for_each(|label| present[usize::from(*label)] = true));
            present
        };
        let either = |a: [bool; 256], b: [bool; 256]| std::array::from_fn(|label| a[label] | b[label]);
        let slices = (0..self.finding.labels.len_of(Axis(0))).into_par_iter();
        slices.map(of_slice).reduce(|| [false; 256], either)
    }

    /// `(slices, rows, columns)`.
    pub fn size(&self) -> (usize, usize, usize) {
        self.finding.labels.dim()
    }

    /// The value of segment `number` at `[k, row, column]`: 0, or 1, or a share of 255.
    pub fn value(&self, number: u16, at: [usize; 3]) -> u8 {
        let index = usize::from(number).wrapping_sub(1);
        let (Some(segment), Some(place)) = (self.segments.get(index), self.places.get(index)) else { return 0 };
        if self.by_shares() {
            return self.finding.probabilities[*place][at];
        }
        let mut labels = self.finding.layers().map(|layer| layer[at]);
        let here = match self.stored {
            SegmentationType::Labelmap => labels.find(|label| *label > 0) == Some(segment.label),
            SegmentationType::Binary | SegmentationType::Fractional => labels.any(|label| label == segment.label),
        };
        match (here, self.stored) {
            (false, _) => 0,
            (true, SegmentationType::Fractional) => 255,
            (true, _) => 1,
        }
    }

    /// How many voxels segment `number` marks on slice `k`.
    pub fn count(&self, number: u16, k: usize) -> usize {
        let (_, rows, columns) = self.size();
        (0..rows * columns).filter(|pixel| self.value(number, [k, pixel / columns, pixel % columns]) > 0).count()
    }

    /// How many voxels, counted once for each segment, should be marked on slice `k`.
    pub fn marked(&self, k: usize) -> usize {
        if self.by_shares() {
            let slices = self.finding.probabilities.iter().map(|shares| shares.index_axis(Axis(0), k));
            return slices.map(|slice| slice.iter().filter(|share| **share > 0).count()).sum();
        }
        let listed: [bool; 256] =
            std::array::from_fn(|label| self.segments.iter().any(|s| usize::from(s.label) == label));
        if self.stored == SegmentationType::Labelmap {
            let (_, rows, columns) = self.size();
            let labelled =
                |row, column| self.finding.layers().any(|layer| listed[usize::from(layer[[k, row, column]])]);
            return (0..rows * columns).filter(|pixel| labelled(pixel / columns, pixel % columns)).count();
        }
        let slices = self.finding.layers().map(|layer| layer.index_axis(Axis(0), k));
        slices.map(|slice| slice.iter().filter(|label| listed[usize::from(**label)]).count()).sum()
    }
}
