//! PS3.7 annex D, user information of associations: what a peer asks for is answered, or ignored politely.

use crate::support::inbox::{Receiver, options};
use crate::support::instance::MR;
use crate::support::parrot::{self, ACCEPT, Parrot, REJECT, RELEASE, RELEASE_ANSWER};
use crate::support::site::Site;
use sagittal::config::{AeProfile, Config};
use sagittal::dicom::Uid;
use sagittal::dicom::command::{Command, Response};
use sagittal::scp::ScpOptions;

const VERIFICATION: &str = "1.2.840.10008.1.1";

/// The sub-items of one type in the user information of our A-ASSOCIATE-AC.
fn answered(body: &[u8], kind: u8) -> Vec<Vec<u8>> {
    // 9.3.3: 68 bytes, then items of type, reserved, length, value; 50H holds the sub-items.
    let items = |bytes: &[u8]| {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some(([kind, _, high, low], tail)) = rest.split_first_chunk::<4>() {
            let (value, after) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            found.push((*kind, value.to_vec()));
            rest = after;
        }
        found
    };
    let user = items(&body[68..]).into_iter().find(|(kind, _)| *kind == 0x50).expect("user information").1;
    items(&user).into_iter().filter(|(found, _)| *found == kind).map(|(_, value)| value).collect()
}

/// Proposes `contexts` with these sub-items, hears the acceptance, and shows that the association works.
async fn accepted(options: ScpOptions, contexts: &[(u8, &str)], items: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let receiver = Receiver::start(options).await;
    let mut parrot = Parrot::connect(receiver.address).await;
    let (kind, body) = parrot.ask(&parrot::associate_with("SAGITTAL", contexts, items)).await.unwrap();
    assert_eq!(kind, ACCEPT);
    assert_eq!(parrot.ask(RELEASE).await.map(|(kind, _)| kind), Some(RELEASE_ANSWER));
    receiver.stop().await;
    body
}

fn role(class: &str, scu: u8, scp: u8) -> (u8, Vec<u8>) {
    (0x54, [&(class.len() as u16).to_be_bytes()[..], class.as_bytes(), &[scu, scp]].concat())
}

/// Result of the context with `id` (PS3.8 section 9.3.3.2).
fn result(body: &[u8], id: u8) -> u8 {
    let at = body.windows(6).position(|w| w[0] == 0x21 && w[1] == 0 && w[4] == id).expect("an item");
    body[at + 6]
}

/// D.3.3.3: the acceptor may "reduce" the operations window: one operation invoked, one performed.
#[tokio::test]
async fn the_operations_window_is_answered_with_one_and_one() {
    let body = accepted(options(), &[(1, MR)], &[(0x53, vec![0, 0, 0, 16])]).await;
    assert_eq!(answered(&body, 0x53), [[0, 1, 0, 1]]);
    let body = accepted(options(), &[(1, MR)], &[]).await;
    assert!(answered(&body, 0x53).is_empty(), "not asked for");
}

/// D.3.3.4: a proposed role is accepted (1) or not (0); we are provider only. A context whose requestor would be
/// provider only is of no use: result 1, user rejection.
#[tokio::test]
async fn roles_are_answered_for_the_classes_we_serve() {
    let items = [role(MR, 1, 1), role(VERIFICATION, 0, 1), role("1.2.3.4", 1, 1)];
    let body = accepted(options(), &[(1, MR), (3, VERIFICATION), (5, "1.2.3.4")], &items).await;
    assert_eq!(answered(&body, 0x54), [role(MR, 1, 0).1, role(VERIFICATION, 0, 0).1]);
    assert_eq!([1, 3, 5].map(|id| result(&body, id)), [0, 1, 3]);
}

/// D.3.3.5 and D.3.3.6: an acceptor that does not support the extended negotiation "shall not" answer it.
#[tokio::test]
async fn extended_negotiation_is_ignored() {
    let of_class = [&(MR.len() as u16).to_be_bytes()[..], MR.as_bytes(), &[2, 0, 3, 0, 1, 0]].concat();
    let body = accepted(options(), &[(1, MR)], &[(0x56, of_class.clone()), (0x57, of_class), (0x6f, vec![1])]).await;
    assert!([0x56, 0x57, 0x6f].iter().all(|kind| answered(&body, *kind).is_empty()));
    assert_eq!(result(&body, 1), 0);
}

