//! The referee of Secondary Captures: identity and references as for any result; frames in their places; the source
//! beneath, in its own window, and over it what was found, where and in the colour it should be.

mod picture;

use std::collections::HashSet;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use ndarray::Array3;

use super::pixel_data::PixelData;
use super::reader::{items, number, places, referenced, referenced_frame};
use super::{Fault, geometry, identity, image, unreadable, values};
use crate::dicom::{CaptureForm, CaptureLayout, Dataset, Plane, Vec3, keyword_of, part10, text, texts};
use crate::results::{Scale, SourceSeries};
use crate::volume;

const FIXED: &[(Tag, &[&str])] = &[
    (tags::MODALITY, &["OT"]),
    (tags::CONVERSION_TYPE, &["WSD"]),
    (tags::IMAGE_TYPE, &["DERIVED", "SECONDARY"]),
    (tags::PHOTOMETRIC_INTERPRETATION, &["RGB"]),
    (tags::SAMPLES_PER_PIXEL, &["3"]),
    (tags::PLANAR_CONFIGURATION, &["0"]),
    (tags::BITS_ALLOCATED, &["8"]),
    (tags::BITS_STORED, &["8"]),
    (tags::HIGH_BIT, &["7"]),
    (tags::PIXEL_REPRESENTATION, &["0"]),
];
const SEGMENTATIONS: [&str; 2] = [uids::SEGMENTATION_STORAGE, uids::LABEL_MAP_SEGMENTATION_STORAGE];
const SOURCE_IMAGE: &str = "121322";

/// What a capture should show.
#[derive(Debug, Clone, Copy)]
pub struct Drawn<'a> {
    pub finding: &'a volume::Segmentation,
    /// The source's, in the modality's units.
    pub voxels: &'a Array3<f32>,
    pub form: CaptureForm,
}

/// A capture, read.
struct Capture<'b> {
    dataset: Dataset,
    layout: CaptureLayout,
    /// The source slices it shows, in the order in which it names them; `None` where one is no source image.
    slices: Vec<Option<usize>>,
    /// Columns and rows.
    size: [usize; 2],
    pixel_data: Option<PixelData<'b>>,
}

/// Checks a Secondary Capture (Part 10 bytes) made over `source`; with `expected`, also what its pixels show. An empty
/// answer means that it may be sent.
#[must_use]
pub fn secondary_capture(bytes: &[u8], source: &SourceSeries, expected: Option<&Drawn>) -> Vec<Fault> {
    let (object, end) = match part10::parse_around_pixels(bytes) {
        Ok(read) => read,
        Err(error) => return vec![unreadable(&error)],
    };
    let mut faults = identity::check(object.meta(), &object, source, &[tags::PATIENT_ORIENTATION]);
    let capture = Capture::read(object.into_inner(), &bytes[end..], source);
    let dataset = &capture.dataset;
    faults.extend(values::check(dataset, source, values::Lengths::Short));
    let wrong = FIXED.iter().filter(|(tag, value)| texts(dataset, *tag) != *value);
    faults.extend(
        wrong.map(|(tag, value)| Fault::new("H2", format!("{} is not {}", keyword_of(*tag), value.join("\\")))),
    );
    faults.extend(identity::filled(dataset, identity::CONTENT_MOMENT));
    faults.extend(image::lossy(dataset, source));
    faults.extend(capture.annotation(source, expected));
    faults.extend(capture.derivation());
    faults.extend(capture.place(source));
    faults.extend(capture.extent(source));
    faults.extend(expected.map(|drawn| capture.shown(drawn)).unwrap_or_default());
    faults.extend(expected.and_then(|drawn| picture::check(&capture, source, drawn)));
    faults
}

