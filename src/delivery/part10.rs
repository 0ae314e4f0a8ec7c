//! Part 10 files taken apart: meta information, data set, and the data set in another transfer syntax
//! (PS3.10 section 7, PS3.5 annex A).
//!
//! Only the native (not encapsulated) syntaxes are converted into each other; pixels are never decoded.

use std::ops::Range;

use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::{TransferSyntax, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::{DeliveryError, Object};
use crate::dicom::{Dataset, SeriesKey, Uid, tables, uid_of};

const PREAMBLE: usize = 128;
/// Where the meta information begins.
const DATA: usize = PREAMBLE + 4;
/// Element numbers of group 0002 and their keywords.
const META_UIDS: [(u16, &str); 3] =
    [(0x0002, "MediaStorageSOPClassUID"), (0x0003, "MediaStorageSOPInstanceUID"), (0x0010, "TransferSyntaxUID")];

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
    /// Do `bytes` begin a Part 10 file?
    #[must_use]
    pub fn is_part10(bytes: &[u8]) -> bool {
        bytes.get(PREAMBLE..DATA).is_some_and(|prefix| prefix == b"DICM")
    }

    /// Reads the meta information of `bytes`, which may be the first part of a file only.
    ///
    /// Not by dicom-object, which refuses whole files for a padded AE title or a wrong group length.
    pub fn read(what: &str, bytes: &[u8]) -> Result<Meta, DeliveryError> {
        let unreadable = |reason: String| DeliveryError::Unreadable { what: what.to_owned(), reason };
        if !Meta::is_part10(bytes) {
            return Err(unreadable("it has no DICM prefix".to_owned()));
        }
        let mut offset = DATA;
        let mut uids = [const { None }; 3];
        while let Some((element, value)) = bytes.get(offset..).and_then(meta_element) {
            if let Some(place) = META_UIDS.iter().position(|(wanted, _)| *wanted == element) {
                uids[place] = Some(String::from_utf8_lossy(&bytes[offset..][value.clone()]).into_owned());
            }
            offset += value.end;
        }
        let uid = |place: usize| {
            let (_, name) = META_UIDS[place];
            let text = uids[place].as_deref().unwrap_or_default();
            Uid::parse(text).map_err(|error| unreadable(format!("{name}: {error}")))
        };
        Ok(Meta { sop_class: uid(0)?, sop_instance: uid(1)?, transfer_syntax: uid(2)?, offset })
    }
}

/// The element number and the place of the value of an element of group 0002 (Explicit VR Little Endian, whole),
/// `None` at the first other element.
fn meta_element(bytes: &[u8]) -> Option<(u16, Range<usize>)> {
    let header = bytes.first_chunk::<8>().filter(|header| header.starts_with(&[2, 0]))?;
    let element = u16::from_le_bytes([header[2], header[3]]);
    let is_long =
        matches!(&header[4..6], b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"SQ" | b"UC" | b"UN" | b"UR" | b"UT");
    let (start, length) = if is_long {
        let long = bytes.first_chunk::<12>()?;
        (12, u32::from_le_bytes([long[8], long[9], long[10], long[11]]) as usize)
    } else {
        (8, usize::from(u16::from_le_bytes([header[6], header[7]])))
    };
    bytes.get(start..start + length).map(|_| (element, start..start + length))
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
        let dataset = self.parsed(from)?;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        dataset.write_dataset_with_ts(&mut bytes, to).map_err(|error| self.unreadable(error.to_string()))?;
        Ok(bytes)
    }

    /// Study and series of the object.
    pub(super) fn series(&self) -> Result<SeriesKey, DeliveryError> {
        let syntax = TransferSyntaxRegistry.get(self.transfer_syntax.as_str());
        let syntax = syntax.ok_or_else(|| self.unreadable(format!("unknown syntax {}", self.transfer_syntax)))?;
        let dataset = self.parsed(syntax)?;
        let uid = |name: &str, tag| uid_of(&dataset, tag).map_err(|error| self.unreadable(format!("{name}: {error}")));
        Ok(SeriesKey {
            study: uid("StudyInstanceUID", tags::STUDY_INSTANCE_UID)?,
            series: uid("SeriesInstanceUID", tags::SERIES_INSTANCE_UID)?,
        })
    }

    fn parsed(&self, syntax: &TransferSyntax) -> Result<Dataset, DeliveryError> {
        Dataset::read_dataset_with_ts(self.dataset()?, syntax).map_err(|error| self.unreadable(error.to_string()))
    }

    fn unreadable(&self, reason: String) -> DeliveryError {
        DeliveryError::Unreadable { what: self.sop_instance.to_string(), reason }
    }

    fn codec(&self, syntax: &str) -> Result<&'static TransferSyntax, DeliveryError> {
        TransferSyntaxRegistry.get(syntax).filter(|_| is_native(syntax)).ok_or_else(|| {
            self.unreadable(format!("its pixels cannot be converted between transfer syntaxes ({syntax})"))
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
    fn a_padded_title_and_a_wrong_group_length_are_no_reason_to_refuse_a_file() {
        let good = object(tables::EXPLICIT_LITTLE);
        let (head, dataset) = good.bytes.split_at(Meta::read("good", &good.bytes).unwrap().offset);
        let mut bytes = head.to_vec();
        bytes[140] = 1;
        bytes.extend(b"\x02\0\x16\0AE\x12\0SAGITTAL          ");
        let offset = bytes.len();
        bytes.extend(dataset);
        let meta = Meta::read("odd", &bytes).unwrap();
        assert_eq!(meta, Meta { offset, ..Meta::read("good", &good.bytes).unwrap() });
    }

    #[test]
    fn what_is_no_file_says_so() {
        let error = Object::from_part10("notes.txt", vec![0; 200]).unwrap_err();
        assert_eq!(error.to_string(), "notes.txt is no readable DICOM object: it has no DICM prefix");
        assert!(object(tables::IMPLICIT_LITTLE).transcoded("1.2.840.10008.1.2.4.50").is_err());
    }
}
