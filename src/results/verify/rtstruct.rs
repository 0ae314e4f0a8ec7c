//! The referee of structure sets: identity and references as for any result, ROIs described alike in all three
//! sequences, and contours that lie on the images they name and fill to the voxels that were found.

use std::collections::{BTreeMap, HashMap, HashSet};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::FileDicomObject;
use rayon::prelude::*;

use super::raster::fill;
use super::reader::{Image, images, items, number, places, referenced, referenced_frame};
use super::truth::Truth;
use super::values::Lengths;
use super::{Fault, identity, judged};
use crate::dicom::{Dataset, Plane, SegmentationType, Uid, Vec3, decimals, dot, keyword_of, sub, text, texts};
use crate::results::SourceSeries;
use crate::volume;

/// How far a contour may lie off its image's plane, mm.
const OFF_PLANE: f64 = 1e-3;
const TYPE_2: &[Tag] = &[tags::OPERATORS_NAME];
/// Type 1 in Structure Set, or needed to tell results apart.
const FILLED: &[Tag] = &[tags::STRUCTURE_SET_LABEL, tags::STRUCTURE_SET_DATE, tags::STRUCTURE_SET_TIME];

/// Checks a structure set (Part 10 bytes) made over `source`; with `expected`, also that its contours fill to exactly
/// that finding. An empty answer means that it may be sent.
#[must_use]
pub fn structure_set(bytes: &[u8], source: &SourceSeries, expected: Option<&volume::Segmentation>) -> Vec<Fault> {
    judged(bytes, source, TYPE_2, Lengths::Long, |object| sound(object, source, expected))
}

fn sound(
    object: &FileDicomObject<Dataset>,
    source: &SourceSeries,
    expected: Option<&volume::Segmentation>,
) -> Vec<Fault> {
    let dataset: &Dataset = object;
    let mut faults = identity::frame(dataset, source);
    let syntax = object.meta().transfer_syntax().trim_end_matches('\0');
    if syntax != uids::IMPLICIT_VR_LITTLE_ENDIAN {
        faults
            .push(Fault::new("R8", "the transfer syntax is not Implicit VR Little Endian, the one for long contours"));
    }
    faults.extend(fixed(dataset));
    faults.extend(references(dataset, source));
    let rois = Rois::read(dataset, source);
    faults.extend(same_regions(dataset));
    faults.extend(described(dataset));
    faults.extend(drawn(dataset));
    faults.extend(observed(dataset));
    let truth = expected.map(|finding| Truth::new(finding, SegmentationType::Binary));
    faults.extend(contours(&rois, source, truth.as_ref()));
    faults
}

fn fixed(dataset: &Dataset) -> Vec<Fault> {
    let wanted = [
        (tags::SOP_CLASS_UID, uids::RT_STRUCTURE_SET_STORAGE),
        (tags::MODALITY, "RTSTRUCT"),
        (tags::APPROVAL_STATUS, "UNAPPROVED"),
    ];
    let wrong = wanted.iter().filter(|(tag, value)| text(dataset, *tag).as_deref() != Some(value));
    let mut faults: Vec<Fault> =
        wrong.map(|(tag, value)| Fault::new("R1", format!("{} is not {value}", keyword_of(*tag)))).collect();
    faults.extend(identity::filled(dataset, FILLED));
    faults
}

/// One frame of reference, one study, one series, all images.
fn references(dataset: &Dataset, source: &SourceSeries) -> Vec<Fault> {
    let mut faults = Vec::new();
    let only = |items: &'_ [Dataset]| -> Option<Dataset> { (items.len() == 1).then(|| items[0].clone()) };
    let frame = only(items(dataset, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE)).unwrap_or_else(Dataset::new_empty);
    if text(&frame, tags::FRAME_OF_REFERENCE_UID).as_deref() != source.frame_of_reference().map(Uid::as_str) {
        faults.push(Fault::new("V2", "ReferencedFrameOfReferenceSequence is not the source's frame of reference"));
    }
    let study = only(items(&frame, tags::RT_REFERENCED_STUDY_SEQUENCE)).unwrap_or_else(Dataset::new_empty);
    if referenced(&study).1 != source.study().as_str() {
        faults.push(Fault::new("R2", "RTReferencedStudySequence is not the source's study"));
    }
    let series = only(items(&study, tags::RT_REFERENCED_SERIES_SEQUENCE)).unwrap_or_else(Dataset::new_empty);
    if text(&series, tags::SERIES_INSTANCE_UID).as_deref() != Some(source.series().as_str()) {
        faults.push(Fault::new("R2", "RTReferencedSeriesSequence is not the source's series"));
    }
    let named: HashSet<_> = items(&series, tags::CONTOUR_IMAGE_SEQUENCE).iter().map(referenced).collect();
    if named != images(source) {
        faults.push(Fault::new("V3", "ContourImageSequence of the series does not name exactly the source images"));
    }
    faults
}

