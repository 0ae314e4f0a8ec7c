//! One object larger than any memory: it is streamed to the spool while it comes (200 MB here, `make soak` makes it
//! 2,000), arrives byte for byte, and costs the node no more memory than a small one.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use crc32fast::Hasher;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::association::client::{ClientAssociation, ClientAssociationOptions};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use sagittal::dicom::Meta;
use sagittal::spool::{Location, Spool};

use super::soak::receiving_site;
use super::support::modality::{self, Outgoing};

const MEGABYTE: usize = 1 << 20;
/// Of the object in memory, of the answer to it, of the threads that write: far below its length.
const MOST: u64 = 32 << 20;
const PIECE: usize = 64 * 1024;

/// An image up to the value of its pixel data, which is sent apart and has `length` bytes.
fn header(length: usize) -> Outgoing {
    let uid = |what: &str| format!("1.2.826.0.1.3680043.10.1234.9.{what}");
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let object = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, &uid(&length.to_string())),
        text(tags::STUDY_INSTANCE_UID, VR::UI, &uid("1")),
        text(tags::SERIES_INSTANCE_UID, VR::UI, &uid("2")),
    ]);
    let mut dataset = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut dataset, &syntax).unwrap();
    dataset.extend([0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0]);
    dataset.extend((length as u32).to_le_bytes());
    Outgoing { sop_class: uids::CT_IMAGE_STORAGE.to_owned(), sop_instance: uid(&length.to_string()), dataset }
}

/// Stores an object of `length` bytes of pixels that are made while they leave; its checksum.
fn store(node: SocketAddr, length: usize) -> u32 {
    let header = header(length);
    let mut association = ClientAssociationOptions::new()
        .calling_ae_title("MODALITY")
        .called_ae_title("SAGITTAL")
        .with_presentation_context(header.sop_class.clone(), vec![uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned()])
        .establish(node)
        .unwrap();
    let context = association.presentation_contexts()[0].id;
    let say = |association: &mut ClientAssociation<TcpStream>, value_type, is_last, data: Vec<u8>| {
        let value = PDataValue { presentation_context_id: context, value_type, is_last, data };
        association.send(&Pdu::PData { data: vec![value] }).unwrap();
    };
    say(&mut association, PDataValueType::Command, true, modality::command(1, &header));
    let mut checksum = Hasher::new();
    checksum.update(&header.dataset);
    say(&mut association, PDataValueType::Data, false, header.dataset);
    let mut dice = fastrand::Rng::with_seed(9);
    let mut piece: Vec<u8> = std::iter::repeat_with(|| dice.u8(..)).take(PIECE).collect();
    for at in (0..length).step_by(PIECE) {
        piece[..8].copy_from_slice(&(at as u64).to_le_bytes());
        let now = &piece[..PIECE.min(length - at)];
        checksum.update(now);
        say(&mut association, PDataValueType::Data, at + PIECE >= length, now.to_vec());
    }
    assert_eq!(modality::status(&mut association), Some(0));
    association.release().unwrap();
    checksum.finalize()
}

#[test]
fn an_object_larger_than_memory_costs_no_more_of_it() {
    let megabytes = std::env::var("SAGITTAL_LARGE").map_or(200, |n| n.parse::<usize>().expect("a number of megabytes"));
    let site = receiving_site();
    let node = site.start();
    store(node.address, 4 * PIECE);
    let before = node.peak_memory();
    let length = megabytes * MEGABYTE;
    let checksum = store(node.address, length);
    let more = node.peak_memory() - before;
    assert!(more < MOST, "{more} bytes of memory for an object of {length}");
    let spool = Spool::attach(&site.spool());
    let records: Vec<_> = spool.records().unwrap().map(Result::unwrap).collect();
    let sums: Vec<u32> = records.iter().map(|record| sum(&spool, &record.location)).collect();
    assert!(sums.contains(&checksum), "{} objects, none with the bytes sent", sums.len());
}

/// The checksum of a data set in the spool.
fn sum(spool: &Spool, location: &Location) -> u32 {
    let head = Meta::read(&spool.read_head(location, 4096).unwrap()).unwrap().offset;
    let (mut reader, mut checksum, mut piece) = (spool.open_reader(location).unwrap(), Hasher::new(), vec![0; PIECE]);
    reader.read_exact(&mut piece[..head]).unwrap();
    loop {
        match reader.read(&mut piece).unwrap() {
            0 => return checksum.finalize(),
            count => checksum.update(&piece[..count]),
        }
    }
}
