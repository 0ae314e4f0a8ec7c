//! What it was made from: every reference leads to a source image of that class, and no image is left out.

use std::collections::HashSet;

use dicom_dictionary_std::tags;

use super::Fault;
use super::reader::{SegObject, images, items, places, referenced};
use crate::dicom::text;
use crate::results::SourceSeries;

pub(super) fn check(object: &SegObject, source: &SourceSeries) -> Vec<Fault> {
    let (images, frames) = (images(source), places(source));
    let mut faults = Vec::new();
    let series = items(&object.dataset, tags::REFERENCED_SERIES_SEQUENCE);
    let named: HashSet<(String, String)> = series
        .iter()
        .filter(|item| text(item, tags::SERIES_INSTANCE_UID).as_deref() == Some(source.series().as_str()))
        .flat_map(|item| items(item, tags::REFERENCED_INSTANCE_SEQUENCE).iter().map(referenced))
        .collect();
    if named != images || series.len() != 1 {
        faults.push(Fault::new("V3", "ReferencedSeriesSequence does not name exactly the source images"));
    }
    let without = object.frames.iter().filter(|f| f.sources.is_empty()).count();
    if without > 0 {
        faults.push(Fault::new("V3", format!("{without} frames do not say which image they were made from")));
    }
    let dangling = object.frames.iter().flat_map(|f| &f.sources).filter(|s| !frames.contains_key(*s)).count();
    if dangling > 0 {
        faults.push(Fault::new("V3", format!("{dangling} frame references lead to no source image of that class")));
    }
    faults
}
