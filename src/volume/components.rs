//! Connected components of masks, `[k][j][i]`, and filling of enclosed holes.
//!
//! Works on runs of voxels along i joined by union-find, so memory and time go with the outline of the
//! mask, not with its volume. Results are those of `scipy.ndimage.label` and `binary_fill_holes`.

use ndarray::Array3;
use rayon::prelude::*;

/// Which neighbours touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Faces.
    Six,
    /// Faces, edges and corners.
    TwentySix,
}

/// The largest component of the voxels that are not 0, as a mask of 0 and 1; all 0 when there is none.
/// Of equally large ones the first in memory order wins.
#[must_use]
pub fn largest_component(mask: &Array3<u8>, connectivity: Connectivity) -> Array3<u8> {
    let mut runs = Runs::of(mask, |v| v != 0);
    runs.join(connectivity);
    let mut sizes = vec![0_usize; runs.list.len()];
    for index in 0..runs.list.len() {
        sizes[runs.root(index)] += runs.list[index].1 - runs.list[index].0;
    }
    let largest = sizes.iter().enumerate().rev().max_by_key(|(_, size)| **size).map(|(root, _)| root);
    let mut out = Array3::zeros(mask.dim());
    runs.fill(&mut out, |runs, index| Some(runs.root(index)) == largest);
    out
}

/// The mask (0 and 1) with every hole filled that no path of face neighbours joins to the array's border.
#[must_use]
pub fn fill_holes(mask: &Array3<u8>) -> Array3<u8> {
    let mut runs = Runs::of(mask, |v| v == 0);
    runs.join(Connectivity::Six);
    let mut open = vec![false; runs.list.len()];
    for row in 0..runs.rows.len() - 1 {
        for index in runs.rows[row]..runs.rows[row + 1] {
            if runs.at_border(row, index) {
                let root = runs.root(index);
                open[root] = true;
            }
        }
    }
    let mut out = mask.mapv(|v| u8::from(v != 0));
    runs.fill(&mut out, |runs, index| !open[runs.root(index)]);
    out
}

/// Runs of chosen voxels, row by row.
struct Runs {
    /// `[k, j, i]` sizes.
    size: [usize; 3],
    /// First and one-past-last i.
    list: Vec<(usize, usize)>,
    /// Row `k * nj + j` owns `list[rows[row]..rows[row + 1]]`.
    rows: Vec<usize>,
    parent: Vec<usize>,
}

impl Runs {
    fn of(mask: &Array3<u8>, chosen: impl Fn(u8) -> bool + Sync) -> Runs {
        let (nk, nj, ni) = mask.dim();
        let layout = mask.as_standard_layout();
        let values = layout.as_slice().unwrap_or_default();
        let of_plane = |plane: &[u8]| {
            let mut found = (Vec::new(), Vec::with_capacity(nj));
            for line in plane.chunks_exact(ni.max(1)) {
                runs_of(line, &chosen, &mut found.0);
                found.1.push(found.0.len());
            }
            found
        };
        let planes: Vec<_> = values.par_chunks((ni * nj).max(1)).map(of_plane).collect();
        let mut list = Vec::with_capacity(planes.iter().map(|(runs, _)| runs.len()).sum());
        let mut rows = vec![0];
        for (runs, ends) in planes {
            rows.extend(ends.into_iter().map(|end| list.len() + end));
            list.extend(runs);
        }
        let parent = (0..list.len()).collect();
        Runs { size: [nk, nj, ni], list, rows, parent }
    }

    fn root(&mut self, index: usize) -> usize {
        let mut at = index;
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    /// Joins touching runs; the root of a component is its first run.
    fn join(&mut self, connectivity: Connectivity) {
        let [_, nj, _] = self.size;
        for row in 0..self.rows.len() - 1 {
            let (k, j) = (row / nj, row % nj);
            if j > 0 {
                self.join_rows(row, row - 1, connectivity);
            }
            if k == 0 {
                continue;
            }
            let behind = row - nj;
            self.join_rows(row, behind, connectivity);
            if connectivity == Connectivity::TwentySix && j > 0 {
                self.join_rows(row, behind - 1, connectivity);
            }
            if connectivity == Connectivity::TwentySix && j + 1 < nj {
                self.join_rows(row, behind + 1, connectivity);
            }
        }
    }

    fn join_rows(&mut self, row: usize, other: usize, connectivity: Connectivity) {
        let reach = usize::from(connectivity == Connectivity::TwentySix);
        let (mut a, mut b) = (self.rows[row], self.rows[other]);
        while a < self.rows[row + 1] && b < self.rows[other + 1] {
            let ((a_start, a_end), (b_start, b_end)) = (self.list[a], self.list[b]);
            if a_start < b_end + reach && b_start < a_end + reach {
                let (x, y) = (self.root(a), self.root(b));
                self.parent[x.max(y)] = x.min(y);
            }
            if a_end < b_end {
                a += 1;
            } else {
                b += 1;
            }
        }
    }

    fn at_border(&self, row: usize, index: usize) -> bool {
        let [nk, nj, ni] = self.size;
        let (k, j) = (row / nj, row % nj);
        let (start, end) = self.list[index];
        k == 0 || k + 1 == nk || j == 0 || j + 1 == nj || start == 0 || end == ni
    }

    /// Sets the voxels of the runs for which `chosen` holds to 1.
    fn fill(&mut self, out: &mut Array3<u8>, chosen: impl Fn(&mut Runs, usize) -> bool) {
        let ni = self.size[2];
        let Some(values) = out.as_slice_mut() else { return };
        for row in 0..self.rows.len() - 1 {
            for index in self.rows[row]..self.rows[row + 1] {
                let (start, end) = self.list[index];
                if chosen(self, index) {
                    values[row * ni + start..row * ni + end].fill(1);
                }
            }
        }
    }
}

/// Adds the runs of chosen voxels of one row.
fn runs_of(line: &[u8], chosen: impl Fn(u8) -> bool, list: &mut Vec<(usize, usize)>) {
    let mut at = 0;
    while let Some(start) = line[at..].iter().position(|v| chosen(*v)).map(|p| at + p) {
        at = line[start..].iter().position(|v| !chosen(*v)).map_or(line.len(), |p| start + p);
        list.push((start, at));
    }
}

#[cfg(test)]
#[path = "components_tests.rs"]
mod tests;
