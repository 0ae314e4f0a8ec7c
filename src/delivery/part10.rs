//! Part 10 files taken apart: meta information, data set, and the data set in another transfer syntax
//! (PS3.10 section 7, PS3.5 annex A).
//!
//! Only the native (not encapsulated) syntaxes are converted into each other; pixels are never decoded.

use std::io::Cursor;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::{TransferSyntax, TransferSyntaxIndex};
use dicom_object::{FileMetaTable, OpenFileOptions};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::{DeliveryError, Object};
use crate::dicom::{Dataset, SeriesKey, Uid, tables, uid_of};

const PREAMBLE: usize = 128;

/// What a file says about itself before its data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// Where the data set begins.
    pub offset: usize,
}

impl Meta {
    /// Reads the meta information of `bytes`, which may be the first part of a file only.
    pub fn read(what: &str, bytes: &[u8]) -> Result<Meta, DeliveryError> {
        let unreadable = |reason: String| DeliveryError::Unreadable { what: what.to_owned(), reason };
        let rest = bytes.get(PREAMBLE..).filter(|rest| rest.starts_with(b"DICM"));
        let mut cursor = Cursor::new(rest.ok_or_else(|| unreadable("it has no DICM prefix".to_owned()))?);
        let table = FileMetaTable::from_reader(&mut cursor).map_err(|error| unreadable(error.to_string()))?;
        let uid = |name: &str, text: &str| Uid::parse(text).map_err(|error| unreadable(format!("{name}: {error}")));
        Ok(Meta {
            sop_class: uid("MediaStorageSOPClassUID", table.media_storage_sop_class_uid())?,
            sop_instance: uid("MediaStorageSOPInstanceUID", table.media_storage_sop_instance_uid())?,
            transfer_syntax: uid("TransferSyntaxUID", table.transfer_syntax())?,
            offset: PREAMBLE + cursor.position() as usize,
        })
    }
}

impl Object {
    /// Takes a Part 10 file; `what` names it in the error.
    pub fn from_part10(what: &str, bytes: Vec<u8>) -> Result<Object, DeliveryError> {
        let Meta { sop_class, sop_instance, transfer_syntax, .. } = Meta::read(what, &bytes)?;
        Ok(Object { sop_class, sop_instance, transfer_syntax, bytes })
    }

    /// The data set as it lies in the file.
    pub(super) fn dataset(&self) -> Result<&[u8], DeliveryError> {
        let meta = Meta::read(self.sop_instance.as_str(), &self.bytes)?;
        Ok(&self.bytes[meta.offset.min(self.bytes.len())..])
    }

    /// The data set encoded in `syntax`, a native one, as the object's own must be.
    pub(super) fn transcoded(&self, syntax: &str) -> Result<Vec<u8>, DeliveryError> {
        let (from, to) = (self.codec(self.transfer_syntax.as_str())?, self.codec(syntax)?);
        let unreadable = |reason: String| DeliveryError::Unreadable { what: self.sop_instance.to_string(), reason };
        let dataset = Dataset::read_dataset_with_ts(self.dataset()?, from).map_err(|e| unreadable(e.to_string()))?;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        dataset.write_dataset_with_ts(&mut bytes, to).map_err(|e| unreadable(e.to_string()))?;
        Ok(bytes)
    }

    /// Study and series of the object.
    pub(super) fn series(&self) -> Result<SeriesKey, DeliveryError> {
        let unreadable = |reason: String| DeliveryError::Unreadable { what: self.sop_instance.to_string(), reason };
        let after_series = Tag(0x0020, 0x0010);
        let object = OpenFileOptions::new().read_until(after_series).from_reader(self.bytes.as_slice());
        let object = object.map_err(|error| unreadable(error.to_string()))?;
        let uid = |name: &str, tag| uid_of(&object, tag).map_err(|error| unreadable(format!("{name}: {error}")));
        Ok(SeriesKey {
            study: uid("StudyInstanceUID", tags::STUDY_INSTANCE_UID)?,
            series: uid("SeriesInstanceUID", tags::SERIES_INSTANCE_UID)?,
        })
    }

    fn codec(&self, syntax: &str) -> Result<&'static TransferSyntax, DeliveryError> {
        TransferSyntaxRegistry.get(syntax).filter(|_| is_native(syntax)).ok_or_else(|| DeliveryError::Unreadable {
            what: self.sop_instance.to_string(),
            reason: format!("its pixels cannot be converted between transfer syntaxes ({syntax})"),
        })
    }
}

/// Can `syntax` be converted to Implicit and Explicit VR Little Endian without touching pixels?
pub fn is_native(syntax: &str) -> bool {
    matches!(
        syntax,
        tables::IMPLICIT_LITTLE | tables::EXPLICIT_LITTLE | "1.2.840.10008.1.2.2" | "1.2.840.10008.1.2.1.99"
    )
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
    use dicom_object::FileMetaTableBuilder;

    pub(in crate::delivery) fn object(syntax: &str) -> Object {
        let mut dataset = Dataset::new_empty();
        let mut put = |tag, vr, text: &str| {
            dataset.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
        };
        put(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.4");
        put(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
        put(tags::STUDY_INSTANCE_UID, VR::UI, "1.2");
        put(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3");
        dataset.put(DataElement::new(tags::PIXEL_DATA, VR::OW, dicom_value!(U16, [1, 0x0203, 4])));
        let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
        let mut bytes = Vec::new();
        dataset.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        Object::from_part10("test", bytes).unwrap()
    }

    #[test]
    fn native_syntaxes_are_converted_into_each_other() {
        for from in [tables::IMPLICIT_LITTLE, tables::EXPLICIT_LITTLE, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
        {
            for to in [tables::IMPLICIT_LITTLE, tables::EXPLICIT_LITTLE] {
                assert_eq!(object(from).transcoded(to).unwrap(), object(to).dataset().unwrap(), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn an_object_knows_its_series() {
        let series = object(tables::EXPLICIT_LITTLE).series().unwrap();
        assert_eq!((series.study.as_str(), series.series.as_str()), ("1.2", "1.2.3"));
    }

    #[test]
    fn what_is_no_file_says_so() {
        let error = Object::from_part10("notes.txt", vec![0; 200]).unwrap_err();
        assert_eq!(error.to_string(), "notes.txt is no readable DICOM object: it has no DICM prefix");
        assert!(object(tables::IMPLICIT_LITTLE).transcoded("1.2.840.10008.1.2.4.50").is_err());
    }
}
