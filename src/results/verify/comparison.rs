//! The referee of comparisons: document and evidence as of any measurement report; each group lays one segment of the later
//! segmentation beside one of the other, its numbers fit each other, and those that can be are counted again.
//!
//! The template is TID 1500 (PS3.16); which number is whose is told by the segment that it was counted from.

use std::collections::{BTreeMap, HashSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::reader::{items, number, referenced};
use super::sr::{FIXED, ROUNDING, TYPE_2, children, document, evident, finding_code, unit_faults};
use super::values::Lengths;
use super::{Fault, judged};
use crate::dicom::{Dataset, decimals, text};
use crate::results::SourceSeries;
use crate::results::compare::Masks;

const VOLUME: &str = "118565006";
const DIFFERENCE: &str = "442714003";
const CHANGE: &str = "125314";
const DICE: &str = "Dice similarity coefficient ";

/// Checks a comparison (Part 10 bytes) over `source`, the images of the second segmentation; where `masks` are among what it
/// compares, also its numbers, names and that nothing is left out.
#[must_use]
pub fn comparison_report(bytes: &[u8], source: &SourceSeries, masks: &[&Masks]) -> Vec<Fault> {
    judged(bytes, source, TYPE_2, Lengths::Short, |object| {
        let dataset: &Dataset = object;
        let groups = groups(dataset);
        let mut faults = document(dataset, FIXED, ["1500", "126000"]);
        faults.extend(evident(dataset).err());
        faults.extend(studies(dataset, source));
        faults.extend(unit_faults(groups.iter().flat_map(|group| items(group.item, tags::CONTENT_SEQUENCE)), false));
        faults.extend(together(&groups));
        faults.extend(groups.iter().flat_map(Group::alone));
        faults.extend(against(&groups, source, masks));
        faults
    })
}

/// Whether a report is one of these, rather than of measurements.
pub(super) fn is_comparison(dataset: &Dataset) -> bool {
    groups(dataset).iter().any(|group| children(group.item, DIFFERENCE).next().is_some())
}

/// The segmentation that is compared, the second.
pub(super) fn second(dataset: &Dataset) -> Option<String> {
    instance(&groups(dataset), 0)
}

fn instance(groups: &[Group<'_>], side: usize) -> Option<String> {
    groups.iter().find_map(|group| Some(group.sides.get(side)?.of.as_ref()?.0.clone()))
}

/// A volume, and the segment that it was counted from: instance and number.
struct Side {
    of: Option<(String, usize)>,
    volume: Option<f64>,
}

/// One structure; the second's side comes first.
struct Group<'d> {
    item: &'d Dataset,
    tracking: Option<String>,
    segment: Option<(String, usize)>,
    sides: Vec<Side>,
}

fn groups(dataset: &Dataset) -> Vec<Group<'_>> {
    let all = children(dataset, "126010").flat_map(|all| children(all, "125007"));
    let side = |item| Side { of: segment(item, "121112"), volume: value(item) };
    all.map(|item| Group {
        item,
        tracking: children(item, "112040").find_map(|uid| text(uid, tags::UID)),
        segment: segment(item, "121191"),
        sides: children(item, VOLUME).map(side).collect(),
    })
    .collect()
}

fn segment(item: &Dataset, name: &str) -> Option<(String, usize)> {
    let image = children(item, name).flat_map(|image| items(image, tags::REFERENCED_SOP_SEQUENCE)).next()?;
    Some((referenced(image).1, number(image, tags::REFERENCED_SEGMENT_NUMBER)?))
}

fn value(item: &Dataset) -> Option<f64> {
    let measured = items(item, tags::MEASURED_VALUE_SEQUENCE).first()?;
    decimals(measured, tags::NUMERIC_VALUE)?.first().copied()
}

