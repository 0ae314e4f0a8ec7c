//! Findings over phantoms, as a model would make them.

use ndarray::Array3;
use sagittal::dicom::Code;
use sagittal::results::{ResultContext, SourceSeries};
use sagittal::volume::{Algorithm, Segment, Segmentation};

use super::phantom::Series;

/// The labels that `mark(k, j, i)` gives, on the phantom's own grid, with a segment for each of 1..=`segments`.
pub fn labelled(series: &Series, segments: u8, mark: impl Fn(usize, usize, usize) -> u8) -> Segmentation {
    let grid = series.grid();
    let [columns, rows, slices] = grid.size;
    let labels = Array3::from_shape_fn((slices, rows, columns), |(k, j, i)| mark(k, j, i));
    Segmentation { labels, grid, segments: (1..=segments).map(segment).collect(), algorithm: algorithm() }
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

pub fn segment(label: u8) -> Segment {
    Segment {
        label,
        name: format!("Structure {label}"),
        category: Code::new("123037004", "SCT", "Anatomical Structure"),
        property: Code::new("12738006", "SCT", "Brain"),
        modifier: label.is_multiple_of(2).then(|| Code::new("7771000", "SCT", "Left")),
        region: label.is_multiple_of(5).then(|| Code::new("69536005", "SCT", "Head")),
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
