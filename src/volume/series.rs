//! Instances of an image series -> one volume (PS3.3 C.7.6.2, Image Plane; C.7.6.16 for Enhanced multi-frame images).
//!
//! Instances are read, parsed and decoded in parallel, each straight into its place; beside the finished
//! volume only one instance a thread is held. Slices are stacked along row x column, k increasing. A single projection
//! image, which lies nowhere in the patient, is a volume of one slice where that is accepted.
//! Never guesses a geometry: what [`check_geometry`] does not call regular is refused unless accepted.

use std::io;
use std::path::PathBuf;

use dicom_dictionary_std::tags;
use dicom_object::FileDicomObject;
use ndarray::Array3;
use rayon::prelude::*;

use super::multiframe;
use super::pixels::{PixelLayout, decode_into, sizes_differ};
use super::{Grid, Volume, VolumeError};
use crate::dicom::{
    Dataset, GeometryVerdict, Plane, check_geometry, decimals, dot, part10, scale, sort_along_normal, sub, text,
};

/// One stored Part 10 instance, read only when its turn comes.
pub trait InstanceSource: Sync {
    /// What messages call it until its SOP Instance UID is known: a UID or file name.
    fn name(&self) -> String;
    /// The whole Part 10 stream.
    fn bytes(&self) -> io::Result<Vec<u8>>;
}

impl InstanceSource for PathBuf {
    fn name(&self) -> String {
        self.display().to_string()
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        std::fs::read(self)
    }
}

/// A series in memory.
#[derive(Debug, Clone)]
pub struct SeriesVolume {
    pub volume: Volume,
    /// The data sets without Pixel Data, one for each slice k; values as received, those of a frame's functional groups
    /// in the data set itself.
    pub headers: Vec<Dataset>,
    pub verdict: GeometryVerdict,
}

/// Reads a series. `accept` names the [`GeometryVerdict`]s that may become a volume (usually `regular`);
/// accepted `missing-slices` and `non-uniform` series are laid out evenly between their first and last
/// slice. Duplicate positions, mixed orientations and instances without a plane never form a volume.
pub fn read_series<S: InstanceSource>(
    instances: &[S],
    accept: &[impl AsRef<str>],
) -> Result<SeriesVolume, VolumeError> {
    let first = instances.first().ok_or(VolumeError::Empty)?;
    let header = parse(first, true)?;
    if header.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).is_some() {
        let (slices, voxels) = multiframe::read(instances)?;
        return assemble(slices, voxels, accept);
    }
    let (layout, _) = layout_of(&header, first)?;
    let pixels = layout.pixels();
    let mut voxels = zeros(&layout, instances.len())?;
    // All results are collected before the first error is taken, so that the same series gives the same message.
    let slices: Vec<Result<Slice, VolumeError>> = voxels
        .par_chunks_mut(pixels.max(1))
        .zip(instances.par_iter())
        .map(|(out, instance)| read_slice(instance, &layout, out))
        .collect();
    let slices = slices.into_iter().collect::<Result<Vec<Slice>, VolumeError>>()?;
    assemble(slices, voxels, accept)
}

/// Zeroed by the system as pages are touched, so that a header that lies about its size costs nothing until
/// its pixels turn out to be missing.
pub(super) fn zeros(layout: &PixelLayout, slices: usize) -> Result<Vec<f32>, VolumeError> {
    let count = layout.pixels().saturating_mul(slices);
    match Vec::<f32>::new().try_reserve_exact(count) {
        Ok(()) => Ok(vec![0.0; count]),
        Err(_) => Err(VolumeError::TooLarge { columns: layout.columns, rows: layout.rows, slices }),
    }
}

pub(super) struct Slice {
    pub header: Dataset,
    pub plane: Option<Plane>,
    pub name: String,
}

pub(super) fn parse(source: &impl InstanceSource, header_only: bool) -> Result<FileDicomObject<Dataset>, VolumeError> {
    let bytes = source.bytes().map_err(|error| VolumeError::Io { instance: source.name(), source: error })?;
    let parsed = if header_only { part10::parse_header(bytes.as_slice()) } else { part10::parse(&bytes) };
    parsed.map_err(|error| VolumeError::NotDicom { instance: source.name(), source: error })
}

fn layout_of(
    object: &FileDicomObject<Dataset>,
    source: &impl InstanceSource,
) -> Result<(PixelLayout, String), VolumeError> {
    let name = text(object, tags::SOP_INSTANCE_UID).unwrap_or_else(|| source.name());
    Ok((PixelLayout::of(object, &name)?, name))
}

fn read_slice(source: &impl InstanceSource, first: &PixelLayout, out: &mut [f32]) -> Result<Slice, VolumeError> {
    let mut object = parse(source, false)?;
    let (layout, name) = layout_of(&object, source)?;
    if (layout.rows, layout.columns) != (first.rows, first.columns) {
        return Err(sizes_differ(name, &layout, first));
    }
    decode_into(&mut object, &layout, &name, out)?;
    object.remove_element(tags::PIXEL_DATA);
    let header = object.into_inner();
    Ok(Slice { plane: Plane::of(&header), header, name })
}

