//! What the labels of a model mean: `[[label]]` tables, a label set of the terminology, or metadata as other tools write
//! it. One of the three, checked; all faults at once.

use super::manifest::{At, Faults};
use super::metadata::{self, Notes};
use super::raw::{RawLabel, RawModel};
use super::terminology::{Terminology, malformed};
use crate::dicom::Code;
use crate::volume::Segment;

/// What a package needs from outside `model.toml`.
pub struct Beside<'a> {
    pub terms: &'a Terminology,
    /// The text of a file in the package's folder.
    pub read: &'a dyn Fn(&str) -> std::io::Result<String>,
}

/// The segments in the order of their labels, where to tell what is wrong with the last, and what metadata says beside.
pub(super) fn read(raw: &mut RawModel, beside: &Beside<'_>, faults: &mut Faults) -> (Vec<Segment>, At, Notes) {
    let tables = std::mem::take(&mut raw.label);
    if raw.descriptions != 1 {
        let told = "label: a segmentation model needs one of [[label]], labels = \"<set>\" and [metadata]";
        faults.push(At::Key("label"), told.to_owned());
    }
    let (at, mut notes) = (At::Table("label", tables.len().saturating_sub(1)), Notes::default());
    if let Some(set) = raw.labels.take() {
        let at = At::Key("labels");
        let segments = beside.terms.set(&set);
        if segments.is_none() {
            faults.push(at, format!("labels: {}", beside.terms.unknown("set", &set)));
        }
        return (segments.unwrap_or_default(), at, notes);
    }
    if let Some(raw) = raw.metadata.take() {
        let at = At::Key("metadata");
        let mut segments = Vec::new();
        match metadata::read(raw, beside) {
            Ok(described) => (segments, notes) = described,
            Err(told) => told.into_iter().for_each(|fault| faults.push(at, format!("metadata: {fault}"))),
        }
        return (segments, at, notes);
    }
    (of_tables(tables, beside.terms, faults), at, notes)
}

fn of_tables(tables: Vec<RawLabel>, terms: &Terminology, faults: &mut Faults) -> Vec<Segment> {
    let (mut last, mut segments) = (0_u8, Vec::with_capacity(tables.len()));
    for (position, label) in tables.into_iter().enumerate() {
        let (known, value) = (label.value.is_some(), label.value.unwrap_or_else(|| last.saturating_add(1)));
        let mut say = |told: &str| faults.push(At::Table("label", position), format!("label {value}: {told}"));
        if value <= last {
            say("labels start at 1 and ascend; 0 is background");
        }
        last = value;
        if let Some(segment) = one(label, value, terms, &mut say) {
            for fault in malformed(&segment) {
                say(&fault);
            }
            segments.extend(known.then_some(segment));
        }
    }
    segments
}

/// A structure of the terminology, a description in full, or a structure of which something is said otherwise.
fn one(raw: RawLabel, value: u8, terms: &Terminology, say: &mut impl FnMut(&str)) -> Option<Segment> {
    let known = raw.structure.as_ref().and_then(|key| terms.structure(key, value));
    if let (Some(key), None) = (&raw.structure, &known) {
        say(&terms.unknown("structure", key));
        return None;
    }
    let (Some(name), Some(property), Some(color)) = (
        raw.name.or_else(|| known.as_ref().map(|k| k.name.clone())),
        raw.code.or_else(|| known.as_ref().map(|k| k.property.clone())),
        raw.color.or_else(|| known.as_ref().map(|k| k.color)),
    ) else {
        say("give name, code and color, or structure = \"<key>\"");
        return None;
    };
    let further = |own: Option<Code>, of: fn(Segment) -> Option<Code>| own.or_else(|| known.clone().and_then(of));
    Some(Segment {
        label: value,
        name,
        category: further(raw.category, |k| Some(k.category)).unwrap_or_else(anatomical_structure),
        property,
        modifier: further(raw.modifier, |k| k.modifier),
        region: further(raw.region, |k| k.region),
        region_modifier: further(raw.region_modifier, |k| k.region_modifier),
        color,
    })
}

/// Segmented Property Category of CID 7150 that most labels have.
pub(super) fn anatomical_structure() -> Code {
    Code::new("91723000", "SCT", "Anatomical Structure")
}
