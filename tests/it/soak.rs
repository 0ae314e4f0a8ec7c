//! kill -9 under load: eight associations store without a pause, the node is killed again and again, and at the end every
//! acknowledged instance is there and no row names anything else. 50 kills here, `make soak` makes it 1,000.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use sagittal::spool::{Location, Spool};

use super::support::modality::{self, Outgoing};
use super::support::site::{Node, Site};

const ASSOCIATIONS: usize = 8;
/// Instances that a sender has under way; what is not acknowledged is sent again in the next life.
const BATCH: usize = 25;

/// One sender with a series of its own.
struct Sender {
    number: usize,
    next: usize,
    pending: Vec<Outgoing>,
    acknowledged: BTreeSet<String>,
    /// Every data set that ever left, by SOP Instance UID.
    sent: BTreeMap<String, Vec<u8>>,
}

impl Sender {
    fn new(number: usize) -> Sender {
        Sender { number, next: 0, pending: Vec::new(), acknowledged: BTreeSet::new(), sent: BTreeMap::new() }
    }

    /// Stores until the node is gone.
    fn store_on(&mut self, node: SocketAddr) {
        loop {
            while self.pending.len() < BATCH {
                self.next += 1;
                self.pending.push(instance(self.number, self.next));
            }
            self.sent.extend(self.pending.iter().map(|o| (o.sop_instance.clone(), o.dataset.clone())));
            let taken = modality::send(node, &self.pending);
            let gone = taken.len() < self.pending.len();
            self.pending.retain(|outgoing| !taken.contains(&outgoing.sop_instance));
            self.acknowledged.extend(taken);
            if gone {
                return;
            }
        }
    }
}

/// An image of a sender's series, from 0.5 to 16 KB, its pixels different from every other's.
fn instance(sender: usize, number: usize) -> Outgoing {
    let uid = |what: &str| format!("1.2.826.0.1.3680043.10.1234.{what}");
    let sop_instance = uid(&format!("3.{sender}.{number}"));
    let mut dice = fastrand::Rng::with_seed((sender * 1_000_000 + number) as u64);
    let pixels: Vec<u16> = (0..dice.usize(250..8000)).map(|_| dice.u16(..)).collect();
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let object = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, &sop_instance),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, &uid("1")),
        text(tags::SERIES_INSTANCE_UID, VR::UI, &uid(&format!("2.{sender}"))),
        DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())),
    ]);
    let mut dataset = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut dataset, &syntax).unwrap();
    Outgoing { sop_class: uids::CT_IMAGE_STORAGE.to_owned(), sop_instance, dataset }
}

/// A site that only receives, and closes nothing.
pub fn receiving_site() -> Site {
    let site = Site::new(SocketAddr::from(([127, 0, 0, 1], 1)));
    let node = std::fs::read_to_string(site.config().join("node.toml")).unwrap();
    let node = node.replace("quiet = \"10 s\"", "quiet = \"1 h\"");
    site.write("node.toml", &node.replace("quiet_after_release = \"200 ms\"", "quiet_after_release = \"1 h\""));
    site
}

/// Compares the rows of a node that has just started with what was sent and acknowledged.
fn check(site: &Site, senders: &[Sender], life: usize) {
    let ledger = site.ledger();
    let spool = Spool::attach(&site.spool());
    let mut rows = BTreeMap::new();
    for revision in ledger.open_revisions().unwrap() {
        for row in ledger.revision_instances(revision.id).unwrap() {
            let doubled = rows.insert(row.sop_instance.to_string(), row.location);
            assert_eq!(doubled, None, "life {life}: two rows of {}", row.sop_instance);
        }
    }
    for sender in senders {
        let lost: Vec<_> = sender.acknowledged.iter().filter(|uid| !rows.contains_key(*uid)).collect();
        assert!(lost.is_empty(), "life {life}: acknowledged and lost: {lost:?}");
    }
    for (uid, location) in rows {
        let sent = senders.iter().find_map(|sender| sender.sent.get(&uid));
        let bytes = spool.read(&Location(location)).unwrap_or_else(|e| panic!("life {life}: the row of {uid}: {e}"));
        let sent = sent.unwrap_or_else(|| panic!("life {life}: a row of {uid}, which nobody sent"));
        assert_eq!(&Outgoing::of_part10(&bytes).dataset, sent, "life {life}: {uid}");
    }
}

#[test]
fn kills_under_load_lose_nothing_acknowledged_and_leave_no_phantom_row() {
    let kills = std::env::var("SAGITTAL_KILLS").map_or(50, |n| n.parse::<usize>().expect("SAGITTAL_KILLS is a number"));
    let site = receiving_site();
    let mut senders: Vec<Sender> = (0..ASSOCIATIONS).map(Sender::new).collect();
    let mut dice = fastrand::Rng::with_seed(20_261_122);
    for life in 0..kills {
        let node = site.start();
        // What is lost stays lost: a look now and then only tells sooner.
        if life % (kills / 4).max(1) == 0 {
            check(&site, &senders, life);
        }
        live(node, &mut senders, Duration::from_millis(dice.u64(1..250)));
    }
    let node = site.start();
    check(&site, &senders, kills);
    assert!(node.stop().success());
    let acknowledged: usize = senders.iter().map(|sender| sender.acknowledged.len()).sum();
    println!("soak: {kills} kills, {acknowledged} instances acknowledged, none lost, no phantom row");
    assert!(acknowledged > 20 * kills, "the kills came too soon to show anything: {acknowledged} acknowledged");
}

/// All senders store until the node is killed after `life`.
fn live(node: Node, senders: &mut [Sender], life: Duration) {
    let address = node.address;
    std::thread::scope(|scope| {
        for sender in senders {
            scope.spawn(move || sender.store_on(address));
        }
        let (_never, elapsed) = std::sync::mpsc::channel::<()>();
        let _ = elapsed.recv_timeout(life);
        node.kill();
    });
}
