//! Resampling against numbers of scipy 1.x and torch's rule, on arrays small enough to check by eye.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::dicom::norm;
use crate::volume::transposed;

fn unit(size: [usize; 3]) -> Grid {
    Grid { size, origin: [0.0; 3], axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] }
}

fn volume(size: [usize; 3], value: impl Fn(usize, usize, usize) -> f32) -> Volume {
    let voxels = Array3::from_shape_fn((size[2], size[1], size[0]), |(k, j, i)| value(i, j, k));
    Volume { voxels, grid: unit(size), sources: vec![] }
}

#[test]
fn an_oblique_affine_gives_scipys_values() {
    // scipy.ndimage.affine_transform(v, M, b, (4, 3, 3), order=1, cval=-1), printed with i fastest
    let source = volume([3, 4, 2], |i, j, k| (100 * i + 10 * j + k + (i * j * k).pow(2)) as f32);
    let target =
        Grid { size: [4, 3, 3], origin: [0.3, 0.6, 0.05], axes: [[0.5, -0.3, 0.1], [0.1, 0.8, 0.0], [0.2, 0.0, 0.4]] };
    let expected = [
        36.059, 83.186, 130.25, -1.0, 54.094, 101.3255, 148.69, 195.9975, 72.175, 119.705, 168.0, 216.01, 56.585,
        103.715, 150.65, -1.0, 75.044, 122.4795, 170.106, -1.0, 94.025, 142.806, 192.292, -1.0, 77.207, 124.406, -1.0,
        -1.0, 96.346, 144.2965, -1.0, -1.0, 116.675, 167.683, -1.0, -1.0,
    ];
    let found = resample(&source, &target, -1.0).unwrap().voxels;
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
    }
}

#[test]
fn a_grid_resampled_onto_itself_keeps_every_voxel_and_one_beyond_is_outside() {
    let mut source = volume([5, 1, 3], |i, j, k| (i + 7 * j + 31 * k) as f32);
    source.grid.axes = [[0.6, 0.1, 0.0], [-0.1, 0.6, 0.3], [0.0, -0.2, 1.1]];
    source.grid.origin = [-100.3, 55.7, 12.9];
    let same = resample(&source, &source.grid, -5.0).unwrap();
    assert!(same.voxels.iter().zip(&source.voxels).all(|(a, b)| (a - b).abs() < 1e-3), "{:?}", same.voxels);
    let wider = Grid { size: [6, 1, 3], ..source.grid.clone() };
    let wider = resample(&source, &wider, -5.0).unwrap().voxels;
    assert!((0..3).all(|k| (wider[[k, 0, 5]] - -5.0).abs() < 1e-6 && wider[[k, 0, 4]] > -1.0));
}

#[test]
fn conform_centres_and_orients() {
    let source = Grid {
        size: [10, 20, 31],
        origin: [5.0, -7.0, 9.0],
        axes: [[0.0, 0.5, 0.0], [0.0, 0.0, -2.0], [1.5, 0.0, 0.0]],
    };
    let grid = Grid::conformed(&source, [256, 256, 256], 1.0, Orientation::parse("LIA").unwrap());
    assert_eq!(grid.axes, [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]);
    let middle = grid.position([127.5; 3]);
    assert!(norm(sub(middle, source.position([4.5, 9.5, 15.0]))) < 1e-9);
    let index = grid.index_of(grid.position([3.25, 0.0, 17.5])).unwrap();
    assert!(norm(sub(index, [3.25, 0.0, 17.5])) < 1e-9);
}

#[test]
fn a_tensor_is_reached_by_turning_or_by_a_grid_of_tensor_order() {
    let source = volume([4, 5, 6], |i, j, k| (i * i + 3 * j + k * i) as f32);
    let conform = |orientation, size| Grid::conformed(&source.grid, size, 0.8, orientation);
    let turned = resample(&source, &conform(Orientation::parse("LIA").unwrap(), [7, 8, 9]), 0.0).unwrap();
    let direct = resample(&source, &conform(Orientation::of_tensor("LIA").unwrap(), [9, 8, 7]), 0.0).unwrap();
    let tensor = transposed(&turned.voxels);
    assert_eq!(tensor.dim(), (7, 8, 9));
    assert!(tensor.iter().zip(&direct.voxels).all(|(a, b)| (a - b).abs() < 1e-5));
    // tensor axis 0 is patient Left: the value at [x][y][z] is that at grid index (x, y, z)
    assert!((tensor[[2, 3, 4]] - turned.voxels[[4, 3, 2]]).abs() < 1e-9);
}

#[test]
fn labels_come_from_the_voxel_around_the_centre() {
    let labels = Array3::from_shape_vec((1, 1, 3), vec![1, 2, 3]).unwrap();
    let fine =
        Grid { size: [8, 1, 1], origin: [-0.75, 0.4, -0.4], axes: [[0.5, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] };
    let found = resample_labels(&labels, &unit([3, 1, 1]), &fine).unwrap();
    assert_eq!(found.as_slice().unwrap(), [0, 1, 1, 2, 2, 3, 3, 0]);
    let beside = Grid { origin: [-0.75, 0.6, 0.0], ..fine };
    assert_eq!(resample_labels(&labels, &unit([3, 1, 1]), &beside).unwrap().sum(), 0);
    let flat = Grid { axes: [[1.0, 0.0, 0.0]; 3], ..unit([3, 1, 1]) };
    assert!(matches!(resample_labels(&labels, &flat, &beside), Err(VolumeError::FlatGrid)));
}

#[test]
fn nearest_exact_is_torchs() {
    let check = |old: usize, new: usize, expected: &[u8]| {
        let array = Array3::from_shape_fn((1, 1, old), |(_, _, x)| x as u8);
        assert_eq!(nearest_exact(&array, [1, 1, new]).as_slice().unwrap(), expected, "{old} -> {new}");
    };
    check(4, 2, &[1, 3]);
    check(5, 3, &[0, 2, 4]);
    check(3, 6, &[0, 0, 1, 1, 2, 2]);
    check(3, 1, &[1]);
    let cube = Array3::from_shape_fn((2, 3, 4), |(a, b, c)| (a * 100 + b * 10 + c) as f32);
    let found = nearest_exact(&cube, [4, 3, 2]);
    assert!((found[[3, 1, 0]] - 111.0).abs() < 1e-6 && found.dim() == (4, 3, 2));
}
