//! How far a segment reaches within one slice: the longest distance between two of its voxel centres, and its extent
//! across that line, in millimetres, as a reader would set a caliper.

/// The voxels of one segment on one slice.
#[derive(Debug, Clone)]
pub struct Marks {
    pub label: u8,
    pub count: u64,
    /// Of columns and rows.
    pub sums: [u64; 2],
    /// First and last.
    pub columns: [usize; 2],
    pub rows: [usize; 2],
    /// Row, first and last column of each row that has voxels: the outline is among them.
    ends: Vec<(usize, [usize; 2])>,
}

impl Marks {
    pub fn new(label: u8, column: usize, row: usize) -> Marks {
        Marks { label, count: 0, sums: [0; 2], columns: [column; 2], rows: [row; 2], ends: Vec::new() }
    }

    /// Adds a voxel; rows ascend, and columns within a row.
    pub fn add(&mut self, column: usize, row: usize) {
        self.count += 1;
        self.sums = [self.sums[0] + column as u64, self.sums[1] + row as u64];
        self.columns = [self.columns[0].min(column), self.columns[1].max(column)];
        self.rows[1] = row;
        match self.ends.last_mut() {
            Some((last, ends)) if *last == row => ends[1] = column,
            _ => self.ends.push((row, [column; 2])),
        }
    }
}

/// The size of a segment within a slice.
#[derive(Debug, Clone, PartialEq)]
pub struct Caliper {
    /// Slice `k`.
    pub slice: usize,
    /// The longest distance, mm.
    pub long: f64,
    /// Column and row of the voxels at its ends.
    pub ends: [[usize; 2]; 2],
    /// The extent across it, mm.
    pub short: f64,
}

impl Caliper {
    /// `spacing`: between rows, between columns, mm.
    pub fn of(marks: &Marks, slice: usize, spacing: [f64; 2]) -> Caliper {
        let voxels = marks.ends.iter().flat_map(|(row, [first, last])| [[*first, *row], [*last, *row]]);
        let place = |[column, row]: [usize; 2]| [column as f64 * spacing[1], row as f64 * spacing[0]];
        let hull = hull(voxels.collect());
        let mut found = Caliper { slice, long: 0.0, ends: [hull[0]; 2], short: 0.0 };
        for (index, a) in hull.iter().enumerate() {
            for b in &hull[index + 1..] {
                let [across, down] = minus(place(*b), place(*a));
                let distance = across.hypot(down);
                if distance > found.long {
                    (found.long, found.ends) = (distance, [*a, *b]);
                }
            }
        }
        let [across, down] = minus(place(found.ends[1]), place(found.ends[0]));
        if found.long > 0.0 {
            let offset = |voxel: &[usize; 2]| (place(*voxel)[1] * across - place(*voxel)[0] * down) / found.long;
            let offsets = || hull.iter().map(offset);
            found.short = offsets().fold(f64::MIN, f64::max) - offsets().fold(f64::MAX, f64::min);
        }
        found
    }
}

fn minus(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] - b[0], a[1] - b[1]]
}

/// The corners of the convex hull (monotone chain); at least one point for at least one voxel.
fn hull(mut voxels: Vec<[usize; 2]>) -> Vec<[usize; 2]> {
    voxels.sort_unstable();
    voxels.dedup();
    if voxels.len() < 3 {
        return voxels;
    }
    let half = |voxels: &mut dyn Iterator<Item = [usize; 2]>| {
        let mut chain: Vec<[usize; 2]> = Vec::new();
        for voxel in voxels {
            while chain.len() > 1 && !turns_left(chain[chain.len() - 2], chain[chain.len() - 1], voxel) {
                chain.pop();
            }
            chain.push(voxel);
        }
        chain.pop();
        chain
    };
    let lower = half(&mut voxels.iter().copied());
    let upper = half(&mut voxels.iter().rev().copied());
    [lower, upper].concat()
}

fn turns_left(a: [usize; 2], b: [usize; 2], c: [usize; 2]) -> bool {
    let step = |from: [usize; 2], to: [usize; 2]| [0, 1].map(|axis| to[axis] as i64 - from[axis] as i64);
    let (first, second) = (step(a, b), step(a, c));
    first[0] * second[1] - first[1] * second[0] > 0
}
