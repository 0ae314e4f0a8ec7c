//! What rules see of a series: for every top-level attribute the values its instances agree on, or the
//! different ones they have; the same inside sequences, within limits; and what is computed. Built one data set
//! at a time, so that no data set has to be kept. Binary values and long texts are left out. Kept in the ledger,
//! so that rules can be tried on what came months ago: old summaries stay readable.

use std::collections::BTreeMap;

use dicom_core::header::Header;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

use crate::dicom::{Dataset, GeometryVerdict, Vec3, cross, norm, texts};

/// Different value lists kept of an attribute on which instances disagree.
pub const MOST_DISTINCT: usize = 16;
/// Longest attribute kept, in characters over all its values.
pub const MOST_CHARACTERS: usize = 1024;

/// The same inside sequences.
pub const MOST_DISTINCT_NESTED: usize = 4;
pub const MOST_CHARACTERS_NESTED: usize = 256;
/// Items looked at of a sequence, sequences inside one another, attributes inside sequences of one instance.
const MOST_ITEMS: usize = 16;
const MOST_DEPTH: usize = 3;
const MOST_NESTED: usize = 256;

/// Every `GeometryVerdict::name`.
pub const GEOMETRY_NAMES: [&str; 8] = [
    "regular",
    "single-slice",
    "missing-slices",
    "non-uniform",
    "duplicate-positions",
    "mixed-orientation",
    "mixed-frame-of-reference",
    "no-geometry",
];

/// What rules see of a series: agreed attribute values and computed ones. Never a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesSummary {
    /// By tag, `gggg,eeee` in lower case, inside sequences by tags with dots between. A sequence itself has the
    /// number of its items. An attribute without a value in every instance is absent.
    pub attributes: BTreeMap<String, AttributeSummary>,
    /// Of the slice planes; `None` when they differ or are not known.
    pub orientation: Option<Orientation>,
    pub facts: SeriesFacts,
}

/// The values of one attribute over the instances of a series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeSummary {
    /// Different value lists in the order they came, one when all instances agree. An empty list, always
    /// the last, stands for the instances without the attribute.
    pub distinct: Vec<Vec<String>>,
    /// There were more than [`MOST_DISTINCT`] lists, or [`MOST_DISTINCT_NESTED`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl AttributeSummary {
    /// The values all instances have, `None` when they differ.
    #[must_use]
    pub fn agreed(&self) -> Option<&[String]> {
        match self.distinct.as_slice() {
            [values] if !self.more => Some(values),
            _ => None,
        }
    }
}

/// What is known of a series beside its attributes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesFacts {
    pub calling_ae: String,
    pub called_ae: String,
    /// IP address of the sender, or `cli`, `http`.
    pub sender: String,
    /// Last arrival, milliseconds since 1970-01-01 UTC.
    pub received_at: Option<i64>,
    /// Of the node's clocks on the wall at that time, seconds east of UTC.
    #[serde(default)]
    pub utc_offset: i32,
    /// Slices, or instances where they are no slices.
    pub slices: usize,
    /// `GeometryVerdict::name`.
    pub geometry: String,
    /// Distance between neighbouring slices, mm; `None` where it is not one number.
    pub spacing_between_slices: Option<f64>,
}

impl SeriesFacts {
    /// Takes over what the geometry check found in a series of `slices` images, frames counted each.
    #[must_use]
    pub fn with_geometry(self, verdict: &GeometryVerdict, slices: usize) -> SeriesFacts {
        let spacing_between_slices = match verdict {
            GeometryVerdict::Regular { spacing, .. } | GeometryVerdict::MissingSlices { spacing, .. } => Some(*spacing),
            _ => None,
        };
        SeriesFacts { slices, geometry: verdict.name().to_owned(), spacing_between_slices, ..self }
    }
}

/// The body plane that slices are nearest to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    Axial,
    Sagittal,
    Coronal,
    /// More than 36.9 degrees away from each of the three.
    Oblique,
}