fn assemble(slices: Vec<Slice>, mut voxels: Vec<f32>, accept: &[impl AsRef<str>]) -> Result<SeriesVolume, VolumeError> {
    let planes: Vec<Option<Plane>> = slices.iter().map(|s| s.plane.clone()).collect();
    let verdict = check_geometry(&planes);
    let planes: Vec<Plane> = match verdict {
        GeometryVerdict::NoGeometry => vec![projection(&slices, accept)?],
        _ => planes.into_iter().flatten().collect(),
    };
    let order = sort_along_normal(&planes);
    if let GeometryVerdict::DuplicatePositions { .. } = verdict {
        return Err(same_position(&slices, &planes, &order));
    }
    let stackable =
        !matches!(verdict, GeometryVerdict::MixedOrientation { .. } | GeometryVerdict::MixedFrameOfReference { .. });
    if !stackable || !accept.iter().any(|a| a.as_ref() == verdict.name()) {
        let accepted = accept.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        return Err(VolumeError::Geometry { verdict: verdict.name(), accepted });
    }
    let grid = grid_of(&planes, &order, &slices[0].header);
    let [columns, rows, count] = grid.size;
    reorder(&mut voxels, rows * columns, &order);
    let mut headers: Vec<Option<Dataset>> = slices.into_iter().map(|s| Some(s.header)).collect();
    let headers = order.iter().filter_map(|source| headers[*source].take()).collect();
    let voxels = Array3::from_shape_vec((count, rows, columns), voxels).map_err(|_| VolumeError::Empty)?;
    Ok(SeriesVolume { volume: Volume { voxels, grid, sources: order }, headers, verdict })
}

/// The plane that stands for that of a single projection image.
fn projection(slices: &[Slice], accept: &[impl AsRef<str>]) -> Result<Plane, VolumeError> {
    let without = |slice: &&Slice| slice.plane.is_none();
    let Some(slice) = slices.iter().find(without) else { return Err(VolumeError::Empty) };
    let accepted = accept.iter().any(|word| word.as_ref() == GeometryVerdict::NoGeometry.name());
    match (accepted, slices.len(), Plane::projection(&slice.header)) {
        (true, 1, Some(plane)) => Ok(plane),
        (true, images, Some(_)) => Err(VolumeError::Projections { images }),
        _ => Err(VolumeError::NoPlane { instance: slice.name.clone(), missing: missing_of(&slice.header) }),
    }
}

/// What a plane lacks first.
fn missing_of(header: &Dataset) -> &'static str {
    let needed = [
        (tags::IMAGE_POSITION_PATIENT, 3, "ImagePositionPatient (0020,0032)"),
        (tags::IMAGE_ORIENTATION_PATIENT, 6, "ImageOrientationPatient (0020,0037)"),
        (tags::PIXEL_SPACING, 2, "PixelSpacing (0028,0030)"),
    ];
    let lacking =
        |(tag, count, _): &&(dicom_core::Tag, usize, _)| decimals(header, *tag).is_none_or(|v| v.len() < *count);
    needed.iter().find(lacking).map_or("a usable ImageOrientationPatient (0020,0037)", |(_, _, name)| name)
}

/// The grid from the first slice's corner and the mean step; `order` is not empty.
fn grid_of(planes: &[Plane], order: &[usize], header: &Dataset) -> Grid {
    let (first, last) = (&planes[order[0]], &planes[order[order.len() - 1]]);
    let step = if order.len() > 1 {
        scale(sub(last.position, first.position), 1.0 / (order.len() - 1) as f64)
    } else {
        let thickness = decimals(header, tags::SLICE_THICKNESS).map_or(0.0, |v| v[0]);
        scale(first.normal(), if thickness > 0.0 { thickness } else { 1.0 })
    };
    Grid {
        size: [first.columns, first.rows, order.len()],
        origin: first.position,
        axes: [scale(first.row, first.spacing[1]), scale(first.column, first.spacing[0]), step],
    }
}

fn same_position(slices: &[Slice], planes: &[Plane], order: &[usize]) -> VolumeError {
    let place = |index: usize| dot(planes[order[0]].normal(), planes[index].position);
    let closest = order.windows(2).min_by(|a, b| (place(a[1]) - place(a[0])).total_cmp(&(place(b[1]) - place(b[0]))));
    let name = |at: usize| closest.map_or_else(String::new, |pair| slices[pair[at]].name.clone());
    VolumeError::SamePosition { first: name(0), second: name(1) }
}

/// Brings slice `order[k]` to place `k`, following the permutation's cycles with one slice of scratch.
fn reorder(voxels: &mut [f32], pixels: usize, order: &[usize]) {
    let mut placed = vec![false; order.len()];
    for start in 0..order.len() {
        if placed[start] || order[start] == start {
            continue;
        }
        let scratch = voxels[start * pixels..(start + 1) * pixels].to_vec();
        let mut place = start;
        while order[place] != start {
            placed[place] = true;
            voxels.copy_within(order[place] * pixels..(order[place] + 1) * pixels, place * pixels);
            place = order[place];
        }
        placed[place] = true;
        voxels[place * pixels..(place + 1) * pixels].copy_from_slice(&scratch);
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
