//! dcmqi's JSON for segmentations: its seg-schema (draft 4), in which unknown keys are faults. Tracking identifiers are
//! checked but not taken: those of a file would be the same for every patient.

use serde_json::{Map, Value};

use super::Notes;
use crate::dicom::{Code, color};
use crate::volume::Segment;

/// Top-level texts and how long they may be.
const TEXTS: &[(&str, usize)] = &[
    ("@schema", usize::MAX),
    ("ContentCreatorName", 64),
    ("ClinicalTrialSeriesID", 64),
    ("ClinicalTrialTimePointID", 64),
    ("ClinicalTrialCoordinatingCenterName", 64),
    ("ContentLabel", 16),
    ("ContentDescription", 64),
    ("SeriesDescription", 64),
    ("SeriesNumber", 12),
    ("InstanceNumber", 12),
    ("BodyPartExamined", 16),
];
const SEGMENT_TEXTS: &[(&str, usize)] = &[
    ("SegmentDescription", usize::MAX),
    ("SegmentLabel", 64),
    ("SegmentAlgorithmType", 16),
    ("SegmentAlgorithmName", 64),
    ("TrackingIdentifier", usize::MAX),
    ("TrackingUniqueIdentifier", 64),
];
const CATEGORY: &str = "SegmentedPropertyCategoryCodeSequence";
const TYPE: &str = "SegmentedPropertyTypeCodeSequence";
const MODIFIER: &str = "SegmentedPropertyTypeModifierCodeSequence";
const REGION: &str = "AnatomicRegionSequence";
const REGION_MODIFIER: &str = "AnatomicRegionModifierSequence";
const RGB: &str = "recommendedDisplayRGBValue";
const LAB: &str = "RecommendedDisplayCIELabValue";
/// Without a colour of its own: dcmqi's writer shows such segments red.
const RED: [u8; 3] = [255, 0, 0];

