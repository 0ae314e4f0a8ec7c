//! Two segmentations beside each other: what two models find in the same images, or one at two points of time.
//!
//! Structures are matched by their codes, or else by their names. Nothing is registered: over the same images voxels are
//! laid on voxels; between time points only volumes are compared, structure by structure.

mod map;
mod masks;
mod report;

use chrono::NaiveDate;

pub use map::disagreement;
pub use masks::Masks;
pub use report::comparison_report;

use super::read::ReadError;
use crate::dicom::{dot, norm, scale, sub};
use crate::volume::Segment;

/// Why two objects are not compared. Never tells a patient's values.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("it is no readable DICOM file: {0}")]
    Unreadable(String),
    #[error("it is no BINARY segmentation and no label map; compare those")]
    NotMasks,
    #[error("{0} is missing or has no usable value; it is no segmentation that can be compared")]
    Missing(&'static str),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("they are of two patients; only what belongs to one patient is compared")]
    Patients,
    #[error(
        "they lie in one frame of reference, but their voxels do not coincide; resample one of them onto the images of the other"
    )]
    Grids,
    #[error(
        "how much a slice of {0} stands for is not stated (uneven spacing); give its images with --source, which say it"
    )]
    Thickness(&'static str),
}

/// How two segmentations belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Over the same images, voxel by voxel.
    SameImages,
    /// Of one patient at two points of time, by volume.
    TimePoints,
}

/// One structure in both.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// As the first describes it, or the second where the first has it not.
    pub segment: Segment,
    /// Its segment number in each.
    pub numbers: [Option<u8>; 2],
    /// mm3 in each; 0 where it is not there.
    pub volumes: [f64; 2],
    /// Voxels in each, and in both; of the same images only.
    pub overlap: Option<Overlap>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    pub voxels: [u64; 2],
    pub common: u64,
}

impl Overlap {
    /// 2 |A and B| / (|A| + |B|); nothing over nothing is no agreement and no disagreement.
    #[must_use]
    pub fn dice(&self) -> Option<f64> {
        let sum = self.voxels[0] + self.voxels[1];
        (sum > 0).then(|| 2.0 * self.common as f64 / sum as f64)
    }
}

impl Row {
    /// mm3 that the second has more than the first.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.volumes[1] - self.volumes[0]
    }

    /// The difference in percent of the first.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        (self.volumes[0] > 0.0).then(|| 100.0 * self.difference() / self.volumes[0])
    }
}

/// Two segmentations, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub kind: Kind,
    /// Study dates.
    pub dates: [Option<NaiveDate>; 2],
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Days from the first to the second.
    #[must_use]
    pub fn days(&self) -> Option<i64> {
        Some((self.dates[1]? - self.dates[0]?).num_days())
    }
}

/// Compares the second with the first: the later with the earlier, or one model with another.
pub fn compare(first: &Masks, second: &Masks) -> Result<Comparison, CompareError> {
    if first.patient != second.patient {
        return Err(CompareError::Patients);
    }
    let kind = match first.frame_of_reference.is_some() && first.frame_of_reference == second.frame_of_reference {
        true if !alike(first, second) => return Err(CompareError::Grids),
        true => Kind::SameImages,
        false if first.source_series.is_some() && first.source_series == second.source_series => Kind::SameImages,
        false => Kind::TimePoints,
    };
    let rows = pairs(first, second).into_iter().map(|pair| row(kind, [first, second], pair));
    Ok(Comparison { kind, dates: [first.date, second.date], rows: rows.collect::<Result<_, _>>()? })
}

/// One direction, spacing, size, and place across the slices.
fn alike(first: &Masks, second: &Masks) -> bool {
    let (a, b) = (&first.plane, &second.plane);
    let near = |x, y, mm| norm(sub(x, y)) < mm;
    let spacing = (0..2).all(|axis| (a.spacing[axis] - b.spacing[axis]).abs() < 1e-4);
    let apart = sub(b.position, a.position);
    let along = scale(a.normal(), dot(a.normal(), apart));
    near(a.row, b.row, 1e-3)
        && near(a.column, b.column, 1e-3)
        && spacing
        && (a.rows, a.columns) == (b.rows, b.columns)
        && near(apart, along, 1e-2)
}

/// Structures in the order of the first, then those that only the second has.
fn pairs<'m>(first: &'m Masks, second: &'m Masks) -> Vec<[Option<&'m Segment>; 2]> {
    let mut left: Vec<&Segment> = second.segments.iter().collect();
    let mut pairs = Vec::new();
    for own in &first.segments {
        let by_codes =
            left.iter().position(|other| codes(own) == codes(other) && unique(first, own) && unique(second, other));
        let found = by_codes.or_else(|| left.iter().position(|other| names_agree(own, other)));
        pairs.push([Some(own), found.map(|at| left.remove(at))]);
    }
    pairs.extend(left.into_iter().map(|other| [None, Some(other)]));
    pairs
}

fn codes(segment: &Segment) -> [Option<(&str, &str)>; 4] {
    [Some(&segment.property), segment.modifier.as_ref(), segment.region.as_ref(), segment.region_modifier.as_ref()]
        .map(|code| code.map(|code| (code.scheme.as_str(), code.value.as_str())))
}

/// Whether no other segment has the same codes, so that they tell which structure is meant.
fn unique(masks: &Masks, segment: &Segment) -> bool {
    masks.segments.iter().filter(|other| codes(other) == codes(segment)).count() == 1
}

fn names_agree(a: &Segment, b: &Segment) -> bool {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], " ");
    plain(&a.name) == plain(&b.name)
}

fn row(kind: Kind, masks: [&Masks; 2], pair: [Option<&Segment>; 2]) -> Result<Row, CompareError> {
    let numbers = pair.map(|segment| segment.map(|segment| segment.label));
    let volume = |which: usize| match numbers[which] {
        None => Ok(0.0),
        Some(label) => masks[which].volume(label).ok_or(CompareError::Thickness(["the first", "the second"][which])),
    };
    let overlap = (kind == Kind::SameImages).then(|| Overlap {
        voxels: [0, 1].map(|which| numbers[which].map_or(0, |label| masks[which].voxels(label))),
        common: common(masks, numbers),
    });
    let segment = pair[0].or(pair[1]).cloned().ok_or(CompareError::Missing("SegmentSequence"))?;
    Ok(Row { segment, numbers, volumes: [volume(0)?, volume(1)?], overlap })
}

fn common([first, second]: [&Masks; 2], numbers: [Option<u8>; 2]) -> u64 {
    let [Some(a), Some(b)] = numbers else { return 0 };
    let of_slice = |((place, label), bits): (&(i64, u8), &masks::Bits)| {
        let other = (*label == a).then(|| second.slices.get(&(*place, b))).flatten();
        other.map_or(0, |other| bits.iter().zip(other).map(|(x, y)| u64::from((x & y).count_ones())).sum())
    };
    first.slices.iter().map(of_slice).sum()
}
