//! Measurements of shapes whose measures are known.
#![allow(clippy::unwrap_used)]

use ndarray::Array3;

use super::*;
use crate::dicom::Code;
use crate::volume::{Algorithm, Grid, Segment};

fn plane(z: f64) -> Plane {
    Plane {
        position: [10.0, 20.0, z],
        row: [1.0, 0.0, 0.0],
        column: [0.0, 1.0, 0.0],
        spacing: [2.0, 0.5],
        rows: 12,
        columns: 16,
        frame_of_reference: None,
    }
}

fn finding(labels: Array3<u8>, overlays: Vec<Array3<u8>>) -> Segmentation {
    let (slices, rows, columns) = labels.dim();
    let axes = [[0.5, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]];
    let code = Code::new("1", "99X", "x");
    let segment = |label| Segment {
        label,
        name: String::new(),
        category: code.clone(),
        property: code.clone(),
        modifier: None,
        region: None,
        region_modifier: None,
        color: [0; 3],
    };
    let algorithm = Algorithm { name: "m".into(), version: "1".into(), manufacturer: "x".into(), digest: "0".into() };
    Segmentation {
        labels,
        overlays,
        probabilities: Vec::new(),
        thresholds: std::collections::BTreeMap::new(),
        grid: Grid { size: [columns, rows, slices], origin: [10.0, 20.0, 0.0], axes },
        segments: (1..=3).map(segment).collect(),
        algorithm,
    }
}

/// Slices at 0, 3 and 9 mm, which stand for 3, 4.5 and 6 mm.
fn slabs(planes: &[Plane]) -> Vec<Slab<'_>> {
    planes.iter().zip([3.0, 4.5, 6.0]).map(|(plane, thickness)| Slab { plane, thickness }).collect()
}

#[test]
fn a_box_has_the_measures_of_a_box() {
    let within = |(k, j, i): (usize, usize, usize)| (1..5).contains(&i) && (2..5).contains(&j) && k < 2;
    let labels = Array3::from_shape_fn((3, 12, 16), |at| if within(at) { 2 } else { 0 });
    let voxels = Array3::from_shape_fn((3, 12, 16), |(k, _, i)| (100 * k + i) as f32);
    let planes = [0.0, 3.0, 9.0].map(plane);
    let measured = measure(&finding(labels, vec![]), Some(&voxels), &slabs(&planes));
    let [found] = measured.as_slice() else { panic!("one segment, not {}", measured.len()) };
    assert_eq!((found.label, found.voxels, found.bounds), (2, 24, [[1, 4], [2, 4], [0, 1]]));
    // 12 voxels of 1 mm2 on each slice.
    assert!((found.volume - 12.0 * 7.5).abs() < 1e-9);
    let centre = [10.0 + 2.5 * 0.5, 20.0 + 3.0 * 2.0, 3.0 * 4.5 / 7.5];
    assert!(found.centre.iter().zip(centre).all(|(a, b)| (a - b).abs() < 1e-9), "{:?}", found.centre);
    assert!(found.touches_border, "it begins on the first slice");
    let diagonal = 1.5_f64.hypot(4.0);
    assert!((found.caliper.long - diagonal).abs() < 1e-9);
    assert!((found.caliper.short - 2.0 * 1.5 * 4.0 / diagonal).abs() < 1e-9);
    let values = found.values.unwrap();
    assert_eq!((values.minimum, values.maximum, values.mean, values.median), (1.0, 104.0, 52.5, 52.5));
    assert!((values.deviation - (1.25_f64 + 2500.0).sqrt()).abs() < 1e-9);
    assert!((values.percentiles[0] - 1.0).abs() < 1e-9 && (values.percentiles[1] - 104.0).abs() < 1e-9);
}

#[test]
fn segments_that_share_voxels_are_measured_in_full() {
    let labels = Array3::from_shape_fn((3, 12, 16), |(k, j, i)| u8::from((k, j, i) == (1, 6, 7)));
    let overlay = Array3::from_shape_fn((3, 12, 16), |(k, j, i)| 3 * u8::from(k == 1 && (5..8).contains(&j) && i == 7));
    let planes = [0.0, 3.0, 9.0].map(plane);
    let measured = measure(&finding(labels, vec![overlay]), None, &slabs(&planes));
    let counts: Vec<_> = measured.iter().map(|m| (m.label, m.voxels, m.touches_border, m.values)).collect();
    assert_eq!(counts, [(1, 1, false, None), (3, 3, false, None)]);
    assert_eq!((measured[0].caliper.long, measured[0].caliper.short), (0.0, 0.0));
    assert_eq!((measured[1].caliper.long, measured[1].caliper.ends), (4.0, [[7, 5], [7, 7]]));
}

