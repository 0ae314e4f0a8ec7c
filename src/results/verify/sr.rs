//! The referee of measurement reports: identity as for any result; every reference leads somewhere and is evidence;
//! tracking identifiers are those of the segmentation; volumes are counted again; what was not found is absent.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::reader::{Image, images, items, number, places, referenced, referenced_frame};
use super::truth::Truth;
use super::values::Lengths;
use super::{Fault, identity, judged};
use crate::dicom::{Code, Dataset, SegmentationType, Uid, decimals, keyword_of, part10, text};
use crate::results::{Scale, SourceSeries};
use crate::volume;

pub(super) const FIXED: &[(Tag, &str)] = &[
    (tags::SOP_CLASS_UID, uids::COMPREHENSIVE3_DSR_STORAGE),
    (tags::MODALITY, "SR"),
    (tags::VALUE_TYPE, "CONTAINER"),
    (tags::COMPLETION_FLAG, "COMPLETE"),
    (tags::VERIFICATION_FLAG, "UNVERIFIED"),
];
pub(super) const TYPE_2: &[Tag] =
    &[tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE];
/// Units by what is measured (UCUM).
const UNITS: &[(&str, &str)] = &[
    ("118565006", "mm3"),
    ("42798000", "mm2"),
    ("103339001", "mm"),
    ("103340004", "mm"),
    ("112031", "[hnsf'U]"),
    ("110852", "1"),
    ("442714003", "mm3"),
    ("125314", "%"),
];
/// What stands for a millimetre and its square where nobody knows how far pixels are from each other.
const PIXELS: &str = "{pixels}";
/// Volumes are written to a ten-thousandth of a mm3.
pub(super) const ROUNDING: f64 = 1e-3;

/// Checks a measurement report (Part 10 bytes) made over `source`; with `seg`, the bytes of the segmentation that it
/// refers to, also that they name things alike; with `expected`, also its numbers and what is absent.
#[must_use]
pub fn measurement_report(
    bytes: &[u8],
    source: &SourceSeries,
    seg: Option<&[u8]>,
    expected: Option<&volume::Segmentation>,
) -> Vec<Fault> {
    judged(bytes, source, TYPE_2, Lengths::Short, |object| {
        let dataset: &Dataset = object;
        let mut faults = document(dataset, FIXED, ["1500", "126000"]);
        let report = Report::read(dataset);
        faults.extend(report.references(dataset, source));
        faults.extend(report.tracking(seg));
        let measured = report.groups.iter().flat_map(|group| items(group.item, tags::CONTENT_SEQUENCE));
        faults.extend(unit_faults(measured, source.scale() == Scale::Pixels));
        if let Some(finding) = expected {
            faults.extend(report.as_found(dataset, source, finding));
        }
        faults
    })
}

/// Fixed values, what must be filled, template and title.
pub(super) fn document(dataset: &Dataset, fixed: &[(Tag, &str)], [template, title]: [&str; 2]) -> Vec<Fault> {
    let wrong = fixed.iter().filter(|(tag, value)| text(dataset, *tag).as_deref() != Some(value));
    let mut faults: Vec<Fault> =
        wrong.map(|(tag, value)| Fault::new("M1", format!("{} is not {value}", keyword_of(*tag)))).collect();
    faults.extend(identity::filled(dataset, identity::CONTENT_MOMENT));
    let stated = items(dataset, tags::CONTENT_TEMPLATE_SEQUENCE).first();
    let stated = stated.and_then(|item| text(item, tags::TEMPLATE_IDENTIFIER));
    if stated.as_deref() != Some(template) || name(dataset).as_deref() != Some(title) {
        faults.push(Fault::new("M1", format!("it is no document of template {template} under its title")));
    }
    faults
}

/// Every series that is named as evidence, of this study or of another.
pub(super) fn evidence(dataset: &Dataset) -> impl Iterator<Item = &Dataset> {
    let own = items(dataset, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).iter();
    let studies = own.chain(items(dataset, tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE));
    studies.flat_map(|study| items(study, tags::REFERENCED_SERIES_SEQUENCE))
}

/// What the content refers to, which must be exactly what is named as evidence.
pub(super) fn evident(dataset: &Dataset) -> Result<BTreeSet<(String, String)>, Fault> {
    let content = all(dataset).into_iter();
    let used: BTreeSet<_> =
        content.flat_map(|item| items(item, tags::REFERENCED_SOP_SEQUENCE)).map(referenced).collect();
    let series = evidence(dataset);
    let listed: BTreeSet<_> =
        series.flat_map(|series| items(series, tags::REFERENCED_SOP_SEQUENCE)).map(referenced).collect();
    if used == listed {
        Ok(used)
    } else {
        Err(Fault::new("M3", "the evidence is not exactly what the content refers to"))
    }
}

