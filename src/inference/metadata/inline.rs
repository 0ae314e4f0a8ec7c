//! nnunet_serve's inline metadata: `segment_names`, each a name alone or with number, label, code, and what the algorithm
//! is called. Names are looked for in the terminology: by key, by name, by the meaning of a code, sides apart.

use super::Notes;
use crate::dicom::Code;
use crate::inference::labels::anatomical_structure;
use crate::inference::raw::{RawMetadata, RawNamed, RawSegmentName};
use crate::inference::terminology::{Terminology, in_words};
use crate::volume::Segment;

pub(super) fn read(raw: RawMetadata, terms: &Terminology) -> Result<(Vec<Segment>, Notes), Vec<String>> {
    let (mut segments, mut faults) = (Vec::new(), Vec::new());
    if raw.segment_names.is_empty() {
        faults.push("give path, or segment_names with at least one name".to_owned());
    }
    for (position, name) in raw.segment_names.into_iter().enumerate() {
        let named = match name {
            RawSegmentName::Name(name) => RawNamed { name, ..RawNamed::default() },
            RawSegmentName::Full(named) => named,
        };
        let at = format!("segment_names[{position}]");
        match one(named, position, terms) {
            Ok(segment) => segments.push(segment),
            Err(fault) => faults.push(format!("{at}: {fault}")),
        }
    }
    let notes = Notes {
        algorithm: raw.algorithm_name.or(raw.manufacturer_model_name),
        version: raw.algorithm_version,
        manufacturer: raw.manufacturer,
        description: raw.series_description,
        body_part: raw.body_part_examined.map(|part| part.to_uppercase()),
        trial_series: raw.clinical_trial_series_id,
    };
    let texts = [
        ("algorithm_name", &notes.algorithm, 64),
        ("algorithm_version", &notes.version, 64),
        ("manufacturer", &notes.manufacturer, 64),
        ("series_description", &notes.description, 64),
        ("body_part_examined", &notes.body_part, 16),
        ("clinical_trial_series_id", &notes.trial_series, 64),
        ("clinical_trial_time_point_id", &raw.clinical_trial_time_point_id, 64),
    ];
    for (key, text, longest) in texts {
        if text.as_ref().is_some_and(|text| text.trim().is_empty() || text.chars().count() > longest) {
            faults.push(format!("{key}: give 1 to {longest} characters"));
        }
    }
    if faults.is_empty() { Ok((segments, notes)) } else { Err(faults) }
}

fn one(raw: RawNamed, position: usize, terms: &Terminology) -> Result<Segment, String> {
    let number = raw.number.unwrap_or(position as u64 + 1);
    let label = u8::try_from(number).ok().filter(|label| *label > 0).ok_or("number: give 1 to 255")?;
    let (side, bare) = apart(&raw.name);
    let side = raw.label.as_ref().and_then(|shown| apart(shown).0).or(side);
    let category = match &raw.category_number {
        Some(value) => Some(terms.category(&value.text()).cloned().ok_or("category_number: no category of CID 7150")?),
        None => None,
    };
    let modifier = side.and_then(|side| terms.side(side)).cloned();
    let known = find(terms, &raw.name);
    if let Some(code) = raw.code {
        let scheme = raw.scheme.as_deref().unwrap_or("SCT");
        return Ok(Segment {
            label,
            name: raw.label.unwrap_or(raw.name),
            category: category.unwrap_or_else(anatomical_structure),
            property: Code::new(&code.text(), scheme, &in_words(&key_of(&bare))),
            modifier,
            region: None,
            region_modifier: None,
            color: known.map_or_else(|| distinct(label), |known| known.color),
        });
    }
    let known = known.ok_or_else(|| terms.unknown("structure", &key_of(&raw.name)))?;
    let own = modifier.is_none() || modifier == known.modifier;
    Ok(Segment {
        label,
        name: raw.label.unwrap_or_else(|| if own { known.name.clone() } else { raw.name }),
        category: category.unwrap_or_else(|| known.category.clone()),
        modifier: modifier.or_else(|| known.modifier.clone()),
        ..known.clone()
    })
}

/// By key, then by name or meaning; with the side that is said, or without any.
fn find<'t>(terms: &'t Terminology, name: &str) -> Option<&'t Segment> {
    let (side, bare) = apart(name);
    let (whole, bare) = (key_of(name), key_of(&bare));
    let sided = side.map(|side| format!("{bare}_{side}"));
    let by_key = |wanted: &str| terms.structures().find(|(key, _)| *key == wanted).map(|(_, structure)| structure);
    let found = by_key(&whole).or_else(|| sided.and_then(|key| by_key(&key))).or_else(|| by_key(&bare));
    let said = |structure: &Segment| [&structure.name, &structure.property.meaning].map(|text| key_of(text));
    found.or_else(|| {
        let fits = |structure: &Segment| structure.region.is_none() && said(structure).contains(&bare);
        let code_of = |structure: &Segment| structure.modifier.as_ref().map(|m| m.meaning.to_lowercase());
        let all = || terms.structures().map(|(_, structure)| structure).filter(|structure| fits(structure));
        all().find(|structure| code_of(structure).as_deref() == side).or_else(|| all().next())
    })
}

/// The side that a name says, and the name without it.
fn apart(name: &str) -> (Option<&'static str>, String) {
    let words = key_of(name);
    let side = ["left", "right"].into_iter().find(|side| words.split('_').any(|word| word == *side));
    let bare = words.split('_').filter(|word| Some(*word) != side).collect::<Vec<_>>().join("_");
    (side, if side.is_some() { bare } else { name.to_owned() })
}

/// `LeftKidney`, `left kidney` and `Left-Kidney` as `left_kidney`.
fn key_of(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 4);
    let mut small = false;
    for letter in name.trim().chars() {
        if letter.is_uppercase() && small {
            key.push('_');
        }
        small = letter.is_lowercase() || letter.is_ascii_digit();
        key.extend(if letter.is_alphanumeric() { letter.to_lowercase().collect::<Vec<_>>() } else { vec!['_'] });
    }
    key.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// Colours that stay apart, the same for a label every time: hues a golden angle apart.
fn distinct(label: u8) -> [u8; 3] {
    let hue = (f64::from(label) * 137.508) % 360.0 / 60.0;
    let rising = 1.0 - (hue % 2.0 - 1.0).abs();
    let [r, g, b] = match hue as u8 {
        0 => [1.0, rising, 0.0],
        1 => [rising, 1.0, 0.0],
        2 => [0.0, 1.0, rising],
        3 => [0.0, rising, 1.0],
        4 => [rising, 0.0, 1.0],
        _ => [1.0, 0.0, rising],
    };
    [r, g, b].map(|c: f64| (55.0 + 200.0 * c).round() as u8)
}

#[cfg(test)]
#[path = "inline_tests.rs"]
mod tests;
