//! What structures are called in codes: a table of them by key, and the label numbers that known models give them.
//!
//! Shipped as TOML (`models/terminology/`); a node's own files of the same form add to it or replace. Knows no model and
//! does no I/O. Codes are those of PS3.16, context groups 7150 and 7151, as far as these reach.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::InferenceError;
use super::manifest::line_at;
use crate::dicom::Code;
use crate::volume::Segment;

const SHIPPED: [(&str, &str); 2] = [
    ("structures.toml", include_str!("../../models/terminology/structures.toml")),
    ("sets.toml", include_str!("../../models/terminology/sets.toml")),
];

/// Structures and label sets by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terminology {
    categories: BTreeMap<String, Code>,
    sides: BTreeMap<String, Code>,
    /// Their label is 0.
    structures: BTreeMap<String, Segment>,
    sets: BTreeMap<String, BTreeMap<u8, String>>,
}

/// A label of a set, and the key of its structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labelled<'t> {
    pub set: &'t str,
    pub label: u8,
    pub key: &'t str,
}

impl Terminology {
    /// What comes with this program.
    pub fn shipped() -> Result<Terminology, InferenceError> {
        let mut all = Terminology::default();
        for (name, text) in SHIPPED {
            all.add(text, Path::new(name))?;
        }
        Ok(all)
    }

    /// Adds what a file says; what it says of a known key replaces what was known. All its faults are told at once.
    pub fn add(&mut self, text: &str, file: &Path) -> Result<(), InferenceError> {
        let refused = |faults| InferenceError::Package { file: file.to_owned(), faults };
        let raw: RawTerms = toml::from_str(text).map_err(|error| refused(shape_fault(text, file, &error)))?;
        self.categories.extend(raw.category);
        self.sides.extend(raw.side);
        let mut faults: Vec<(usize, String)> = Vec::new();
        for (key, structure) in raw.structure {
            let start = structure.span().start;
            match self.structure_of(&key, structure.into_inner()) {
                Ok(segment) => drop(self.structures.insert(key, segment)),
                Err(told) => faults.extend(told.into_iter().map(|fault| (start, format!("{key}: {fault}")))),
            }
        }
        for (name, labels) in raw.set {
            match self.set_of(&name, labels) {
                Ok(labels) => drop(self.sets.insert(name, labels)),
                Err(told) => faults.extend(told),
            }
        }
        faults.sort();
        let line = |(at, told): &(usize, String)| format!("{}:{}: {told}", file.display(), line_at(text, *at));
        let lines: Vec<String> = faults.iter().map(line).collect();
        if lines.is_empty() { Ok(()) } else { Err(refused(lines.join("\n"))) }
    }

    /// The structure called `key` as the segment of `label`.
    #[must_use]
    pub fn structure(&self, key: &str, label: u8) -> Option<Segment> {
        self.structures.get(key).map(|structure| Segment { label, ..structure.clone() })
    }