/// The hull only saves work: distances are those of all pairs of voxels.
#[test]
fn calipers_agree_with_all_pairs() {
    let mut dice = fastrand::Rng::with_seed(11);
    for round in 0..200 {
        let labels = Array3::from_shape_fn((1, 12, 16), |_| u8::from(dice.usize(..20) < 1 + round % 9));
        let planes = [plane(0.0)];
        let Some(found) = measure(&finding(labels.clone(), vec![]), None, &slabs(&planes)).pop() else { continue };
        let places = labels
            .indexed_iter()
            .filter(|(_, label)| **label > 0)
            .map(|((_, j, i), _)| [i as f64 * 0.5, j as f64 * 2.0]);
        let places: Vec<[f64; 2]> = places.collect();
        let distances = places.iter().flat_map(|a| places.iter().map(|b| (a[0] - b[0]).hypot(a[1] - b[1])));
        let longest = distances.fold(0.0, f64::max);
        assert!((found.caliper.long - longest).abs() < 1e-9, "round {round}");
    }
}

/// Whatever the shape: every number is what counting voxel by voxel gives, on planes that are turned and unevenly apart.
#[test]
fn measures_agree_with_counting_voxels() {
    let mut dice = fastrand::Rng::with_seed(23);
    let (s, c) = 0.4_f64.sin_cos();
    let turned = |z: f64| Plane { row: [c, s, 0.0], column: [-s, c, 0.0], ..plane(z) };
    let planes = [0.0, 3.0, 9.0].map(turned);
    let slabs = slabs(&planes);
    for round in 0..60 {
        // Some touch the border, some stay inside.
        let inside = round % 2 == 0;
        let labels = Array3::from_shape_fn((3, 12, 16), |(k, j, i)| {
            let border = [k, j, i].iter().zip([3, 12, 16]).any(|(at, size)| *at == 0 || at + 1 == size);
            if inside && border { 0 } else { dice.u8(..5) % 4 }
        });
        let voxels = Array3::from_shape_simple_fn((3, 12, 16), || dice.i32(-1000..1000) as f32);
        for found in measure(&finding(labels.clone(), vec![]), Some(&voxels), &slabs) {
            let own: Vec<_> = labels.indexed_iter().filter(|(_, l)| **l == found.label).map(|(at, _)| at).collect();
            check_counted(&found, &own, &voxels, &slabs);
            assert!(!(inside && found.touches_border), "round {round}");
        }
    }
}

fn check_counted(found: &Measured, own: &[(usize, usize, usize)], voxels: &Array3<f32>, slabs: &[Slab<'_>]) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * b.abs().max(1.0);
    let weight = |k: usize| slabs[k].plane.spacing[0] * slabs[k].plane.spacing[1] * slabs[k].thickness;
    assert_eq!(found.voxels, own.len() as u64);
    let volume: f64 = own.iter().map(|(k, _, _)| weight(*k)).sum();
    assert!(near(found.volume, volume), "{} {volume}", found.volume);
    for axis in 0..3 {
        let at =
            |(k, j, i): &(usize, usize, usize)| position(slabs[*k].plane, [*i as f64, *j as f64])[axis] * weight(*k);
        assert!(near(found.centre[axis], own.iter().map(at).sum::<f64>() / volume));
    }
    let ends = |of: fn(&(usize, usize, usize)) -> usize| {
        [own.iter().map(of).min().unwrap(), own.iter().map(of).max().unwrap()]
    };
    assert_eq!(found.bounds, [ends(|at| at.2), ends(|at| at.1), ends(|at| at.0)]);
    let border = own.iter().any(|(k, j, i)| [*k, *j, *i].contains(&0) || *k == 2 || *j == 11 || *i == 15);
    assert_eq!(found.touches_border, border);
    let mut values: Vec<f64> = own.iter().map(|at| f64::from(voxels[*at])).collect();
    values.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let told = found.values.unwrap();
    let middle = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    for (told, counted) in [(told.mean, mean), (told.deviation, deviation), (told.median, middle)] {
        assert!(near(told, counted), "{told} {counted}");
    }
    assert!(near(told.minimum, values[0]) && near(told.maximum, values[values.len() - 1]));
    // The caliper's own line, and nothing of the slice farther across it.
    let caliper = &found.caliper;
    let place = |[column, row]: [usize; 2]| [column as f64 * 0.5, row as f64 * 2.0];
    let [a, b] = caliper.ends.map(place);
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    assert!(near(caliper.long, dx.hypot(dy)));
    if caliper.long > 0.0 {
        let slice = own.iter().filter(|(k, _, _)| *k == caliper.slice).map(|(_, j, i)| place([*i, *j]));
        let across: Vec<f64> = slice.map(|[x, y]| (y * dx - x * dy) / caliper.long).collect();
        let extent = across.iter().copied().fold(f64::MIN, f64::max) - across.iter().copied().fold(f64::MAX, f64::min);
        assert!(near(caliper.short, extent), "{} {extent}", caliper.short);
    }
}
