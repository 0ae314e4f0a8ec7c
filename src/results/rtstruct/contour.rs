//! The outline of a mask on one slice, along the edges of its voxels, so that filling it gives back exactly the mask.
//!
//! Voxels that touch only at a corner are separate (4-connected), so no outline crosses itself. Outlines are drawn in
//! by [`INSET`], which keeps neighbours apart and every reader's rounding on the right side. Holes are joined to the
//! outline around them by channels of zero width through the mask (PS3.3 section C.8.8.6.3).

/// How far outlines are drawn in, in voxels.
const INSET: f64 = 0.01;
/// Where in its row a channel runs, from the row's centre: beside the centres, which some readers sample.
const CHANNEL: f64 = -0.25;

/// A closed outline: column and row, 0 being the centre of the first voxel; the first point is not repeated.
pub(in crate::results) type Outline = Vec<[f64; 2]>;

/// Steps along voxel edges with the mask on the right hand: to greater columns, greater rows, lesser columns, lesser
/// rows.
const STEPS: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];
const DOWN: usize = 1;
const UP: usize = 3;

/// The outlines of a mask of `size` columns and rows, one for each 4-connected part, in the order of their first voxels.
pub(super) fn outlines(size: [usize; 2], is_marked: impl Fn(usize, usize) -> bool) -> Vec<Outline> {
    let mask = Mask::new(size, is_marked);
    let tracer = Tracer::of(&mask);
    let weaver = Weaver { rings: &tracer.rings, joints: &tracer.joints() };
    let outer = tracer.rings.iter().enumerate().filter(|(_, ring)| ring.area > 0);
    outer
        .map(|(index, _)| {
            let mut outline = Outline::new();
            weaver.weave(index, 0, &mut outline);
            outline
        })
        .collect()
}

/// The borders of a mask as closed rings, those around marked voxels and those around holes, each by itself.
pub(super) fn rings(size: [usize; 2], is_marked: impl Fn(usize, usize) -> bool) -> Vec<Outline> {
    let mask = Mask::new(size, is_marked);
    Tracer::of(&mask)
        .rings
        .iter()
        .map(|ring| (0..ring.corners.len()).map(|corner| ring.point(corner)).collect())
        .collect()
}

/// A mask with a border of unmarked voxels.
struct Mask {
    width: usize,
    height: usize,
    marked: Vec<bool>,
}

impl Mask {
    fn new([columns, rows]: [usize; 2], is_marked: impl Fn(usize, usize) -> bool) -> Mask {
        let width = columns + 2;
        let mut marked = vec![false; width * (rows + 2)];
        for (row, line) in marked.chunks_exact_mut(width).skip(1).take(rows).enumerate() {
            line[1..=columns].iter_mut().enumerate().for_each(|(column, voxel)| *voxel = is_marked(column, row));
        }
        Mask { width, height: rows + 2, marked }
    }

    fn place(&self, [x, y]: [isize; 2]) -> usize {
        y as usize * self.width + x as usize
    }

    fn at(&self, voxel: [isize; 2]) -> bool {
        self.marked[self.place(voxel)]
    }

    /// Whether an edge leads from the corner (the upper left one of voxel `[x, y]`) in `direction`.
    fn leads(&self, [x, y]: [isize; 2], direction: usize) -> bool {
        let (right, left) = match direction {
            0 => ([x, y], [x, y - 1]),
            DOWN => ([x - 1, y], [x, y]),
            2 => ([x - 1, y - 1], [x - 1, y]),
            _ => ([x, y - 1], [x - 1, y - 1]),
        };
        self.at(right) && !self.at(left)
    }

    /// The way on from a corner: the sharpest right turn, which keeps to the same voxel where two meet at a corner.
    fn turn(&self, corner: [isize; 2], arriving: usize) -> usize {
        let turns = [arriving + 1, arriving, arriving + 3].map(|turn| turn % 4);
        turns.into_iter().find(|turn| self.leads(corner, *turn)).unwrap_or(arriving)
    }
}

/// One closed walk along edges.
struct Ring {
    /// Corner, and the direction in which the walk leaves it.
    corners: Vec<([isize; 2], usize)>,
    /// The leftmost edge that is walked down: the voxel right of it, and the corner that begins it.
    leftmost_down: ([isize; 2], usize),
    /// Twice the area walked around: positive around marked voxels, negative around holes.
    area: isize,
}

impl Ring {
    /// Corner `index`, drawn into the mask; the mask's border is taken off.
    fn point(&self, index: usize) -> [f64; 2] {
        let (corner, leaving) = self.corners[index];
        let arriving = self.corners[(index + self.corners.len() - 1) % self.corners.len()].1;
        std::array::from_fn(|axis| corner[axis] as f64 - 1.5 + INSET * (inward(arriving)[axis] + inward(leaving)[axis]))
    }
}

