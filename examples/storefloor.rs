//! What this machine lets a receiver do at best: the least work that keeps a promise, without a DICOM library.
//!
//! `storefloor FOLDER discard|append` prints its port. `discard` answers as soon as an object is here; `append` first
//! writes it into one file past the page cache, and one flush serves all who wait. It parses no data set, notes nothing of
//! an object, never reuses room, and refuses nothing: a bound, no receiver. Shares no code with what is measured.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::disallowed_methods, reason = "a tool for benches")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

const PAGE: usize = 4096;
/// Bytes of the file, written before the first object comes.
const ROOM: u64 = 512 << 20;
const LARGEST_PDU: u32 = 128 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let log = (arguments[2] == "append").then(|| Arc::new(Log::make(Path::new(&arguments[1]))));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    for stream in listener.incoming() {
        let (stream, log) = (stream.expect("a connection"), log.clone());
        std::thread::spawn(move || receive(stream, log.as_deref()));
    }
}

/// One file that all objects are appended to.
struct Log {
    file: File,
    end: AtomicU64,
    flush: Mutex<Flush>,
    flushed: Condvar,
}

/// Objects written, and how many of them are durable.
#[derive(Default)]
struct Flush {
    written: u64,
    durable: u64,
    leading: bool,
}

impl Log {
    fn make(folder: &Path) -> Log {
        let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        let path = folder.join("floor.log");
        let file = OpenOptions::new().write(true).create_new(true).custom_flags(direct).open(path).expect("a file");
        let mut zeros = Pages::default();
        zeros.bytes.resize(PAGE + (1 << 20), 0);
        (0..ROOM >> 20).for_each(|n| file.write_all_at(zeros.whole(1 << 20), n << 20).expect("room"));
        file.sync_all().expect("a disk that works");
        Log { file, end: AtomicU64::new(0), flush: Mutex::default(), flushed: Condvar::new() }
    }

    /// Returns when the object is on stable storage.
    fn append(&self, object: &mut Pages) {
        let length = object.length.next_multiple_of(PAGE);
        let at = self.end.fetch_add(length as u64, Ordering::Relaxed) % (ROOM - (64 << 20));
        self.file.write_all_at(object.whole(length), at / PAGE as u64 * PAGE as u64).expect("room");
        let mut flush = self.flush.lock().expect("no panic");
        flush.written += 1;
        let mine = flush.written;
        while flush.durable < mine {
            if flush.leading {
                flush = self.flushed.wait(flush).expect("no panic");
                continue;
            }
            flush.leading = true;
            let covered = flush.written;
            drop(flush);
            self.file.sync_data().expect("a disk that works");
            flush = self.flush.lock().expect("no panic");
            (flush.leading, flush.durable) = (false, covered);
            self.flushed.notify_all();
        }
    }
}

/// Bytes that begin at a page in memory, as direct writes want them.
#[derive(Default)]
struct Pages {
    bytes: Vec<u8>,
    length: usize,
}

impl Pages {
    fn whole(&mut self, length: usize) -> &[u8] {
        let start = self.start(length);
        &self.bytes[start..][..length]
    }

    fn start(&mut self, length: usize) -> usize {
        if self.bytes.len() < length + PAGE {
            // what came so far is at the same place of the new memory only by chance
            let mut larger = Pages { bytes: vec![0; 2 * (length + PAGE)], length: self.length };
            let (from, to) = (self.bytes.as_ptr().align_offset(PAGE), larger.bytes.as_ptr().align_offset(PAGE));
            if self.length > 0 {
                larger.bytes[to..][..self.length].copy_from_slice(&self.bytes[from..][..self.length]);
            }
            *self = larger;
        }
        self.bytes.as_ptr().align_offset(PAGE)
    }

    /// Takes `count` bytes from the connection.
    fn read(&mut self, stream: &mut impl Read, count: usize) {
        let start = self.start((self.length + count).next_multiple_of(PAGE));
        stream.read_exact(&mut self.bytes[start + self.length..][..count]).expect("a whole object");
        self.length += count;
    }
}

/// Serves one association until its release.
fn receive(mut stream: TcpStream, log: Option<&Log>) {
    stream.set_nodelay(true).expect("a TCP socket");
    let (mut object, mut pdu, mut head) = (Pages::default(), Vec::new(), [0; 6]);
    while stream.read_exact(&mut head).is_ok() {
        let mut left = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
        if head[0] != 4 {
            pdu.resize(left, 0);
            stream.read_exact(&mut pdu).expect("a whole PDU");
            let answer = if head[0] == 1 { accept(&pdu) } else { vec![6, 0, 0, 0, 0, 4, 0, 0, 0, 0] };
            stream.write_all(&answer).expect("the sender waits");
            continue;
        }
        while left > 0 {
            let mut value = [0; 6];
            stream.read_exact(&mut value).expect("a data value");
            let length = u32::from_be_bytes([value[0], value[1], value[2], value[3]]) as usize - 2;
            left -= 6 + length;
            if value[5] & 1 == 1 {
                pdu.resize(length, 0);
                stream.read_exact(&mut pdu).expect("a command");
                continue;
            }
            object.read(&mut stream, length);
            if value[5] & 2 == 2 {
                if let Some(log) = log {
                    log.append(&mut object);
                }
                object.length = 0;
                stream.write_all(&stored(value[4])).expect("the sender waits");
            }
        }
    }
}

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// A-ASSOCIATE-AC that takes context 1 in the first transfer syntax proposed (PS3.8 section 9.3.3).
fn accept(request: &[u8]) -> Vec<u8> {
    let syntax = b"1.2.840.10008.1.2.1";
    let context = [&[1, 0, 0, 0][..], &item(0x40, syntax)].concat();
    let user = [item(0x51, &LARGEST_PDU.to_be_bytes()), item(0x52, b"2.25.2")].concat();
    let items = [item(0x10, b"1.2.840.10008.3.1.1.1"), item(0x21, &context), item(0x50, &user)].concat();
    let body = [&request[..68], &items].concat();
    [&[2, 0][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

/// A C-STORE-RSP with status 0000 (PS3.7 section 9.3.1), Implicit VR Little Endian.
fn stored(context: u8) -> Vec<u8> {
    let element = |number: u16, value: u16| {
        [&[0, 0][..], &number.to_le_bytes(), &2_u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let command = [element(0x0100, 0x8001), element(0x0120, 1), element(0x0800, 0x0101), element(0x0900, 0)].concat();
    let length = command.len() as u32;
    let head = [&(length + 6).to_be_bytes()[..], &(length + 2).to_be_bytes(), &[context, 3]].concat();
    [&[4, 0][..], &head, &command].concat()
}
