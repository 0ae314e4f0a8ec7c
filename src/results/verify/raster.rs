//! Contours filled again: which voxel centres lie inside, by the even-odd rule, as readers of structure sets do it.

use std::ops::Range;

/// A row and the columns of it that are inside.
pub(super) type Span = (usize, Range<usize>);

/// Fills the polygons of one slice, given in columns and rows with 0 at the first voxel's centre. Where two polygons
/// cover a voxel, it is outside again.
pub(super) fn fill(polygons: &[Vec<[f64; 2]>], columns: usize, rows: usize) -> Vec<Span> {
    let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); rows];
    for polygon in polygons {
        let ends = polygon.iter().skip(1).chain(polygon.first());
        polygon.iter().zip(ends).for_each(|(a, b)| cross(*a, *b, &mut crossings));
    }
    let mut spans = Vec::new();
    for (row, places) in crossings.iter_mut().enumerate() {
        places.sort_by(f64::total_cmp);
        for pair in places.chunks_exact(2) {
            let first = pair[0].ceil().max(0.0) as usize;
            let end = (pair[1].floor() as isize + 1).clamp(0, columns as isize) as usize;
            if first < end {
                spans.push((row, first..end));
            }
        }
    }
    spans
}

/// Notes where the edge from `a` to `b` crosses the centre lines of rows.
fn cross(a: [f64; 2], b: [f64; 2], crossings: &mut [Vec<f64>]) {
    let (low, high) = (a[1].min(b[1]), a[1].max(b[1]));
    let first = low.ceil().max(0.0) as usize;
    for row in (first..crossings.len()).take_while(|row| (*row as f64) < high) {
        let along = (row as f64 - a[1]) / (b[1] - a[1]);
        crossings[row].push(a[0] + along * (b[0] - a[0]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_inside_are_marked() {
        let square = |x: f64, y: f64, size: f64| vec![[x, y], [x + size, y], [x + size, y + size], [x, y + size]];
        let marked = |polygons: &[Vec<[f64; 2]>]| -> Vec<usize> {
            fill(polygons, 4, 3).into_iter().flat_map(|(row, columns)| columns.map(move |c| row * 4 + c)).collect()
        };
        assert_eq!(marked(&[square(0.5, 0.5, 1.0)]), [5]);
        assert_eq!(marked(&[square(-2.0, -2.0, 20.0)]).len(), 12);
        assert_eq!(marked(&[square(-0.5, -0.5, 3.0), square(0.5, 0.5, 1.0)]), [0, 1, 2, 4, 6, 8, 9, 10]);
        assert_eq!(marked(&[square(1.1, 1.1, 0.5)]), [] as [usize; 0]);
    }
}