/// One contour, placed on its image.
struct Contour {
    /// Source slice that it names; `None` where it names none or several.
    slice: Option<usize>,
    /// What is wrong with it by itself.
    flaw: Option<&'static str>,
    /// Column and row of each point.
    points: Vec<[f64; 2]>,
}

/// What the three sequences say, by ROI number.
struct Rois {
    contours: BTreeMap<usize, Vec<Contour>>,
}

impl Rois {
    fn read(dataset: &Dataset, source: &SourceSeries) -> Rois {
        let slices = places(source);
        let mut contours: BTreeMap<usize, Vec<Contour>> = BTreeMap::new();
        for item in items(dataset, tags::ROI_CONTOUR_SEQUENCE) {
            let roi = number(item, tags::REFERENCED_ROI_NUMBER).unwrap_or(0);
            let drawn = items(item, tags::CONTOUR_SEQUENCE).par_iter().map(|c| Contour::read(c, source, &slices));
            contours.entry(roi).or_default().par_extend(drawn);
        }
        Rois { contours }
    }
}

/// Each ROI is described, drawn and observed exactly once.
fn same_regions(dataset: &Dataset) -> Option<Fault> {
    let numbers = |sequence, tag| -> Vec<Option<usize>> {
        items(dataset, sequence).iter().map(|item| number(item, tag)).collect()
    };
    let described = numbers(tags::STRUCTURE_SET_ROI_SEQUENCE, tags::ROI_NUMBER);
    let drawn = numbers(tags::ROI_CONTOUR_SEQUENCE, tags::REFERENCED_ROI_NUMBER);
    let observed = numbers(tags::RTROI_OBSERVATIONS_SEQUENCE, tags::REFERENCED_ROI_NUMBER);
    let distinct: HashSet<_> = described.iter().collect();
    let sound = !described.is_empty() && distinct.len() == described.len() && !described.contains(&None);
    let alike = sound && described == drawn && described == observed;
    (!alike).then(|| Fault::new("R9", "the ROIs that are described, drawn and observed are not the same ones"))
}

fn described(dataset: &Dataset) -> Vec<Fault> {
    let mut faults = Vec::new();
    for item in items(dataset, tags::STRUCTURE_SET_ROI_SEQUENCE) {
        let frame = text(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID);
        if frame.is_none() || frame != text(dataset, tags::FRAME_OF_REFERENCE_UID) {
            faults.push(Fault::new("V2", "an ROI is in another frame of reference than the structure set"));
        }
        let automatic = text(item, tags::ROI_GENERATION_ALGORITHM).as_deref() == Some("AUTOMATIC");
        if text(item, tags::ROI_NAME).is_none() || !automatic {
            faults.push(Fault::new("R9", "an ROI has no name, or does not say that it was made automatically"));
        }
    }
    faults
}

fn drawn(dataset: &Dataset) -> Vec<Fault> {
    let mut faults = Vec::new();
    for item in items(dataset, tags::ROI_CONTOUR_SEQUENCE) {
        let color = texts(item, tags::ROI_DISPLAY_COLOR);
        if color.len() != 3 || color.iter().any(|channel| channel.parse::<u8>().is_err()) {
            faults.push(Fault::new("R9", "ROIDisplayColor is no colour of three values up to 255"));
        }
        if items(item, tags::CONTOUR_SEQUENCE).is_empty() {
            faults.push(Fault::new("R10", "an ROI has no contour"));
        }
    }
    faults
}

fn observed(dataset: &Dataset) -> Option<Fault> {
    let all = items(dataset, tags::RTROI_OBSERVATIONS_SEQUENCE);
    let numbers: HashSet<_> = all.iter().filter_map(|item| number(item, tags::OBSERVATION_NUMBER)).collect();
    let whole = all
        .iter()
        .all(|item| text(item, tags::RTROI_INTERPRETED_TYPE).is_some() && item.get(tags::ROI_INTERPRETER).is_some());
    let sound = whole && numbers.len() == all.len();
    (!sound).then(|| Fault::new("R9", "an observation lacks its number, type or (if empty) interpreter"))
}

