//! From the key of a condition to what it looks at.
//!
//! `Modality`, `"0018,0050"`, `"ImageType[3]"`, `"RequestAttributesSequence.ScheduledProcedureStepID"`,
//! `"0019,xx0c(SIEMENS MR HEADER)"`, or the name of something computed.

use std::sync::LazyLock;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::dicom::tag_of;
use crate::rules::computed::Computed;
use crate::rules::fault::did_you_mean;
use crate::rules::section::Entry;
use crate::rules::subject::{Path, Step, Subject};
use crate::rules::summary::is_kept;

pub fn subject(key: &str, entry: &Entry<'_>) -> Option<Subject> {
    if let Some((_, computed)) = Computed::NAMES.iter().find(|(name, _)| *name == key) {
        return Some(Subject::Computed(*computed));
    }
    let (path, value) = match key.strip_suffix(']').and_then(|key| key.rsplit_once('[')) {
        Some((path, number)) => (path, Some(position(number, entry)?)),
        None => (key, None),
    };
    let names = split(path);
    if value.is_some() && names.len() > 1 {
        let allowed = "a number for an attribute outside sequences: of a sequence every item counts";
        return entry.refuse_key("one value inside a sequence", allowed, None);
    }
    let steps: Vec<Option<Step>> = names.iter().map(|name| step(name, names.len() == 1, entry)).collect();
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let (last, sequences) = steps.split_last()?;
    if let Some(at) = sequences.iter().position(|step| !may_be_sequence(step)) {
        return entry.refuse_key(&format!("{}, which is no sequence", names[at]), "sequences before the dots", None);
    }
    let vr = vr_of(last);
    if matches!(last, Step::Tag(tag) if !can_be_asked(*tag)) {
        return entry.refuse_key("a binary attribute", "an attribute with text or numbers, or a sequence", None);
    }
    Some(Subject::Attribute(Path { steps, value, vr }))
}

fn position(number: &str, entry: &Entry<'_>) -> Option<usize> {
    let position = number.parse().ok().filter(|n| (1..=1000).contains(n));
    position.or_else(|| {
        let allowed = "the number of a value, from 1 on as in the standard: \"ImageType[3]\"";
        entry.refuse_key(&format!("[{number}]"), allowed, None)
    })
}

/// At the dots, but for those in a creator.
fn split(path: &str) -> Vec<&str> {
    let mut depth = 0;
    let at_dot = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == '.' && depth == 0
    };
    path.split(at_dot).collect()
}

fn step(name: &str, alone: bool, entry: &Entry<'_>) -> Option<Step> {
    if let Some((element, creator)) =
        name.strip_suffix(')').and_then(|name| name.split_once('(')).filter(|(e, _)| !e.is_empty())
    {
        return private(element, creator.trim()).or_else(|| {
            let allowed = "the odd group, xx and two digits, then the creator: \"0019,xx0c(SIEMENS MR HEADER)\"";
            entry.refuse_key("a private attribute that is not written so", allowed, None)
        });
    }
    if let Some(tag) = tag_of(name) {
        return Some(Step::Tag(tag));
    }
    let computed = Computed::NAMES.map(|(name, _)| name);
    let words = ["any", "all", "not"];
    let near = did_you_mean(name, computed.into_iter().chain(words)).filter(|_| alone);
    let hint = near.or_else(|| did_you_mean(name, KEYWORDS.iter().copied()));
    let found = if alone { "an unknown attribute".to_owned() } else { format!("the unknown attribute \"{name}\"") };
    let allowed = format!(
        "a DICOM keyword such as Modality, \"gggg,eeee\", a path with dots, any, all, not, or {}",
        computed.join(", ")
    );
    entry.refuse_key(&found, &allowed, hint)
}

fn private(element: &str, creator: &str) -> Option<Step> {
    let (group, element) = element.split_once(',')?;
    let group = u16::from_str_radix(group, 16).ok().filter(|number| group.len() == 4 && number % 2 == 1)?;
    let element = element.strip_prefix("xx").filter(|digits| digits.len() == 2)?;
    let element = u8::from_str_radix(element, 16).ok()?;
    (!creator.is_empty()).then(|| Step::Private { group, element, creator: creator.to_owned() })
}

fn may_be_sequence(step: &Step) -> bool {
    match step {
        Step::Tag(tag) => vr_of(step) == VR::SQ || tag.group() % 2 == 1,
        Step::Private { .. } => true,
    }
}

/// `LO` for private attributes, whose representation is only known from the data.
fn vr_of(step: &Step) -> VR {
    let Step::Tag(tag) = step else { return VR::LO };
    match StandardDataDictionary.by_tag(*tag).map(DataDictionaryEntry::vr) {
        Some(VirtualVr::Exact(vr)) => vr,
        Some(VirtualVr::Ox | VirtualVr::Px) => VR::OW,
        _ => VR::LO,
    }
}

/// Keywords of the groups that rules are written on. The dictionary can be asked but not listed.
static KEYWORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let groups = [0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x0032, 0x0040, 0x0054];
    let tags = groups.into_iter().flat_map(|group| (0..0xffff).map(move |element| Tag(group, element)));
    tags.filter(|tag| tag.element() != 0)
        .filter_map(|tag| StandardDataDictionary.by_tag(tag))
        .map(|entry| entry.alias)
        .collect()
});

/// Every keyword that a condition can be written on, in the order of tags.
pub fn keywords() -> impl Iterator<Item = &'static str> {
    let groups = (0x0008..=0x0100).chain(0x3002..=0x3010).chain([0x4010, 0x5200]).filter(|group| group % 2 == 0);
    let tags = groups.flat_map(|group| (1..=0xffff).map(move |element| Tag(group, element)));
    let entries = tags.filter_map(|tag| StandardDataDictionary.by_tag(tag).filter(|entry| entry.tag() == tag));
    entries.filter(|entry| can_be_asked(entry.tag())).map(|entry| entry.alias)
}

fn can_be_asked(tag: Tag) -> bool {
    let vr = vr_of(&Step::Tag(tag));
    vr == VR::SQ || is_kept(tag, vr)
}

/// The place in a summary that the attribute called `key` has.
pub fn summary_key(key: &str, entry: &Entry<'_>) -> Option<String> {
    let subject = subject(key, entry)?;
    if subject.is_personal() {
        entry.mark_personal();
    }
    match subject {
        Subject::Attribute(path) => path.fixed_key().or_else(|| {
            let allowed =
                "an attribute by keyword or number, such as \"0019,100c\" beside its creator in \"0019,0010\"";
            entry.refuse_key("one value, or an attribute without a place of its own", allowed, None)
        }),
        Subject::Computed(_) => entry.refuse_key("a computed value", "in the table computed", None),
    }
}
