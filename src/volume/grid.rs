//! The grid of a volume: where voxel `(i, j, k)` lies in the patient.

use crate::dicom::{Vec3, add, norm, scale};

/// An affine voxel grid. Voxel `(i, j, k)` has its centre at `origin + i*axes[0] + j*axes[1] + k*axes[2]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Number of voxels along i (columns), j (rows), k (slices).
    pub size: [usize; 3],
    /// Centre of voxel (0,0,0), LPS mm.
    pub origin: Vec3,
    /// LPS step for one index along i, j, k, mm. May be oblique.
    pub axes: [Vec3; 3],
}

impl Grid {
    /// LPS position of a (fractional) voxel index.
    #[must_use]
    pub fn position(&self, index: [f64; 3]) -> Vec3 {
        let along = |a: usize| scale(self.axes[a], index[a]);
        add(self.origin, add(along(0), add(along(1), along(2))))
    }

    /// Distance between voxel centres along i, j, k, mm.
    #[must_use]
    pub fn spacing(&self) -> [f64; 3] {
        [norm(self.axes[0]), norm(self.axes[1]), norm(self.axes[2])]
    }

    /// Volume of one voxel, mm3.
    #[must_use]
    pub fn voxel_volume(&self) -> f64 {
        let [a, b, c] = self.axes;
        crate::dicom::dot(crate::dicom::cross(a, b), c).abs()
    }
}
