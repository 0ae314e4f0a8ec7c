//! One association against the rules: slow, cut, too large, in the wrong order.

use std::sync::Arc;
use std::time::Duration;

use crate::support::inbox::{Receiver, options};
use crate::support::instance::MR;
use crate::support::parrot::{self, ABORT, Parrot, RELEASE, RELEASE_ANSWER};
use crate::support::soon;
use sagittal::delivery::scu::{self, Peer};
use sagittal::dicom::AeTitle;
use sagittal::dicom::command::{Command, Response};
use sagittal::scp::ScpOptions;
use tokio::net::TcpListener;

const VERIFICATION: &str = "1.2.840.10008.1.1";
const INVALID_PARAMETER: [u8; 4] = [0, 0, 2, 6];

fn store(instance: &str) -> Vec<u8> {
    parrot::command(1, &Command::StoreRq(parrot::store_request(1, MR, instance)))
}

/// After whatever happened, somebody else is served.
async fn still_serves(receiver: &Receiver) {
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    assert_eq!(parrot.store(1, &parrot::store_request(1, MR, "1.2.3.99"), b"data").await, 0);
    assert_eq!(parrot.ask(RELEASE).await.map(|(kind, _)| kind), Some(RELEASE_ANSWER));
}

/// A byte now and then does not keep a PDU alive: the time is that of the whole PDU.
#[tokio::test]
async fn a_peer_that_drips_is_cut_off() {
    let receiver = Receiver::start(ScpOptions { idle_timeout: Duration::from_secs(2), ..options() }).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let bytes = [store("1.2.3"), parrot::data(1, &[0; 10_000])].concat();
    assert!(matches!(parrot.drip(&bytes).await, Some((ABORT, _))));
    still_serves(&receiver).await;
    assert_eq!(receiver.stop().await.len(), 1);
}

#[tokio::test]
async fn a_half_closed_connection_is_over() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    parrot.say(&store("1.2.3")).await;
    parrot.end().await;
    assert_eq!(parrot.hear().await, None);
    still_serves(&receiver).await;
    assert_eq!(receiver.inbox.released.lock().unwrap().len(), 2);
    assert_eq!(receiver.stop().await.len(), 1);
}

#[tokio::test]
async fn an_abort_in_the_middle_of_an_object_leaves_nothing_of_it() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    parrot.say(&[store("1.2.3"), parrot::value(1, 0, b"half"), parrot::pdu(ABORT, &[0; 4])].concat()).await;
    assert_eq!(parrot.hear().await, None);
    still_serves(&receiver).await;
    let stored = receiver.stop().await;
    assert_eq!(stored.iter().map(|request| request.sop_instance.as_str()).collect::<Vec<_>>(), ["1.2.3.99"]);
}

/// A peer may say everything at once; its release is answered after its objects are.
#[tokio::test]
async fn a_release_behind_objects_waits_for_their_answers() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let objects = [store("1.2.3.1"), parrot::data(1, b"a"), store("1.2.3.2"), parrot::data(1, b"b")].concat();
    let Command::StoreRsp(first) = parrot.command(&[&objects, RELEASE].concat()).await else { panic!() };
    let Command::StoreRsp(second) = parrot.command(&[]).await else { panic!() };
    assert_eq!((first.status, second.status), (0, 0));
    assert_eq!(parrot.hear().await.map(|(kind, _)| kind), Some(RELEASE_ANSWER));
    assert_eq!(receiver.stop().await.len(), 2);
}

/// PS3.8 section 7.2.2.5: when both sides ask for release, the requestor of the association answers first and then
/// waits for its own answer.
#[tokio::test]
async fn a_release_collision_ends_in_peace() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let title = |text| AeTitle::parse(text).unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = Peer { host: "127.0.0.1".into(), port, called: title("PARROT"), calling: title("SAGITTAL"), tls: None };
    let echo = tokio::spawn(async move { scu::echo(&peer, Duration::from_mins(2)).await });
    let mut parrot = Parrot::accept(&listener).await;
    let (_, request) = parrot.hear().await.unwrap();
    let (kind, body) = parrot.ask(&parrot::accept(&request, 1, &[])).await.unwrap();
    let Ok(Command::EchoRq { message_id }) = Command::decode(&body[6..]) else { panic!("{kind}: {body:?}") };
    let response = Response { message_id, sop_class: VERIFICATION.into(), ..Response::default() };
    let asked = parrot.ask(&parrot::command(1, &Command::EchoRsp(response))).await;
    assert_eq!(asked, Some((RELEASE[0], vec![0; 4])));
    assert_eq!(parrot.ask(RELEASE).await, Some((RELEASE_ANSWER, vec![0; 4])));
    assert_eq!(parrot.ask(&parrot::pdu(RELEASE_ANSWER, &[0; 4])).await, None);
    soon(echo).await.unwrap().unwrap();
}

