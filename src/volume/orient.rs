//! Which way the axes of a grid point in the patient, and turning volumes by exact flips and swaps.
//!
//! Never interpolates: a turned volume holds the same values, and labels come back voxel for voxel.
//! The closest orientation is found as nibabel's `io_orientation` does (nearest rotation by polar
//! decomposition, the clearest axis first).

use ndarray::Array3;
use rayon::prelude::*;

use super::{Grid, Volume, VolumeError};
use crate::dicom::{Vec3, dot, norm, scale, sub};

/// Patient directions of i, j, k.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation(
    /// For i, j, k: the LPS component (0, 1, 2) it runs along, and whether it runs against it.
    [(usize, bool); 3],
);

impl Orientation {
    /// Three letters for i, j, k, each the direction in which the index grows: `LPS`, `RAS`, `LIA` ...
    pub fn parse(word: &str) -> Result<Orientation, VolumeError> {
        let directions: Option<Vec<(usize, bool)>> = word.chars().map(direction).collect();
        let axes: Option<[(usize, bool); 3]> = directions.and_then(|d| d.try_into().ok());
        axes.filter(|a| (0..3).all(|lps| a.iter().any(|(axis, _)| *axis == lps)))
            .map(Orientation)
            .ok_or_else(|| VolumeError::Orientation(word.to_owned()))
    }

    /// The orientation whose `[k][j][i]` voxels are, as they lie in memory, a tensor with axes 0, 1, 2 along
    /// `word`: `of_tensor("LIA")` has k to the Left, j to Inferior, i to Anterior.
    pub fn of_tensor(word: &str) -> Result<Orientation, VolumeError> {
        Orientation::parse(&word.chars().rev().collect::<String>())
    }

    /// The orientation a grid is closest to.
    pub fn closest(grid: &Grid) -> Result<Orientation, VolumeError> {
        let mut rotation = nearest_rotation(grid.axes).ok_or(VolumeError::FlatGrid)?;
        let mut order = [0, 1, 2];
        let clearest = |axis: usize| rotation[axis].iter().fold(0.0_f64, |most, c| most.max(c.abs()));
        order.sort_by(|a, b| clearest(*b).total_cmp(&clearest(*a)));
        let mut found = [(0, false); 3];
        for axis in order {
            let column = rotation[axis];
            let lps = (0..3).fold(0, |best, c| if column[c].abs() > column[best].abs() { c } else { best });
            found[axis] = (lps, column[lps] < 0.0);
            for column in &mut rotation {
                column[lps] = 0.0;
            }
        }
        Ok(Orientation(found))
    }

    /// Unit LPS vectors of i, j, k.
    #[must_use]
    pub fn directions(self) -> [Vec3; 3] {
        self.0.map(|(lps, against)| {
            let mut unit = [0.0; 3];
            unit[lps] = if against { -1.0 } else { 1.0 };
            unit
        })
    }

    /// The three letters for i, j, k.
    #[must_use]
    pub fn word(self) -> String {
        let letters = [['L', 'R'], ['P', 'A'], ['S', 'I']];
        self.0.iter().map(|(lps, against)| letters[*lps][usize::from(*against)]).collect()
    }
}

fn direction(letter: char) -> Option<(usize, bool)> {
    Some(match letter.to_ascii_uppercase() {
        'L' => (0, false),
        'R' => (0, true),
        'P' => (1, false),
        'A' => (1, true),
        'S' => (2, false),
        'I' => (2, true),
        _ => return None,
    })
}

/// The rotation (possibly mirrored) nearest to the axes' directions, by Newton's iteration for the polar factor.
fn nearest_rotation(axes: [Vec3; 3]) -> Option<[Vec3; 3]> {
    let mut columns = axes.map(|a| scale(a, 1.0 / norm(a)));
    for _ in 0..50 {
        let inverse_rows = inverse(columns)?;
        let next: [Vec3; 3] =
            std::array::from_fn(|a| std::array::from_fn(|c| 0.5 * (columns[a][c] + inverse_rows[a][c])));
        let moved = (0..3).map(|a| norm(sub(next[a], columns[a]))).fold(0.0, f64::max);
        columns = next;
        if moved < 1e-12 {
            break;
        }
    }
    Some(columns)
}