impl Orientation {
    pub const ALL: [Orientation; 4] =
        [Orientation::Axial, Orientation::Sagittal, Orientation::Coronal, Orientation::Oblique];
    pub const NAMES: [&'static str; 4] = ["axial", "sagittal", "coronal", "oblique"];

    /// From ImageOrientationPatient (PS3.3 section C.7.6.2.1.1).
    #[must_use]
    pub fn of(cosines: &[f64; 6]) -> Option<Orientation> {
        let (row, column): (Vec3, Vec3) = ([cosines[0], cosines[1], cosines[2]], [cosines[3], cosines[4], cosines[5]]);
        let normal = cross(row, column);
        let along = |axis: usize| normal[axis].abs() / norm(normal) >= 0.8;
        match norm(normal) {
            n if !n.is_finite() || n < 1e-6 => None,
            _ if along(2) => Some(Orientation::Axial),
            _ if along(0) => Some(Orientation::Sagittal),
            _ if along(1) => Some(Orientation::Coronal),
            _ => Some(Orientation::Oblique),
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        Orientation::NAMES[self as usize]
    }
}

/// The key of an attribute: `gggg,eeee`.
#[must_use]
pub fn key_of(tag: Tag) -> String {
    format!("{:04x},{:04x}", tag.group(), tag.element())
}

impl SeriesSummary {
    /// All different values of a top-level attribute, over all instances.
    pub fn values(&self, tag: Tag) -> impl Iterator<Item = &str> {
        let attribute = self.attributes.get(&key_of(tag));
        attribute.into_iter().flat_map(|attribute| attribute.distinct.iter().flatten().map(String::as_str))
    }

    /// PatientID (0010,0020) and IssuerOfPatientID (0010,0021), where all instances agree on them.
    #[must_use]
    pub fn patient(&self) -> Option<(&str, Option<&str>)> {
        let text = |tag| self.attributes.get(&key_of(tag))?.agreed()?.first().map(String::as_str);
        Some((text(tags::PATIENT_ID)?, text(tags::ISSUER_OF_PATIENT_ID)))
    }

    /// Summarises `datasets`, in any order.
    pub fn of<'d>(datasets: impl IntoIterator<Item = &'d Dataset>, facts: SeriesFacts) -> SeriesSummary {
        let mut builder = SummaryBuilder::default();
        datasets.into_iter().for_each(|dataset| builder.add(dataset));
        builder.finish(facts)
    }
}

/// Builds a [`SeriesSummary`] from one data set after the other.
#[derive(Debug, Default)]
pub struct SummaryBuilder {
    instances: usize,
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Instances that have the attribute.
    instances: usize,
    summary: AttributeSummary,
}

impl SummaryBuilder {
    /// Takes in one instance; its pixel data need not have been read.
    pub fn add(&mut self, dataset: &Dataset) {
        self.instances += 1;
        let mut values = BTreeMap::new();
        gather(dataset, "", &mut values);
        for (key, list) in values {
            let most = if key.contains('.') { MOST_DISTINCT_NESTED } else { MOST_DISTINCT };
            self.seen.entry(key).or_default().add(list, most);
        }
    }

    #[must_use]
    pub fn instances(&self) -> usize {
        self.instances
    }

    #[must_use]
    pub fn finish(self, facts: SeriesFacts) -> SeriesSummary {
        let instances = self.instances;
        let cosines = key_of(dicom_dictionary_std::tags::IMAGE_ORIENTATION_PATIENT);
        let orientation = self.seen.get(&cosines).and_then(orientation);
        let attributes = self.seen.into_iter().map(|(key, seen)| (key, seen.finish(instances))).collect();
        SeriesSummary { attributes, orientation, facts }
    }
}

/// The values of a data set, or of an item of a sequence whose keys begin with `prefix`, joined to those of other items.
fn gather(dataset: &Dataset, prefix: &str, into: &mut BTreeMap<String, Vec<String>>) {
    let depth = prefix.matches('.').count();
    let most = if depth == 0 { MOST_CHARACTERS } else { MOST_CHARACTERS_NESTED };
    for element in dataset.iter() {
        let (tag, key) = (element.tag(), format!("{prefix}{}", key_of(element.tag())));
        let items = element.items().filter(|items| !items.is_empty());
        if let Some(items) = items.filter(|_| depth < MOST_DEPTH) {
            into.entry(key.clone()).or_default().push(items.len().to_string());
            let inside = format!("{key}.");
            items.iter().take(MOST_ITEMS).for_each(|item| gather(item, &inside, into));
        } else if is_readable(tag, element.vr()) && (depth == 0 || into.len() < MOST_NESTED) {
            let values = texts(dataset, tag);
            let list = into.get(&key).map_or(0, |list| list.iter().map(String::len).sum());
            if !values.is_empty() && list + values.iter().map(String::len).sum::<usize>() <= most {
                into.entry(key).or_default().extend(values);
            }
        }
    }
}

/// Private attributes of implicit VR have none; their values are read where they are text.
fn is_readable(tag: Tag, vr: VR) -> bool {
    is_kept(tag, vr) || (vr == VR::UN && tag.group() % 2 == 1)
}

/// Whether values of this kind are short texts or numbers that a person could write a condition on.
#[must_use]
pub fn is_kept(tag: Tag, vr: VR) -> bool {
    let binary = matches!(vr, VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN | VR::SQ);
    !binary && tag.group() != 0x7fe0 && tag.element() != 0
}

impl Seen {
    fn add(&mut self, values: Vec<String>, most: usize) {
        self.instances += 1;
        let distinct = &mut self.summary.distinct;
        if distinct.contains(&values) {
            return;
        }
        if distinct.len() < most {
            distinct.push(values);
        } else {
            self.summary.more = true;
        }
    }