/// Every number has a value, in the unit of what is measured.
pub(super) fn unit_faults<'d>(content: impl Iterator<Item = &'d Dataset>, in_pixels: bool) -> Vec<Fault> {
    let mut faults = BTreeSet::new();
    for item in content {
        let Some(measured) = items(item, tags::MEASURED_VALUE_SEQUENCE).first() else { continue };
        let unit = items(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE).first();
        let unit =
            unit.and_then(|unit| Some((text(unit, tags::CODE_VALUE)?, text(unit, tags::CODING_SCHEME_DESIGNATOR)?)));
        let wanted = name(item).and_then(|name| UNITS.iter().find(|(quantity, _)| *quantity == name));
        let wanted = wanted.map(|(_, unit)| if in_pixels && unit.starts_with("mm") { PIXELS } else { *unit });
        if wanted.is_none_or(|wanted| unit != Some((wanted.to_owned(), "UCUM".into()))) {
            faults.insert("a number has not the unit of what is measured");
        }
        if decimals(measured, tags::NUMERIC_VALUE).is_none_or(|value| !value[0].is_finite()) {
            faults.insert("a number has no value");
        }
    }
    faults.into_iter().map(|fault| Fault::new("M5", fault)).collect()
}

/// The code value of an item's concept name.
fn name(item: &Dataset) -> Option<String> {
    items(item, tags::CONCEPT_NAME_CODE_SEQUENCE).first().and_then(|code| text(code, tags::CODE_VALUE))
}

pub(super) fn children<'d>(item: &'d Dataset, named: &'d str) -> impl Iterator<Item = &'d Dataset> {
    items(item, tags::CONTENT_SEQUENCE).iter().filter(move |child| name(child).as_deref() == Some(named))
}

/// Every item below `item`, at any depth.
fn all(item: &Dataset) -> Vec<&Dataset> {
    let own = items(item, tags::CONTENT_SEQUENCE).iter();
    own.flat_map(|child| std::iter::once(child).chain(all(child))).collect()
}

/// One measurement group.
struct Group<'d> {
    item: &'d Dataset,
    tracking: Option<String>,
    /// The segment it names: instance and number.
    segment: Option<(String, usize)>,
}

struct Report<'d> {
    groups: Vec<Group<'d>>,
}

impl<'d> Report<'d> {
    fn read(dataset: &'d Dataset) -> Report<'d> {
        let groups = children(dataset, "126010").flat_map(|all| children(all, "125007"));
        let read = |item: &'d Dataset| {
            let image = children(item, "121191").flat_map(|i| items(i, tags::REFERENCED_SOP_SEQUENCE)).next();
            Group {
                item,
                tracking: children(item, "112040").find_map(|uid| text(uid, tags::UID)),
                segment: image.and_then(|i| Some((referenced(i).1, number(i, tags::REFERENCED_SEGMENT_NUMBER)?))),
            }
        };
        Report { groups: groups.map(read).collect() }
    }

    /// What the content refers to is evidence and the other way round; images and places are the source's.
    fn references(&self, dataset: &Dataset, source: &SourceSeries) -> Vec<Fault> {
        let mut faults = Vec::new();
        let content = all(dataset);
        let used = evident(dataset).unwrap_or_else(|fault| {
            faults.push(fault);
            content.iter().flat_map(|item| items(item, tags::REFERENCED_SOP_SEQUENCE)).map(referenced).collect()
        });
        let images = images(source);
        let frames = places(source);
        let shown = content.iter().flat_map(|item| items(item, tags::REFERENCED_SOP_SEQUENCE)).map(referenced_frame);
        let is_own = |image: &Image| images.iter().any(|(_, instance)| image.1.split('/').next() == Some(instance));
        if shown.into_iter().any(|image| is_own(&image) && !frames.contains_key(&image)) {
            faults.push(Fault::new("V3", "a reference leads to no frame of the source image"));
        }
        let segments: HashSet<&str> = self.groups.iter().filter_map(|g| Some(g.segment.as_ref()?.0.as_str())).collect();
        let strange = used.iter().filter(|used| !images.contains(used) && !segments.contains(used.1.as_str())).count();
        if strange > 0 {
            faults.push(Fault::new("V3", format!("{strange} references lead to no source image and no segmentation")));
        }
        let of_series = content.iter().filter(|item| name(item).as_deref() == Some("121232"));
        if of_series.filter_map(|item| text(item, tags::UID)).any(|uid| uid != source.series().as_str()) {
            faults.push(Fault::new("V3", "the source series for segmentation is another one"));
        }
        let frames = content.iter().filter_map(|item| text(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID));
        if frames.into_iter().any(|uid| Some(uid.as_str()) != source.frame_of_reference().map(Uid::as_str)) {
            faults.push(Fault::new("V2", "a point lies in another frame of reference than the source"));
        }
        faults
    }

