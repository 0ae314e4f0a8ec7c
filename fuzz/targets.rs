//! What is done with a stranger's bytes, one function a fuzz target: each must return, whatever it is given.

use dicom_ul::pdu::read_pdu;
use sagittal::dicom::command::Command;
use sagittal::dicom::commitment::{Report, Request};
use sagittal::dicom::message::{Assembler, values};
use sagittal::dicom::{part10, tables};

const MAX_PDU: u32 = 1 << 20;
const MAX_OBJECT: u64 = 1 << 20;

/// PDUs one after the other; the values of P-DATA-TF are put together to messages.
pub fn pdu_stream(mut bytes: &[u8]) {
    let mut assembler = Assembler::new(MAX_OBJECT);
    while let Some((header, rest)) = bytes.split_first_chunk::<6>() {
        let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize;
        let Some((body, after)) = rest.split_at_checked(length) else { return };
        if header[0] == 4 {
            let pushed = values(body).try_for_each(|value| assembler.push(value?).map(drop));
            if pushed.is_err() {
                return;
            }
        } else if read_pdu(&bytes[..6 + length], MAX_PDU, true).is_err() {
            return;
        }
        bytes = after;
    }
}

/// A command set that can be read is written so that it reads the same again.
pub fn command_set(bytes: &[u8]) {
    let Ok(command) = Command::decode(bytes) else { return };
    let again = Command::decode(&command.encode());
    let kind = std::mem::discriminant::<Command>;
    assert_eq!(again.as_ref().map(kind), Ok(kind(&command)), "{command:?} was written as {again:?}");
}

/// The header of an object and the whole of it, and the data sets of storage commitment.
pub fn data_set_header(bytes: &[u8]) {
    let _ = part10::parse_header(bytes);
    let _ = part10::parse(bytes);
    let _ = Request::decode(bytes, tables::IMPLICIT_LITTLE);
    let _ = Report::decode(bytes, tables::IMPLICIT_LITTLE);
}