    fn finish(mut self, instances: usize) -> AttributeSummary {
        if self.instances < instances {
            self.summary.distinct.push(Vec::new());
        }
        self.summary
    }
}

/// One orientation for all different cosines, which may differ in their last digits.
fn orientation(seen: &Seen) -> Option<Orientation> {
    let label = |values: &Vec<String>| {
        let cosines: Vec<f64> = values.iter().map(|v| v.parse().ok()).collect::<Option<_>>()?;
        Orientation::of(cosines.as_slice().try_into().ok()?)
    };
    let first = label(seen.summary.distinct.first()?)?;
    let same = !seen.summary.more && seen.summary.distinct.iter().all(|values| label(values) == Some(first));
    same.then_some(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, PrimitiveValue, dicom_value};
    use dicom_dictionary_std::tags;

    fn slice(number: u16, cosines: &str) -> Dataset {
        let text = |tag, vr, value: &str| {
            let values: Vec<String> = value.split('\\').map(str::to_owned).collect();
            DataElement::new(tag, vr, PrimitiveValue::Strs(values.into()))
        };
        let mut dataset = Dataset::from_element_iter([
            text(tags::MODALITY, VR::CS, "MR "),
            text(tags::INSTANCE_NUMBER, VR::IS, &number.to_string()),
            text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, cosines),
            text(tags::SERIES_DESCRIPTION, VR::LO, ""),
            text(tags::IMAGE_COMMENTS, VR::LT, &"x".repeat(MOST_CHARACTERS + 1)),
            DataElement::new(tags::ROWS, VR::US, dicom_value!(U16, [number % 2])),
            DataElement::new(tags::PIXEL_DATA, VR::OW, dicom_value!(U16, [1, 2])),
        ]);
        if number == 2 {
            dataset.put(text(tags::BODY_PART_EXAMINED, VR::CS, "HEAD"));
        }
        dataset.put(text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY"));
        dataset
    }

    #[test]
    fn agreed_and_differing_values_are_told_apart() {
        let slices: Vec<Dataset> = (0..40).map(|n| slice(n, "1\\0\\0\\0\\1\\0")).collect();
        let summary = SeriesSummary::of(&slices, SeriesFacts::default());
        let of = |key: &str| summary.attributes[key].clone();
        assert_eq!(of("0008,0060").agreed(), Some(&["MR".to_owned()][..]));
        assert_eq!(of("0008,0008").agreed().map(<[String]>::len), Some(2));
        assert_eq!(of("0028,0010").distinct, [["0"], ["1"]]);
        assert_eq!(of("0018,0015").distinct, [vec!["HEAD".to_owned()], vec![]]);
        assert_eq!((of("0020,0013").distinct.len(), of("0020,0013").more), (MOST_DISTINCT, true));
        for absent in ["0008,103e", "0020,4000", "7fe0,0010"] {
            assert!(!summary.attributes.contains_key(absent), "{absent}");
        }
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<SeriesSummary>(&text).unwrap(), summary);
    }

