//! An object to be sent: its file taken apart, and its data set in another transfer syntax (PS3.5 annex A).
//!
//! The native (not encapsulated) syntaxes are converted into each other without touching pixels; compressed pixels are
//! decoded where a codec is there. Nothing is ever compressed.

use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::{TransferSyntax, TransferSyntaxIndex};
use dicom_pixeldata::Transcode;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::{DeliveryError, Object};
use crate::dicom::{Dataset, Meta, SeriesKey, part10, tables, uid_of};

impl Object {
    /// Takes a Part 10 file; `what` names it in the error.
    pub fn from_part10(what: &str, bytes: Vec<u8>) -> Result<Object, DeliveryError> {
        let meta = Meta::read(&bytes)
            .map_err(|error| DeliveryError::Unreadable { what: what.to_owned(), reason: error.to_string() })?;
        let Meta { sop_class, sop_instance, transfer_syntax, .. } = meta;
        Ok(Object { sop_class, sop_instance, transfer_syntax, form: None, bytes })
    }

    /// The data set as it lies in the file.
    pub(super) fn dataset(&self) -> Result<&[u8], DeliveryError> {
        let meta = Meta::read(&self.bytes).map_err(|error| self.unreadable(error.to_string()))?;
        Ok(&self.bytes[meta.offset.min(self.bytes.len())..])
    }

    /// The data set encoded in `syntax`, a native one. On a thread of its own: decoding takes its time, and a codec may
    /// panic on a damaged codestream.
    pub(super) async fn converted(&self, syntax: &str) -> Result<Vec<u8>, DeliveryError> {
        let (object, syntax) = (self.clone(), syntax.to_owned());
        let work = tokio::task::spawn_blocking(move || object.transcoded(&syntax));
        work.await.unwrap_or_else(|_| Err(self.unreadable("its pixels cannot be decoded: damaged".to_owned())))
    }

    fn transcoded(&self, syntax: &str) -> Result<Vec<u8>, DeliveryError> {
        let no_way = || self.unreadable(format!("it cannot be converted from {} to {syntax}", self.transfer_syntax));
        let to = TransferSyntaxRegistry.get(syntax).filter(|_| is_native(syntax)).ok_or_else(no_way)?;
        let own = TransferSyntaxRegistry.get(self.transfer_syntax.as_str()).ok_or_else(no_way)?;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let unreadable = |error: &dyn std::error::Error| self.unreadable(described(error));
        let written = if own.is_encapsulated_pixel_data() {
            let mut object = part10::parse(&self.bytes).map_err(|error| unreadable(&error))?;
            object.transcode(to).map_err(|error| unreadable(&error))?;
            object.write_dataset_with_ts(&mut bytes, to)
        } else {
            self.parsed(own)?.write_dataset_with_ts(&mut bytes, to)
        };
        written.map_err(|error| unreadable(&error))?;
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
}

/// An error with its causes: the last one tells most.
fn described(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Can `syntax` be converted to Implicit and Explicit VR Little Endian without touching pixels?
pub fn is_native(syntax: &str) -> bool {
    matches!(
        syntax,
        tables::IMPLICIT_LITTLE | tables::EXPLICIT_LITTLE | "1.2.840.10008.1.2.2" | "1.2.840.10008.1.2.1.99"
    )
}

/// Can an object in `syntax` be brought into Implicit and Explicit VR Little Endian, decoding its pixels if need be?
pub fn is_convertible(syntax: &str) -> bool {
    is_native(syntax) || TransferSyntaxRegistry.get(syntax).is_some_and(TransferSyntax::can_decode_all)
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
        let (head, dataset) = good.bytes.split_at(Meta::read(&good.bytes).unwrap().offset);
        let mut bytes = head.to_vec();
        bytes[140] = 1;
        bytes.extend(b"\x02\0\x16\0AE\x12\0SAGITTAL          ");
        let offset = bytes.len();
        bytes.extend(dataset);
        let meta = Meta::read(&bytes).unwrap();
        assert_eq!(meta, Meta { offset, ..Meta::read(&good.bytes).unwrap() });
    }

    #[test]
    fn what_is_no_file_says_so() {
        let error = Object::from_part10("notes.txt", vec![0; 200]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "notes.txt is no readable DICOM object: it has no DICM prefix, so it is no DICOM file"
        );
        assert!(object(tables::IMPLICIT_LITTLE).transcoded("1.2.840.10008.1.2.4.50").is_err());
    }
}
