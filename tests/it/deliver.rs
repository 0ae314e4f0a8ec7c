//! Delivery by C-STORE to DCMTK, to ourselves and to nobody.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::balky::{Balky, Reaction, objects};
use crate::support::inbox::{FULL, Receiver, options};
use crate::support::instance::{EXPLICIT, IMPLICIT, mr};
use crate::support::{dcmtk, soon};
use sagittal::config::{Confirm, Destination, DestinationKind};
use sagittal::delivery::scu::{self, Peer};
use sagittal::delivery::{Attempt, Consignment, Delivery, DeliveryError, Object, Outcome};
use sagittal::dicom::{AeTitle, Answer};
use tokio::net::TcpListener;

fn destination(port: u16, called: &str, confirm: Confirm) -> Destination {
    let title = |text| AeTitle::parse(text).unwrap();
    let kind = DestinationKind::Dicom {
        host: "127.0.0.1".into(),
        port,
        called: title(called),
        calling: title("SAGITTAL"),
        confirm,
        tls: None,
        keep: Duration::ZERO,
    };
    Destination {
        name: "pacs".into(),
        kind,
        max_attempts: None,
        timeout: Duration::from_mins(2),
        backoff_cap: Duration::from_mins(1),
        concurrency: 1,
    }
}

async fn deliver(destination: &Destination, objects: &[Object]) -> Result<Outcome, DeliveryError> {
    soon(Delivery::new().unwrap().deliver(destination, Consignment::new(objects))).await.outcome
}

/// DCMTK's storescp on a connection that we accept for it, as inetd would: no port to be guessed.
async fn storescp(listener: TcpListener, arguments: &[&str]) -> Child {
    let (stream, _) = listener.accept().await.unwrap();
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut command = Command::new("storescp");
    command.arg("--inetd").args(arguments).stdin(Stdio::from(OwnedFd::from(stream)));
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// Delivers to a storescp with these arguments; the outcome and the files it wrote.
async fn to_storescp(
    arguments: &[&str],
    objects: &[Object],
    folder: &Path,
) -> (Result<Outcome, DeliveryError>, Vec<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let destination = destination(listener.local_addr().unwrap().port(), "STORESCP", Confirm::None);
    let arguments = [arguments, &["--output-directory", folder.to_str().unwrap()]].concat();
    let (outcome, mut child) = tokio::join!(deliver(&destination, objects), storescp(listener, &arguments));
    tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    (outcome, paths.iter().map(|path| fs::read(path).unwrap()).collect())
}

fn dataset(bytes: &[u8]) -> &[u8] {
    &bytes[sagittal::dicom::Meta::read(bytes).unwrap().offset..]
}

#[tokio::test]
async fn storescp_receives_the_very_bytes() {
    if !dcmtk("storescp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let objects = [mr("1.2.3.1", EXPLICIT), mr("1.2.3.2", IMPLICIT)];
    // Bit preserving: the file holds what came over the wire.
    let (outcome, files) = to_storescp(&["--bit-preserving"], &objects, folder.path()).await;
    assert_eq!(outcome.unwrap(), Outcome::SentUnconfirmed);
    assert_eq!(files.len(), 2);
    for (file, object) in files.iter().zip(&objects) {
        assert!(dataset(file) == dataset(&object.bytes), "{} changed on its way", object.sop_instance);
    }
}

#[tokio::test]
async fn a_peer_that_takes_implicit_only_gets_implicit() {
    if !dcmtk("storescp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let objects = [mr("1.2.3.1", EXPLICIT)];
    let (outcome, files) = to_storescp(&["--bit-preserving", "--implicit"], &objects, folder.path()).await;
    assert_eq!(outcome.unwrap(), Outcome::SentUnconfirmed);
    assert!(dataset(&files[0]) == dataset(&mr("1.2.3.1", IMPLICIT).bytes));
}

#[tokio::test]
async fn one_refused_object_keeps_the_others_from_nothing() {
    let receiver = Receiver::start(options()).await;
    let destination = destination(receiver.address.port(), "SAGITTAL", Confirm::None);
    let objects = [mr("1.2.3.1", EXPLICIT), mr(FULL, EXPLICIT), mr("1.2.3.2", EXPLICIT)];
    let error = deliver(&destination, &objects).await.unwrap_err();
    assert!(!error.is_permanent());
    let text = error.to_string();
    assert!(text.starts_with("1 of 3 objects were not stored"), "{text}");
    assert!(text.contains("SAGITTAL@127.0.0.1") && text.contains("status a700 (disk full)"), "{text}");
    let stored = receiver.stop().await;
    let instances: Vec<_> = stored.iter().map(|request| request.sop_instance.as_str()).collect();
    assert_eq!(instances, ["1.2.3.1", "1.2.3.2"]);
}

#[tokio::test]
async fn a_peer_without_query_leaves_it_unconfirmed() {
    let receiver = Receiver::start(options()).await;
    let destination = destination(receiver.address.port(), "SAGITTAL", Confirm::Query);
    let outcome = deliver(&destination, &[mr("1.2.3.1", EXPLICIT)]).await;
    assert_eq!(outcome.unwrap(), Outcome::SentUnconfirmed);
    receiver.stop().await;
}

#[tokio::test]
async fn nobody_there_is_worth_another_try() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = deliver(&destination(free, "PACS", Confirm::None), &[mr("1.2.3.1", EXPLICIT)]).await.unwrap_err();
    assert!(!error.is_permanent());
    assert!(error.to_string().starts_with(&format!("cannot reach PACS@127.0.0.1:{free}")), "{error}");
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let title = |text| AeTitle::parse(text).unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = Peer { host: "127.0.0.1".into(), port, called: title("PACS"), calling: title("SAGITTAL"), tls: None };
    let error = soon(scu::echo(&peer, Duration::from_millis(30))).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Timeout { .. }), "{error}");
}

