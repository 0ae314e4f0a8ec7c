//! The geometry of image planes (PS3.3 section C.7.6.2): positions and directions in the patient's LPS
//! system, millimetres; and the check of a whole series that runs when its revision closes.

use serde::{Deserialize, Serialize};

use super::{Dataset, decimals, text};
use dicom_dictionary_std::tags;

/// A point or direction in the patient's LPS system, millimetres.
pub type Vec3 = [f64; 3];

#[must_use]
pub fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[must_use]
pub fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[must_use]
pub fn scale(a: Vec3, s: f64) -> Vec3 {
    [a[0] * s, a[1] * s, a[2] * s]
}

#[must_use]
pub fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[must_use]
pub fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[must_use]
pub fn norm(a: Vec3) -> f64 {
    dot(a, a).sqrt()
}

/// One single-frame image's plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// ImagePositionPatient: centre of the first transmitted voxel.
    pub position: Vec3,
    /// Direction of increasing column index (first three ImageOrientationPatient values), unit length.
    pub row: Vec3,
    /// Direction of increasing row index (last three ImageOrientationPatient values), unit length.
    pub column: Vec3,
    /// PixelSpacing: distance between rows, distance between columns, mm.
    pub spacing: [f64; 2],
    pub rows: usize,
    pub columns: usize,
    pub frame_of_reference: Option<String>,
}

impl Plane {
    /// Reads the plane of a single-frame image; `None` when an attribute is missing or is no geometry.
    #[must_use]
    pub fn of(dataset: &Dataset) -> Option<Plane> {
        let position = triple(&decimals(dataset, tags::IMAGE_POSITION_PATIENT)?)?;
        let cosines = decimals(dataset, tags::IMAGE_ORIENTATION_PATIENT)?;
        let (row, column) = (triple(cosines.get(..3)?)?, triple(cosines.get(3..6)?)?);
        let spacing = decimals(dataset, tags::PIXEL_SPACING)?;
        let spacing = [*spacing.first()?, *spacing.get(1)?];
        let size = |tag| text(dataset, tag)?.parse::<usize>().ok().filter(|n| *n > 0);
        let plane = Plane {
            position,
            row: scale(row, 1.0 / norm(row)),
            column: scale(column, 1.0 / norm(column)),
            spacing,
            rows: size(tags::ROWS)?,
            columns: size(tags::COLUMNS)?,
            frame_of_reference: text(dataset, tags::FRAME_OF_REFERENCE_UID),
        };
        let orthonormal = dot(plane.row, plane.column).abs() < 1e-2 && spacing.iter().all(|s| *s > 0.0);
        (orthonormal && plane.row.iter().chain(&plane.column).all(|v| v.is_finite())).then_some(plane)
    }

    /// What stands for the plane of a projection image, which lies nowhere in the patient: its own rows and columns, in
    /// PixelSpacing, or else in ImagerPixelSpacing, the distances on the detector, or else in pixels
    /// (PS3.3 section 10.7.1.3).
    #[must_use]
    pub fn projection(dataset: &Dataset) -> Option<Plane> {
        let two = |tag| {
            let values = decimals(dataset, tag)?;
            <[f64; 2]>::try_from(values).ok().filter(|values| values.iter().all(|mm| *mm > 0.0))
        };
        let size = |tag| text(dataset, tag)?.parse::<usize>().ok().filter(|n| *n > 0);
        Some(Plane {
            position: [0.0; 3],
            row: [1.0, 0.0, 0.0],
            column: [0.0, 1.0, 0.0],
            spacing: two(tags::PIXEL_SPACING).or_else(|| two(tags::IMAGER_PIXEL_SPACING)).unwrap_or([1.0; 2]),
            rows: size(tags::ROWS)?,
            columns: size(tags::COLUMNS)?,
            frame_of_reference: None,
        })
    }

    /// The slice normal, row x column.
    #[must_use]
    pub fn normal(&self) -> Vec3 {
        let n = cross(self.row, self.column);
        scale(n, 1.0 / norm(n))
    }
}

fn triple(values: &[f64]) -> Option<Vec3> {
    (values.len() >= 3 && values.iter().take(3).all(|v| v.is_finite())).then(|| [values[0], values[1], values[2]])
}

/// Indices of `planes` sorted by position along the normal of the first one.
#[must_use]
pub fn sort_along_normal(planes: &[Plane]) -> Vec<usize> {
    let Some(first) = planes.first() else { return Vec::new() };
    let normal = first.normal();
    let mut order: Vec<usize> = (0..planes.len()).collect();
    order.sort_by(|a, b| dot(normal, planes[*a].position).total_cmp(&dot(normal, planes[*b].position)));
    order
}

/// What the geometry check at closing found; stored with the revision, matched by a pipeline's `accept`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum GeometryVerdict {
    /// One orientation, one frame of reference, evenly spaced slices.
    Regular { slices: usize, spacing: f64 },
    /// A single slice with a plane.
    SingleSlice,
    /// Gaps that are whole multiples of the usual distance: slices are missing.
    MissingSlices { slices: usize, spacing: f64, missing: usize },
    /// Distances differ, and not by whole slices.
    NonUniform { slices: usize, smallest: f64, largest: f64 },
    /// Two slices at the same place.
    DuplicatePositions { slices: usize, duplicates: usize },
    /// More than one orientation, pixel spacing or matrix size in the series.
    MixedOrientation { slices: usize },
    /// More than one frame of reference in the series.
    MixedFrameOfReference { slices: usize },
    /// Instances without image plane attributes (projection images, reports, multi-frame images without functional groups).
    NoGeometry,
}

