//! A stored segmentation as one mask for each segment and place: what is needed to count it and to lay it beside another.
//!
//! BINARY and LABELMAP, from the object alone; FRACTIONAL says shares, not voxels, and is refused.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::CompareError;
use crate::dicom::{Dataset, Plane, SegmentationType, Uid, Vec3, decimals, dot, part10, text, texts, uid_of};
use crate::results::SourceSeries;
use crate::results::read::{algorithm, item, items, segment};
use crate::results::verify::PixelData;
use crate::volume::{Algorithm, Segment};

/// Places along the normal are counted in steps of this, mm: as close as positions count as one.
const STEP: f64 = 1e-3;

/// The voxels of one segment on one slice: a bit a pixel.
pub type Bits = Vec<u64>;

/// A segmentation read back.
#[derive(Debug, Clone)]
pub struct Masks {
    pub instance: Uid,
    pub class: Uid,
    pub series: Uid,
    pub study: Uid,
    /// The series of images that it was made from.
    pub source_series: Option<Uid>,
    /// Compared, never told.
    pub(super) patient: Option<String>,
    /// Of the study, by which time points are told apart.
    pub date: Option<NaiveDate>,
    pub frame_of_reference: Option<String>,
    pub algorithm: Algorithm,
    /// Their labels are their segment numbers.
    pub segments: Vec<Segment>,
    /// TrackingUID by segment number.
    pub tracking: BTreeMap<u8, Uid>,
    /// Of the first frame: directions, spacing and size are those of all.
    pub plane: Plane,
    /// What a slice stands for along the normal, mm, where that is stated.
    pub thickness: Option<f64>,
    /// The same of each place, where the images say it.
    slabs: BTreeMap<i64, f64>,
    pub(in crate::results) slices: BTreeMap<(i64, u8), Bits>,
}

impl Masks {
    pub fn read(bytes: &[u8]) -> Result<Masks, CompareError> {
        let (file, end) =
            part10::parse_around_pixels(bytes).map_err(|error| CompareError::Unreadable(error.to_string()))?;
        let missing = |what: &'static str| CompareError::Missing(what);
        let uid = |tag, what| uid_of(&file, tag).map_err(|_| missing(what));
        let stated = text(&file, tags::SEGMENTATION_TYPE).unwrap_or_default();
        let stored = SegmentationType::ALL.into_iter().find(|kind| kind.name() == stated);
        let Some(stored @ (SegmentationType::Binary | SegmentationType::Labelmap)) = stored else {
            return Err(CompareError::NotMasks);
        };
        let segments = items(&file, tags::SEGMENT_SEQUENCE).iter().map(segment).collect::<Result<Vec<_>, _>>()?;
        let tracked = |item: &Dataset| {
            let number = text(item, tags::SEGMENT_NUMBER)?.parse().ok()?;
            Some((number, uid_of(item, tags::TRACKING_UID).ok()?))
        };
        let mut masks = Masks {
            instance: uid(tags::SOP_INSTANCE_UID, "SOPInstanceUID")?,
            class: uid(tags::SOP_CLASS_UID, "SOPClassUID")?,
            series: uid(tags::SERIES_INSTANCE_UID, "SeriesInstanceUID")?,
            study: uid(tags::STUDY_INSTANCE_UID, "StudyInstanceUID")?,
            source_series: item(&file, tags::REFERENCED_SERIES_SEQUENCE)
                .and_then(|series| uid_of(series, tags::SERIES_INSTANCE_UID).ok()),
            patient: text(&file, tags::PATIENT_ID),
            date: text(&file, tags::STUDY_DATE).and_then(|date| NaiveDate::parse_from_str(&date, "%Y%m%d").ok()),
            frame_of_reference: text(&file, tags::FRAME_OF_REFERENCE_UID),
            algorithm: algorithm(&file),
            tracking: items(&file, tags::SEGMENT_SEQUENCE).iter().filter_map(tracked).collect(),
            segments,
            plane: plane(&file).ok_or(missing("the plane of its first frame"))?,
            thickness: thickness(&file),
            slabs: BTreeMap::new(),
            slices: BTreeMap::new(),
        };
        let pixels = PixelData::read(&bytes[end..]).ok_or(missing("PixelData"))?;
        masks.take_frames(&file, &pixels, stored)?;
        Ok(masks)
    }