pub(super) fn read(text: &str) -> Result<(Vec<Segment>, Notes), Vec<String>> {
    let value: Value = serde_json::from_str(text).map_err(|error| vec![format!("no JSON: {error}")])?;
    let Value::Object(file) = value else { return Err(vec!["give a JSON object".to_owned()]) };
    let mut check = Check { faults: Vec::new() };
    let attributes = ["segmentAttributes", "segmentAttributesFileMapping"];
    check.keys(&file, "", TEXTS, &attributes);
    let text = |key: &str| file.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let mut notes = Notes {
        description: text("SeriesDescription").map(str::to_owned),
        body_part: text("BodyPartExamined").map(str::to_uppercase),
        trial_series: text("ClinicalTrialSeriesID").map(str::to_owned),
        ..Notes::default()
    };
    let lists = file.get("segmentAttributes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut segments = Vec::new();
    if let [Value::Array(items)] = lists {
        for (position, item) in items.iter().enumerate() {
            let at = format!("segmentAttributes[0][{position}]");
            match item.as_object() {
                Some(item) => segments.extend(check.segment(item, &at)),
                None => check.say(&at, "give an object"),
            }
        }
        let name = |item: &Value| item.get("SegmentAlgorithmName").and_then(Value::as_str).map(str::to_owned);
        notes.algorithm = items.first().and_then(name).filter(|name| !name.trim().is_empty());
    } else {
        check.say("segmentAttributes", "give one list within the list: one label map, which all segments share");
    }
    if check.faults.is_empty() { Ok((segments, notes)) } else { Err(check.faults) }
}

struct Check {
    faults: Vec<String>,
}

impl Check {
    fn say(&mut self, at: &str, what: &str) {
        self.faults.push(format!("{at}: {what}"));
    }

    /// Every key is one of `texts`, with a text that fits, or one of `others`.
    fn keys(&mut self, object: &Map<String, Value>, at: &str, texts: &[(&str, usize)], others: &[&str]) {
        for (key, value) in object {
            let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            match texts.iter().find(|(name, _)| name == key) {
                Some((_, longest)) => match value.as_str() {
                    Some(text) if text.chars().count() <= *longest => {}
                    Some(_) => self.say(&place, &format!("at most {longest} characters")),
                    None => self.say(&place, "give a text"),
                },
                None if others.contains(&key.as_str()) => {}
                None => self.say(&place, "dcmqi knows no such key"),
            }
        }
    }

    fn segment(&mut self, item: &Map<String, Value>, at: &str) -> Option<Segment> {
        let others = ["labelID", CATEGORY, TYPE, MODIFIER, REGION, REGION_MODIFIER, RGB, LAB];
        self.keys(item, at, SEGMENT_TEXTS, &others);
        for key in ["labelID", CATEGORY, TYPE, "SegmentAlgorithmType"] {
            if !item.contains_key(key) {
                self.say(at, &format!("{key} is missing"));
            }
        }
        let kinds = ["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"];
        let kind = item.get("SegmentAlgorithmType").and_then(Value::as_str);
        if kind.is_some_and(|kind| !kinds.contains(&kind)) {
            self.say(&format!("{at}.SegmentAlgorithmType"), &format!("give one of {}", kinds.join(", ")));
        }
        let label = item.get("labelID").map(|value| value.as_u64().and_then(|n| u8::try_from(n).ok()).unwrap_or(0));
        if label == Some(0) {
            self.say(&format!("{at}.labelID"), "give a whole number of 1 to 255");
        }
        let [category, property, modifier, region, region_modifier] =
            [CATEGORY, TYPE, MODIFIER, REGION, REGION_MODIFIER].map(|key| self.code(item, at, key));
        let color = self.color(item, at);
        let property = property?;
        let name = item.get("SegmentLabel").or(item.get("SegmentDescription")).and_then(Value::as_str);
        Some(Segment {
            label: label?,
            name: name.unwrap_or(&property.meaning).to_owned(),
            category: category?,
            property,
            modifier,
            region,
            region_modifier,
            color,
        })
    }

    fn code(&mut self, item: &Map<String, Value>, at: &str, key: &str) -> Option<Code> {
        let at = format!("{at}.{key}");
        let Some(code) = item.get(key)?.as_object() else {
            self.say(&at, "give an object of CodeValue, CodingSchemeDesignator and CodeMeaning");
            return None;
        };
        let keys = [("CodeValue", 16), ("CodingSchemeDesignator", 16), ("CodeMeaning", 64)];
        self.keys(code, &at, &keys, &[]);
        let [value, scheme, meaning] = keys.map(|(key, _)| code.get(key).and_then(Value::as_str));
        for ((key, _), given) in keys.iter().zip([value, scheme, meaning]) {
            if given.is_none() && !code.contains_key(*key) {
                self.say(&at, &format!("{key} is missing"));
            }
        }
        Some(Code::new(value?, scheme?, meaning?))
    }

    /// The colour that is given, in either form; red where none is.
    fn color(&mut self, item: &Map<String, Value>, at: &str) -> [u8; 3] {
        let three = |key: &str, most: u16| {
            let numbers = item.get(key)?.as_array()?.iter().map(|n| u16::try_from(n.as_u64()?).ok());
            let numbers: Vec<u16> = numbers.collect::<Option<_>>()?;
            <[u16; 3]>::try_from(numbers).ok().filter(|all| all.iter().all(|n| *n <= most))
        };
        let rgb = three(RGB, 255).map(|all| all.map(|n| n as u8));
        let given = rgb.or_else(|| three(LAB, u16::MAX).map(color::srgb));
        for (key, most) in [(RGB, 255), (LAB, u16::MAX)] {
            if item.contains_key(key) && three(key, most).is_none() {
                self.say(&format!("{at}.{key}"), &format!("give three whole numbers of 0 to {most}"));
            }
        }
        given.unwrap_or(RED)
    }
}

#[cfg(test)]
#[path = "dcmqi_tests.rs"]
mod tests;