impl GeometryVerdict {
    /// The word used in configuration, logs and tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            GeometryVerdict::Regular { .. } => "regular",
            GeometryVerdict::SingleSlice => "single-slice",
            GeometryVerdict::MissingSlices { .. } => "missing-slices",
            GeometryVerdict::NonUniform { .. } => "non-uniform",
            GeometryVerdict::DuplicatePositions { .. } => "duplicate-positions",
            GeometryVerdict::MixedOrientation { .. } => "mixed-orientation",
            GeometryVerdict::MixedFrameOfReference { .. } => "mixed-frame-of-reference",
            GeometryVerdict::NoGeometry => "no-geometry",
        }
    }
}

/// What a verdict's word means, and what helps, for those who read that a series was not taken.
#[must_use]
pub fn meaning_of(verdict: &str) -> &'static str {
    match verdict {
        "regular" => "evenly spaced slices",
        "single-slice" => "one slice alone",
        "missing-slices" => "slices are missing: have the whole series sent again",
        "non-uniform" => "its slices are unevenly spaced",
        "duplicate-positions" => "several images lie at one place: times, echoes or b-values, to be routed apart",
        "mixed-orientation" => "its slices differ in direction, size or spacing: localizers, to be sent apart",
        "mixed-frame-of-reference" => "its slices lie in several frames of reference",
        _ => {
            "not every image says where it lies: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing, as in \
             projection images, in multi-frame images without functional groups, or it is part of a concatenation; send \
             slices or whole Enhanced multi-frame images, or accept \"no-geometry\" for single projection images"
        }
    }
}

/// Checks a series: `planes` has one entry an instance, `None` where the instance has no plane.
#[must_use]
pub fn check_geometry(planes: &[Option<Plane>]) -> GeometryVerdict {
    let slices = planes.len();
    let Some(planes) = planes.iter().cloned().collect::<Option<Vec<Plane>>>().filter(|p| !p.is_empty()) else {
        return GeometryVerdict::NoGeometry;
    };
    let first = &planes[0];
    if planes.iter().any(|p| p.frame_of_reference != first.frame_of_reference) {
        return GeometryVerdict::MixedFrameOfReference { slices };
    }
    if planes.iter().any(|p| !same_orientation(p, first)) {
        return GeometryVerdict::MixedOrientation { slices };
    }
    if slices == 1 {
        return GeometryVerdict::SingleSlice;
    }
    let normal = first.normal();
    let places: Vec<f64> = sort_along_normal(&planes).iter().map(|i| dot(normal, planes[*i].position)).collect();
    spacing_verdict(&places)
}

fn same_orientation(a: &Plane, b: &Plane) -> bool {
    let close = |x: Vec3, y: Vec3| norm(sub(x, y)) < 1e-3;
    let spacing = (0..2).all(|i| (a.spacing[i] - b.spacing[i]).abs() < 1e-4);
    close(a.row, b.row) && close(a.column, b.column) && spacing && (a.rows, a.columns) == (b.rows, b.columns)
}

/// `places`: sorted positions along the normal, mm, at least two.
fn spacing_verdict(places: &[f64]) -> GeometryVerdict {
    let slices = places.len();
    let gaps: Vec<f64> = places.windows(2).map(|w| w[1] - w[0]).collect();
    let duplicates = gaps.iter().filter(|g| **g < 1e-3).count();
    if duplicates > 0 {
        return GeometryVerdict::DuplicatePositions { slices, duplicates };
    }
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    let spacing = sorted[(sorted.len() - 1) / 2];
    let tolerance = (0.02 * spacing).max(0.01);
    let (smallest, largest) = (sorted[0], sorted[sorted.len() - 1]);
    if largest - smallest <= 2.0 * tolerance {
        return GeometryVerdict::Regular { slices, spacing };
    }
    let multiple = |gap: &f64| (gap / spacing).round();
    if gaps.iter().all(|g| multiple(g) >= 1.0 && (g - multiple(g) * spacing).abs() <= tolerance * multiple(g)) {
        let missing = gaps.iter().map(|g| multiple(g) as usize - 1).sum();
        return GeometryVerdict::MissingSlices { slices, spacing, missing };
    }
    GeometryVerdict::NonUniform { slices, smallest, largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(z: f64) -> Plane {
        Plane {
            position: [0.0, 0.0, z],
            row: [1.0, 0.0, 0.0],
            column: [0.0, 1.0, 0.0],
            spacing: [1.0, 1.0],
            rows: 4,
            columns: 4,
            frame_of_reference: Some("1.2".into()),
        }
    }

    #[test]
    fn verdicts() {
        let check = |zs: &[f64], expected: &str| {
            let planes: Vec<_> = zs.iter().map(|z| Some(plane(*z))).collect();
            assert_eq!(check_geometry(&planes).name(), expected, "{zs:?}");
        };
        check(&[4.0, 0.0, 2.0], "regular");
        check(&[0.0], "single-slice");
        check(&[0.0, 2.0, 6.0, 8.0], "missing-slices");
        check(&[0.0, 2.0, 5.1, 7.0], "non-uniform");
        check(&[0.0, 2.0, 2.0], "duplicate-positions");
        check(&[], "no-geometry");
        assert_eq!(check_geometry(&[Some(plane(0.0)), None]).name(), "no-geometry");
        let mut turned = plane(2.0);
        turned.row = [0.0, 1.0, 0.0];
        turned.column = [1.0, 0.0, 0.0];
        assert_eq!(check_geometry(&[Some(plane(0.0)), Some(turned)]).name(), "mixed-orientation");
    }
}