    /// The labels of a known model, ascending.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<Vec<Segment>> {
        self.sets.get(name)?.iter().map(|(label, key)| self.structure(key, *label)).collect()
    }

    /// Every structure with its key.
    pub fn structures(&self) -> impl Iterator<Item = (&str, &Segment)> {
        self.structures.iter().map(|(key, structure)| (key.as_str(), structure))
    }

    /// The labels of every set.
    pub fn labels(&self) -> impl Iterator<Item = Labelled<'_>> {
        self.sets
            .iter()
            .flat_map(|(set, labels)| labels.iter().map(move |(label, key)| Labelled { set, label: *label, key }))
    }

    /// A category by the word for it, or by its code value.
    #[must_use]
    pub fn category(&self, word: &str) -> Option<&Code> {
        self.categories.get(word).or_else(|| self.categories.values().find(|code| code.value == word))
    }

    /// The code of a side.
    #[must_use]
    pub fn side(&self, word: &str) -> Option<&Code> {
        self.sides.get(word)
    }

    /// `"name"; did you mean ...?` for a structure or set that is not there.
    pub(super) fn unknown(&self, what: &str, name: &str) -> String {
        let known: Vec<&str> = match what {
            "set" => self.sets.keys().map(String::as_str).collect(),
            _ => self.structures.keys().map(String::as_str).collect(),
        };
        let mut near: Vec<(f64, &str)> = known.into_iter().map(|key| (strsim::jaro_winkler(name, key), key)).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near: Vec<&str> = near.iter().filter(|(alike, _)| *alike > 0.8).take(3).map(|(_, key)| *key).collect();
        let hint = if near.is_empty() {
            "`sagittal models terms` lists them".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        format!("there is no {what} \"{name}\"; {hint}")
    }

    fn structure_of(&self, key: &str, raw: RawStructure) -> Result<Segment, Vec<String>> {
        let mut faults = Vec::new();
        let mut word = |known: &BTreeMap<String, Code>, what: &str, word: &str| {
            let code = known.get(word).cloned();
            if code.is_none() {
                let words = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                faults.push(format!("{what} = \"{word}\": give one of {words}"));
            }
            code
        };
        let category = word(&self.categories, "category", raw.category.as_deref().unwrap_or("anatomy"));
        let modifier = raw.modifier.and_then(|side| word(&self.sides, "modifier", &side));
        let region_modifier = raw.region_modifier.and_then(|side| word(&self.sides, "region_modifier", &side));
        let segment = category.map(|category| Segment {
            label: 0,
            name: raw.name.unwrap_or_else(|| in_words(key)),
            category,
            property: raw.code,
            modifier,
            region: raw.region,
            region_modifier,
            color: raw.color,
        });
        if let Some(segment) = &segment {
            faults.extend(malformed(segment));
        }
        segment.filter(|_| faults.is_empty()).ok_or(faults)
    }

    fn set_of(
        &self,
        name: &str,
        labels: BTreeMap<String, Spanned<String>>,
    ) -> Result<BTreeMap<u8, String>, Vec<(usize, String)>> {
        let (mut known, mut faults) = (BTreeMap::new(), Vec::new());
        for (label, key) in labels {
            let (start, key) = (key.span().start, key.into_inner());
            if !self.structures.contains_key(&key) {
                faults.push((start, format!("set {name}, label {label}: {}", self.unknown("structure", &key))));
            }
            match label.parse::<u8>() {
                Ok(label) if label > 0 => drop(known.insert(label, key)),
                _ => faults.push((start, format!("set {name}, label {label}: give a number of 1 to 255"))),
            }
        }
        if faults.is_empty() { Ok(known) } else { Err(faults) }
    }
}

/// serde stops at the first key that is unknown, absent or of another type.
fn shape_fault(text: &str, file: &Path, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    format!("{}:{}: {}", file.display(), line_at(text, start), error.message())
}

/// What keeps a segment from being written, in words.
pub(super) fn malformed(segment: &Segment) -> Vec<String> {
    let mut faults = Vec::new();
    let fits = |text: &str, longest| (1..=longest).contains(&text.chars().count());
    if segment.name.trim().is_empty() || segment.name.chars().count() > 64 {
        faults.push("name needs 1 to 64 characters (SegmentLabel)".to_owned());
    }
    let further = [&segment.modifier, &segment.region, &segment.region_modifier];
    let codes = [&segment.property, &segment.category].into_iter().chain(further.into_iter().flatten());
    for code in codes.filter(|code| !(fits(&code.value, 16) && fits(&code.scheme, 16) && fits(&code.meaning, 64))) {
        faults.push(format!("code `{}`: value and scheme need 1 to 16 characters, meaning 1 to 64", code.value));
    }
    if segment.region_modifier.is_some() && segment.region.is_none() {
        faults.push("region_modifier says the side of a region; give a region, or modifier".to_owned());
    }
    faults
}

/// `rib_left_1` as `Rib left 1`.
pub(super) fn in_words(key: &str) -> String {
    let words = key.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The literal shape of a file of `models/terminology`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTerms {
    #[serde(default)]
    category: BTreeMap<String, Code>,
    #[serde(default)]
    side: BTreeMap<String, Code>,
    #[serde(default)]
    structure: BTreeMap<String, Spanned<RawStructure>>,
    #[serde(default)]
    set: BTreeMap<String, BTreeMap<String, Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStructure {
    name: Option<String>,
    category: Option<String>,
    code: Code,
    modifier: Option<String>,
    region: Option<Code>,
    region_modifier: Option<String>,
    color: [u8; 3],
}

#[cfg(test)]
#[path = "terminology_tests.rs"]
mod tests;