/// Evidence of this study is named as such, and that of others as other evidence.
fn studies(dataset: &Dataset, source: &SourceSeries) -> Option<Fault> {
    let belongs = |tag: Tag, own: bool| {
        let of_study =
            |item: &Dataset| text(item, tags::STUDY_INSTANCE_UID).as_deref() == Some(source.study().as_str());
        items(dataset, tag).iter().all(|item| of_study(item) == own)
    };
    let sound = belongs(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, true)
        && belongs(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, false);
    (!sound).then(|| Fault::new("V3", "evidence is named under a study that it is not of"))
}

/// Groups track one structure each, and lay the same two objects beside each other.
fn together(groups: &[Group<'_>]) -> Vec<Fault> {
    let tracked: HashSet<&str> = groups.iter().filter_map(|group| group.tracking.as_deref()).collect();
    let mut faults = Vec::new();
    if groups.is_empty() || tracked.len() != groups.len() {
        faults.push(Fault::new("M2", "a group has no tracking identifier of its own, or there is no group"));
    }
    let of_side = |side: usize| groups.iter().filter_map(move |group: &Group<'_>| group.sides.get(side)?.of.as_ref());
    if [0, 1].into_iter().any(|side| of_side(side).map(|of| &of.0).collect::<HashSet<_>>().len() > 1) {
        faults.push(Fault::new("M2", "the groups do not all compare the same two segmentations"));
    }
    faults
}

impl Group<'_> {
    /// What a group must hold, and whether its numbers fit each other.
    fn alone(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let one = |name: &str| children(self.item, name).count() == 1;
        if !one("121071") || !one(DIFFERENCE) || !one("121191") {
            faults.push(Fault::new("M1", "a group has not one finding, one segment and one difference"));
        }
        let [second, first] = self.sides.as_slice() else {
            faults.push(Fault::new("M1", "a group has not the volumes of two"));
            return faults;
        };
        if self.segment.is_none() || self.segment != *second.of.as_ref().map_or(&first.of, |_| &second.of) {
            faults.push(Fault::new("M2", "a group names another segment than its volumes were counted from"));
        }
        let [Some(later), Some(earlier)] = [second.volume, first.volume] else { return faults };
        let counted_from_nothing = |side: &Side| side.of.is_none() && side.volume != Some(0.0);
        if counted_from_nothing(second) || counted_from_nothing(first) {
            faults.push(Fault::new("M1", "a volume was counted from no segment"));
        }
        let stated = |name: &str| children(self.item, name).next().and_then(value);
        if !stated(DIFFERENCE).is_some_and(|stated| (stated - (later - earlier)).abs() <= ROUNDING) {
            faults.push(Fault::new("M1", "a difference is not that of its volumes"));
        }
        let percent = (earlier > 0.0).then(|| 100.0 * (later - earlier) / earlier);
        let near = |stated: f64, percent: f64| {
            (stated - percent).abs() <= ROUNDING + 100.0 * ROUNDING / earlier * (1.0 + percent.abs() / 100.0)
        };
        let fits = match (stated(CHANGE), percent) {
            (Some(stated), Some(percent)) => near(stated, percent),
            (stated, percent) => stated.is_none() && percent.is_none(),
        };
        if !fits {
            faults.push(Fault::new("M1", "a fractional change is not that of its volumes"));
        }
        faults
    }

    /// Its Dice coefficient, as it says.
    fn dice(&self) -> Option<f64> {
        let mut comments = children(self.item, "121106").filter_map(|comment| text(comment, tags::TEXT_VALUE));
        comments.find_map(|comment| comment.strip_prefix(DICE)?.parse().ok())
    }
}

/// The groups beside the segmentations that they compare, as far as these are known.
fn against(groups: &[Group<'_>], source: &SourceSeries, masks: &[&Masks]) -> Vec<Fault> {
    let known = [0, 1].map(|side| {
        let instance = instance(groups, side)?;
        masks.iter().copied().find(|masks| masks.instance.as_str() == instance)
    });
    let mut faults = Vec::new();
    if known[0].is_some_and(|second| second.source_series.as_ref() != Some(source.series())) {
        faults.push(Fault::new("V3", "the segmentation that is compared was made from another series"));
    }
    for (side, masks) in known.iter().enumerate().filter_map(|(side, masks)| Some((side, (*masks)?))) {
        let numbers = groups.iter().filter_map(|group| Some(group.sides.get(side)?.of.as_ref()?.1));
        let mut numbers: Vec<usize> = numbers.collect();
        let mut own: Vec<usize> = masks.segments.iter().map(|segment| usize::from(segment.label)).collect();
        numbers.sort_unstable();
        own.sort_unstable();
        if numbers != own {
            faults.push(Fault::new("V9", "the groups are not the segments of the two segmentations, each once"));
        }
    }
    faults.extend(groups.iter().flat_map(|group| group.counted(known)));
    faults
}

impl Group<'_> {
    /// Its names and numbers against the segments.
    fn counted(&self, known: [Option<&Masks>; 2]) -> Vec<Fault> {
        let label = |side: usize| u8::try_from(self.sides.get(side)?.of.as_ref()?.1).ok();
        let ours: Vec<(&Masks, u8)> = [0, 1].iter().filter_map(|side| Some((known[*side]?, label(*side)?))).collect();
        let mut faults = Vec::new();
        let tracking = ours.iter().find_map(|(masks, label)| masks.tracking.get(label));
        if tracking.is_some_and(|uid| self.tracking.as_deref() != Some(uid.as_str())) {
            faults.push(Fault::new("V9", "a group tracks another segment than the segmentation does"));
        }
        let described = ours.iter().flat_map(|(masks, label)| masks.segments.iter().filter(|s| s.label == *label));
        let mut codes = described.map(|segment| Some(segment.property.value.as_str())).peekable();
        let stated = finding_code(self.item);
        if codes.peek().is_some() && !codes.any(|code| code == stated.as_deref()) {
            faults.push(Fault::new("V9", "a group's finding is not what its segments are"));
        }
        for (side, masks) in (0..).zip(known) {
            let counted = masks.zip(label(side)).and_then(|(masks, label)| masks.volume(label));
            let stated = self.sides.get(side).and_then(|side| side.volume);
            let Some((counted, stated)) = counted.zip(stated) else { continue };
            if (counted - stated).abs() > ROUNDING + 1e-9 * counted {
                faults.push(Fault::new("M1", "a volume is not that of its voxels"));
            }
        }
        if let [Some(second), Some(first)] = known {
            let expected = same_images(second, first).then(|| overlap([second, first], [label(0), label(1)])).flatten();
            let agree = match (self.dice(), expected) {
                (Some(stated), Some(expected)) => (stated - expected).abs() <= 5.1e-5,
                (stated, expected) => stated.is_none() && expected.is_none(),
            };
            if !agree {
                faults.push(Fault::new("M1", "a Dice coefficient is not that of the voxels"));
            }
        }
        faults
    }
}

fn same_images(a: &Masks, b: &Masks) -> bool {
    let equal = |a: Option<&str>, b: Option<&str>| a.is_some() && a == b;
    equal(a.frame_of_reference.as_deref(), b.frame_of_reference.as_deref())
        || a.source_series.is_some() && a.source_series == b.source_series
}

/// Twice the voxels in common by those of both, of segments that may be in one only.
fn overlap(masks: [&Masks; 2], labels: [Option<u8>; 2]) -> Option<f64> {
    let of = |side: usize| -> BTreeMap<i64, &Vec<u64>> {
        let slices = masks[side].slices.iter().filter(|((_, own), _)| Some(*own) == labels[side]);
        slices.map(|((place, _), bits)| (*place, bits)).collect()
    };
    let [a, b] = [of(0), of(1)];
    let ones = |word: u64| u64::from(word.count_ones());
    let both: u64 = a.values().chain(b.values()).flat_map(|bits| bits.iter()).map(|word| ones(*word)).sum();
    let shared = a.iter().filter_map(|(place, bits)| Some(bits.iter().zip(b.get(place)?.iter())));
    let common: u64 = shared.flatten().map(|(x, y)| ones(x & y)).sum();
    (both > 0).then(|| 2.0 * common as f64 / both as f64)
}
