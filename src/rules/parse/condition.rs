//! From the table `when` of a rule to its conditions.

use std::sync::LazyLock;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;
use toml::de::DeValue;

use crate::dicom::tag_of;
use crate::rules::condition::{Clause, Computed, Condition, Expected, Subject, Test, Word};
use crate::rules::fault::did_you_mean;
use crate::rules::section::{Entry, Section, number_of};
use crate::rules::summary::{GEOMETRY_NAMES, Orientation, is_kept};

/// `None` when one of the conditions has a fault; all of them are read.
pub fn clauses(section: &Section<'_>) -> Option<Vec<Clause>> {
    let read: Vec<Option<Clause>> = section.entries().iter().map(|(key, entry)| clause(key, entry)).collect();
    read.into_iter().collect()
}

fn clause(key: &str, entry: &Entry<'_>) -> Option<Clause> {
    if let Some((_, word)) = Word::NAMES.iter().find(|(name, _)| *name == key) {
        return Some(Clause::Group(*word, groups(entry)?));
    }
    let subject = subject(key, entry)?;
    let (test, missing) = condition(subject, entry)?;
    Some(Clause::Condition(Condition { key: key.to_owned(), subject, test, missing }))
}

/// A table of conditions, or a list of such tables.
pub fn groups(entry: &Entry<'_>) -> Option<Vec<Vec<Clause>>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one table of conditions", None);
    }
    let read: Vec<Option<Vec<Clause>>> = items.iter().map(|item| clauses(&item.section()?)).collect();
    read.into_iter().collect()
}

fn subject(key: &str, entry: &Entry<'_>) -> Option<Subject> {
    if let Some((_, computed)) = Computed::NAMES.iter().find(|(name, _)| *name == key) {
        return Some(Subject::Computed(*computed));
    }
    if key.contains('.') {
        let allowed = "a top-level attribute: rules do not look into sequences";
        return entry.refuse_key("a path into a sequence", allowed, None);
    }
    let Some(tag) = tag_of(key) else {
        let computed = Computed::NAMES.map(|(name, _)| name);
        let allowed = format!("a DICOM keyword such as Modality, \"gggg,eeee\", any, or {}", computed.join(", "));
        return entry.refuse_key(
            "an unknown attribute",
            &allowed,
            did_you_mean(key, computed).or_else(|| keyword_hint(key)),
        );
    };
    if !is_kept(tag, vr_of(tag)) {
        let allowed = "an attribute with text or numbers";
        return entry.refuse_key("a sequence or a binary attribute", allowed, None);
    }
    Some(Subject::Attribute(tag))
}