    #[test]
    fn orientation_comes_from_the_cosines() {
        let check = |cosines: &[&str], expected: Option<&str>| {
            let slices: Vec<Dataset> = cosines.iter().map(|c| slice(1, c)).collect();
            let summary = SeriesSummary::of(&slices, SeriesFacts::default());
            assert_eq!(summary.orientation.map(Orientation::name), expected, "{cosines:?}");
        };
        check(&["1\\0\\0\\0\\1\\0"], Some("axial"));
        check(&["1\\0\\0\\0\\1\\0", "1\\0\\0\\0\\0.99999\\0.0001"], Some("axial"));
        check(&["0\\1\\0\\0\\0\\-1"], Some("sagittal"));
        check(&["1\\0\\0\\0\\0\\-1"], Some("coronal"));
        check(&["0.7071\\-0.7071\\0\\0\\0\\-1"], Some("oblique"));
        check(&["1\\0\\0\\0\\1\\0", "0\\1\\0\\0\\0\\-1"], None);
        check(&["1\\0\\0\\1\\0\\0"], None);
        check(&["a\\0\\0\\1\\0\\0"], None);
    }

    #[test]
    fn sequences_are_kept_within_limits_and_private_text_is_read() {
        let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        let item = |id: &str| Dataset::from_element_iter([text(tags::SCHEDULED_PROCEDURE_STEP_ID, VR::SH, id)]);
        let items = |ids: &[&str]| DataSetSequence::from(ids.iter().map(|id| item(id)).collect::<Vec<_>>());
        let slice = |ids: &[&str]| {
            let requests = DataElement::new(tags::REQUEST_ATTRIBUTES_SEQUENCE, VR::SQ, items(ids));
            let value = PrimitiveValue::U8(b"1000 "[..].into());
            Dataset::from_element_iter([requests, DataElement::new(Tag(0x0019, 0x100c), VR::UN, value)])
        };
        let summary = SeriesSummary::of(&[slice(&["A", "B"]), slice(&["A"]), slice(&[])], SeriesFacts::default());
        let of = |key: &str| summary.attributes[key].distinct.clone();
        assert_eq!(of("0040,0275.0040,0009"), [vec!["A", "B"], vec!["A"], vec![]]);
        assert_eq!(of("0040,0275"), [vec!["2"], vec!["1"], vec![]]);
        assert_eq!(of("0019,100c"), [["1000"]]);
        let long: Vec<String> = (0..9).map(|n| n.to_string().repeat(60)).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let summary = SeriesSummary::of(&[slice(&long)], SeriesFacts::default());
        let kept = summary.attributes["0040,0275.0040,0009"].distinct[0].iter().map(String::len).sum::<usize>();
        assert!(kept <= MOST_CHARACTERS_NESTED && kept > 0, "{kept}");
    }

    #[test]
    fn what_an_older_version_stored_is_read() {
        let stored = r#"{"attributes":{"0008,0060":{"distinct":[["MR"]]}},"orientation":"axial","facts":{
            "calling_ae":"A","called_ae":"B","sender":"10.0.0.1","received_at":5,"slices":2,"geometry":"regular",
            "spacing_between_slices":1.5}}"#;
        let summary: SeriesSummary = serde_json::from_str(stored).unwrap();
        assert_eq!((summary.facts.utc_offset, summary.attributes.len()), (0, 1));
    }

    #[test]
    fn geometry_becomes_facts() {
        let facts = SeriesFacts::default().with_geometry(&GeometryVerdict::Regular { slices: 3, spacing: 1.5 }, 3);
        assert_eq!((facts.slices, facts.geometry.as_str(), facts.spacing_between_slices), (3, "regular", Some(1.5)));
        let facts = SeriesFacts::default().with_geometry(&GeometryVerdict::NoGeometry, 1);
        assert_eq!((facts.geometry.as_str(), facts.spacing_between_slices), ("no-geometry", None));
    }

    #[test]
    fn every_verdict_has_its_name_listed() {
        use GeometryVerdict as G;
        let slices = 2;
        let all = [
            G::Regular { slices, spacing: 1.0 },
            G::SingleSlice,
            G::MissingSlices { slices, spacing: 1.0, missing: 1 },
            G::NonUniform { slices, smallest: 1.0, largest: 2.0 },
            G::DuplicatePositions { slices, duplicates: 1 },
            G::MixedOrientation { slices },
            G::MixedFrameOfReference { slices },
            G::NoGeometry,
        ];
        assert_eq!(all.map(|verdict| verdict.name()), GEOMETRY_NAMES);
    }
}