/// Rows of the inverse of the matrix with these columns: `rows[a] . columns[b] = 1` where a = b, else 0.
pub(super) fn inverse(columns: [Vec3; 3]) -> Option<[Vec3; 3]> {
    use crate::dicom::cross;
    let [a, b, c] = columns;
    let determinant = dot(cross(a, b), c);
    let usable = determinant.is_finite() && determinant.abs() > 1e-9 * norm(a) * norm(b) * norm(c);
    usable.then(|| [cross(b, c), cross(c, a), cross(a, b)].map(|row| scale(row, 1.0 / determinant)))
}

/// How a volume was turned, to turn labels back.
#[derive(Debug, Clone, PartialEq)]
pub struct Reorientation {
    /// The grid before.
    source: Grid,
    /// The grid after.
    pub grid: Grid,
    /// For each new axis: the old axis, and whether it is walked backwards.
    from: [(usize, bool); 3],
}

impl Reorientation {
    /// How `source` is turned to be closest to `wanted`.
    pub fn new(source: &Grid, wanted: Orientation) -> Result<Reorientation, VolumeError> {
        let current = Orientation::closest(source)?;
        let from = wanted.0.map(|(lps, against)| {
            let axis = current.0.iter().position(|(a, _)| *a == lps).unwrap_or_default();
            (axis, current.0[axis].1 != against)
        });
        let corner: [f64; 3] = std::array::from_fn(|axis| {
            let flipped = from.iter().any(|(old, flip)| *old == axis && *flip);
            if flipped { source.size[axis] as f64 - 1.0 } else { 0.0 }
        });
        let grid = Grid {
            size: from.map(|(old, _)| source.size[old]),
            origin: source.position(corner),
            axes: from.map(|(old, flip)| scale(source.axes[old], if flip { -1.0 } else { 1.0 })),
        };
        Ok(Reorientation { source: source.clone(), grid, from })
    }

    /// Turns an array on the source's grid, `[k][j][i]`.
    #[must_use]
    pub fn apply<T: Copy + Default + Send + Sync>(&self, array: &Array3<T>) -> Array3<T> {
        gather(array, self.source.size, self.grid.size, self.from)
    }

    /// Turns an array on the turned grid back onto the source's.
    #[must_use]
    pub fn restore<T: Copy + Default + Send + Sync>(&self, array: &Array3<T>) -> Array3<T> {
        let mut back = [(0, false); 3];
        for (new, (old, flip)) in self.from.iter().enumerate() {
            back[*old] = (new, *flip);
        }
        gather(array, self.grid.size, self.source.size, back)
    }
}

/// `volume` by flips and swaps in the orientation closest to `wanted`, and the way back for labels.
pub fn reorient(volume: &Volume, wanted: Orientation) -> Result<(Volume, Reorientation), VolumeError> {
    let turn = Reorientation::new(&volume.grid, wanted)?;
    let voxels = turn.apply(&volume.voxels);
    Ok((Volume { voxels, grid: turn.grid.clone(), sources: Vec::new() }, turn))
}

/// `[k][j][i]` <-> `[i][j][k]`, in standard layout: a volume's voxels as a tensor whose axes 0, 1, 2 are
/// i, j, k, and back.
#[must_use]
pub fn transposed<T: Copy + Default + Send + Sync>(array: &Array3<T>) -> Array3<T> {
    let (k, j, i) = array.dim();
    gather(array, [i, j, k], [k, j, i], [(2, false), (1, false), (0, false)])
}