    /// Each group tracks one segment, under the identifiers that the segmentation has for it.
    fn tracking(&self, seg: Option<&[u8]>) -> Vec<Fault> {
        let tracked: HashSet<&str> = self.groups.iter().filter_map(|g| g.tracking.as_deref()).collect();
        let mut faults = Vec::new();
        if tracked.len() != self.groups.len() || self.groups.iter().any(|g| g.segment.is_none()) {
            faults.push(Fault::new("M2", "a group has no tracking identifier of its own, or names no segment"));
        }
        let Some(seg) = seg.map(part10::parse_header) else { return faults };
        let Ok(seg) = seg else {
            faults.push(Fault::new("V9", "the segmentation beside it cannot be read"));
            return faults;
        };
        let instance = text(&seg, tags::SOP_INSTANCE_UID);
        let known: BTreeMap<usize, Option<String>> = items(&seg, tags::SEGMENT_SEQUENCE)
            .iter()
            .filter_map(|segment| Some((number(segment, tags::SEGMENT_NUMBER)?, text(segment, tags::TRACKING_UID))))
            .collect();
        let agrees = |group: &&Group| {
            let Some((of, segment)) = &group.segment else { return false };
            Some(of) == instance.as_ref() && known.get(segment).is_some_and(|uid| *uid == group.tracking)
        };
        if !self.groups.iter().all(|group| agrees(&group)) {
            faults.push(Fault::new("V9", "a group tracks another segment than the segmentation does"));
        }
        faults
    }

    /// A group for each segment that was found, with its volume; an absence for each that was not.
    fn as_found(&self, dataset: &Dataset, source: &SourceSeries, finding: &volume::Segmentation) -> Vec<Fault> {
        let truth = Truth::new(finding, SegmentationType::Binary);
        let mut faults = Vec::new();
        let found: Vec<&Code> = self.groups.iter().zip(&truth.segments).map(|(_, segment)| &segment.property).collect();
        let stated: Vec<Option<String>> = self.groups.iter().map(|g| finding_code(g.item)).collect();
        let same = stated.iter().zip(&found).all(|(stated, found)| stated.as_ref() == Some(&found.value));
        if self.groups.len() != truth.segments.len() || !same {
            faults.push(Fault::new("M1", "the groups are not the segments that were found"));
            return faults;
        }
        // A projection image is as thick as nothing: what is counted there is an area.
        let single = if source.frame_of_reference().is_some() { finding.grid.spacing()[2] } else { 1.0 };
        let slabs = source.slabs(single);
        for (number, group) in (1..).zip(&self.groups) {
            let volume: f64 = slabs
                .iter()
                .enumerate()
                .map(|(k, slab)| {
                    let [between_rows, between_columns] = slab.plane.spacing;
                    truth.count(number, k) as f64 * between_rows * between_columns * slab.thickness
                })
                .sum();
            let quantity = if source.frame_of_reference().is_some() { "118565006" } else { "42798000" };
            let item = children(group.item, quantity).next();
            let measured = item.and_then(|item| items(item, tags::MEASURED_VALUE_SEQUENCE).first());
            let stated = measured.and_then(|measured| decimals(measured, tags::NUMERIC_VALUE)).map(|value| value[0]);
            if !stated.is_some_and(|stated| (stated - volume).abs() <= ROUNDING + 1e-9 * volume) {
                faults.push(Fault::new("M1", format!("the volume of segment {number} is not that of its voxels")));
            }
        }
        let absent: Vec<String> = children(dataset, "C0034375")
            .flat_map(|all| items(all, tags::CONTENT_SEQUENCE))
            .filter(|item| code_of(item, tags::CONCEPT_CODE_SEQUENCE).as_deref() == Some("272519000"))
            .filter_map(name)
            .collect();
        let missing = finding.segments.iter().filter(|s| !truth.segments.iter().any(|found| found.label == s.label));
        if missing.map(|segment| &segment.property.value).ne(&absent) {
            faults.push(Fault::new("M6", "what is called absent is not what was looked for and not found"));
        }
        faults
    }
}

pub(super) fn finding_code(group: &Dataset) -> Option<String> {
    children(group, "121071").find_map(|item| code_of(item, tags::CONCEPT_CODE_SEQUENCE))
}

fn code_of(item: &Dataset, tag: Tag) -> Option<String> {
    items(item, tag).first().and_then(|code| text(code, tags::CODE_VALUE))
}
