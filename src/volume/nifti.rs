//! NIfTI-1 files (`.nii`, `.nii.gz`) as volumes, and volumes and labels as NIfTI-1.
//!
//! NIfTI's world is RAS millimetres, ours LPS: x and y change sign. Its first axis is the fastest, as is
//! our i, so the voxels need no turning. Only single volumes; never DICOM.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::Array3;
use nifti::{InMemNiftiObject, NiftiHeader, NiftiObject, ReaderOptions};

use super::{Grid, Volume, VolumeError};
use crate::dicom::{Vec3, norm, scale};

const HEADER: usize = 348;
/// Header, and the four bytes that say that no extension follows.
const OFFSET: usize = 352;

/// Reads a volume; the grid comes from the sform, else the qform, else the voxel sizes alone.
pub fn read_nifti(path: &Path) -> Result<Volume, VolumeError> {
    let fault = |reason: String| VolumeError::Nifti { path: path.to_owned(), reason };
    let object: InMemNiftiObject =
        ReaderOptions::new().read_file(path).map_err(|error| fault(format!("not readable as NIfTI: {error}")))?;
    let header = object.header().clone();
    let size = size_of(&header).ok_or_else(|| fault("holds no single 3-D volume".into()))?;
    let values = values_of(&header, object.into_volume().raw_data())
        .ok_or_else(|| fault(format!("data type {} is not supported", header.datatype)))?;
    let [ni, nj, nk] = size;
    let voxels = Array3::from_shape_vec((nk, nj, ni), values).map_err(|_| fault("is truncated".into()))?;
    Ok(Volume { voxels, grid: grid_of(&header, size), sources: Vec::new() })
}

fn size_of(header: &NiftiHeader) -> Option<[usize; 3]> {
    let dims = header.dim().ok()?;
    let extra_is_flat = dims.iter().skip(3).all(|n| *n <= 1);
    let size: [usize; 3] = std::array::from_fn(|a| usize::from(dims.get(a).copied().unwrap_or(1)));
    (dims.len() >= 2 && extra_is_flat && size.iter().all(|n| *n > 0)).then_some(size)
}

/// Voxels as f32 with slope and intercept applied (a slope of 0 means that there is none).
fn values_of(header: &NiftiHeader, bytes: &[u8]) -> Option<Vec<f32>> {
    let big = header.endianness == nifti::Endianness::Big;
    let (slope, intercept) = match (f64::from(header.scl_slope), f64::from(header.scl_inter)) {
        (slope, intercept) if slope != 0.0 && slope.is_finite() && intercept.is_finite() => (slope, intercept),
        _ => (1.0, 0.0),
    };
    macro_rules! read {
        ($kind:ty) => {
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| if big { <$kind>::from_be_bytes(*b) } else { <$kind>::from_le_bytes(*b) })
                .map(|v| (v as f64 * slope + intercept) as f32)
                .collect()
        };
    }
    #[allow(clippy::cast_lossless)]
    Some(match header.datatype {
        2 => read!(u8),
        4 => read!(i16),
        8 => read!(i32),
        16 => read!(f32),
        64 => read!(f64),
        256 => read!(i8),
        512 => read!(u16),
        768 => read!(u32),
        _ => return None,
    })
}

fn grid_of(header: &NiftiHeader, size: [usize; 3]) -> Grid {
    let rows = if header.sform_code > 0 {
        [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from))
    } else if header.qform_code > 0 {
        qform_rows(header)
    } else {
        let [x, y, z] = voxel_size(header);
        [[x, 0.0, 0.0, 0.0], [0.0, y, 0.0, 0.0], [0.0, 0.0, z, 0.0]]
    };
    let column = |c: usize| -> Vec3 { [-rows[0][c], -rows[1][c], rows[2][c]] };
    Grid { size, origin: column(3), axes: [column(0), column(1), column(2)] }
}

fn voxel_size(header: &NiftiHeader) -> Vec3 {
    std::array::from_fn(|a| match f64::from(header.pixdim[a + 1]).abs() {
        size if size > 0.0 => size,
        _ => 1.0,
    })
}

/// The quaternion transform of nifti1.h, method 2.
fn qform_rows(header: &NiftiHeader) -> [[f64; 4]; 3] {
    let (b, c, d) = (f64::from(header.quatern_b), f64::from(header.quatern_c), f64::from(header.quatern_d));
    let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
    let [x, y, mut z] = voxel_size(header);
    if header.pixdim[0] < 0.0 {
        z = -z;
    }
    let offset = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    std::array::from_fn(|r| [rotation[r][0] * x, rotation[r][1] * y, rotation[r][2] * z, offset[r]])
}

/// Writes values as 32-bit floats; a name ending in `.gz` is compressed.
pub fn write_nifti(path: &Path, volume: &Volume) -> Result<(), VolumeError> {
    let bytes = volume.voxels.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    write(path, &volume.grid, 16, 32, &bytes)
}

