//! Building data sets: the few shapes of element that results are made of, with the limits of their value
//! representations kept (PS3.5 section 6.2).

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::ResultError;
use crate::dicom::{Code, Dataset, Uid};

pub(super) fn put(dataset: &mut Dataset, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    dataset.put(DataElement::new(tag, vr, value.into()));
}

pub(super) fn put_uid(dataset: &mut Dataset, tag: Tag, uid: &Uid) {
    put(dataset, tag, VR::UI, uid.as_str());
}

/// A count or a code of 16 bits.
pub(super) fn put_short(dataset: &mut Dataset, tag: Tag, value: usize) {
    put(dataset, tag, VR::US, PrimitiveValue::from(value as u16));
}

/// A text of at most 64 characters (LO), or 16 (SH), cut where it is longer.
pub(super) fn put_text(dataset: &mut Dataset, tag: Tag, vr: VR, text: &str) {
    let limit = if vr == VR::SH { 16 } else { 64 };
    put(dataset, tag, vr, plain(text, limit));
}

pub(super) fn put_items(dataset: &mut Dataset, tag: Tag, items: Vec<Dataset>) {
    dataset.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

pub(super) fn put_item(dataset: &mut Dataset, tag: Tag, item: Dataset) {
    put_items(dataset, tag, vec![item]);
}

/// Decimal strings as they stand.
pub(super) fn put_decimals(dataset: &mut Dataset, tag: Tag, values: Vec<String>) {
    put(dataset, tag, VR::DS, PrimitiveValue::Strs(values.into_iter().collect()));
}

/// One code as a sequence with one item.
pub(super) fn put_code(dataset: &mut Dataset, tag: Tag, code: &Code, what: &'static str) -> Result<(), ResultError> {
    put_item(dataset, tag, code_item(code, what)?);
    Ok(())
}

/// The item of a code sequence; `what` names the code in the error.
pub(super) fn code_item(code: &Code, what: &'static str) -> Result<Dataset, ResultError> {
    let fits = |text: &str| (1..=16).contains(&text.chars().count()) && !text.contains('\\');
    if !fits(&code.value) || !fits(&code.scheme) || code.meaning.trim().is_empty() {
        return Err(ResultError::BadCode { what, value: code.value.clone() });
    }
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::CODE_VALUE, VR::SH, code.value.as_str());
    put(&mut item, tags::CODING_SCHEME_DESIGNATOR, VR::SH, code.scheme.as_str());
    put_text(&mut item, tags::CODE_MEANING, VR::LO, &code.meaning);
    Ok(item)
}

/// A reference to one instance.
pub(super) fn reference(class: &Uid, instance: &Uid) -> Dataset {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::REFERENCED_SOP_CLASS_UID, class);
    put_uid(&mut item, tags::REFERENCED_SOP_INSTANCE_UID, instance);
    item
}

/// `text` without backslashes and control characters, at most `limit` characters.
pub(super) fn plain(text: &str, limit: usize) -> String {
    let clean = text.trim().chars().map(|c| if c == '\\' || c.is_control() { ' ' } else { c });
    clean.take(limit).collect::<String>().trim_end().to_owned()
}

/// A code string (CS): upper case, digits, space, underscore, at most 16 characters.
pub(super) fn code_string(text: &str) -> String {
    let clean = text.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    clean.take(16).collect()
}

/// `value` as a decimal string (DS) of at most 16 characters.
pub(super) fn decimal_string(value: f64) -> String {
    let shortest = value.to_string();
    if shortest.len() <= 16 {
        return shortest;
    }
    let fixed = (0..=14).rev().map(|digits| format!("{value:.digits$}")).find(|s| s.len() <= 16);
    match fixed {
        Some(text) if value.abs() >= 1e-4 => text,
        _ => format!("{value:.8e}"),
    }
}

/// The values of a decimal string as they stand, but those longer than the 16 characters that DS allows:
/// strict readers refuse these, so they are rounded to fit.
pub(super) fn legal_decimals(values: &[String]) -> Vec<String> {
    let legal = |text: &String| match text.trim().parse::<f64>() {
        Ok(value) if text.len() > 16 => decimal_string(value),
        _ => text.clone(),
    };
    values.iter().map(legal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_and_keep_their_value() {
        let check = |value: f64, expected: &str| assert_eq!(decimal_string(value), expected);
        check(2.5, "2.5");
        check(-91.449_586_433_190_8, "-91.449586433191");
        check(0.1 + 0.2, "0.30000000000000");
        check(-142.505_487_236_053, "-142.50548723605");
        check(1.234_567_890_123e-7, "1.23456789e-7");
        check(0.0, "0");
    }

    #[test]
    fn only_overlong_values_are_rewritten() {
        let values = ["-125.000", "1e2", "0.0382096472372976"].map(String::from);
        assert_eq!(legal_decimals(&values), ["-125.000", "1e2", "0.03820964723730"]);
    }

    #[test]
    fn texts_are_cut_and_cleaned() {
        assert_eq!(plain("a\\b\nc ", 64), "a b c");
        assert_eq!(plain(&"é".repeat(70), 64).chars().count(), 64);
        assert_eq!(code_string("brain-mri (fast) v2"), "BRAIN_MRI__FAST_");
    }
}