/// D.3.3.7: a user identity is accepted; the response is made when one is requested, for a name with or without
/// a passcode with no bytes.
#[tokio::test]
async fn a_user_identity_is_accepted_and_confirmed_on_request() {
    let identity = |kind: u8, response: u8| (0x58, [&[kind, response, 0, 3][..], b"amy", &[0, 0]].concat());
    for (item, expected) in [
        (identity(1, 1), vec![vec![0, 0]]),
        (identity(2, 1), vec![vec![0, 0]]),
        (identity(1, 0), vec![]),
        (identity(3, 1), vec![]),
        (identity(9, 1), vec![]),
    ] {
        let body = accepted(options(), &[(1, MR)], std::slice::from_ref(&item)).await;
        assert_eq!(answered(&body, 0x59), expected, "{item:?}");
    }
}

/// D.3.3.7: where users are named, an identity is verified before the association is accepted.
#[tokio::test]
async fn a_user_identity_is_verified_where_users_are_named() {
    let site = Site::new(([127, 0, 0, 1], 1).into());
    std::fs::write(site.config().join("passcode"), "open sesame\n").unwrap();
    site.write("node.toml", "[receive.users]\namy = { password_file = \"passcode\" }\nbob = {}\n");
    let receiver = Receiver::start(Config::load(&site.config()).unwrap().node.reception).await;
    let identity = |kind: u8, name: &str, passcode: &str| {
        let field = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
        vec![(0x58, [&[kind, 0][..], &field(name), &field(passcode)].concat())]
    };
    let check = async |items: Vec<(u8, Vec<u8>)>, is_known: bool| {
        let request = parrot::associate_with("SAGITTAL", &[(1, MR)], &items);
        let (kind, body) = Parrot::connect(receiver.address).await.ask(&request).await.unwrap();
        assert_eq!(kind, if is_known { ACCEPT } else { REJECT }, "{items:?}");
        // 9.3.4: rejected for good by the service user, no reason given.
        assert!(is_known || body == [0, 1, 1, 1], "{body:?}");
    };
    check(identity(2, "amy", "open sesame"), true).await;
    check(identity(1, "bob", ""), true).await;
    check(identity(2, "amy", "open"), false).await;
    check(identity(1, "amy", ""), false).await;
    check(identity(1, "eve", ""), false).await;
    check(identity(3, "bob", ""), false).await;
    check(vec![], false).await;
    receiver.stop().await;
}

/// D.3.3.1 and PS3.8 D.1.1: the length a peer announces is the largest P-DATA-TF "that the sender of the A-ASSOCIATE
/// is willing to receive": our command sets are fragmented to fit.
#[tokio::test]
async fn no_pdu_is_larger_than_the_peer_takes() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::connect(receiver.address).await;
    let small = parrot::associate_limited("SAGITTAL", &[(1, VERIFICATION)], 32);
    assert_eq!(parrot.ask(&small).await.map(|(kind, _)| kind), Some(ACCEPT));
    parrot.say(&parrot::command(1, &Command::EchoRq { message_id: 3 })).await;
    let mut bytes = Vec::new();
    loop {
        let (kind, body) = parrot.hear().await.unwrap();
        assert!(kind == parrot::DATA && body.len() <= 32, "{} bytes", body.len());
        bytes.extend_from_slice(&body[6..]);
        if body[5] == 3 {
            break;
        }
        assert_eq!(body[5], 1);
    }
    let expected = Response { message_id: 3, sop_class: VERIFICATION.into(), ..Response::default() };
    assert_eq!(Command::decode(&bytes).unwrap(), Command::EchoRsp(expected));
    receiver.stop().await;
}

/// PS3.4 B.3: a private SOP class is stored where the node is told to take it.
#[tokio::test]
async fn a_private_class_is_stored_where_it_is_configured() {
    let private = "1.3.12.2.1107.5.9.1";
    let profile = AeProfile { private_classes: [Uid::parse(private).unwrap()].into(), ..AeProfile::default() };
    let receiver = Receiver::start(ScpOptions { profile, ..options() }).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, private)]).await;
    assert_eq!(parrot.store(1, &parrot::store_request(1, private, "1.2.3"), b"data").await, 0);
    assert_eq!(receiver.stop().await.len(), 1);
    let body = accepted(options(), &[(1, private)], &[]).await;
    assert_eq!(result(&body, 1), 3);
}