/// dcmqrscp is a small archive: it stores, and answers C-FIND from its index.
#[tokio::test]
async fn an_archive_that_answers_queries_confirms() {
    if !dcmtk("dcmqrscp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("archive");
    fs::create_dir(&storage).unwrap();
    let configuration = folder.path().join("dcmqrscp.cfg");
    let text = format!(
        "MaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n\
         AETable BEGIN\nARCHIVE {} RW (9, 1024mb) ANY\nAETable END\n",
        storage.display()
    );
    fs::write(&configuration, text).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut archive =
        Command::new("dcmqrscp").args(["-c", configuration.to_str().unwrap(), &port.to_string()]).spawn().unwrap();
    let title = |text| AeTitle::parse(text).unwrap();
    let peer = Peer { host: "127.0.0.1".into(), port, called: title("ARCHIVE"), calling: title("SAGITTAL"), tls: None };
    soon(async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while scu::echo(&peer, Duration::from_secs(5)).await.is_err() {
            tick.tick().await;
        }
    })
    .await;
    let outcome = deliver(&destination(port, "ARCHIVE", Confirm::Query), &[mr("1.2.3.1", EXPLICIT)]).await;
    archive.kill().unwrap();
    archive.wait().unwrap();
    assert_eq!(outcome.unwrap(), Outcome::Confirmed);
}

/// How many associations the objects came on.
fn associations(peer: &Balky) -> usize {
    peer.arrivals().into_iter().map(|(association, _)| association).collect::<BTreeSet<_>>().len()
}

fn to(peer: &Balky, keep: Duration) -> Destination {
    let mut destination = destination(peer.address.port(), "PACS", Confirm::None);
    if let DestinationKind::Dicom { keep: kept, .. } = &mut destination.kind {
        *kept = keep;
    }
    destination
}