/// Copies with exchanged and reversed axes; `from[a]` is the old axis of new axis `a` and whether it runs back.
fn gather<T: Copy + Default + Send + Sync>(
    array: &Array3<T>,
    old: [usize; 3],
    new: [usize; 3],
    from: [(usize, bool); 3],
) -> Array3<T> {
    let strides = [1, old[0] as isize, (old[0] * old[1]) as isize];
    let steps = from.map(|(axis, flip)| if flip { -strides[axis] } else { strides[axis] });
    let base: isize =
        from.iter().map(|(axis, flip)| if *flip { (old[*axis] as isize - 1) * strides[*axis] } else { 0 }).sum();
    let layout = array.as_standard_layout();
    let values = layout.as_slice().unwrap_or_default();
    let mut out = Array3::default((new[2], new[1], new[0]));
    if let Some(target) = out.as_slice_mut().filter(|t| !t.is_empty()) {
        target.par_chunks_mut(new[0]).enumerate().for_each(|(row, line)| {
            let (j, k) = ((row % new[1]) as isize, (row / new[1]) as isize);
            let mut at = base + j * steps[1] + k * steps[2];
            for value in line {
                *value = values[at as usize];
                at += steps[0];
            }
        });
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn grid(axes: [Vec3; 3], size: [usize; 3]) -> Grid {
        Grid { size, origin: [10.0, -20.0, 30.0], axes }
    }

    fn counting(size: [usize; 3]) -> Array3<f32> {
        let count = size.iter().product::<usize>();
        Array3::from_shape_vec((size[2], size[1], size[0]), (0..count).map(|v| v as f32).collect()).unwrap()
    }

    #[test]
    fn words_name_the_directions_of_i_j_k() {
        for word in ["LPS", "RAS", "LIA", "AIL", "SRP"] {
            assert_eq!(Orientation::parse(word).unwrap().word(), word);
        }
        assert_eq!(Orientation::of_tensor("LIA").unwrap().word(), "AIL");
        assert!(Orientation::parse("LRS").is_err());
        assert!(Orientation::parse("LP").is_err());
        assert!(Orientation::parse("LPSS").is_err());
    }

    #[test]
    fn an_oblique_grid_has_a_closest_orientation() {
        // sagittal slices, rows posterior with a tilt of 10 degrees, columns inferior
        let (s, c) = 10_f64.to_radians().sin_cos();
        let tilted = grid([[0.0, 0.7 * c, 0.7 * s], [0.0, 0.6 * s, -0.6 * c], [-0.5, 0.0, 0.0]], [2, 3, 4]);
        assert_eq!(Orientation::closest(&tilted).unwrap().word(), "PIR");
        let flat = grid([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [2, 2, 2]);
        assert!(matches!(Orientation::closest(&flat), Err(VolumeError::FlatGrid)));
    }

    #[test]
    fn every_voxel_keeps_its_place_in_the_patient() {
        let size = [2, 3, 4];
        let source = grid([[0.0, 0.7, 0.1], [0.0, 0.1, -0.6], [-0.5, 0.0, 0.0]], size);
        let volume = Volume { voxels: counting(size), grid: source.clone(), sources: vec![0; 4] };
        let (turned, turn) = reorient(&volume, Orientation::parse("RAS").unwrap()).unwrap();
        assert_eq!(turned.grid.size, [4, 2, 3]);
        assert_eq!(Orientation::closest(&turned.grid).unwrap().word(), "RAS");
        for ((k, j, i), value) in turned.voxels.indexed_iter() {
            let old = *value as usize;
            let was = source.position([(old % 2) as f64, (old / 2 % 3) as f64, (old / 6) as f64]);
            let is = turned.grid.position([i as f64, j as f64, k as f64]);
            assert!(norm(sub(was, is)) < 1e-9, "{was:?} {is:?}");
        }
        assert_eq!(turn.restore(&turned.voxels), volume.voxels);
    }

    #[test]
    fn a_transposed_array_has_axis_0_along_i() {
        let array = counting([2, 3, 4]);
        let tensor = transposed(&array);
        assert_eq!(tensor.dim(), (2, 3, 4));
        assert!(tensor.indexed_iter().all(|((i, j, k), v)| v.to_bits() == array[[k, j, i]].to_bits()));
        assert_eq!(transposed(&tensor), array);
    }
}
