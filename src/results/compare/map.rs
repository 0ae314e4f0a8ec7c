//! Where two segmentations of the same images disagree, as a segmentation: for each structure the voxels that only the
//! first has, and those that only the second has.

use ndarray::Array3;

use super::masks::{Bits, Masks};
use super::{Comparison, Kind, Row};
use crate::dicom::{scale, sha256, sub};
use crate::results::SourceSeries;
use crate::volume::{Algorithm, Grid, Segment, Segmentation};

/// Two labels a structure, 255 in all.
const MOST: usize = 127;

/// The disagreement on the source's grid; `None` where they are not of the same images. Structures beyond the first 127 are
/// left out, and where structures of one side share voxels, the first of them has these.
#[must_use]
pub fn disagreement(
    comparison: &Comparison,
    [first, second]: [&Masks; 2],
    source: &SourceSeries,
) -> Option<Segmentation> {
    if comparison.kind != Kind::SameImages {
        return None;
    }
    let plane = &source.slices()[0].plane;
    let size = (source.slices().len(), plane.rows, plane.columns);
    let (mut only_first, mut only_second) = (Array3::<u8>::zeros(size), Array3::<u8>::zeros(size));
    let mut segments = Vec::new();
    for (row, label) in comparison.rows.iter().take(MOST).zip((1..).step_by(2)) {
        segments.extend([described(row, label, "first"), described(row, label + 1, "second")]);
        for (k, slice) in source.slices().iter().enumerate() {
            let [a, b] = [(first, 0), (second, 1)].map(|(masks, side): (&Masks, usize)| {
                row.numbers[side].and_then(|number| masks.slices.get(&(masks.place(slice.plane.position), number)))
            });
            mark(&mut only_first, k, label, a, b);
            mark(&mut only_second, k, label + 1, b, a);
        }
    }
    let found = finding([first, second], source);
    Some(Segmentation { labels: only_first, overlays: vec![only_second], segments, ..found })
}

/// A comparison as a finding that says nothing yet: the source's grid, and what compared.
pub(super) fn finding([first, second]: [&Masks; 2], source: &SourceSeries) -> Segmentation {
    let algorithm = Algorithm {
        name: "sagittal-compare".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        manufacturer: "Sagittal".into(),
        digest: sha256(format!("{} {}", first.instance, second.instance).as_bytes()),
    };
    Segmentation::of_labels(Array3::zeros((0, 0, 0)), grid(source), Vec::new(), algorithm)
}

fn described(row: &Row, label: u8, side: &str) -> Segment {
    let [r, g, b] = row.segment.color;
    // The second side in the colour's complement, so that both stand out on one image.
    let color = if label % 2 == 1 { [r, g, b] } else { [255 - r, 255 - g, 255 - b] };
    Segment { label, name: format!("{}: only in the {side}", row.segment.name), color, ..row.segment.clone() }
}

/// Labels the voxels of `own` that `other` has not.
fn mark(labels: &mut Array3<u8>, k: usize, label: u8, own: Option<&Bits>, other: Option<&Bits>) {
    let Some(own) = own else { return };
    let columns = labels.dim().2;
    for (word, bits) in own.iter().enumerate() {
        let mut left = bits & !other.map_or(0, |other| other[word]);
        while left != 0 {
            let at = word * 64 + left.trailing_zeros() as usize;
            let voxel = &mut labels[[k, at / columns, at % columns]];
            *voxel = if *voxel == 0 { label } else { *voxel };
            left &= left - 1;
        }
    }
}

fn grid(source: &SourceSeries) -> Grid {
    let slices = source.slices();
    let (first, last) = (&slices[0].plane, &slices[slices.len() - 1].plane);
    let steps = slices.len().saturating_sub(1);
    let step = if steps == 0 { first.normal() } else { scale(sub(last.position, first.position), 1.0 / steps as f64) };
    Grid {
        size: [first.columns, first.rows, slices.len()],
        origin: first.position,
        axes: [scale(first.row, first.spacing[1]), scale(first.column, first.spacing[0]), step],
    }
}
