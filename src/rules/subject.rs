//! What a condition looks at, and finding it in a series: an attribute, one inside sequences, one value of
//! several, or something computed. What has been found is kept while one series is looked at.

use std::borrow::Cow;
use std::cell::OnceCell;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::computed::Computed;
use super::explanation::Found;
use super::scale::Scale;
use super::summary::{AttributeSummary, SeriesSummary, key_of};

/// The value a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Attribute(Path),
    Computed(Computed),
}

/// An attribute, perhaps inside sequences, of which every item counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    pub steps: Vec<Step>,
    /// One value of several, from 1 as in the standard.
    pub value: Option<usize>,
    /// Of the last step.
    pub vr: VR,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    Tag(Tag),
    /// `element` counts inside the block that the creator has reserved (PS3.5 section 7.8.1).
    Private {
        group: u16,
        element: u8,
        creator: String,
    },
}

impl Subject {
    /// How the values compare.
    #[must_use]
    pub fn scale(&self) -> Option<Scale> {
        match self {
            Subject::Attribute(path) => Some(Scale::of(path.vr)),
            Subject::Computed(computed) => computed.scale(),
        }
    }

    /// All values there are; empty where they cannot be listed.
    #[must_use]
    pub fn words(&self) -> &'static [&'static str] {
        match self {
            Subject::Attribute(_) => &[],
            Subject::Computed(computed) => computed.words(),
        }
    }

    /// Its values may tell who the patient is: attributes of the patient (group 0010), names of persons, numbers by
    /// which the hospital knows an examination.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        let Subject::Attribute(path) = self else { return false };
        let of_patient =
            |step: &Step| matches!(step, Step::Tag(tag) if tag.group() == 0x0010 || *tag == tags::ACCESSION_NUMBER);
        path.vr == VR::PN || path.steps.iter().any(of_patient)
    }

    fn find<'s>(&self, summary: &'s SeriesSummary) -> Values<'s> {
        match self {
            Subject::Computed(computed) => {
                computed.value(summary).map_or(Values::Missing, |value| Values::Agreed(Cow::Owned(vec![value])))
            }
            Subject::Attribute(path) => path.find(summary),
        }
    }
}

impl Path {
    fn find<'s>(&self, summary: &'s SeriesSummary) -> Values<'s> {
        let attribute = self.key(summary).and_then(|key| summary.attributes.get(&key));
        match (attribute, self.value) {
            (None, _) => Values::Missing,
            (Some(attribute), None) => Values::of(attribute),
            (Some(attribute), Some(position)) => Values::of_one(attribute, position),
        }
    }

    /// The key of the attribute in every series; `None` where it depends on blocks of creators, or is one value only.
    pub fn fixed_key(&self) -> Option<String> {
        let fixed = self.value.is_none() && self.steps.iter().all(|step| matches!(step, Step::Tag(_)));
        self.key(&SeriesSummary::default()).filter(|_| fixed)
    }

    /// The key of the attribute in this series; `None` where a private creator has no block.
    fn key(&self, summary: &SeriesSummary) -> Option<String> {
        let mut key = String::new();
        for step in &self.steps {
            let dot = if key.is_empty() { "" } else { "." };
            let step = match step {
                Step::Tag(tag) => key_of(*tag),
                Step::Private { group, element, creator } => {
                    let block = block_of(summary, &format!("{key}{dot}{group:04x},00"), creator)?;
                    format!("{group:04x},{block}{element:02x}")
                }
            };
            key = format!("{key}{dot}{step}");
        }
        Some(key)
    }
}

/// The block, two hexadecimal digits, that `creator` has in all instances that have it.
fn block_of(summary: &SeriesSummary, prefix: &str, creator: &str) -> Option<String> {
    let is_creator = |attribute: &AttributeSummary| {
        let mut lists = attribute.distinct.iter().filter(|list| !list.is_empty()).peekable();
        let same = |list: &Vec<String>| list.iter().all(|value| value.trim().eq_ignore_ascii_case(creator));
        !attribute.more && lists.peek().is_some() && lists.all(same)
    };
    let blocks = summary.attributes.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
    let mut hits = blocks.filter(|(_, attribute)| is_creator(attribute)).map(|(key, _)| &key[prefix.len()..]);
    hits.find(|block| block.len() == 2).map(str::to_owned)
}

/// The values of one subject over the instances of a series.
#[derive(Debug)]
pub enum Values<'s> {
    /// Absent or empty in every instance, or not known.
    Missing,
    Agreed(Cow<'s, [String]>),
    /// An empty list stands for the instances without the attribute.
    Differs {
        distinct: Cow<'s, [Vec<String>]>,
        more: bool,
    },
}

impl<'s> Values<'s> {
    fn of(attribute: &'s AttributeSummary) -> Values<'s> {
        match attribute.agreed() {
            Some([]) => Values::Missing,
            Some(values) => Values::Agreed(values.into()),
            None => Values::Differs { distinct: attribute.distinct.as_slice().into(), more: attribute.more },
        }
    }

    /// Of every list the value at `position`, from 1.
    fn of_one(attribute: &AttributeSummary, position: usize) -> Values<'s> {
        let mut distinct: Vec<Vec<String>> = Vec::new();
        for list in &attribute.distinct {
            let value = list.get(position.saturating_sub(1)).filter(|value| !value.is_empty());
            let value: Vec<String> = value.cloned().into_iter().collect();
            if !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        match distinct.as_mut_slice() {
            [values] if !attribute.more && values.is_empty() => Values::Missing,
            [values] if !attribute.more => Values::Agreed(std::mem::take(values).into()),
            _ => Values::Differs { distinct: distinct.into(), more: attribute.more },
        }
    }

    #[must_use]
    pub fn found(&self) -> Found {
        match self {
            Values::Missing => Found::Missing,
            Values::Agreed(values) => Found::Value { values: values.to_vec() },
            Values::Differs { distinct, more } => Found::Differs { distinct: distinct.to_vec(), more: *more },
        }
    }
}

/// A series while rules look at it: each subject is found once, whichever number of conditions ask for it.
#[derive(Debug)]
pub struct View<'s> {
    pub summary: &'s SeriesSummary,
    found: Vec<OnceCell<Values<'s>>>,
}

impl<'s> View<'s> {
    /// `subjects`: how many different ones the rules ask for.
    #[must_use]
    pub fn of(summary: &'s SeriesSummary, subjects: usize) -> View<'s> {
        View { summary, found: (0..subjects).map(|_| OnceCell::new()).collect() }
    }

    /// Another series under the same rules.
    #[must_use]
    pub fn of_other<'o>(&self, summary: &'o SeriesSummary) -> View<'o> {
        View::of(summary, self.found.len())
    }

    /// Applies `read` to the values of `subject`, whose number is `slot`.
    pub fn with<R>(&self, slot: usize, subject: &Subject, read: impl FnOnce(&Values<'s>) -> R) -> R {
        match self.found.get(slot) {
            Some(cell) => read(cell.get_or_init(|| subject.find(self.summary))),
            None => read(&subject.find(self.summary)),
        }
    }
}
