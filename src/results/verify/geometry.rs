//! Where it lies: positions, orientation and spacing are the source's, text for text.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::Fault;
use super::reader::{SegObject, items};
use crate::dicom::{Dataset, decimals, keyword_of, texts};
use crate::results::{Scale, SourceSeries};

pub(super) fn check(object: &SegObject, source: &SourceSeries) -> Vec<Fault> {
    let mut faults = Vec::new();
    let plane = &source.slices()[0].plane;
    if (object.rows, object.columns) != (plane.rows, plane.columns) {
        faults.push(Fault::new("V5", "Rows and Columns are not the source's"));
    }
    if source.frame_of_reference().is_none() {
        faults.extend(of_projection(object, source));
        return faults;
    }
    let elsewhere = |f: &&super::reader::Frame| {
        let there = f.slice.is_some_and(|k| is_at(&f.position, k, source));
        !there
    };
    let moved = object.frames.iter().filter(elsewhere).count();
    if moved > 0 {
        faults.push(Fault::new("V4", format!("{moved} frames lie elsewhere than the image they were made from")));
    }
    faults.extend(shared(&object.dataset, source));
    faults
}

/// The shared functional groups: orientation, spacing and thickness.
pub(super) fn shared(dataset: &Dataset, source: &SourceSeries) -> Vec<Fault> {
    let mut faults = Vec::new();
    let shared = items(dataset, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let group = |tag: Tag| shared.first().and_then(|s| items(s, tag).first());
    faults.extend(agrees(group(tags::PLANE_ORIENTATION_SEQUENCE), source, tags::IMAGE_ORIENTATION_PATIENT));
    faults.extend(agrees(group(tags::PIXEL_MEASURES_SEQUENCE), source, tags::PIXEL_SPACING));
    let measured = |tag| group(tags::PIXEL_MEASURES_SEQUENCE).and_then(|m| decimals(m, tag)).map(|v| v[0]);
    if let Some(distance) = source.slice_distance() {
        let stated = measured(tags::SPACING_BETWEEN_SLICES);
        if !stated.is_some_and(|s| (s - distance).abs() < 1e-3) {
            faults.push(Fault::new("V5", "SpacingBetweenSlices is not the distance of the source's slices"));
        }
    }
    let theirs = decimals(source.header(), tags::SLICE_THICKNESS).map(|v| v[0]).filter(|t| *t > 0.0);
    let own = measured(tags::SLICE_THICKNESS);
    let close = |a: f64| own.is_some_and(|b| (a - b).abs() < 1e-6);
    if own.is_none() || theirs.is_some_and(|t| !close(t)) {
        faults.push(Fault::new("V5", "SliceThickness is missing or not the source's"));
    }
    faults
}

/// Over a projection image nothing may say where in the patient it lies; its spacing is said where it is one.
fn of_projection(object: &SegObject, source: &SourceSeries) -> Vec<Fault> {
    let groups = [tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE];
    let all = || groups.iter().flat_map(|tag| items(&object.dataset, *tag));
    let placed = [tags::PLANE_POSITION_SEQUENCE, tags::PLANE_ORIENTATION_SEQUENCE];
    let mut faults = Vec::new();
    if all().any(|item| placed.iter().any(|tag| item.get(*tag).is_some())) {
        faults.push(Fault::new("V4", "the frames lie in the patient, the source image does not"));
    }
    let measures = all().find_map(|item| items(item, tags::PIXEL_MEASURES_SEQUENCE).first());
    match (source.scale(), measures) {
        (Scale::Patient, measures) => faults.extend(agrees(measures, source, tags::PIXEL_SPACING)),
        (_, None) => {}
        (_, Some(_)) => faults.push(Fault::new("V5", "PixelSpacing is stated, the source has none in the patient")),
    }
    faults
}

pub(super) fn agrees(group: Option<&Dataset>, source: &SourceSeries, tag: Tag) -> Option<Fault> {
    let theirs = texts(source.header(), tag);
    let own = group.map(|g| texts(g, tag)).unwrap_or_default();
    // A value over 16 characters cannot be kept as it stands; its number can.
    let equal = |a: &String, b: &String| match (a.parse::<f64>(), b.parse::<f64>()) {
        _ if a == b => true,
        (Ok(x), Ok(y)) if b.len() > 16 => (x - y).abs() < 1e-9,
        _ => false,
    };
    let same = own.len() == theirs.len() && own.iter().zip(&theirs).all(|(a, b)| equal(a, b));
    (!same).then(|| Fault::new("V5", format!("{} is not the source's", keyword_of(tag))))
}

/// Whether a position is that of slice `k`, text for text.
pub(super) fn is_at(position: &[String], k: usize, source: &SourceSeries) -> bool {
    trimmed(&source.slices()[k].position) == trimmed(position)
}

fn trimmed(values: &[String]) -> Vec<&str> {
    values.iter().map(|v| v.trim()).collect()
}
