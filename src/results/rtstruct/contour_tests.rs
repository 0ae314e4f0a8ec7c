//! Outlines filled again give the mask, whatever the mask.

use super::{Outline, outlines};

/// The mask of a picture of rows of `#` and `.`.
fn picture(rows: &[&str]) -> (Vec<Vec<bool>>, Vec<Outline>) {
    let mask: Vec<Vec<bool>> = rows.iter().map(|row| row.bytes().map(|b| b == b'#').collect()).collect();
    let outlines = outlines([mask[0].len(), mask.len()], |column, row| mask[row][column]);
    (mask, outlines)
}

/// Even-odd filling, sampled at the voxel centres.
fn fill(outlines: &[Outline], columns: usize, rows: usize) -> Vec<Vec<bool>> {
    let inside = |x: f64, y: f64| {
        let crossings = outlines.iter().flat_map(|outline| {
            let next = outline.iter().cycle().skip(1);
            outline.iter().zip(next).filter(move |(a, b)| (a[1] > y) != (b[1] > y))
        });
        crossings.filter(|(a, b)| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) > x).count() % 2 == 1
    };
    (0..rows).map(|row| (0..columns).map(|column| inside(column as f64, row as f64)).collect()).collect()
}

fn check(rows: &[&str], parts: usize) {
    let (mask, outlines) = picture(rows);
    assert_eq!(outlines.len(), parts, "{rows:#?}");
    assert_eq!(fill(&outlines, mask[0].len(), mask.len()), mask, "{rows:#?}");
}

#[test]
fn one_voxel_is_a_square_drawn_in() {
    let (_, outlines) = picture(&["...", ".#."]);
    let rounded: Vec<_> = outlines[0].iter().map(|p| p.map(|v| (v * 100.0).round() as i32)).collect();
    assert_eq!(rounded, [[51, 51], [149, 51], [149, 149], [51, 149]]);
}

#[test]
fn straight_edges_have_no_points_between_their_ends() {
    let (_, outlines) = picture(&["####", "####"]);
    assert_eq!(outlines[0].len(), 4);
}

#[test]
fn shapes_that_trip_others() {
    check(&["#.", ".#"], 2);
    check(&[".#", "#."], 2);
    check(&["#.#", ".#.", "#.#"], 5);
    check(&["###", "#.#", "###"], 1);
    check(&["#####", "#...#", "#.#.#", "#...#", "#####"], 2);
    check(&["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"], 2);
    // Holes that touch at a corner are one, and one that touches the outside at a corner is none.
    check(&["#####", "#.###", "##.##", "#####"], 1);
    check(&["##.", "#.#", "###"], 1);
    check(&["###", "#.#", "##."], 1);
    check(&["#######", "#.#.#.#", "#######", "#.#.#.#", "#######"], 1);
    check(&["#"], 1);
    check(&["...", "..."], 0);
    check(&["#..#", "####", "#..#"], 1);
}

#[test]
fn random_masks_come_back_from_their_outlines() {
    let mut dice = fastrand::Rng::with_seed(20_261_121);
    for round in 0..3000 {
        let (columns, rows) = (dice.usize(1..14), dice.usize(1..14));
        let share = [20, 50, 80, 95][round % 4];
        let mask: Vec<Vec<bool>> =
            (0..rows).map(|_| (0..columns).map(|_| dice.usize(..100) < share).collect()).collect();
        let outlines = outlines([columns, rows], |column, row| mask[row][column]);
        assert_eq!(fill(&outlines, columns, rows), mask, "round {round}");
        for outline in &outlines {
            assert!(outline.len() >= 4 && outline.first() != outline.last(), "round {round}");
            assert!(area(outline) > 0.9, "round {round}: no sliver, and holes are taken off");
        }
        let total: f64 = outlines.iter().map(area).sum();
        let voxels = mask.iter().flatten().filter(|marked| **marked).count() as f64;
        assert!((total - voxels).abs() < 0.05 * voxels.max(1.0), "round {round}: {total} of {voxels}");
    }
}

fn area(outline: &Outline) -> f64 {
    let next = outline.iter().cycle().skip(1);
    outline.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>() / 2.0
}

/// Every point stays within half a voxel of a marked one, channels too: what readers round to voxels lies in the mask.
#[test]
fn every_point_rounds_to_a_marked_voxel() {
    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let mask: Vec<Vec<bool>> = (0..9).map(|_| (0..11).map(|_| dice.usize(..10) < 7).collect()).collect();
        for point in outlines([11, 9], |column, row| mask[row][column]).iter().flatten() {
            let [column, row] = point.map(|v| v.round() as usize);
            assert!(mask[row][column], "{point:?}");
        }
    }
}
