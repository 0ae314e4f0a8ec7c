//! The fuzz targets of `fuzz/` on seeded mutations of our own traffic, and the receiver itself on mutated streams:
//! no panic, no hang, no allocation that a length field asks for.
//!
//! `UPDATE_GOLDEN=1` writes the seeds to `fuzz/corpus`, where cargo-fuzz starts from them.

use std::path::PathBuf;
use std::process::Command as Process;

use sagittal::dicom::command::{Command, Normalized, Response};
use sagittal::dicom::commitment::{Reason, Reference, Report, Request};
use sagittal::dicom::{Meta, Uid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::instance::{EXPLICIT, IMPLICIT, MR, mr};
use crate::support::parrot::{self, Parrot, RELEASE};
use crate::support::site::Site;
use crate::support::soon;

#[path = "../../fuzz/targets.rs"]
mod targets;

const VERIFICATION: &str = "1.2.840.10008.1.1";
const SEED: u64 = 20_261_121;
/// Kilobytes of address space in which all mutations must be dealt with.
const ROOM: u32 = 1 << 20;

type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>, usize);

const TARGETS: [Target; 3] = [
    ("pdu_stream", targets::pdu_stream, streams, 20_000),
    ("command_set", targets::command_set, command_sets, 100_000),
    ("data_set_header", targets::data_set_header, data_sets, 8_000),
];

fn streams() -> Vec<Vec<u8>> {
    let object = mr("1.2.3.9", IMPLICIT);
    let store = Command::StoreRq(parrot::store_request(1, MR, "1.2.3.9"));
    let associate = parrot::associate("SAGITTAL", &[(1, MR), (3, VERIFICATION)]);
    let dataset = &object.bytes[Meta::read(&object.bytes).unwrap().offset..];
    let stored = [parrot::command(1, &store), parrot::data(1, dataset)].concat();
    let echo = parrot::command(3, &Command::EchoRq { message_id: 2 });
    let released = [&associate[..], &echo, RELEASE].concat();
    vec![[&associate[..], &stored, &echo, RELEASE].concat(), released]
}

fn command_sets() -> Vec<Vec<u8>> {
    let response = Response {
        message_id: 7,
        sop_class: MR.into(),
        sop_instance: Some("1.2.3.4".into()),
        status: 0xa700,
        comment: Some("no room left".into()),
        ..Response::default()
    };
    let (sop_class, sop_instance) = (MR.to_owned(), "1.2.3".to_owned());
    let action = Normalized { message_id: 1, sop_class, sop_instance, kind: 1, has_data: true };
    let all = [
        Command::StoreRq(parrot::store_request(1, MR, "1.2.3")),
        Command::StoreRsp(response),
        Command::EchoRq { message_id: 2 },
        Command::FindRq { message_id: 3, sop_class: MR.into() },
        Command::ActionRq(action),
    ];
    all.iter().map(Command::encode).collect()
}

fn data_sets() -> Vec<Vec<u8>> {
    let uid = |text: &str| Uid::parse(text).unwrap();
    let references = vec![Reference { sop_class: uid(MR), sop_instance: uid("1.2.3") }; 3];
    let failed = vec![(references[0].clone(), Reason::NoSuchInstance)];
    let report = Report { transaction: uid("2.25.7"), held: references.clone(), failed }.encode(IMPLICIT).unwrap();
    let request = Request { transaction: uid("2.25.7"), references }.encode(IMPLICIT).unwrap();
    vec![mr("1.2.3.9", IMPLICIT).bytes, mr("1.2.3.9", EXPLICIT).bytes, request, report]
}

/// A seed with some bytes flipped, overwritten by telling values, cut out, doubled or cut off.
fn mutated(seeds: &[Vec<u8>], dice: &mut fastrand::Rng) -> Vec<u8> {
    const TELLING: [&[u8]; 6] =
        [&[0], &[0xff], &[0xff; 4], &[0; 4], &[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0x7f]];
    let mut bytes = seeds[dice.usize(..seeds.len())].clone();
    for _ in 0..dice.usize(1..8) {
        if bytes.is_empty() {
            return bytes;
        }
        // Most of what decides stands in front.
        let reach = if dice.bool() { bytes.len().min(600) } else { bytes.len() };
        let at = dice.usize(..reach);
        let end = bytes.len().min(at + dice.usize(1..16));
        match dice.u8(..6) {
            0 | 1 => bytes[at] ^= 1 << dice.u8(..8),
            2 | 3 => {
                let value = TELLING[dice.usize(..TELLING.len())];
                bytes.iter_mut().skip(at).zip(value).for_each(|(byte, new)| *byte = *new);
            }
            4 if dice.bool() => bytes.truncate(at),
            4 => drop(bytes.drain(at..end)),
            _ => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Run by the test below, in a process of its own with little memory.
#[test]
#[ignore = "runs within the_targets_survive_mutations_in_little_memory"]
fn mutations() {
    for (name, target, seeds, rounds) in TARGETS {
        let (seeds, mut dice) = (seeds(), fastrand::Rng::with_seed(SEED));
        for seed in &seeds {
            target(seed);
        }
        for round in 0..rounds {
            let bytes = mutated(&seeds, &mut dice);
            let survived = std::panic::catch_unwind(|| target(&bytes));
            assert!(survived.is_ok(), "{name}, round {round}: {bytes:02x?}");
        }
    }
}

#[test]
fn the_targets_survive_mutations_in_little_memory() {
    write_corpus();
    let program = std::env::current_exe().unwrap();
    let script =
        format!("ulimit -v {ROOM}; exec timeout 1200 \"$0\" --exact fuzz::mutations --ignored --test-threads=1");
    let done = Process::new("sh").args(["-c", &script]).arg(program).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{}\n{said}\n{errors}", done.status);
}

fn write_corpus() {
    if std::env::var_os("UPDATE_GOLDEN").is_none() {
        return;
    }
    for (name, _, seeds, _) in TARGETS {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds().iter().enumerate() {
            std::fs::write(folder.join(format!("{number}.bin")), seed).unwrap();
        }
    }
}

/// The node itself on mutated streams: it serves afterwards, and its memory stays what it was.
#[tokio::test]
async fn a_node_outlives_mutated_streams() {
    let site = Site::new("127.0.0.1:9".parse().unwrap());
    let node = site.start();
    let (seeds, mut dice) = (streams(), fastrand::Rng::with_seed(SEED));
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        // The node may close while we still talk: that is an answer, too.
        let _ = stream.write_all(&mutated(&seeds, &mut dice)).await;
        let _ = stream.shutdown().await;
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    let mut parrot = Parrot::associated(node.address, &[(1, VERIFICATION)]).await;
    let answer = parrot.command(&parrot::command(1, &Command::EchoRq { message_id: 3 })).await;
    assert!(matches!(answer, Command::EchoRsp(Response { message_id: 3, status: 0, .. })), "{answer:?}");
    drop(parrot);
    let peak = node.peak_memory();
    assert!(peak < 400 << 20, "{} MB", peak >> 20);
    assert!(!site.log_text().contains("panicked"), "{}", site.log_text());
    assert!(node.stop().success());
}
