//! Identifiers of C-FIND, C-GET and C-MOVE (PS3.4 section C.4), written and read in Implicit VR Little Endian: the one
//! transfer syntax that their contexts are proposed with. Knows no peer, sends nothing.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::contexts::Chosen;
use super::scu::Scu;
use super::{DeliveryError, Object};
use crate::dicom::{Dataset, SeriesKey, Uid, tables};

/// The keys of a query, or what a retrieval is to bring.
#[derive(Debug, Clone)]
pub(super) struct Identifier(Dataset);

impl Identifier {
    /// `level`: STUDY, SERIES or IMAGE.
    pub fn at(level: &str) -> Identifier {
        Identifier(Dataset::new_empty()).with(tags::QUERY_RETRIEVE_LEVEL, level)
    }

    /// An instance by the unique keys of all levels.
    pub fn of_instance(key: &SeriesKey, instance: &Uid) -> Identifier {
        Identifier::at("IMAGE").in_series(&key.study, &key.series).with(tags::SOP_INSTANCE_UID, instance.as_str())
    }

    pub fn in_study(self, study: &Uid) -> Identifier {
        self.with(tags::STUDY_INSTANCE_UID, study.as_str())
    }

    pub fn in_series(self, study: &Uid, series: &Uid) -> Identifier {
        self.in_study(study).with(tags::SERIES_INSTANCE_UID, series.as_str())
    }

    /// A key to match; an empty value asks for the attribute.
    pub fn with(mut self, tag: Tag, value: &str) -> Identifier {
        let vr = StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed());
        self.0.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        self
    }

    pub fn asking_for(self, wanted: &[Tag]) -> Identifier {
        wanted.iter().fold(self, |identifier, tag| identifier.with(*tag, ""))
    }

    pub fn encode(&self, scu: &Scu) -> Result<Vec<u8>, DeliveryError> {
        let mut bytes = Vec::new();
        let implicit = TransferSyntaxRegistry.get(tables::IMPLICIT_LITTLE);
        let implicit = implicit.ok_or_else(|| scu.protocol("Implicit VR Little Endian is missing".to_owned()))?;
        let written = self.0.write_dataset_with_ts(&mut bytes, implicit);
        written.map_err(|error| scu.protocol(format!("the query cannot be written: {error}")))?;
        Ok(bytes)
    }
}

/// What a peer answered.
pub(super) fn read(found: &[u8]) -> Option<Dataset> {
    let implicit = TransferSyntaxRegistry.get(tables::IMPLICIT_LITTLE)?;
    Dataset::read_dataset_with_ts(found, implicit).ok()
}

/// Asks by C-FIND in `context`; the matches that can be read.
pub(super) async fn ask(scu: &mut Scu, context: &Chosen, keys: &Identifier) -> Result<Vec<Dataset>, DeliveryError> {
    let identifier = keys.encode(scu)?;
    let found = scu.find(context, tables::STUDY_ROOT_FIND, &identifier).await?;
    Ok(found.iter().filter_map(|bytes| read(bytes)).collect())
}

/// Is `object` among what a peer finds?
pub(super) async fn holds(scu: &mut Scu, context: &Chosen, object: &Object) -> Result<bool, DeliveryError> {
    let keys = Identifier::of_instance(&object.series()?, &object.sop_instance);
    let found = ask(scu, context, &keys).await?;
    let named = |set: &Dataset| crate::dicom::uid_of(set, tags::SOP_INSTANCE_UID).as_ref() == Ok(&object.sop_instance);
    Ok(found.iter().any(named))
}

/// The accepted context of `class`.
pub(super) fn service(scu: &Scu, class: &str) -> Result<Chosen, DeliveryError> {
    scu.context(class, |_| true).ok_or_else(|| scu.no_context(class.to_owned()))
}
