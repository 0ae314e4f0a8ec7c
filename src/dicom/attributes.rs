//! Reading attributes of a data set as text and numbers, and naming tags by keyword (PS3.6).

use dicom_core::dictionary::VirtualVr;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::{Uid, UidError};

/// A data set in memory.
pub type Dataset = InMemDicomObject;

/// Value representations that are text without a character set of their own.
const TEXTUAL: [VR; 9] = [VR::AE, VR::AS, VR::CS, VR::DA, VR::DS, VR::DT, VR::IS, VR::TM, VR::UI];

/// All values of an attribute as trimmed text, decoded with the data set's character set;
/// empty when the attribute is absent, empty, or not textual or numeric.
#[must_use]
pub fn texts(dataset: &Dataset, tag: Tag) -> Vec<String> {
    let Some(element) = dataset.get(tag) else { return Vec::new() };
    if element.vr() == VR::UN {
        return unknown_texts(element, tag);
    }
    let Ok(strings) = element.value().to_multi_str() else { return Vec::new() };
    let all: Vec<String> = strings.iter().map(|s| s.trim_matches([' ', '\0']).to_owned()).collect();
    if all.iter().all(String::is_empty) { Vec::new() } else { all }
}

/// The values of a standard attribute whose sender did not know it and wrote UN (PS3.5 section 6.2.2), and of a
/// private one that holds nothing but printable characters.
fn unknown_texts(element: &InMemElement, tag: Tag) -> Vec<String> {
    let known = StandardDataDictionary.by_tag(tag).map(DataDictionaryEntry::vr);
    let textual = known.and_then(VirtualVr::exact).is_some_and(|vr| TEXTUAL.contains(&vr));
    let private = tag.group() % 2 == 1;
    let printable = |bytes: &[u8]| bytes.iter().all(|b| matches!(b, b' '..=b'~'));
    let is_text = |bytes: &[u8]| textual || (private && printable(bytes.strip_suffix(&[0]).unwrap_or(bytes)));
    let bytes = element.to_bytes().ok().filter(|bytes| is_text(bytes)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<String> = text.split('\\').map(|value| value.trim_matches([' ', '\0']).to_owned()).collect();
    if all.iter().all(String::is_empty) { Vec::new() } else { all }
}

/// The first value of an attribute as trimmed text, `None` when absent or empty.
#[must_use]
pub fn text(dataset: &Dataset, tag: Tag) -> Option<String> {
    texts(dataset, tag).into_iter().next().filter(|s| !s.is_empty())
}

/// All values of a numeric attribute (DS, IS, US, FD ...); `None` when one of them is no number.
#[must_use]
pub fn decimals(dataset: &Dataset, tag: Tag) -> Option<Vec<f64>> {
    let all = texts(dataset, tag);
    if all.is_empty() {
        return None;
    }
    all.iter().map(|s| s.trim().parse::<f64>().ok().filter(|v| v.is_finite())).collect()
}

/// A UID attribute, checked; an absent attribute reads as [`UidError::Empty`].
pub fn uid(dataset: &Dataset, tag: Tag) -> Result<Uid, UidError> {
    Uid::parse(text(dataset, tag).as_deref().unwrap_or_default())
}

/// The PS3.6 keyword of `tag`, or `gggg,eeee` when the standard dictionary has none.
#[must_use]
pub fn keyword_of(tag: Tag) -> String {
    StandardDataDictionary
        .by_tag(tag)
        .filter(|entry| entry.tag_range().inner() == tag)
        .map_or_else(|| format!("{:04x},{:04x}", tag.group(), tag.element()), |entry| entry.alias().to_owned())
}

/// The tag of a PS3.6 keyword or of `gggg,eeee` (hexadecimal, optionally in parentheses).
#[must_use]
pub fn tag_of(name: &str) -> Option<Tag> {
    if let Some(entry) = StandardDataDictionary.by_name(name) {
        return Some(entry.tag_range().inner());
    }
    let (group, element) = name.trim_start_matches('(').trim_end_matches(')').split_once(',')?;
    let hex = |s: &str| (s.len() == 4).then(|| u16::from_str_radix(s, 16).ok()).flatten();
    Some(Tag(hex(group)?, hex(element)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, PrimitiveValue};
    use dicom_dictionary_std::tags;

    #[test]
    fn a_known_attribute_written_as_unknown_is_read() {
        let check = |tag: Tag, bytes: &[u8], expected: &[&str]| {
            let mut set = Dataset::new_empty();
            set.put(DataElement::new(tag, VR::UN, PrimitiveValue::U8(bytes.into())));
            assert_eq!(texts(&set, tag), expected, "{tag}");
        };
        check(tags::SOP_INSTANCE_UID, b"1.2.34\0", &["1.2.34"]);
        check(tags::IMAGE_TYPE, b"ORIGINAL\\PRIMARY ", &["ORIGINAL", "PRIMARY"]);
        check(tags::ROWS, b"\0\x02", &[]);
        check(Tag(0x0009, 0x1001), b"1000 ", &["1000"]);
        check(Tag(0x0009, 0x1001), b"\x31\x02", &[]);
    }

    #[test]
    fn tags_have_names_and_names_have_tags() {
        assert_eq!(tag_of("BodyPartExamined"), Some(tags::BODY_PART_EXAMINED));
        assert_eq!(tag_of("0018,0015"), Some(tags::BODY_PART_EXAMINED));
        assert_eq!(tag_of("(0018,0015)"), Some(tags::BODY_PART_EXAMINED));
        assert_eq!(tag_of("BodyPart"), None);
        assert_eq!(keyword_of(tags::MODALITY), "Modality");
        assert_eq!(keyword_of(Tag(0x0009, 0x1001)), "0009,1001");
    }
}
