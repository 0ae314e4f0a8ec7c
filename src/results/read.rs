//! Reads a BINARY segmentation back as a label map, as any receiver would: from the object alone.
//!
//! For showing and measuring what a destination holds; the referee of `verify` has a reader of its own.
//! PS3.3 sections A.51 and C.8.20; bits as PS3.5 section 8.1.1 packs them.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use ndarray::Array3;

use crate::dicom::{Code, Dataset, Vec3, cross, decimals, dot, norm, scale, text, texts};
use crate::volume::{Algorithm, Grid, Segment, Segmentation};

/// Why an object is no segmentation that can be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the object cannot be read as a DICOM file: {0}")]
    Unreadable(String),
    #[error("the object's SOP class is {0}, not Segmentation Storage")]
    NotASegmentation(String),
    #[error("{0} is missing or has no usable value; the object is no BINARY segmentation of a volume")]
    Missing(&'static str),
    #[error("frame {0}: segments overlap, which one label map cannot hold; read them one by one")]
    Overlap(usize),
}

/// One frame: its segment number and the position of its first voxel, LPS mm.
struct Frame {
    segment: u16,
    position: Vec3,
}

/// The label map of a BINARY Segmentation whose segments do not overlap; `label` is the SegmentNumber.
/// Slices without a frame between the first and the last one are background.
pub fn segmentation(part10: &[u8]) -> Result<Segmentation, ReadError> {
    let file = dicom_object::from_reader(part10).map_err(|error| ReadError::Unreadable(error.to_string()))?;
    let class = file.meta().media_storage_sop_class_uid().to_owned();
    if class != uids::SEGMENTATION_STORAGE {
        return Err(ReadError::NotASegmentation(class));
    }
    let frames = frames(&file)?;
    let grid = grid(&file, &frames)?;
    let bits = file.element(tags::PIXEL_DATA).ok().and_then(|e| e.to_bytes().ok());
    let labels = labels(&bits.ok_or(ReadError::Missing("PixelData"))?, &frames, &grid)?;
    let segments = items(&file, tags::SEGMENT_SEQUENCE).iter().map(segment).collect::<Result<Vec<_>, _>>()?;
    Ok(Segmentation::of_labels(labels, grid, segments, algorithm(&file)))
}

pub(super) fn items(dataset: &Dataset, tag: Tag) -> &[Dataset] {
    dataset.get(tag).and_then(|element| element.items()).unwrap_or_default()
}

pub(super) fn item(dataset: &Dataset, tag: Tag) -> Option<&Dataset> {
    items(dataset, tag).first()
}

fn frames(file: &Dataset) -> Result<Vec<Frame>, ReadError> {
    let read = |groups: &Dataset| {
        let place = item(groups, tags::PLANE_POSITION_SEQUENCE).ok_or(ReadError::Missing("PlanePositionSequence"))?;
        let number = item(groups, tags::SEGMENT_IDENTIFICATION_SEQUENCE)
            .and_then(|i| text(i, tags::REFERENCED_SEGMENT_NUMBER)?.parse().ok());
        Ok(Frame {
            segment: number.ok_or(ReadError::Missing("ReferencedSegmentNumber"))?,
            position: triple(decimals(place, tags::IMAGE_POSITION_PATIENT), "ImagePositionPatient")?,
        })
    };
    items(file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).iter().map(read).collect()
}

fn triple(values: Option<Vec<f64>>, what: &'static str) -> Result<Vec3, ReadError> {
    values.and_then(|v| <[f64; 3]>::try_from(v).ok()).ok_or(ReadError::Missing(what))
}