/// Writes labels `[k][j][i]` as bytes; a name ending in `.gz` is compressed.
pub fn write_labels(path: &Path, labels: &Array3<u8>, grid: &Grid) -> Result<(), VolumeError> {
    let bytes = labels.iter().copied().collect::<Vec<u8>>();
    write(path, grid, 2, 8, &bytes)
}

fn write(path: &Path, grid: &Grid, datatype: i16, bits: i16, voxels: &[u8]) -> Result<(), VolumeError> {
    let fault = |reason: String| VolumeError::Nifti { path: path.to_owned(), reason };
    let header = header_of(grid, datatype, bits).ok_or_else(|| fault("an axis exceeds 32767 voxels".into()))?;
    let stored = || -> std::io::Result<()> {
        let mut file = fs::File::create(path)?;
        if path.extension().is_some_and(|e| e == "gz") {
            let mut zip = GzEncoder::new(file, Compression::fast());
            zip.write_all(&header)?;
            zip.write_all(voxels)?;
            zip.finish()?.flush()
        } else {
            file.write_all(&header)?;
            file.write_all(voxels)
        }
    };
    stored().map_err(|error| fault(format!("cannot write: {error}")))
}

/// A NIfTI-1 header with the grid as sform (scanner anatomical), little endian.
fn header_of(grid: &Grid, datatype: i16, bits: i16) -> Option<[u8; OFFSET]> {
    let mut header = [0_u8; OFFSET];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(HEADER as i32).to_le_bytes());
    put(40, &3_i16.to_le_bytes());
    for axis in 0..3 {
        put(42 + 2 * axis, &i16::try_from(grid.size[axis]).ok()?.to_le_bytes());
        put(80 + 4 * axis, &(norm(grid.axes[axis]) as f32).to_le_bytes());
    }
    (3..7).for_each(|axis| put(42 + 2 * axis, &1_i16.to_le_bytes()));
    put(70, &datatype.to_le_bytes());
    put(72, &bits.to_le_bytes());
    put(76, &1_f32.to_le_bytes());
    put(108, &(OFFSET as f32).to_le_bytes());
    put(112, &1_f32.to_le_bytes());
    put(123, &[2]);
    put(254, &1_i16.to_le_bytes());
    for row in 0..3 {
        let sign = if row < 2 { -1.0 } else { 1.0 };
        for (column, vector) in grid.axes.iter().chain([&grid.origin]).enumerate() {
            put(280 + 16 * row + 4 * column, &(scale(*vector, sign)[row] as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    Some(header)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dicom::sub;

    fn volume() -> Volume {
        let voxels = Array3::from_shape_vec((2, 3, 4), (0..24_u8).map(|v| f32::from(v) - 3.5).collect()).unwrap();
        let axes = [[0.5, 0.25, 0.0], [-0.25, 0.5, 0.125], [0.0, 0.0, 3.0]];
        Volume { voxels, grid: Grid { size: [4, 3, 2], origin: [10.0, -20.5, 30.0], axes }, sources: vec![] }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.nii", "a.nii.gz"] {
            let path = folder.path().join(name);
            write_nifti(&path, &volume()).unwrap();
            let back = read_nifti(&path).unwrap();
            assert_eq!((back.voxels, back.grid), (volume().voxels, volume().grid), "{name}");
            let labels = volume().voxels.mapv(|v| v.abs() as u8);
            write_labels(&path, &labels, &volume().grid).unwrap();
            assert_eq!(read_nifti(&path).unwrap().voxels, labels.mapv(f32::from), "{name}");
        }
    }

    #[test]
    fn the_qform_and_the_slope_are_heeded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.nii");
        // half a turn about z (b = c = 0, d = 1), voxels of 2x3x4 mm
        let grid = Grid {
            size: [1, 1, 2],
            origin: [1.0, 2.0, 3.0],
            axes: [[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 4.0]],
        };
        let mut bytes = header_of(&grid, 4, 16).unwrap().to_vec();
        bytes[254..256].copy_from_slice(&0_i16.to_le_bytes());
        bytes[252..254].copy_from_slice(&1_i16.to_le_bytes());
        for (at, value) in [(112, 2.0_f32), (116, -1.0), (264, 1.0), (268, -1.0), (272, -2.0), (276, 3.0)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes.extend([7, 0, 0xff, 0xff]);
        fs::write(&path, &bytes).unwrap();
        let back = read_nifti(&path).unwrap();
        assert_eq!(back.voxels.as_slice(), Some(&[13.0, -3.0][..]));
        assert!((0..3).all(|a| norm(sub(back.grid.axes[a], grid.axes[a])) < 1e-6), "{:?}", back.grid);
        assert!(norm(sub(back.grid.origin, grid.origin)) < 1e-6);
    }

    #[test]
    fn faults_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.nii");
        fs::write(&path, b"no NIfTI").unwrap();
        assert!(read_nifti(&path).unwrap_err().to_string().contains("bad.nii"));
        write_nifti(&path, &volume()).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        assert!(read_nifti(&path).is_err());
    }
}
