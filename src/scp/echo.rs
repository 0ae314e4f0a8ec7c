//! Verification: C-ECHO (PS3.7 section 9.1.5, PS3.4 annex A). Answers success, always.

use crate::dicom::command::{Command, Response};
use crate::dicom::tables;

/// The C-ECHO-RSP to message `message_id`.
pub fn answer(message_id: u16) -> Command {
    Command::EchoRsp(Response { message_id, sop_class: tables::VERIFICATION.to_owned(), ..Response::default() })
}