fn grid(file: &Dataset, frames: &[Frame]) -> Result<Grid, ReadError> {
    let shared = item(file, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let shared = shared.ok_or(ReadError::Missing("SharedFunctionalGroupsSequence"))?;
    let cosines = item(shared, tags::PLANE_ORIENTATION_SEQUENCE)
        .and_then(|i| decimals(i, tags::IMAGE_ORIENTATION_PATIENT))
        .filter(|c| c.len() == 6)
        .ok_or(ReadError::Missing("ImageOrientationPatient"))?;
    let measures = item(shared, tags::PIXEL_MEASURES_SEQUENCE).ok_or(ReadError::Missing("PixelMeasuresSequence"))?;
    let spacing = decimals(measures, tags::PIXEL_SPACING).filter(|s| s.len() == 2);
    let spacing = spacing.ok_or(ReadError::Missing("PixelSpacing"))?;
    let between = [tags::SPACING_BETWEEN_SLICES, tags::SLICE_THICKNESS]
        .iter()
        .find_map(|tag| decimals(measures, *tag)?.first().copied().filter(|mm| *mm > 0.0));
    let size = |tag, what| text(file, tag).and_then(|t| t.parse::<usize>().ok()).ok_or(ReadError::Missing(what));
    let (row, column) = ([cosines[0], cosines[1], cosines[2]], [cosines[3], cosines[4], cosines[5]]);
    let normal = scale(cross(row, column), 1.0 / norm(cross(row, column)));
    let lowest = frames.iter().min_by(|a, b| dot(normal, a.position).total_cmp(&dot(normal, b.position)));
    let origin = lowest.ok_or(ReadError::Missing("PerFrameFunctionalGroupsSequence"))?.position;
    let between = between.ok_or(ReadError::Missing("SpacingBetweenSlices"))?;
    let mut grid = Grid {
        size: [size(tags::COLUMNS, "Columns")?, size(tags::ROWS, "Rows")?, 1],
        origin,
        axes: [scale(row, spacing[1]), scale(column, spacing[0]), scale(normal, between)],
    };
    grid.size[2] = frames.iter().map(|frame| slice_of(frame, &grid)).max().unwrap_or(0) + 1;
    Ok(grid)
}

/// Slice index of a frame, counted along the normal from the lowest one.
fn slice_of(frame: &Frame, grid: &Grid) -> usize {
    let step = grid.axes[2];
    let along = |position: Vec3| dot(step, position) / dot(step, step);
    (along(frame.position) - along(grid.origin)).round().max(0.0) as usize
}

fn labels(bits: &[u8], frames: &[Frame], grid: &Grid) -> Result<Array3<u8>, ReadError> {
    let [columns, rows, slices] = grid.size;
    let pixels = columns * rows;
    if bits.len() * 8 < frames.len() * pixels {
        return Err(ReadError::Missing("PixelData"));
    }
    let mut labels = Array3::<u8>::zeros((slices, rows, columns));
    for (number, frame) in frames.iter().enumerate() {
        let mut slice = labels.index_axis_mut(ndarray::Axis(0), slice_of(frame, grid));
        let start = number * pixels;
        for (voxel, at) in slice.iter_mut().zip(start..) {
            match (bits[at / 8] >> (at % 8) & 1, *voxel) {
                (0, _) => {}
                (_, 0) => *voxel = frame.segment as u8,
                _ => return Err(ReadError::Overlap(number + 1)),
            }
        }
    }
    Ok(labels)
}

pub(super) fn segment(item_of_sequence: &Dataset) -> Result<Segment, ReadError> {
    let within = |outer, tag| item(item_of_sequence, outer).and_then(|outer| item(outer, tag)).and_then(code);
    let code = |tag| item(item_of_sequence, tag).and_then(code);
    let number = text(item_of_sequence, tags::SEGMENT_NUMBER).and_then(|t| t.parse().ok());
    Ok(Segment {
        label: number.ok_or(ReadError::Missing("SegmentNumber"))?,
        name: text(item_of_sequence, tags::SEGMENT_LABEL).ok_or(ReadError::Missing("SegmentLabel"))?,
        category: code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE)
            .ok_or(ReadError::Missing("SegmentedPropertyCategoryCodeSequence"))?,
        property: code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)
            .ok_or(ReadError::Missing("SegmentedPropertyTypeCodeSequence"))?,
        modifier: within(
            tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
            tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE,
        ),
        region: code(tags::ANATOMIC_REGION_SEQUENCE),
        region_modifier: within(tags::ANATOMIC_REGION_SEQUENCE, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE),
        color: color(item_of_sequence),
    })
}

fn code(item: &Dataset) -> Option<Code> {
    Some(Code {
        value: text(item, tags::CODE_VALUE)?,
        scheme: text(item, tags::CODING_SCHEME_DESIGNATOR)?,
        meaning: text(item, tags::CODE_MEANING)?,
    })
}

/// RecommendedDisplayCIELabValue as sRGB; red where there is none.
fn color(segment: &Dataset) -> [u8; 3] {
    let values: Vec<u16> =
        texts(segment, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE).iter().filter_map(|t| t.parse().ok()).collect();
    <[u16; 3]>::try_from(values).map_or([255, 0, 0], super::color::srgb)
}

pub(super) fn algorithm(file: &Dataset) -> Algorithm {
    let first = item(file, tags::SEGMENT_SEQUENCE);
    let name = first.and_then(|segment| text(segment, tags::SEGMENT_ALGORITHM_NAME)).unwrap_or_default();
    let of_file = |tag| text(file, tag).unwrap_or_default();
    Algorithm {
        name,
        version: of_file(tags::SOFTWARE_VERSIONS),
        manufacturer: of_file(tags::MANUFACTURER),
        digest: of_file(tags::DEVICE_SERIAL_NUMBER),
    }
}
