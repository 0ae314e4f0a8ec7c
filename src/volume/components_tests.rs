//! Components and holes: known shapes, and random ones beside a flood that looks at every voxel.
#![allow(clippy::unwrap_used)]

use super::*;

fn mask(size: (usize, usize, usize), rows: &[&str]) -> Array3<u8> {
    let values = rows.iter().flat_map(|r| r.bytes()).map(|b| u8::from(b == b'#') * 3).collect();
    Array3::from_shape_vec(size, values).unwrap()
}

fn check(found: &Array3<u8>, rows: &[&str]) {
    assert_eq!(found, &mask(found.dim(), rows).mapv(|v| v / 3));
}

#[test]
fn the_largest_component_by_faces_and_by_corners() {
    let two = mask((1, 4, 5), &["##..#", "##..#", "..#.#", "..#.#"]);
    check(&largest_component(&two, Connectivity::Six), &["##...", "##...", ".....", "....."]);
    check(&largest_component(&two, Connectivity::TwentySix), &["##...", "##...", "..#..", "..#.."]);
    let across = mask((2, 2, 4), &["#...", "...#", ".#..", "..##"]);
    check(&largest_component(&across, Connectivity::Six), &["....", "...#", "....", "..##"]);
    check(&largest_component(&across, Connectivity::TwentySix), &["#...", "...#", ".#..", "..##"]);
    assert_eq!(largest_component(&Array3::zeros((2, 2, 2)), Connectivity::Six).sum(), 0);
    assert_eq!(largest_component(&Array3::zeros((0, 0, 0)), Connectivity::Six).len(), 0);
}

#[test]
fn a_u_shape_is_one_component() {
    let shape = mask((1, 3, 6), &["##.#.#", "#..#.#", "####.#"]);
    check(&largest_component(&shape, Connectivity::Six), &["##.#..", "#..#..", "####.."]);
}

#[test]
fn holes_are_filled_only_where_enclosed() {
    let lid = ["####", "####", "####", "####"];
    let ring = ["####", "#.##", "#..#", "####"];
    let mut rows: Vec<&str> = lid.to_vec();
    rows.extend(ring);
    rows.extend(lid);
    assert_eq!(fill_holes(&mask((3, 4, 4), &rows)).sum(), 48);
    rows[5] = "..##";
    assert_eq!(fill_holes(&mask((3, 4, 4), &rows)), mask((3, 4, 4), &rows).mapv(|v| v / 3));
}

type Voxel = [usize; 3];

/// Takes the voxels that are joined to `start` out of `left`, one by one.
fn flood(start: Voxel, connectivity: Connectivity, left: &mut Array3<bool>) -> Vec<Voxel> {
    left[start] = false;
    let (mut found, mut next) = (vec![start], 0);
    while let Some(at) = found.get(next).copied() {
        next += 1;
        let around = (0..27).map(|n| [n / 9 % 3, n / 3 % 3, n % 3]);
        for step in around.filter(|step| connectivity == Connectivity::TwentySix || faces(*step)) {
            let neighbour: Voxel = std::array::from_fn(|axis| (at[axis] + step[axis]).wrapping_sub(1));
            if left.get(neighbour) == Some(&true) {
                left[neighbour] = false;
                found.push(neighbour);
            }
        }
    }
    found
}

/// Whether a step of 0, 1 (none) or 2 along each axis leads to a face neighbour.
fn faces(step: Voxel) -> bool {
    step.iter().filter(|along| **along != 1).count() == 1
}

/// Random masks from sparse to nearly full: single voxels, corners that touch, holes, holes in islands in holes, all of it
/// cut by the borders.
fn random_masks() -> impl Iterator<Item = Array3<u8>> {
    let mut dice = fastrand::Rng::with_seed(11);
    (0..600).map(move |round| {
        let size = (dice.usize(1..5), dice.usize(1..7), dice.usize(1..7));
        let share = [15, 40, 70, 90][round % 4];
        Array3::from_shape_simple_fn(size, || u8::from(dice.u8(..100) < share) * 7)
    })
}

fn voxels(mask: &Array3<u8>) -> Vec<Voxel> {
    mask.indexed_iter().map(|((k, j, i), _)| [k, j, i]).collect()
}

#[test]
fn the_largest_component_is_the_largest_flood() {
    for mask in random_masks() {
        for connectivity in [Connectivity::Six, Connectivity::TwentySix] {
            let (mut left, mut largest) = (mask.mapv(|value| value > 0), Vec::new());
            for start in voxels(&mask) {
                let component = if left[start] { flood(start, connectivity, &mut left) } else { Vec::new() };
                if component.len() > largest.len() {
                    largest = component;
                }
            }
            let mut expected = Array3::zeros(mask.dim());
            for at in largest {
                expected[at] = 1;
            }
            assert_eq!(largest_component(&mask, connectivity), expected, "{connectivity:?} of {mask}");
        }
    }
}

#[test]
fn a_hole_is_what_no_flood_from_the_border_reaches() {
    for mask in random_masks() {
        let (nk, nj, ni) = mask.dim();
        let is_border = |at: &Voxel| at.iter().zip([nk, nj, ni]).any(|(at, size)| *at == 0 || at + 1 == size);
        let mut left = mask.mapv(|value| value == 0);
        for start in voxels(&mask).into_iter().filter(is_border) {
            if left[start] {
                flood(start, Connectivity::Six, &mut left);
            }
        }
        let expected = ndarray::Zip::from(&mask).and(&left).map_collect(|value, hole| u8::from(*value > 0 || *hole));
        assert_eq!(fill_holes(&mask), expected, "{mask}");
    }
}