impl<'b> Capture<'b> {
    fn read(dataset: Dataset, rest: &'b [u8], source: &SourceSeries) -> Capture<'b> {
        let named = items(&dataset, tags::SOURCE_IMAGE_SEQUENCE).iter().map(referenced_frame);
        let places = places(source);
        let place = |image| places.get(&image).copied();
        let slices: Vec<_> = named.filter(|(class, _)| !SEGMENTATIONS.contains(&class.as_str())).map(place).collect();
        let is_many = text(&dataset, tags::SOP_CLASS_UID).as_deref() == Some(CaptureLayout::Frames.sop_class());
        // Only a montage runs in no direction of the patient.
        let layout = match (is_many, texts(&dataset, tags::PATIENT_ORIENTATION).is_empty()) {
            (true, _) => CaptureLayout::Frames,
            (false, false) => CaptureLayout::Slices,
            (false, true) => CaptureLayout::Montage,
        };
        let size = [tags::COLUMNS, tags::ROWS].map(|tag| number(&dataset, tag).unwrap_or(0));
        Capture { dataset, layout, slices, size, pixel_data: PixelData::read(rest) }
    }

    fn frames(&self) -> usize {
        if self.layout == CaptureLayout::Frames { self.slices.len() } else { 1 }
    }

    /// Whether it says rightly that text is burnt in, and what it is not for.
    fn annotation(&self, source: &SourceSeries, expected: Option<&Drawn>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let stated = text(&self.dataset, tags::BURNED_IN_ANNOTATION);
        let plane = &source.slices()[0].plane;
        let has_strip = expected
            .map_or(self.layout != CaptureLayout::Montage && self.size[1] > plane.rows, |drawn| drawn.form.burn_in);
        let theirs = text(source.header(), tags::BURNED_IN_ANNOTATION);
        let wanted = if has_strip || theirs.as_deref() == Some("YES") { "YES" } else { "NO" };
        let is_open = expected.is_none() && self.layout == CaptureLayout::Montage && stated.is_some();
        if stated.as_deref() != Some(wanted) && !is_open {
            faults.push(Fault::new("H2", format!("BurnedInAnnotation is not {wanted}")));
        }
        let said = text(&self.dataset, tags::DERIVATION_DESCRIPTION).unwrap_or_default();
        if !said.contains("not for primary diagnosis") {
            faults.push(Fault::new("H2", "DerivationDescription does not say that it is not for primary diagnosis"));
        }
        faults
    }

    /// Every image that it names is the source's, once, for that purpose.
    fn derivation(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let distinct: HashSet<_> = self.slices.iter().collect();
        if self.slices.is_empty() || self.slices.contains(&None) || distinct.len() != self.slices.len() {
            faults.push(Fault::new("V3", "SourceImageSequence names no source image, another one, or one twice"));
        }
        let code = |item: &Dataset, tag| items(item, tag).first().and_then(|code| text(code, tags::CODE_VALUE));
        let named = items(&self.dataset, tags::SOURCE_IMAGE_SEQUENCE);
        let purpose = |item: &Dataset| code(item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE);
        if named.iter().any(|item| purpose(item).as_deref() != Some(SOURCE_IMAGE)) {
            faults.push(Fault::new("V3", "an image is named for another purpose than as a source"));
        }
        let preserved = if self.layout == CaptureLayout::Montage { "NO" } else { "YES" };
        if named.iter().any(|item| text(item, tags::SPATIAL_LOCATIONS_PRESERVED).as_deref() != Some(preserved)) {
            faults.push(Fault::new("V3", format!("SpatialLocationsPreserved is not {preserved} everywhere")));
        }
        let mut segmentations = named.iter().filter(|item| SEGMENTATIONS.contains(&referenced(item).0.as_str()));
        if segmentations.any(|item| item.get(tags::REFERENCED_SEGMENT_NUMBER).is_none()) {
            faults.push(Fault::new("V9", "the segmentation is named without the segments that are shown"));
        }
        if code(&self.dataset, tags::DERIVATION_CODE_SEQUENCE).is_none() {
            faults.push(Fault::new("H2", "DerivationCodeSequence is missing"));
        }
        faults
    }

    /// Where it lies in the patient, as far as its class can say.
    fn place(&self, source: &SourceSeries) -> Vec<Fault> {
        let mut faults = Vec::new();
        let theirs = texts(source.header(), tags::PATIENT_ORIENTATION);
        let plane = &source.slices()[0].plane;
        let lies = texts(&self.dataset, tags::PATIENT_ORIENTATION);
        let is_right = match self.layout {
            CaptureLayout::Montage => lies.is_empty(),
            _ if theirs.len() == 2 => lies == theirs,
            _ => lies.len() == 2 && runs_to(&lies[0], plane.row) && runs_to(&lies[1], plane.column),
        };
        if !is_right {
            faults.push(Fault::new("V5", "PatientOrientation is not how the source's rows and columns run"));
        }
        match self.layout {
            CaptureLayout::Slices if source.scale() == Scale::Patient => {
                faults.extend(geometry::agrees(Some(&self.dataset), source, tags::PIXEL_SPACING));
            }
            CaptureLayout::Slices if self.dataset.get(tags::PIXEL_SPACING).is_some() => {
                faults.push(Fault::new("V5", "PixelSpacing claims lengths that the source does not have"));
            }
            CaptureLayout::Slices | CaptureLayout::Montage => {}
            CaptureLayout::Frames => {
                faults.extend(identity::frame(&self.dataset, source));
                faults.extend(geometry::shared(&self.dataset, source));
                faults.extend(self.positions(source));
            }
        }
        faults
    }

    fn positions(&self, source: &SourceSeries) -> Vec<Fault> {
        let mut faults = Vec::new();
        let groups = items(&self.dataset, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let is_there = |(group, slice): (&Dataset, &Option<usize>)| {
            let place = items(group, tags::PLANE_POSITION_SEQUENCE).first();
            let position = place.map(|place| texts(place, tags::IMAGE_POSITION_PATIENT)).unwrap_or_default();
            slice.is_some_and(|k| geometry::is_at(&position, k, source))
        };
        if groups.len() != self.slices.len() || !groups.iter().zip(&self.slices).all(is_there) {
            faults.push(Fault::new("V4", "frames lie elsewhere than the images they were made from"));
        }
        if number(&self.dataset, tags::NUMBER_OF_FRAMES) != Some(self.slices.len()) {
            faults.push(Fault::new("V8", "NumberOfFrames is not the number of images that are shown"));
        }
        let pointer = self.dataset.get(tags::FRAME_INCREMENT_POINTER).and_then(|e| e.value().to_tag().ok());
        let wanted = (self.slices.len() > 1).then_some(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        if pointer != wanted {
            faults.push(Fault::new("H1", "FrameIncrementPointer does not lead to the frames' functional groups"));
        }
        faults
    }

    /// The pictures are at least as large as the source's, and all of their bytes are there.
    fn extent(&self, source: &SourceSeries) -> Vec<Fault> {
        let mut faults = Vec::new();
        let Plane { columns, rows, .. } = source.slices()[0].plane;
        let is_whole = self.size[0] >= columns && self.size[1] >= rows;
        if !is_whole && self.layout != CaptureLayout::Montage {
            faults.push(Fault::new("V5", "Rows and Columns are less than the source's"));
        }
        let wanted = (self.frames() * self.size[0] * self.size[1] * 3).next_multiple_of(2);
        let sound = match &self.pixel_data {
            None => false,
            Some(PixelData::Native(bytes)) => bytes.len() == wanted,
            Some(PixelData::Fragments(all)) => all.len() == self.frames(),
        };
        if !sound {
            faults.push(Fault::new("V8", "PixelData is missing, or not what the frames need"));
        }
        faults
    }

    /// The pictures are those that there should be.
    fn shown(&self, drawn: &Drawn) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.layout != drawn.form.layout {
            faults.push(Fault::new("H1", "it is an object of another class or layout than was asked for"));
        }
        let is_marked = picture::marked(drawn);
        let is_empty = |k: &Option<usize>| k.is_some_and(|k| !is_marked[k]);
        if !drawn.form.every_slice && self.slices.iter().any(is_empty) {
            faults.push(Fault::new("H1", "an image is shown on which nothing was found"));
        }
        let wanted = is_marked.iter().filter(|marked| **marked || drawn.form.every_slice).count();
        if drawn.form.layout == CaptureLayout::Frames && self.slices.len() != wanted {
            faults.push(Fault::new("H1", "an image is left out on which something was found"));
        }
        faults
    }
}

/// Whether the first letter of a patient direction is where `along` runs to most, or as much as to any.
fn runs_to(letters: &str, along: Vec3) -> bool {
    let most = along.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
    let part = match letters.chars().next() {
        Some('L') => along[0],
        Some('R') => -along[0],
        Some('P') => along[1],
        Some('A') => -along[1],
        Some('H') => along[2],
        Some('F') => -along[2],
        _ => return false,
    };
    part >= most - 1e-9
}