/// Annex D.1: the length announced is the largest taken; six bytes more are forgiven to those who count the header in.
#[tokio::test]
async fn a_pdu_larger_than_announced_is_aborted() {
    let receiver = Receiver::start(ScpOptions { max_pdu: 4096, ..options() }).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    assert_eq!(parrot.store(1, &parrot::store_request(1, MR, "1.2.3.1"), &[0; 4096 - 6]).await, 0);
    let large = [store("1.2.3.2"), parrot::data(1, &[0; 4096 + 1])].concat();
    assert_eq!(parrot.ask(&large).await, Some((ABORT, INVALID_PARAMETER.to_vec())));
    still_serves(&receiver).await;
    assert_eq!(receiver.stop().await.len(), 2);
}

#[tokio::test]
async fn data_values_in_a_wrong_context_or_of_a_wrong_length_are_aborted() {
    let receiver = Receiver::start(options()).await;
    let check = async |what: &str, bytes: &[u8]| {
        let mut parrot = Parrot::associated(receiver.address, &[(1, MR), (3, VERIFICATION), (5, "1.2.3.4")]).await;
        assert_eq!(parrot.ask(bytes).await, Some((ABORT, INVALID_PARAMETER.to_vec())), "{what}");
    };
    let echo = Command::EchoRq { message_id: 1 };
    check("never proposed", &parrot::command(7, &echo)).await;
    check("refused", &parrot::command(5, &echo)).await;
    check("another one in the middle", &[store("1.2.3"), parrot::data(3, b"data")].concat()).await;
    check("data set without command", &parrot::data(1, b"data")).await;
    check("a command inside a data set", &[store("1.2.3"), parrot::value(1, 0, b"da"), store("1.2.3.4")].concat())
        .await;
    check("longer than its PDU", &parrot::pdu(parrot::DATA, &[0, 0, 0, 9, 1, 3, 0])).await;
    check("no room for its header", &parrot::pdu(parrot::DATA, &[0, 0, 0, 1, 1])).await;
    let part = vec![0; 60_000];
    check("a command over the limit", &[parrot::value(1, 1, &part), parrot::value(1, 1, &part)].concat()).await;
    still_serves(&receiver).await;
    assert_eq!(receiver.stop().await.len(), 1);
}

/// PS3.7 section 6.3.1: every element has its own length; a group length that contradicts them is passed over, an
/// element that runs out of its command set is not.
#[tokio::test]
async fn a_wrong_group_length_changes_nothing_and_a_wrong_element_length_is_aborted() {
    let receiver = Receiver::start(options()).await;
    let set = Command::EchoRq { message_id: 7 }.encode();
    let mut parrot = Parrot::associated(receiver.address, &[(1, VERIFICATION)]).await;
    for length in [0_u32, 1, u32::MAX] {
        let wrong = [&set[..8], &length.to_le_bytes(), &set[12..]].concat();
        let Command::EchoRsp(response) = parrot.command(&parrot::value(1, 3, &wrong)).await else { panic!() };
        assert_eq!((response.message_id, response.status), (7, 0));
    }
    let absent = parrot::value(1, 3, &set[12..]);
    assert!(matches!(parrot.command(&absent).await, Command::EchoRsp(_)));
    let cut = parrot::value(1, 3, &set[..set.len() - 1]);
    assert_eq!(parrot.ask(&cut).await, Some((ABORT, INVALID_PARAMETER.to_vec())));
    receiver.stop().await;
}

/// The rest of an object over the limit is read and dropped: its sender gets A700, not a hang.
#[tokio::test]
async fn a_data_set_over_the_limit_is_answered_and_the_association_goes_on() {
    let receiver = Receiver::start(ScpOptions { max_object: 100_000, ..options() }).await;
    let inbox = Arc::clone(&receiver.inbox);
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let part = vec![0; 60_000];
    let data = [parrot::value(1, 0, &part), parrot::value(1, 0, &part), parrot::data(1, &part)].concat();
    let answer = parrot.command(&[store("1.2.3"), data].concat()).await;
    let Command::StoreRsp(Response { status: 0xa700, comment: Some(comment), .. }) = answer else {
        panic!("{answer:?}")
    };
    assert!(comment.contains("180000 bytes"), "{comment}");
    assert_eq!(parrot.store(1, &parrot::store_request(2, MR, "1.2.3.1"), &part).await, 0);
    drop(parrot);
    still_serves(&receiver).await;
    receiver.stop().await;
    assert_eq!(inbox.released.lock().unwrap().len(), 2);
}