#[tokio::test]
async fn an_association_serves_the_next_delivery_too_and_a_dead_one_is_replaced() {
    // The third object's association is aborted after its acknowledgement.
    let peer = Balky::start(|uid, _| if uid == "1.2.3.4" { Reaction::Abort } else { Reaction::Status(0) }).await;
    let (destination, delivery) = (to(&peer, Duration::from_mins(1)), Delivery::new().unwrap());
    for object in objects(3) {
        let attempt = soon(delivery.deliver(&destination, Consignment::new(&[object]))).await;
        assert_eq!(attempt.outcome.unwrap(), Outcome::SentUnconfirmed);
    }
    assert_eq!(associations(&peer), 1);
    let error = soon(delivery.deliver(&destination, Consignment::new(&objects(4)[3..]))).await.outcome.unwrap_err();
    assert!(!error.is_permanent(), "{error}");
    // Once on the association kept open, once on one of its own: then it is the object.
    assert_eq!(peer.arrivals().iter().filter(|(_, uid)| uid == "1.2.3.4").count(), 2);
    soon(delivery.deliver(&destination, Consignment::new(&objects(1)))).await.outcome.unwrap();
    assert_eq!(associations(&peer), 3);
    delivery.close().await;
}

#[tokio::test]
async fn every_object_has_its_own_verdict_and_an_acknowledged_one_is_not_sent_again() {
    let peer = Balky::start(|uid, _| match uid {
        "1.2.3.1" => Reaction::Status(0xb000),
        "1.2.3.2" => Reaction::Status(0xa700),
        "1.2.3.3" => Reaction::Status(0x0111),
        _ => Reaction::Status(0xb007),
    })
    .await;
    let (destination, objects) = (to(&peer, Duration::ZERO), objects(4));
    let delivery = Delivery::new().unwrap();
    let Attempt { outcome, record } = soon(delivery.deliver(&destination, Consignment::new(&objects))).await;
    let error = outcome.unwrap_err();
    assert!(!error.is_permanent() && error.to_string().starts_with("1 of 4 objects"), "{error}");
    let said: Vec<_> = record.verdicts.iter().map(|v| (v.answer, v.status.unwrap())).collect();
    let expected =
        [(Answer::Warned, 0xb000), (Answer::Refused, 0xa700), (Answer::Warned, 0x0111), (Answer::Warned, 0xb007)];
    assert_eq!(said, expected);
    let held: Vec<_> = record.verdicts.iter().filter(|v| v.answer.is_held()).map(|v| v.sop_instance.clone()).collect();
    let again = Consignment { held: &held, ..Consignment::new(&objects) };
    soon(delivery.deliver(&destination, again)).await.outcome.unwrap_err();
    assert_eq!(peer.arrivals().len(), 5);
    // All were taken, and the attempt ended before it could say so.
    let all: Vec<_> = objects.iter().map(|object| object.sop_instance.clone()).collect();
    let nothing = Consignment { held: &all, ..Consignment::new(&objects) };
    assert_eq!(soon(delivery.deliver(&destination, nothing)).await.outcome.unwrap(), Outcome::SentUnconfirmed);
    assert_eq!(peer.arrivals().len(), 5);
    let accepted: Vec<_> = record.learned.iter().map(|l| (l.transfer_syntax.as_str(), l.accepted)).collect();
    assert_eq!(accepted, [(IMPLICIT, true)]);
}

/// PS3.5 section 10: a sender that can decode must be ready to send uncompressed.
#[tokio::test]
async fn compressed_pixels_are_decoded_for_a_peer_that_takes_no_others() {
    if !dcmtk("storescp") || !dcmtk("dcmcrle") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed, received) =
        (folder.path().join("plain.dcm"), folder.path().join("rle.dcm"), folder.path().join("received"));
    fs::create_dir(&received).unwrap();
    fs::write(&plain, mr("1.2.3.1", EXPLICIT).bytes).unwrap();
    assert!(Command::new("dcmcrle").args([&plain, &packed]).status().unwrap().success());
    let object = Object::from_part10("rle", fs::read(&packed).unwrap()).unwrap();
    assert_eq!(object.transfer_syntax.as_str(), "1.2.840.10008.1.2.5");
    let (outcome, files) = to_storescp(&["--bit-preserving", "--implicit"], &[object], &received).await;
    assert_eq!(outcome.unwrap(), Outcome::SentUnconfirmed);
    assert!(dataset(&files[0]) == dataset(&mr("1.2.3.1", IMPLICIT).bytes));
}
