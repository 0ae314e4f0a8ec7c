//! PS3.8, the upper layer: associations, aborts, time limits.

use std::time::Duration;

use crate::support::inbox::{Receiver, SLOW, options};
use crate::support::instance::MR;
use crate::support::parrot::{self, ABORT, ACCEPT, Parrot, REJECT, RELEASE, RELEASE_ANSWER};
use sagittal::dicom::command::Command;
use sagittal::scp::ScpOptions;

const VERIFICATION: &str = "1.2.840.10008.1.1";
/// A-ABORT by the service provider: invalid PDU parameter value.
const INVALID_PARAMETER: [u8; 4] = [0, 0, 2, 6];
const UNEXPECTED_PDU: [u8; 4] = [0, 0, 2, 2];
const UNRECOGNIZED_PDU: [u8; 4] = [0, 0, 2, 1];

/// Table 9-18, result 3: "abstract-syntax-not-supported (provider rejection)". It is said of a context; the
/// association itself stands.
#[tokio::test]
async fn an_unknown_sop_class_is_refused_and_the_association_accepted() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::connect(receiver.address).await;
    let (kind, body) = parrot.ask(&parrot::associate("SAGITTAL", &[(1, "1.2.3.4"), (3, MR)])).await.unwrap();
    assert_eq!(kind, ACCEPT);
    // Presentation Context Item (9.3.3.2): 21H, reserved, length, ID, reserved, result.
    let result = |id: u8| {
        let at = body.windows(6).position(|w| w[0] == 0x21 && w[1] == 0 && w[4] == id).expect("an item");
        body[at + 6]
    };
    assert_eq!((result(1), result(3)), (3, 0));
    let (kind, _) = parrot.ask(RELEASE).await.unwrap();
    assert_eq!(kind, RELEASE_ANSWER);
    assert!(receiver.stop().await.is_empty());
}

/// 9.3.4: result, source and reason of A-ASSOCIATE-RJ.
#[tokio::test]
async fn a_wrong_called_title_is_rejected_for_good_and_a_crowd_for_now() {
    let receiver = Receiver::start(ScpOptions { max_associations: 1, ..options() }).await;
    let rejection = Parrot::connect(receiver.address).await.ask(&parrot::associate("OTHER", &[(1, MR)])).await;
    assert_eq!(rejection, Some((REJECT, vec![0, 1, 1, 7])));
    let _first = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let rejection = Parrot::connect(receiver.address).await.ask(&parrot::associate("SAGITTAL", &[(1, MR)])).await;
    assert_eq!(rejection, Some((REJECT, vec![0, 2, 3, 2])));
    receiver.stop().await;
}

/// 9.3.4: the same temporary rejection for a peer that has all the places of one peer, until one is free.
#[tokio::test]
async fn a_peer_with_all_its_places_taken_is_rejected_for_now() {
    let receiver = Receiver::start(ScpOptions { max_associations_per_peer: 1, ..options() }).await;
    let mut first = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let rejection = Parrot::connect(receiver.address).await.ask(&parrot::associate("SAGITTAL", &[(1, MR)])).await;
    assert_eq!(rejection, Some((REJECT, vec![0, 2, 3, 2])));
    assert_eq!(first.ask(RELEASE).await.map(|(kind, _)| kind), Some(RELEASE_ANSWER));
    Parrot::associated(receiver.address, &[(1, MR)]).await;
    receiver.stop().await;
}

/// Annex E.1: "The same presentation context shall be used for every fragment of the same message"; annex D.1: a
/// PDU over the maximum length "shall be a protocol error".
#[tokio::test]
async fn what_breaks_the_protocol_is_aborted() {
    let receiver = Receiver::start(options()).await;
    let echo = parrot::command(9, &Command::EchoRq { message_id: 1 });
    let check = async |bytes: Vec<u8>, expected: [u8; 4]| {
        let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
        assert_eq!(parrot.ask(&bytes).await, Some((ABORT, expected.to_vec())), "{bytes:02x?}");
        assert_eq!(parrot.hear().await, None);
    };
    check(parrot::data(1, b"no command came before"), INVALID_PARAMETER).await;
    check(echo, INVALID_PARAMETER).await;
    check(parrot::value(1, 3, &[0; 5]), INVALID_PARAMETER).await;
    check(vec![parrot::DATA, 0, 0xff, 0xff, 0xff, 0xff], INVALID_PARAMETER).await;
    check(parrot::associate("SAGITTAL", &[(1, MR)]), UNEXPECTED_PDU).await;
    check(parrot::pdu(0x2a, &[0; 4]), UNRECOGNIZED_PDU).await;
    assert!(receiver.stop().await.is_empty());
}

