//! The object as the referee reads it: parsed from the bytes, frames resolved to source slices, pixels left where
//! they lie.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::FileMetaTable;

use super::pixel_data::PixelData;
use super::{Fault, unreadable};
use crate::dicom::{Dataset, SegmentationType, part10, text, texts};
use crate::results::SourceSeries;
use crate::results::source::Slice;

/// A segmentation object, read.
pub(super) struct SegObject<'b> {
    pub meta: FileMetaTable,
    pub dataset: Dataset,
    /// Segmentation Type; `None` where it is none of the three.
    pub stored: Option<SegmentationType>,
    pub frames: Vec<Frame>,
    pub rows: usize,
    pub columns: usize,
    /// `None` where there is no well-formed Pixel Data element at the end.
    pub pixel_data: Option<PixelData<'b>>,
}

/// One item of the per-frame functional groups.
pub(super) struct Frame {
    pub segment: Option<u16>,
    /// Source slice that the frame says it was made from, where that resolves.
    pub slice: Option<usize>,
    pub position: Vec<String>,
    pub index: Vec<u32>,
    /// Each source image, or frame of one, that is named.
    pub sources: Vec<Image>,
}

impl<'b> SegObject<'b> {
    pub fn read(bytes: &'b [u8], source: &SourceSeries) -> Result<SegObject<'b>, Fault> {
        let (object, end) = part10::parse_around_pixels(bytes).map_err(|error| unreadable(&error))?;
        let meta = object.meta().clone();
        let dataset = object.into_inner();
        let slices = places(source);
        let frames = items(&dataset, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let frames = frames.iter().map(|groups| Frame::of(groups, &slices)).collect();
        let size = |tag| number(&dataset, tag).unwrap_or(0);
        let (rows, columns) = (size(tags::ROWS), size(tags::COLUMNS));
        let stated = text(&dataset, tags::SEGMENTATION_TYPE);
        let stored = SegmentationType::ALL.into_iter().find(|t| stated.as_deref() == Some(t.name()));
        Ok(SegObject { meta, dataset, stored, frames, rows, columns, pixel_data: PixelData::read(&bytes[end..]) })
    }

    pub fn is_labelmap(&self) -> bool {
        self.stored == Some(SegmentationType::Labelmap)
    }

    /// The items that describe its segments.
    pub fn segments(&self) -> &[Dataset] {
        items(&self.dataset, tags::SEGMENT_SEQUENCE)
    }

    /// Voxels of a frame.
    pub fn area(&self) -> usize {
        self.rows * self.columns
    }

    /// The bytes of frame `index`, one a voxel; not for BINARY.
    pub fn frame_bytes(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        self.pixel_data.as_ref()?.frame(index, self.area())
    }
}

impl Frame {
    fn of(groups: &Dataset, slices: &HashMap<Image, usize>) -> Frame {
        let inner = |tag: Tag| items(groups, tag).first();
        let images = inner(tags::DERIVATION_IMAGE_SEQUENCE).map(|d| items(d, tags::SOURCE_IMAGE_SEQUENCE));
        let sources: Vec<Image> = images.unwrap_or_default().iter().map(referenced_frame).collect();
        Frame {
            segment: inner(tags::SEGMENT_IDENTIFICATION_SEQUENCE)
                .and_then(|s| number(s, tags::REFERENCED_SEGMENT_NUMBER))
                .and_then(|n| u16::try_from(n).ok()),
            slice: sources.first().and_then(|image| slices.get(image).copied()),
            position: inner(tags::PLANE_POSITION_SEQUENCE)
                .map(|p| texts(p, tags::IMAGE_POSITION_PATIENT))
                .unwrap_or_default(),
            index: inner(tags::FRAME_CONTENT_SEQUENCE)
                .and_then(|c| c.get(tags::DIMENSION_INDEX_VALUES)?.to_multi_int::<u32>().ok())
                .unwrap_or_default(),
            sources,
        }
    }
}

/// Class and instance of an image; with the number of a frame of it behind a slash where one is meant.
pub(super) type Image = (String, String);

/// Where the source's images and frames are in the volume.
pub(super) fn places(source: &SourceSeries) -> HashMap<Image, usize> {
    let of_slice = |(k, slice): (usize, &Slice)| (named(slice), k);
    source.slices().iter().enumerate().map(of_slice).collect()
}

pub(super) fn named(slice: &Slice) -> Image {
    let instance = slice.instance.to_string();
    (slice.class.to_string(), slice.frame.map_or_else(|| instance.clone(), |frame| format!("{instance}/{frame}")))
}

/// The source's images, without their frames.
pub(super) fn images(source: &SourceSeries) -> HashSet<Image> {
    source.slices().iter().map(|slice| (slice.class.to_string(), slice.instance.to_string())).collect()
}

/// A reference item, with the frame that it names.
pub(super) fn referenced_frame(item: &Dataset) -> Image {
    let (class, instance) = referenced(item);
    let frame = text(item, tags::REFERENCED_FRAME_NUMBER);
    (class, frame.map_or_else(|| instance.clone(), |frame| format!("{instance}/{frame}")))
}

/// `(class, instance)` of a reference item.
pub(super) fn referenced(item: &Dataset) -> (String, String) {
    let read = |tag| text(item, tag).unwrap_or_default();
    (read(tags::REFERENCED_SOP_CLASS_UID), read(tags::REFERENCED_SOP_INSTANCE_UID))
}

/// The items of a sequence; none when it is absent.
pub(super) fn items(dataset: &Dataset, tag: Tag) -> &[Dataset] {
    dataset.get(tag).and_then(|e| e.value().items()).unwrap_or_default()
}

/// A whole number.
pub(super) fn number(dataset: &Dataset, tag: Tag) -> Option<usize> {
    text(dataset, tag)?.parse().ok()
}
