//! Findings over phantoms, as a model would make them.

use ndarray::Array3;
use sagittal::dicom::{Code, SegForm, SegmentationType};
use sagittal::results::{ResultContext, SourceSeries};
use sagittal::volume::{Algorithm, Segment, Segmentation};

use super::phantom::Series;

/// Every form that a SEG is written in.
pub const FORMS: [SegForm; 5] = [
    SegForm { stored: SegmentationType::Binary, rle: false },
    SegForm { stored: SegmentationType::Labelmap, rle: false },
    SegForm { stored: SegmentationType::Labelmap, rle: true },
    SegForm { stored: SegmentationType::Fractional, rle: false },
    SegForm { stored: SegmentationType::Fractional, rle: true },
];

/// The labels that `mark(k, j, i)` gives, on the phantom's own grid, with a segment for each of 1..=`segments`.
pub fn labelled(series: &Series, segments: u8, mut mark: impl FnMut(usize, usize, usize) -> u8) -> Segmentation {
    let grid = series.grid();
    let [columns, rows, slices] = grid.size;
    let labels = Array3::from_shape_fn((slices, rows, columns), |(k, j, i)| mark(k, j, i));
    Segmentation::of_labels(labels, grid, (1..=segments).map(segment).collect(), algorithm())
}

/// A scatter of voxels that leaves some slices without some labels and touches the first and last voxel.
pub fn scattered(series: &Series, segments: u8) -> Segmentation {
    let [columns, rows, _] = series.grid().size;
    labelled(series, segments, |k, j, i| {
        let corner = (i + j == 0) || (i + 1 == columns && j + 1 == rows);
        let hash = (i * 31 + j * 17 + k * 7 + i * j) % 97;
        let label = (i * 29 + j * 13 + k * 5) % usize::from(segments) + 1;
        let left_out = label % 3 == k % 3 && segments > 1;
        if (hash < 40 && !left_out) || (corner && k % 2 == 0) { label as u8 } else { 0 }
    })
}

/// Three segments of which the last shares voxels with the others.
pub fn overlapping(series: &Series) -> Segmentation {
    let mut finding = scattered(series, 2);
    finding.segments.push(segment(3));
    let third = |(k, j, i): (usize, usize, usize)| if (i + 2 * j + k) % 5 < 2 { 3 } else { 0 };
    finding.overlays = vec![Array3::from_shape_fn(finding.labels.dim(), third)];
    finding
}

/// Two segments with probabilities, of which the labels keep what is at least a half.
pub fn graded(series: &Series) -> Segmentation {
    let mut finding = labelled(series, 2, |k, j, i| {
        let [first, second] = shares(k, j, i);
        if first >= 128 { 1 } else { 2 * u8::from(second >= 128) }
    });
    let of = |which: usize| Array3::from_shape_fn(finding.labels.dim(), |(k, j, i)| shares(k, j, i)[which]);
    finding.probabilities = vec![of(0), of(1)];
    finding
}

fn shares(k: usize, j: usize, i: usize) -> [u8; 2] {
    let first = if (i + k).is_multiple_of(4) { (i * 37 + j * 11 + k * 5) % 256 } else { 0 };
    [first as u8, if j.is_multiple_of(3) { 255 - first as u8 } else { 0 }]
}

/// A phantom of random size and spacing with three segments of random shapes: balls with holes and islands in them,
/// noise whose voxels touch at corners, all of it cut by the borders.
pub fn blobs(seed: u64) -> (Series, Segmentation) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let (columns, rows) = (dice.usize(8..48), dice.usize(8..48));
    // Two of three are square, in square pixels: some readers get no others right.
    let rows = if seed.is_multiple_of(3) { rows } else { columns };
    let mut series = Series::new(columns, rows, dice.usize(2..7));
    let spacing = [0.5 + dice.f64() * 2.0, 0.5 + dice.f64() * 2.0].map(|mm| (mm * 64.0).round() / 64.0);
    series.spacing = if seed.is_multiple_of(3) { spacing } else { [spacing[0]; 2] };
    series.reversed = seed % 4 == 3;
    let balls: Vec<_> = (0..9).map(|_| ([(); 3].map(|()| dice.f64()), 0.08 + 0.3 * dice.f64(), dice.u8(..4))).collect();
    let size = [series.slices, series.rows, series.columns].map(|n| n as f64);
    let noise = dice.u8(..40);
    let finding = labelled(&series, 3, |k, j, i| {
        let at = [k as f64 / size[0], j as f64 / size[1], i as f64 / size[2]];
        let inside = |centre: &[f64; 3], radius: f64| {
            (0..3).map(|axis| (at[axis] - centre[axis]).powi(2)).sum::<f64>() < radius * radius
        };
        let label = balls.iter().rev().find(|(centre, radius, _)| inside(centre, *radius)).map_or(0, |ball| ball.2);
        if dice.u8(..100) < noise { dice.u8(..4) } else { label }
    });
    (series, finding)
}

pub fn segment(label: u8) -> Segment {
    Segment {
        label,
        name: format!("Structure {label}"),
        category: Code::new("91723000", "SCT", "Anatomical Structure"),
        property: Code::new("12738006", "SCT", "Brain"),
        modifier: label.is_multiple_of(2).then(|| Code::new("7771000", "SCT", "Left")),
        region: label.is_multiple_of(5).then(|| Code::new("69536005", "SCT", "Head")),
        region_modifier: label.is_multiple_of(10).then(|| Code::new("24028007", "SCT", "Right")),
        color: [label.wrapping_mul(37), label.wrapping_mul(91), 200],
    }
}

pub fn algorithm() -> Algorithm {
    Algorithm {
        name: "phantom-model".into(),
        version: "1.2.0".into(),
        manufacturer: "Model makers".into(),
        digest: "0123456789abcdef".repeat(4),
    }
}

pub fn context() -> ResultContext {
    let started = chrono::DateTime::from_timestamp_millis(1_794_000_000_123).unwrap();
    ResultContext::new("brain-mri", 9001, "AI: phantom structures", started)
}

pub fn source(series: &Series) -> SourceSeries {
    SourceSeries::from_part10(&series.instances()).unwrap()
}
