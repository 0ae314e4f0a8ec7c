//! Storage commitment as a modality sees it (PS3.4 annex J): asked for, reported here or there, sooner or later.

use std::net::SocketAddr;

use dicom_dictionary_std::tags;
use sagittal::dicom::command::{Command, Normalized, Response};
use sagittal::dicom::commitment::{Reference, Request};
use sagittal::dicom::{Dataset, Uid, uid_of};
use tokio::net::TcpListener;

use crate::support::inbox::{Receiver, options};
use crate::support::instance::{EXPLICIT, MR, mr};
use crate::support::modality::{self, Outgoing};
use crate::support::parrot::{self, ABORT, DATA, Parrot, RELEASE, RELEASE_ANSWER};
use crate::support::site::Site;

const CLASS: &str = "1.2.840.10008.1.20.1";
const INSTANCE: &str = "1.2.840.10008.1.20.1.1";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// A site without rules that match, so that nothing but receiving happens; `peer` is where PARROT listens.
fn site(peer: SocketAddr) -> Site {
    let site = Site::new("127.0.0.1:9".parse().unwrap());
    let node = std::fs::read_to_string(site.config().join("node.toml")).unwrap();
    let entry = format!("[peer.PARROT]\nhost = \"{}\"\nport = {}\n", peer.ip(), peer.port());
    site.write("node.toml", &format!("{node}\n{entry}"));
    site
}

async fn store(node: SocketAddr, instances: &'static [&'static str]) {
    let sent = tokio::task::spawn_blocking(move || {
        let objects: Vec<_> = instances.iter().map(|uid| Outgoing::of_part10(&mr(uid, EXPLICIT).bytes)).collect();
        modality::send(node, &objects)
    });
    assert_eq!(sent.await.unwrap().len(), instances.len());
}

/// An N-ACTION-RQ as message 7, with its data set.
fn ask(transaction: &str, references: &[(&str, &str)]) -> Vec<u8> {
    let uid = |text: &str| Uid::parse(text).unwrap();
    let reference = |(class, instance): &(&str, &str)| Reference { sop_class: uid(class), sop_instance: uid(instance) };
    let request = Request { transaction: uid(transaction), references: references.iter().map(reference).collect() };
    let dataset = request.encode("1.2.840.10008.1.2").unwrap();
    [parrot::command(1, &Command::ActionRq(action(INSTANCE, 1))), parrot::data(1, &dataset)].concat()
}

fn action(instance: &str, kind: u16) -> Normalized {
    Normalized { message_id: 7, sop_class: CLASS.into(), sop_instance: instance.into(), kind, has_data: true }
}

fn status(command: Command) -> u16 {
    let Command::ActionRsp(Response { message_id: 7, status, .. }) = command else { panic!("{command:?}") };
    status
}

/// What a report says: event type, transaction, instances held, instances failed with the reason.
type Said = (u16, String, Vec<String>, Vec<(String, u16)>);

/// Hears one report and answers it with `status`.
async fn hear_report(parrot: &mut Parrot, status: u16) -> Said {
    let (kind, command) = parrot.hear().await.expect("a report");
    assert_eq!(kind, DATA);
    let Command::EventRq(event) = Command::decode(&command[6..]).unwrap() else { panic!("no report") };
    assert_eq!((event.sop_class.as_str(), event.sop_instance.as_str()), (CLASS, INSTANCE));
    let (_, data) = parrot.hear().await.expect("the report's data set");
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    let dataset = Dataset::read_dataset_with_ts(&data[6..], &syntax).unwrap();
    let items = |tag| dataset.get(tag).and_then(|e| e.items()).unwrap_or_default().to_vec();
    let instance = |item: &Dataset| uid_of(item, tags::REFERENCED_SOP_INSTANCE_UID).unwrap().to_string();
    let reason = |item: &Dataset| item.element(tags::FAILURE_REASON).unwrap().to_int::<u16>().unwrap();
    let held = items(tags::REFERENCED_SOP_SEQUENCE).iter().map(instance).collect();
    let failed = items(tags::FAILED_SOP_SEQUENCE).iter().map(|item| (instance(item), reason(item))).collect();
    let (message_id, sop_class) = (event.message_id, event.sop_class);
    let answer = Command::EventRsp(Response { message_id, sop_class, status, ..Response::default() });
    parrot.say(&parrot::command(command[4], &answer)).await;
    (event.kind, uid_of(&dataset, tags::TRANSACTION_UID).unwrap().to_string(), held, failed)
}