/// The direction from an edge into the mask: right of the walk.
fn inward(direction: usize) -> [f64; 2] {
    STEPS[(direction + 1) % 4].map(|step| step as f64)
}

struct Tracer<'m> {
    mask: &'m Mask,
    rings: Vec<Ring>,
    /// For the edge left of each voxel that was walked: its ring, and the corner that begins it.
    left_edges: Vec<Option<(u32, u32)>>,
}

/// Where a hole hangs on a ring.
struct Joint {
    ring: usize,
    /// The corner that begins the edge it hangs on.
    corner: usize,
    /// The voxel right of that edge.
    voxel: [isize; 2],
    hole: usize,
}

impl<'m> Tracer<'m> {
    /// All rings of a mask.
    fn of(mask: &'m Mask) -> Tracer<'m> {
        let mut tracer = Tracer { mask, rings: Vec::new(), left_edges: vec![None; mask.marked.len()] };
        tracer.trace_all();
        tracer
    }

    fn trace_all(&mut self) {
        for y in 1..self.mask.height as isize - 1 {
            for x in 1..self.mask.width as isize - 1 {
                let begins = self.mask.at([x, y]) && !self.mask.at([x - 1, y]);
                if begins && self.left_edges[self.mask.place([x, y])].is_none() {
                    self.walk([x, y]);
                }
            }
        }
    }

    /// Walks around from the upper end of the edge left of `start`, the first of its ring in reading order: there the
    /// walk turns.
    fn walk(&mut self, start: [isize; 2]) {
        let number = self.rings.len() as u32;
        let mut ring = Ring { corners: Vec::new(), leftmost_down: ([isize::MAX; 2], 0), area: 0 };
        let (mut at, mut direction) = (start, self.mask.turn(start, UP));
        loop {
            if ring.corners.last().is_none_or(|(_, leaving)| *leaving != direction) {
                ring.corners.push((at, direction));
            }
            let corner = ring.corners.len() - 1;
            if direction == UP {
                let edge = self.mask.place([at[0], at[1] - 1]);
                self.left_edges[edge] = Some((number, corner as u32));
            } else if direction == DOWN && at[0] < ring.leftmost_down.0[0] {
                ring.leftmost_down = (at, corner);
            }
            let next = [at[0] + STEPS[direction][0], at[1] + STEPS[direction][1]];
            ring.area += at[0] * next[1] - next[0] * at[1];
            if next == start && direction == UP {
                break;
            }
            (at, direction) = (next, self.mask.turn(next, direction));
        }
        self.rings.push(ring);
    }

    /// Each hole hangs on the ring that is met by going left through the mask from the hole's leftmost edge. That ring
    /// is the outline, or a hole that reaches farther left.
    fn joints(&self) -> Vec<Joint> {
        let holes = self.rings.iter().enumerate().filter(|(_, ring)| ring.area < 0);
        let joint = |(hole, ring): (usize, &Ring)| {
            let [x, y] = ring.leftmost_down.0;
            let mut voxel = [x - 1, y];
            while self.mask.at([voxel[0] - 1, y]) {
                voxel[0] -= 1;
            }
            let (ring, corner) = self.left_edges[self.mask.place(voxel)]?;
            Some(Joint { ring: ring as usize, corner: corner as usize, voxel, hole })
        };
        let mut joints: Vec<Joint> = holes.filter_map(joint).collect();
        // Left edges are walked upwards.
        joints.sort_by_key(|joint| (joint.ring, joint.corner, std::cmp::Reverse(joint.voxel[1])));
        joints
    }
}

/// Writes a ring's points, and where holes hang on it, theirs.
struct Weaver<'r> {
    rings: &'r [Ring],
    joints: &'r [Joint],
}

impl Weaver<'_> {
    /// Once around ring `index`, from corner `first` on.
    fn weave(&self, index: usize, first: usize, outline: &mut Outline) {
        let ring = &self.rings[index];
        let count = ring.corners.len();
        for corner in (0..count).map(|step| (first + step) % count) {
            outline.push(ring.point(corner));
            for joint in self.hanging(index, corner) {
                let (edge, begins) = self.rings[joint.hole].leftmost_down;
                let row = edge[1] as f64 - 1.0 + CHANNEL;
                let (near, far) = ([joint.voxel[0] as f64 - 1.5 + INSET, row], [edge[0] as f64 - 1.5 - INSET, row]);
                outline.extend([near, far]);
                self.weave(joint.hole, (begins + 1) % self.rings[joint.hole].corners.len(), outline);
                outline.extend([far, near]);
            }
        }
    }

    fn hanging(&self, ring: usize, corner: usize) -> &[Joint] {
        let place = |joint: &Joint| (joint.ring, joint.corner);
        let from = self.joints.partition_point(|joint| place(joint) < (ring, corner));
        let count = self.joints[from..].partition_point(|joint| place(joint) == (ring, corner));
        &self.joints[from..from + count]
    }
}

#[cfg(test)]
#[path = "contour_tests.rs"]
mod tests;
