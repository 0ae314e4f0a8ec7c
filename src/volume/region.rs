//! Boxes of voxels: cutting them out, putting them back, and the box around a mask.
//! Ranges and corners are given as `[i, j, k]`, arrays are `[k][j][i]`.

use std::ops::Range;

use ndarray::{Array3, Axis, Slice};

use super::{Grid, Volume};

impl Volume {
    /// The voxels within `ranges` (clipped to the volume), on the grid that keeps them in place.
    #[must_use]
    pub fn crop(&self, ranges: &[Range<usize>; 3]) -> Volume {
        let grid = self.grid.cropped(ranges);
        let slices = &clip(ranges, self.grid.size)[2];
        let sources = self.sources.get(slices.clone()).unwrap_or_default().to_vec();
        Volume { voxels: crop(&self.voxels, ranges), grid, sources }
    }
}

impl Grid {
    /// The part of the grid within `ranges`, clipped to the grid.
    #[must_use]
    pub fn cropped(&self, ranges: &[Range<usize>; 3]) -> Grid {
        let ranges = clip(ranges, self.size);
        let corner: [f64; 3] = std::array::from_fn(|a| ranges[a].start as f64);
        Grid { size: ranges.map(|r| r.len()), origin: self.position(corner), axes: self.axes }
    }
}

fn clip(ranges: &[Range<usize>; 3], size: [usize; 3]) -> [Range<usize>; 3] {
    std::array::from_fn(|a| {
        let end = ranges[a].end.min(size[a]);
        ranges[a].start.min(end)..end
    })
}

/// The part of an array within `ranges`, clipped to the array.
#[must_use]
pub fn crop<T: Copy>(array: &Array3<T>, ranges: &[Range<usize>; 3]) -> Array3<T> {
    let (k, j, i) = array.dim();
    let ranges = clip(ranges, [i, j, k]);
    array.slice_each_axis(|axis| Slice::from(along(&ranges, axis.axis))).to_owned()
}

/// Writes `part` into `whole` with its first voxel at `corner`; what reaches beyond `whole` is left out.
pub fn paste<T: Copy>(whole: &mut Array3<T>, part: &Array3<T>, corner: [usize; 3]) {
    let (pk, pj, pi) = part.dim();
    let (k, j, i) = whole.dim();
    let size = [pi, pj, pk];
    let ranges = clip(&std::array::from_fn(|a| corner[a]..corner[a] + size[a]), [i, j, k]);
    let source = part.slice_each_axis(|axis| Slice::from(..along(&ranges, axis.axis).len()));
    whole.slice_each_axis_mut(|axis| Slice::from(along(&ranges, axis.axis))).assign(&source);
}

/// The range of an array axis; arrays are `[k][j][i]`, ranges `[i, j, k]`.
fn along(ranges: &[Range<usize>; 3], axis: Axis) -> Range<usize> {
    ranges[2 - axis.index()].clone()
}

/// The smallest box holding every voxel of `mask` that is not 0; `None` for an empty mask.
#[must_use]
pub fn bounding_box(mask: &Array3<u8>) -> Option<[Range<usize>; 3]> {
    let (nk, nj, ni) = mask.dim();
    let layout = mask.as_standard_layout();
    let values = layout.as_slice()?;
    let mut low = [usize::MAX; 3];
    let mut high = [0; 3];
    for (row, line) in values.chunks_exact(ni.max(1)).enumerate() {
        let Some(first) = line.iter().position(|v| *v != 0) else { continue };
        let last = line.iter().rposition(|v| *v != 0).unwrap_or(first);
        let (j, k) = (row % nj, row / nj);
        for (axis, (from, to)) in [(first, last), (j, j), (k, k)].into_iter().enumerate() {
            low[axis] = low[axis].min(from);
            high[axis] = high[axis].max(to + 1);
        }
    }
    (nk > 0 && high[0] > 0).then(|| std::array::from_fn(|a| low[a]..high[a]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_box_comes_out_in_place_and_goes_back() {
        let voxels = Array3::from_shape_vec((2, 3, 4), (0..24_u8).map(f32::from).collect()).unwrap();
        let grid =
            Grid { size: [4, 3, 2], origin: [0.0; 3], axes: [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]] };
        let volume = Volume { voxels, grid, sources: vec![7, 8] };
        let part = volume.crop(&[1..3, 2..9, 1..2]);
        assert_eq!(part.voxels.as_slice(), Some(&[21.0, 22.0][..]));
        assert_eq!((part.grid.size, part.grid.origin), ([2, 1, 1], [1.0, 4.0, 3.0]));
        assert_eq!(part.sources, [8]);

        let mut whole = Array3::<f32>::zeros((2, 3, 4));
        paste(&mut whole, &part.voxels, [1, 2, 1]);
        assert_eq!((whole[[1, 2, 1]], whole[[1, 2, 2]], whole.sum()), (21.0, 22.0, 43.0));
        paste(&mut whole, &part.voxels, [3, 0, 0]);
        assert_eq!((whole[[0, 0, 3]], whole.sum()), (21.0, 64.0));
    }

    #[test]
    fn the_box_around_a_mask() {
        let mut mask = Array3::<u8>::zeros((4, 5, 6));
        assert_eq!(bounding_box(&mask), None);
        mask[[1, 2, 3]] = 1;
        mask[[3, 2, 5]] = 9;
        assert_eq!(bounding_box(&mask), Some([3..6, 2..3, 1..4]));
    }
}