/// J.3.2.1.3: the N-EVENT-REPORT may come "on the same Association".
#[tokio::test]
async fn an_association_that_stays_open_gets_its_reports() {
    let site = site("127.0.0.1:9".parse().unwrap());
    let node = site.start();
    store(node.address, &["1.2.3.1", "1.2.3.2"]).await;
    let mut parrot = Parrot::associated(node.address, &[(1, CLASS)]).await;
    assert_eq!(status(parrot.command(&ask("2.25.1", &[(MR, "1.2.3.1"), (MR, "1.2.3.2")])).await), 0);
    let both = vec!["1.2.3.1".to_owned(), "1.2.3.2".to_owned()];
    assert_eq!(hear_report(&mut parrot, 0).await, (1, "2.25.1".into(), both, vec![]));
    let mixed = [(MR, "1.2.3.1"), (CT, "1.2.3.2"), (MR, "1.2.3.3")];
    assert_eq!(status(parrot.command(&ask("2.25.2", &mixed)).await), 0);
    let failed = vec![("1.2.3.2".to_owned(), 0x0119), ("1.2.3.3".to_owned(), 0x0112)];
    assert_eq!(hear_report(&mut parrot, 0).await, (2, "2.25.2".into(), vec!["1.2.3.1".into()], failed));
    assert_eq!(status(parrot.command(&ask("2.25.2", &[(MR, "1.2.3.1")])).await), 0);
    let failed = vec![("1.2.3.1".to_owned(), 0x0131)];
    assert_eq!(hear_report(&mut parrot, 0).await, (2, "2.25.2".into(), vec![], failed));
    let (kind, _) = parrot.ask(RELEASE).await.unwrap();
    assert_eq!(kind, RELEASE_ANSWER);
    assert!(site.ledger().commitments_due(&[], 9).unwrap().is_empty());
    assert!(node.stop().success());
}

/// J.3.2.1.3: "or on a different Association"; and a request that was answered outlives the node.
#[tokio::test]
async fn a_peer_that_left_is_called_until_it_took_the_report_even_after_a_kill() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = site(listener.local_addr().unwrap());
    let node = site.start();
    store(node.address, &["1.2.3.1"]).await;
    let mut parrot = Parrot::associated(node.address, &[(1, CLASS)]).await;
    assert_eq!(status(parrot.command(&ask("2.25.9", &[(MR, "1.2.3.1")])).await), 0);
    assert_eq!(parrot.ask(RELEASE).await.unwrap().0, RELEASE_ANSWER);
    drop(Parrot::accept(&listener).await);
    node.kill();
    let listed = site.command(&["commitments", "list", "--waiting", "--json"]).output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&rows[0]["transaction"], &rows[0]["calling_ae"]), (&"2.25.9".into(), &"PARROT".into()), "{rows}");
    assert!(site.command(&["commitments", "retry", &rows[0]["id"].to_string()]).status().unwrap().success());
    assert!(!site.command(&["commitments", "retry", "999"]).status().unwrap().success(), "there is no such request");
    let node = site.start();
    let mut refusing = called(&listener).await;
    assert_eq!(hear_report(&mut refusing, 0x0110).await.1, "2.25.9");
    drop(refusing);
    let mut taking = called(&listener).await;
    assert_eq!(hear_report(&mut taking, 0).await, (1, "2.25.9".into(), vec!["1.2.3.1".into()], vec![]));
    assert_eq!(taking.hear().await, Some((0x05, vec![0; 4])), "a release");
    taking.say(&parrot::pdu(RELEASE_ANSWER, &[0; 4])).await;
    assert!(node.stop().success());
    assert!(site.ledger().commitments_due(&[], 9).unwrap().is_empty());
}

/// Accepts the node's association and its role as SCP (PS3.7 section D.3.3.4).
async fn called(listener: &TcpListener) -> Parrot {
    let mut parrot = Parrot::accept(listener).await;
    let (kind, body) = parrot.hear().await.expect("an association request");
    assert_eq!((kind, &body[4..20], &body[20..36]), (0x01, &b"PARROT          "[..], &b"SAGITTAL        "[..]));
    let role = [&[0x54, 0, 0, 24, 0, 20][..], CLASS.as_bytes(), &[0, 1]].concat();
    assert!(body.windows(role.len()).any(|window| window == role), "SCU role 0, SCP role 1: {body:02x?}");
    parrot.say(&parrot::accept(&body, 1, &role)).await;
    parrot
}

/// PS3.7 annex C: what is wrong with a request is said by its status.
#[tokio::test]
async fn a_request_that_cannot_be_kept_is_refused() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, CLASS), (3, MR)]).await;
    let mut check = async |context: u8, action: Normalized, dataset: &[u8], expected: u16| {
        let bytes = [parrot::command(context, &Command::ActionRq(action)), parrot::data(context, dataset)].concat();
        assert_eq!(status(parrot.command(&bytes).await), expected);
    };
    check(3, action(INSTANCE, 1), b"", 0x0118).await;
    check(1, action("1.2.3", 1), b"", 0x0112).await;
    check(1, action(INSTANCE, 2), b"", 0x0123).await;
    check(1, action(INSTANCE, 1), b"no data set", 0x0115).await;
    receiver.stop().await;
}

#[tokio::test]
async fn a_report_nobody_asked_about_is_no_answer() {
    let receiver = Receiver::start(options()).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, CLASS)]).await;
    let answer = Command::EventRsp(Response { message_id: 1, sop_class: CLASS.into(), ..Response::default() });
    let (kind, _) = parrot.ask(&parrot::command(1, &answer)).await.unwrap();
    assert_eq!(kind, ABORT);
    receiver.stop().await;
}