/// 9.2: before the association there is nothing but A-ASSOCIATE-RQ.
#[tokio::test]
async fn what_comes_instead_of_a_request_is_aborted() {
    let receiver = Receiver::start(options()).await;
    let answer = Parrot::connect(receiver.address).await.ask(&parrot::data(1, b"x")).await;
    assert_eq!(answer, Some((ABORT, UNEXPECTED_PDU.to_vec())));
    let answer = Parrot::connect(receiver.address).await.ask(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(matches!(answer, Some((ABORT, _))), "{answer:?}");
    receiver.stop().await;
}

/// 9.1.4: the ARTIM timer bounds the wait for the A-ASSOCIATE-RQ; ours bounds every further PDU, too.
#[tokio::test]
async fn a_silent_peer_is_not_waited_for() {
    let short = Duration::from_millis(30);
    let receiver = Receiver::start(ScpOptions { artim_timeout: short, ..options() }).await;
    assert!(matches!(Parrot::connect(receiver.address).await.hear().await, Some((ABORT, _))));
    receiver.stop().await;
    let receiver = Receiver::start(ScpOptions { idle_timeout: short, ..options() }).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    assert!(matches!(parrot.hear().await, Some((ABORT, _))));
    receiver.stop().await;
}

/// 7.3: an abort ends the association; 9.2 (Sta6, AR-5): so does a lost connection. Whole objects stay.
#[tokio::test]
async fn a_truncated_association_loses_nothing_that_was_acknowledged() {
    let receiver = Receiver::start(options()).await;
    let whole = parrot::store_request(1, MR, "1.2.3.1");
    let cut = parrot::command(1, &Command::StoreRq(parrot::store_request(2, MR, "1.2.3.2")));
    for end in [parrot::value(1, 0, b"half a data set"), parrot::data(1, b"half a PDU")[..9].to_vec()] {
        let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
        assert_eq!(parrot.store(1, &whole, b"data").await, 0);
        parrot.say(&[&cut[..], &end].concat()).await;
    }
    let inbox = std::sync::Arc::clone(&receiver.inbox);
    let stored = receiver.stop().await;
    let instances: Vec<_> = stored.iter().map(|request| request.sop_instance.as_str()).collect();
    assert_eq!(instances, ["1.2.3.1", "1.2.3.1"]);
    assert_eq!(inbox.released.lock().unwrap().len(), 2);
}

/// 7.3.1: A-ABORT when the node stops; the message in work is answered first.
#[tokio::test]
async fn stopping_answers_the_message_in_work_then_aborts() {
    let receiver = Receiver::start(options()).await;
    let mut idle = Parrot::associated(receiver.address, &[(1, VERIFICATION)]).await;
    let mut busy = Parrot::associated(receiver.address, &[(1, MR)]).await;
    let inbox = std::sync::Arc::clone(&receiver.inbox);
    let request = parrot::store_request(7, MR, SLOW);
    let storing = tokio::spawn(async move {
        let status = busy.store(1, &request, b"data").await;
        (status, busy.hear().await)
    });
    inbox.arrived.notified().await;
    receiver.shutdown.cancel();
    assert_eq!(idle.hear().await, Some((ABORT, vec![0, 0, 2, 0])));
    inbox.go.notify_one();
    assert_eq!(storing.await.unwrap(), (0, Some((ABORT, vec![0, 0, 2, 0]))));
    assert_eq!(receiver.stop().await.len(), 1);
}