impl Contour {
    fn read(item: &Dataset, source: &SourceSeries, slices: &HashMap<Image, usize>) -> Contour {
        let images: Vec<_> = items(item, tags::CONTOUR_IMAGE_SEQUENCE).iter().map(referenced_frame).collect();
        let slice = match images.as_slice() {
            [image] => slices.get(image).copied(),
            _ => None,
        };
        let values = decimals(item, tags::CONTOUR_DATA).unwrap_or_default();
        let points: Vec<Vec3> = values.as_chunks::<3>().0.to_vec();
        let plane = slice.map(|k| &source.slices()[k].plane);
        let stated = number(item, tags::NUMBER_OF_CONTOUR_POINTS);
        let flaw = if text(item, tags::CONTOUR_GEOMETRIC_TYPE).as_deref() != Some("CLOSED_PLANAR") {
            Some("is not CLOSED_PLANAR")
        } else if !values.len().is_multiple_of(3) || stated != Some(points.len()) || points.len() < 3 {
            Some("has another number of points than it says, or fewer than three")
        } else if points.first() == points.last() {
            Some("repeats its first point at the end")
        } else if plane.is_some_and(|plane| points.iter().any(|point| off_plane(plane, *point) > OFF_PLANE)) {
            Some("lies off the image it names")
        } else {
            None
        };
        let points = plane.map(|plane| points.iter().map(|point| place(plane, *point)).collect()).unwrap_or_default();
        Contour { slice, flaw, points }
    }
}

fn off_plane(plane: &Plane, point: Vec3) -> f64 {
    dot(plane.normal(), sub(point, plane.position)).abs()
}

/// Column and row of a point.
fn place(plane: &Plane, point: Vec3) -> [f64; 2] {
    let offset = sub(point, plane.position);
    [dot(offset, plane.row) / plane.spacing[1], dot(offset, plane.column) / plane.spacing[0]]
}

fn contours(rois: &Rois, source: &SourceSeries, truth: Option<&Truth>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let all = || rois.contours.values().flatten();
    let unplaced = all().filter(|contour| contour.slice.is_none()).count();
    if unplaced > 0 {
        faults.push(Fault::new("R2", format!("{unplaced} contours do not name one source image of its class")));
    }
    let flaws: BTreeMap<&str, usize> = all().filter_map(|c| c.flaw).fold(BTreeMap::new(), |mut flaws, flaw| {
        *flaws.entry(flaw).or_default() += 1;
        flaws
    });
    faults.extend(flaws.iter().map(|(flaw, count)| {
        let rule = if flaw.starts_with("lies off") { "R3" } else { "R7" };
        Fault::new(rule, format!("{count} contours: each {flaw}"))
    }));
    let Some(truth) = truth else { return faults };
    if truth.size().0 != source.slices().len() {
        faults.push(Fault::new("V8", "the structure set and the finding differ in size"));
        return faults;
    }
    if rois.contours.keys().copied().ne(1..=truth.segments.len()) {
        faults.push(Fault::new("R9", "the ROIs are not the segments that were found"));
    }
    let slices = (0..source.slices().len()).into_par_iter();
    let (set, wrong, wanted) =
        slices.map(|k| filled(k, rois, truth)).reduce(Default::default, |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    if wrong > 0 || set != wanted {
        let message =
            format!("filled again, {set} voxels are marked, {wrong} of them wrongly; the finding has {wanted}");
        faults.push(Fault::new("V8", message));
    }
    faults
}

/// Fills the contours of slice `k`: voxels marked, wrongly marked, and marked in the finding.
fn filled(k: usize, rois: &Rois, truth: &Truth) -> (usize, usize, usize) {
    let (_, rows, columns) = truth.size();
    let (mut set, mut wrong) = (0, 0);
    for (roi, contours) in &rois.contours {
        let here: Vec<_> = contours.iter().filter(|c| c.slice == Some(k)).map(|c| c.points.clone()).collect();
        for (row, span) in fill(&here, columns, rows) {
            set += span.len();
            wrong += span.filter(|column| truth.value(*roi as u16, [k, row, *column]) == 0).count();
        }
    }
    (set, wrong, truth.marked(k))
}