    fn take_frames(
        &mut self,
        file: &Dataset,
        pixels: &PixelData,
        stored: SegmentationType,
    ) -> Result<(), CompareError> {
        let area = self.plane.rows * self.plane.columns;
        for (index, frame) in items(file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).iter().enumerate() {
            let position =
                item(frame, tags::PLANE_POSITION_SEQUENCE).and_then(|p| vector(p, tags::IMAGE_POSITION_PATIENT));
            let place = self.place(position.unwrap_or_default());
            let number = item(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE)
                .and_then(|s| text(s, tags::REFERENCED_SEGMENT_NUMBER)?.parse::<u8>().ok());
            let short = || CompareError::Missing("the pixels of a frame");
            if stored == SegmentationType::Binary {
                let PixelData::Native(bits) = pixels else { return Err(short()) };
                let number = number.ok_or(CompareError::Missing("ReferencedSegmentNumber"))?;
                let mask = self.slices.entry((place, number)).or_insert_with(|| vec![0; area.div_ceil(64)]);
                let start = index * area;
                if bits.len() * 8 < start + area {
                    return Err(short());
                }
                (0..area)
                    .filter(|at| bits[(start + at) / 8] >> ((start + at) % 8) & 1 == 1)
                    .for_each(|at| set(mask, at));
            } else {
                let labels = pixels.frame(index, area).ok_or_else(short)?;
                for (at, label) in labels.iter().enumerate().filter(|(_, label)| **label > 0) {
                    set(self.slices.entry((place, *label)).or_insert_with(|| vec![0; area.div_ceil(64)]), at);
                }
            }
        }
        Ok(())
    }

    /// Where a position lies along the normal, in steps.
    pub(super) fn place(&self, position: Vec3) -> i64 {
        (dot(self.plane.normal(), position) / STEP).round() as i64
    }

    /// Voxels of a segment.
    #[must_use]
    pub fn voxels(&self, label: u8) -> u64 {
        self.slices.iter().filter(|((_, own), _)| *own == label).map(|(_, bits)| ones(bits)).sum()
    }

    /// Takes what every slice stands for from the images, which know it where spacing is uneven.
    #[must_use]
    pub fn over(mut self, source: &SourceSeries) -> Masks {
        let slabs = source.slabs(self.thickness.unwrap_or(1.0));
        self.slabs = slabs.iter().map(|slab| (self.place(slab.plane.position), slab.thickness)).collect();
        self
    }

    /// mm3 of a segment: its voxels, and what the slices stand for.
    #[must_use]
    pub fn volume(&self, label: u8) -> Option<f64> {
        let area = self.plane.spacing[0] * self.plane.spacing[1];
        let own = self.slices.iter().filter(|((_, own), _)| *own == label);
        let parts = own.map(|((place, _), bits)| {
            Some(ones(bits) as f64 * area * self.slabs.get(place).copied().or(self.thickness)?)
        });
        parts.sum()
    }
}

fn set(mask: &mut Bits, at: usize) {
    mask[at / 64] |= 1 << (at % 64);
}

pub(super) fn ones(bits: &Bits) -> u64 {
    bits.iter().map(|word| u64::from(word.count_ones())).sum()
}

fn vector(dataset: &Dataset, tag: Tag) -> Option<Vec3> {
    decimals(dataset, tag)?.try_into().ok()
}

/// The first frame's plane; a projection's where no frame lies in the patient.
fn plane(file: &Dataset) -> Option<Plane> {
    let shared = item(file, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)?;
    let first = item(file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)?;
    let mut flat = Dataset::new_empty();
    for (group, tag) in [
        (tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT),
        (tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT),
        (tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING),
    ] {
        let said = [first, shared].into_iter().find_map(|groups| item(groups, group)?.get(tag));
        said.cloned().map(|element| flat.put(element));
    }
    [tags::ROWS, tags::COLUMNS].iter().filter_map(|tag| file.get(*tag)).for_each(|e| drop(flat.put(e.clone())));
    let lies = !texts(&flat, tags::IMAGE_POSITION_PATIENT).is_empty();
    if lies { Plane::of(&flat) } else { Plane::projection(&flat) }
}

/// The distance of slices; the thickness only where there is but one slice to say it of.
fn thickness(file: &Dataset) -> Option<f64> {
    let shared = item(file, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)?;
    let measures = item(shared, tags::PIXEL_MEASURES_SEQUENCE)?;
    let stated = |tag| decimals(measures, tag)?.first().copied().filter(|mm| *mm > 0.0);
    let images =
        item(file, tags::REFERENCED_SERIES_SEQUENCE).map(|s| items(s, tags::REFERENCED_INSTANCE_SEQUENCE).len());
    stated(tags::SPACING_BETWEEN_SLICES).or_else(|| stated(tags::SLICE_THICKNESS).filter(|_| images == Some(1)))
}