/// `LO` for private attributes, whose representation is only known from the data.
fn vr_of(tag: Tag) -> VR {
    match StandardDataDictionary.by_tag(tag).map(DataDictionaryEntry::vr) {
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
    entries.filter(|entry| is_kept(entry.tag(), vr_of(entry.tag()))).map(|entry| entry.alias)
}

/// The place in a summary that the attribute called `key` has.
pub fn summary_key(key: &str, entry: &Entry<'_>) -> Option<String> {
    match subject(key, entry)? {
        Subject::Attribute(tag) => Some(format!("{:04x},{:04x}", tag.group(), tag.element())),
        Subject::Computed(_) => entry.refuse_key("a computed value", "in the table computed", None),
    }
}

fn keyword_hint(key: &str) -> Option<String> {
    did_you_mean(key, KEYWORDS.iter().copied())
}

const OPERATORS: &str = "a value, a list of values, or a table of glob, regex, min, max, present, not, any, missing";

/// The test of a condition and whether a missing value passes.
fn condition(subject: Subject, entry: &Entry<'_>) -> Option<(Test, bool)> {
    let missing = match entry.value() {
        DeValue::Table(_) => entry.section()?.get("missing").map_or(Some(false), |e| e.boolean()),
        _ => Some(false),
    };
    let test = test(subject, entry, true);
    Some((test?, missing?))
}

fn test(subject: Subject, entry: &Entry<'_>, outermost: bool) -> Option<Test> {
    match entry.value() {
        DeValue::Table(table) if table.is_empty() => entry.refuse(OPERATORS, None),
        DeValue::Table(_) => operators(subject, &entry.section()?, outermost),
        DeValue::Array(list) if list.is_empty() => entry.refuse("at least one value", None),
        _ => {
            let values: Vec<Option<Expected>> = entry.items().iter().map(|item| expected(subject, item)).collect();
            Some(Test::Equal(values.into_iter().collect::<Option<_>>()?))
        }
    }
}

fn expected(subject: Subject, entry: &Entry<'_>) -> Option<Expected> {
    let words: &[&str] = match subject {
        Subject::Computed(Computed::Orientation) => &Orientation::NAMES,
        Subject::Computed(Computed::Geometry) => &GEOMETRY_NAMES,
        _ => &[],
    };
    match entry.value() {
        DeValue::String(text) if !words.is_empty() && !words.contains(&&**text) => {
            entry.refuse(&words.join(", "), did_you_mean(text, words.iter().copied()))
        }
        DeValue::String(text) if text.trim().is_empty() => {
            entry.refuse("a value", Some("{ present = false } asks for a missing or empty value".to_owned()))
        }
        DeValue::String(text) => Some(Expected::Text(text.trim().to_owned())),
        value => match number_of(value) {
            Some(number) => Some(Expected::Number(number)),
            None => entry.refuse(OPERATORS, Some("{ present = true } asks for any value".to_owned())),
        },
    }
}

/// All operators of a table must hold.
fn operators(subject: Subject, section: &Section<'_>, outermost: bool) -> Option<Test> {
    let mut tests: Vec<Option<Test>> = Vec::new();
    let mut add = |key, read: &dyn Fn(&Entry<'_>) -> Option<Test>| tests.extend(section.get(key).map(|e| read(&e)));
    add("glob", &|e| Some(Test::Glob(patterns(e, glob)?)));
    add("regex", &|e| Some(Test::Regex(patterns(e, regex)?)));
    add("min", &|e| Some(Test::Min(bound(subject, e)?)));
    add("max", &|e| Some(Test::Max(bound(subject, e)?)));
    add("present", &|e| Some(Test::Present(e.boolean()?)));
    add("not", &|e| Some(Test::Not(Box::new(test(subject, e, false)?))));
    add("any", &|e| alternatives(subject, e));
    if outermost {
        // `condition` has read it; here it only becomes a known key.
        drop(section.get("missing"));
    }
    section.finish();
    let tests: Vec<Test> = tests.into_iter().collect::<Option<_>>()?;
    let bounds = |pick: fn(&Test) -> Option<f64>| tests.iter().find_map(pick);
    let least = bounds(|t| if let Test::Min(n) = t { Some(*n) } else { None });
    let most = bounds(|t| if let Test::Max(n) = t { Some(*n) } else { None });
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        return section.get("min")?.refuse(&format!("at most max, which is {most}"), None);
    }
    match tests.len() {
        0 => {
            let alone = section.entries().len() == 1;
            let missing = section.get("missing").filter(|_| alone);
            missing?.refuse_key("missing without an operator", "missing beside glob, regex, min, max, not or any", None)
        }
        1 => tests.into_iter().next(),
        _ => Some(Test::All(tests)),
    }
}

fn alternatives(subject: Subject, entry: &Entry<'_>) -> Option<Test> {
    let tests: Vec<Option<Test>> = entry.items().iter().map(|item| test(subject, item, false)).collect();
    if tests.is_empty() {
        return entry.refuse("at least one alternative", None);
    }
    Some(Test::Any(tests.into_iter().collect::<Option<_>>()?))
}

fn bound(subject: Subject, entry: &Entry<'_>) -> Option<f64> {
    match subject {
        Subject::Computed(Computed::Slices | Computed::SpacingBetweenSlices) | Subject::Attribute(_) => entry.number(),
        Subject::Computed(_) => entry.refuse_key("a bound on a text", "a value, glob or regex", None),
    }
}

fn patterns<T>(entry: &Entry<'_>, read: fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one pattern", None);
    }
    let read: Vec<Option<T>> = items.iter().map(|item| item.parsed(read)).collect();
    read.into_iter().collect()
}

fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).case_insensitive(true).build();
    glob.map(|g| g.compile_matcher()).map_err(|e| format!("a pattern with *, ? and [...]: {}", e.kind()))
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| {
        let message = e.to_string();
        let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("a regular expression: {reason}")
    })
}
