//! A modality: a small C-STORE SCU on the library's upper layer alone, so that what was acknowledged is known
//! independently of our own sender.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};
use dicom_ul::association::client::{ClientAssociation, ClientAssociationOptions};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use std::net::TcpStream;

/// One instance to send: SOP class, SOP instance, Explicit VR LE data set.
#[derive(Clone)]
pub struct Outgoing {
    pub sop_class: String,
    pub sop_instance: String,
    pub dataset: Vec<u8>,
}

impl Outgoing {
    pub fn of_part10(bytes: &[u8]) -> Outgoing {
        let object = FileDicomObject::from_reader(bytes).unwrap();
        let (class, instance) = (
            object.meta().media_storage_sop_class_uid().to_owned(),
            object.meta().media_storage_sop_instance_uid().to_owned(),
        );
        let mut dataset = Vec::new();
        let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
        object.write_dataset_with_ts(&mut dataset, &syntax).unwrap();
        let trim = |s: String| s.trim_end_matches('\0').to_owned();
        Outgoing { sop_class: trim(class), sop_instance: trim(instance), dataset }
    }
}

/// Sends `instances` over one association, as far as it goes; returns the SOP Instance UIDs answered with 0000.
pub fn send(address: SocketAddr, instances: &[Outgoing]) -> BTreeSet<String> {
    send_to("SAGITTAL", address, instances)
}

/// The same to another called AE title.
pub fn send_to(called: &str, address: SocketAddr, instances: &[Outgoing]) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    let Some(first) = instances.first() else { return acknowledged };
    let options = ClientAssociationOptions::new()
        .calling_ae_title("MODALITY")
        .called_ae_title(called)
        .with_presentation_context(first.sop_class.clone(), vec![uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned()]);
    let Ok(mut association) = options.establish(address) else { return acknowledged };
    for (id, instance) in (1..).zip(instances) {
        match store(&mut association, id, instance) {
            Some(0) => acknowledged.insert(instance.sop_instance.clone()),
            Some(_) => false,
            None => return acknowledged,
        };
    }
    let _ = association.release();
    acknowledged
}

fn store(association: &mut ClientAssociation<TcpStream>, message_id: u16, instance: &Outgoing) -> Option<u16> {
    let context = association.presentation_contexts().first()?.id;
    let value = |value_type, data| PDataValue { presentation_context_id: context, value_type, is_last: true, data };
    let command = Pdu::PData { data: vec![value(PDataValueType::Command, command(message_id, instance))] };
    association.send(&command).ok()?;
    let chunks: Vec<&[u8]> = instance.dataset.chunks(12_000).collect();
    for (at, chunk) in chunks.iter().enumerate() {
        let mut part = value(PDataValueType::Data, chunk.to_vec());
        part.is_last = at + 1 == chunks.len();
        association.send(&Pdu::PData { data: vec![part] }).ok()?;
    }
    status(association)
}

/// The status of the answer that comes next.
pub fn status(association: &mut ClientAssociation<TcpStream>) -> Option<u16> {
    let Pdu::PData { data } = association.receive().ok()? else { return None };
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    let answer = InMemDicomObject::read_dataset_with_ts(data.first()?.data.as_slice(), &syntax).ok()?;
    answer.element(tags::STATUS).ok()?.to_int::<u16>().ok()
}

pub fn command(message_id: u16, instance: &Outgoing) -> Vec<u8> {
    let object = InMemDicomObject::command_from_element_iter([
        DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, PrimitiveValue::from(instance.sop_class.clone())),
        DataElement::new(tags::COMMAND_FIELD, VR::US, PrimitiveValue::from(0x0001_u16)),
        DataElement::new(tags::MESSAGE_ID, VR::US, PrimitiveValue::from(message_id)),
        DataElement::new(tags::PRIORITY, VR::US, PrimitiveValue::from(0_u16)),
        DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, PrimitiveValue::from(0x0000_u16)),
        DataElement::new(tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from(instance.sop_instance.clone())),
    ]);
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    bytes
}
