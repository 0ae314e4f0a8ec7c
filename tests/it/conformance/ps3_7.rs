//! PS3.7, messages: command sets, responses, fragments.

use crate::support::inbox::{Receiver, options};
use crate::support::instance::MR;
use crate::support::parrot::{self, Parrot};
use sagittal::dicom::command::{Command, Other, Response};

const VERIFICATION: &str = "1.2.840.10008.1.1";

/// 9.3.5.2: "Message ID Being Responded To: Shall be set to the value of the Message ID (0000,0110) field used
/// in associated C-ECHO-RQ Message."
#[tokio::test]
async fn an_echo_answers_its_own_message() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, VERIFICATION), (3, MR)]).await;
    for message_id in [513, 2] {
        let expected = Response { message_id, sop_class: VERIFICATION.into(), ..Response::default() };
        let answer = parrot.command(&parrot::command(1, &Command::EchoRq { message_id })).await;
        assert_eq!(answer, Command::EchoRsp(expected));
        parrot.store(3, &parrot::store_request(9, MR, "1.2.3"), b"data").await;
    }
    receiver.stop().await;
}

/// PS3.8 annex E.1: "A DICOM Message is fragmented in Command Fragments and Data Fragments, each placed in a PDV."
#[tokio::test]
async fn a_message_may_come_in_single_bytes() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let command = Command::StoreRq(parrot::store_request(1, MR, "1.2.3")).encode();
    let (last, first) = command.split_last().unwrap();
    for byte in first {
        parrot.say(&parrot::value(1, 1, &[*byte])).await;
    }
    parrot.say(&parrot::value(1, 3, &[*last])).await;
    let data = [parrot::value(1, 0, b"da"), parrot::value(1, 0, b""), parrot::data(1, b"ta")].concat();
    for byte in &data[..data.len() - 1] {
        parrot.say(&[*byte]).await;
    }
    let Command::StoreRsp(response) = parrot.command(&data[data.len() - 1..]).await else { panic!("no C-STORE-RSP") };
    assert_eq!((response.status, response.message_id), (0, 1));
    assert_eq!(receiver.stop().await[0].dataset, b"data");
}

/// C.5.23: an operation that is not recognized is answered with status 0211H.
#[tokio::test]
async fn another_service_is_answered_not_aborted() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let find = Command::FindRq { message_id: 4, sop_class: MR.into() };
    let answer = parrot.command(&[parrot::command(1, &find), parrot::data(1, b"keys")].concat()).await;
    let expected = Response { message_id: 4, sop_class: MR.into(), status: 0x0211, ..Response::default() };
    assert_eq!(answer, Command::FindRsp(expected));
    // N-CREATE-RQ
    let action = Command::Other(Other { field: 0x0140, message_id: 5, sop_class: MR.into(), has_data: false });
    let expected = Other { field: 0x8140, message_id: 5, sop_class: MR.into(), has_data: false };
    assert_eq!(parrot.command(&parrot::command(1, &action)).await, Command::Other(expected));
    receiver.stop().await;
}
