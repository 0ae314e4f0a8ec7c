//! Part 10 streams (PS3.10 section 7.1) as data sets. dicom-object does the reading; this module only helps it
//! over File Meta Information that breaks a rule which no reader of pixels needs, such as an application
//! entity title of more than 16 characters. Never repairs the data set itself.

use std::io::{Cursor, Read};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::file::ReadPreamble;
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{FileDicomObject, OpenFileOptions, ReadError};

use crate::dicom::Dataset;

/// Parses a stream; with `header_only`, up to the Pixel Data.
pub(super) fn parse(bytes: &[u8], header_only: bool) -> Result<FileDicomObject<Dataset>, ReadError> {
    let options = || {
        let all = OpenFileOptions::new();
        if header_only { all.read_until(tags::PIXEL_DATA) } else { all }
    };
    let strict = options().from_reader(bytes);
    if strict.is_ok() {
        return strict;
    }
    let Some((meta, rest)) = minimal_meta(bytes) else { return strict };
    options().read_preamble(ReadPreamble::Never).from_reader(Cursor::new(meta).chain(rest))
}

/// File Meta Information of the transfer syntax alone, and the bytes of the data set.
fn minimal_meta(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = bytes.get(128..)?.strip_prefix(b"DICM")?;
    let mut found = [String::new(), String::new(), String::new()];
    while let Some((tag, value, after)) = meta_element(rest) {
        let wanted =
            [tags::TRANSFER_SYNTAX_UID, tags::MEDIA_STORAGE_SOP_CLASS_UID, tags::MEDIA_STORAGE_SOP_INSTANCE_UID];
        if let Some(at) = wanted.iter().position(|w| *w == tag) {
            found[at] = String::from_utf8_lossy(value).trim_end_matches(['\0', ' ']).into();
        }
        rest = after;
    }
    let [syntax, class, instance] = found;
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance)
        .build()
        .ok()?;
    let mut written = b"DICM".to_vec();
    meta.write(&mut written).ok()?;
    Some((written, rest))
}

/// One element of group 0002 (Explicit VR Little Endian): tag, value, and what follows.
fn meta_element(bytes: &[u8]) -> Option<(Tag, &[u8], &[u8])> {
    let word = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let tag = Tag(word(0).filter(|group| *group == 2)?, word(2)?);
    let long = matches!(bytes.get(4..6)?, b"OB" | b"OW" | b"UN" | b"UT" | b"SQ");
    let (start, length) = if long {
        (12_usize, u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize)
    } else {
        (8, usize::from(word(6)?))
    };
    let value = bytes.get(start..start.checked_add(length)?)?;
    Some((tag, value, &bytes[start + length..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use dicom_core::{DataElement, VR};

    use super::*;

    #[test]
    fn an_overlong_entity_title_hinders_nobody() {
        let mut set = Dataset::new_empty();
        set.put(DataElement::new(tags::MODALITY, VR::CS, "MR"));
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax("1.2.840.10008.1.2.1")
            .media_storage_sop_class_uid("1.2.3")
            .media_storage_sop_instance_uid("1.2.4")
            .source_application_entity_title("SEVENTEEN LETTERS!");
        let mut bytes = Vec::new();
        set.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        assert!(dicom_object::from_reader(bytes.as_slice()).is_err(), "then this module can go");
        let object = parse(&bytes, false).unwrap();
        assert_eq!(crate::dicom::text(&object, tags::MODALITY).as_deref(), Some("MR"));
        assert_eq!(object.meta().media_storage_sop_instance_uid(), "1.2.4");
        assert!(parse(&bytes[..140], false).is_err());
        assert!(parse(b"", true).is_err());
    }
}
