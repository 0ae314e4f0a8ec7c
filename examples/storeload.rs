//! A C-STORE load generator, so cheap that the receiver is what is measured: data sets are made once and kept
//! in memory, every object goes out in one vectored write. Shares no code with what it measures.
//!
//! `storeload HOST:PORT CALLED ASSOCIATIONS OBJECTS ROWS [SEED]` sends OBJECTS CT slices of ROWS x ROWS pixels
//! over ASSOCIATIONS associations and prints one JSON object.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a tool for benches"
)]

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::Instant;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const CONTEXT: u8 = 1;
const OUR_PDU: u32 = 128 * 1024;
/// The numbers of an instance are patched in at this width.
const DIGITS: usize = 10;

fn main() {
    // The others would wait for a thread that is gone.
    std::panic::set_hook(Box::new(|fault| {
        eprintln!("{fault}");
        std::process::exit(1);
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<usize>().expect("a number");
    let (associations, objects, rows) = (number(2), number(3), number(4));
    let seed = arguments.get(5).map_or_else(|| std::process::id() as usize, |text| text.parse().expect("a number"));
    let barrier = Arc::new(Barrier::new(associations + 1));
    let workers: Vec<_> = (0..associations)
        .map(|n| {
            let (barrier, peer, called) = (barrier.clone(), arguments[0].clone(), arguments[1].clone());
            let share = objects / associations + usize::from(n < objects % associations);
            std::thread::spawn(move || {
                let mut scanner = Scanner::connect(&peer, &called, rows, seed * 1000 + n);
                barrier.wait();
                let times: Vec<f64> = (0..share).map(|number| scanner.store(number)).collect();
                barrier.wait();
                scanner.release();
                times
            })
        })
        .collect();
    barrier.wait();
    let start = Instant::now();
    barrier.wait();
    let seconds = start.elapsed().as_secs_f64();
    let mut times: Vec<f64> = workers.into_iter().flat_map(|worker| worker.join().expect("all stored")).collect();
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| 1000.0 * times[((times.len() - 1) as f64 * share) as usize];
    println!(
        r#"{{"stored": {}, "seconds": {seconds:.4}, "rate": {:.1}, "p50_ms": {:.3}, "p99_ms": {:.3}}}"#,
        times.len(),
        times.len() as f64 / seconds,
        at(0.5),
        at(0.99)
    );
}

/// One association that stores the slices of one series.
struct Scanner {
    stream: TcpStream,
    largest: usize,
    command: Vec<u8>,
    dataset: Vec<u8>,
    /// Where the instance number is, in the command and in the data set.
    places: (usize, usize),
    answer: Vec<u8>,
}

impl Scanner {
    fn connect(peer: &str, called: &str, rows: usize, series: usize) -> Scanner {
        let stream = TcpStream::connect(peer).expect("the receiver listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let prefix = format!("2.25.{series}");
        let instance = format!("{prefix}.2.{}", "1".repeat(DIGITS));
        let (command, dataset) = (store_request(&instance), slice(&prefix, &instance, rows));
        let find = |bytes: &[u8]| {
            let at = bytes.windows(instance.len()).position(|window| window == instance.as_bytes());
            at.expect("the UID is there") + instance.len() - DIGITS
        };
        let places = (find(&command), find(&dataset));
        let mut scanner = Scanner { stream, largest: 0, command, dataset, places, answer: Vec::new() };
        scanner.stream.write_all(&associate_request(called)).unwrap();
        assert_eq!(scanner.receive(), 2, "the association is accepted");
        scanner.largest = announced(&scanner.answer).min(OUR_PDU) as usize;
        scanner
    }

    /// Stores one slice; seconds until the answer.
    fn store(&mut self, number: usize) -> f64 {
        let digits = format!("{:0DIGITS$}", 1_000_000_000 + number);
        self.command[self.places.0..][..DIGITS].copy_from_slice(digits.as_bytes());
        self.dataset[self.places.1..][..DIGITS].copy_from_slice(digits.as_bytes());
        let room = self.largest - 6;
        let pieces: Vec<&[u8]> = self.dataset.chunks(room).collect();
        let mut heads = vec![pdv(self.command.len(), 3)];
        heads.extend(
            pieces.iter().enumerate().map(|(n, piece)| pdv(piece.len(), if n + 1 == pieces.len() { 2 } else { 0 })),
        );
        let bodies = std::iter::once(self.command.as_slice()).chain(pieces);
        let mut slices: Vec<IoSlice<'_>> =
            heads.iter().zip(bodies).flat_map(|(head, body)| [IoSlice::new(head), IoSlice::new(body)]).collect();
        let mut left = slices.as_mut_slice();
        let start = Instant::now();
        while !left.is_empty() {
            let written = (&self.stream).write_vectored(left).expect("the receiver takes it");
            IoSlice::advance_slices(&mut left, written);
        }
        assert_eq!(self.receive(), 4, "a response");
        let status = [0, 0, 0, 9, 2, 0, 0, 0];
        let at = self.answer.windows(8).position(|window| window == status).expect("a status") + 8;
        assert_eq!(self.answer[at..at + 2], [0, 0], "status 0000");
        start.elapsed().as_secs_f64()
    }

    fn release(mut self) {
        self.stream.write_all(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]).unwrap();
        assert_eq!(self.receive(), 6, "the release is answered");
    }

    /// Reads one PDU; its type.
    fn receive(&mut self) -> u8 {
        let mut head = [0; 6];
        self.stream.read_exact(&mut head).expect("an answer");
        self.answer.resize(u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize, 0);
        self.stream.read_exact(&mut self.answer).expect("a whole answer");
        head[0]
    }
}

fn pdv(length: usize, control: u8) -> [u8; 12] {
    let (pdu, pdv) = ((length as u32 + 6).to_be_bytes(), (length as u32 + 2).to_be_bytes());
    [4, 0, pdu[0], pdu[1], pdu[2], pdu[3], pdv[0], pdv[1], pdv[2], pdv[3], CONTEXT, control]
}

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// A-ASSOCIATE-RQ for CT images (PS3.8 section 9.3.2).
fn associate_request(called: &str) -> Vec<u8> {
    let context = [vec![CONTEXT, 0, 0, 0], item(0x30, CT.as_bytes()), item(0x40, EXPLICIT.as_bytes())].concat();
    let user = [item(0x51, &OUR_PDU.to_be_bytes()), item(0x52, b"2.25.1")].concat();
    let items = [item(0x10, b"1.2.840.10008.3.1.1.1"), item(0x20, &context), item(0x50, &user)].concat();
    let titles = format!("{called:<16}{:<16}", "STORELOAD");
    let body = [&[0, 1, 0, 0][..], titles.as_bytes(), &[0; 32], &items].concat();
    [&[1, 0][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

/// The largest PDU that the acceptor takes; 16 KiB when it does not say.
fn announced(answer: &[u8]) -> u32 {
    let at = answer.windows(4).rposition(|window| window == [0x51, 0, 0, 4]);
    let length = at.map_or(16_384, |at| u32::from_be_bytes(std::array::from_fn(|n| answer[at + 4 + n])));
    if length == 0 { OUR_PDU } else { length }
}

fn padded(text: &str, with: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.extend((bytes.len() % 2 == 1).then_some(with));
    bytes
}

/// C-STORE-RQ (PS3.7 section 9.3.1), Implicit VR Little Endian.
fn store_request(instance: &str) -> Vec<u8> {
    let number = |value: u16| value.to_le_bytes().to_vec();
    let elements = [
        (0x0002, padded(CT, 0)),
        (0x0100, number(1)),
        (0x0110, number(1)),
        (0x0700, number(0)),
        (0x0800, number(1)),
        (0x1000, padded(instance, 0)),
    ];
    let element = |(number, value): &(u16, Vec<u8>)| {
        [&[0, 0][..], &number.to_le_bytes(), &(value.len() as u32).to_le_bytes(), value].concat()
    };
    let body: Vec<u8> = elements.iter().flat_map(element).collect();
    [&[0, 0, 0, 0, 4, 0, 0, 0][..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

/// A CT slice, Explicit VR Little Endian.
fn slice(prefix: &str, instance: &str, rows: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows * rows * 2 + 1024);
    let mut put = |group: u16, element: u16, vr: &str, value: &[u8]| {
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend(vr.as_bytes());
        if vr == "OW" {
            bytes.extend([0, 0]);
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value);
    };
    put(8, 0x16, "UI", &padded(CT, 0));
    put(8, 0x18, "UI", &padded(instance, 0));
    put(8, 0x60, "CS", b"CT");
    put(0x10, 0x10, "PN", b"Load^Made ");
    put(0x10, 0x20, "LO", b"LOAD");
    put(0x20, 0x0d, "UI", &padded(&format!("{prefix}.0"), 0));
    put(0x20, 0x0e, "UI", &padded(&format!("{prefix}.1"), 0));
    put(0x20, 0x32, "DS", &padded("0\\0\\0", b' '));
    put(0x20, 0x37, "DS", &padded("1\\0\\0\\0\\1\\0", b' '));
    for (element, value) in
        [(0x02, 1), (0x10, rows as u16), (0x11, rows as u16), (0x100, 16), (0x101, 12), (0x102, 11), (0x103, 0)]
    {
        if element == 0x10 {
            put(0x28, 0x04, "CS", b"MONOCHROME2 ");
        }
        if element == 0x100 {
            put(0x28, 0x30, "DS", b"0.7\\0.7 ");
        }
        put(0x28, element, "US", &u16::to_le_bytes(value));
    }
    let mut state = 1_u32;
    let mut pixel = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 20) as u16).to_le_bytes()
    };
    let pixels: Vec<u8> = (0..rows * rows).flat_map(|_| pixel()).collect();
    put(0x7fe0, 0x10, "OW", &pixels);
    bytes
}
