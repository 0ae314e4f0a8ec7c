//! Bytes on disk: received instances and results, kept until they are dropped.
//!
//! A log of segment files. An object is written into the segment in use, one write and one flush serve all objects
//! that wait ([`pen`]), a large one has a segment of its own ([`draft`]): no temporary file, no rename, no deletion an
//! object. A segment whose objects are all dropped is used again. A [`Location`] is an opaque word that only this module
//! can resolve. Never parses DICOM, never talks to the ledger.
//!
//! Durability: [`Spool::append`] returns after the bytes are on stable storage, unless [`Durability`] asks
//! for less.

mod buffer;
mod draft;
mod durable;
#[cfg(test)]
mod fault;
#[cfg(test)]
mod fault_tests;
mod log;
mod medium;
mod pen;
mod quarantine;
mod record;
mod reserve;
mod segment;
#[cfg(test)]
mod tests;
mod usage;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::dicom::{SeriesKey, Uid};
use buffer::Pool;
pub use draft::Draft;
use log::Log;
use pen::{Order, Pen};
pub use quarantine::Quarantined;
use reserve::Reserve;
use segment::{Found, Segment};

/// Files on their way into the quarantine.
const INCOMING: &str = ".incoming";
const SEGMENTS: &str = "segments";

/// Where an object lies in the spool; kept in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location(pub String);

/// CRC-32 of an object's bytes: says quickly that two copies differ, never for sure that they are equal.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    record::checksum(bytes)
}

/// What an acknowledged object survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut.
    #[default]
    PowerLoss,
    /// The end of the process, not that of the machine.
    ProcessCrash,
}

#[derive(Debug, Clone, Copy)]
pub struct SpoolOptions {
    pub durability: Durability,
    /// Bytes of a segment file.
    pub segment_bytes: u64,
    /// Bytes of segments written ahead of use.
    pub reserve: u64,
}

impl Default for SpoolOptions {
    fn default() -> SpoolOptions {
        SpoolOptions { durability: Durability::PowerLoss, segment_bytes: 64 << 20, reserve: 0 }
    }
}

/// A folder of durable objects. Shared by many threads of one process.
#[derive(Debug)]
pub struct Spool {
    root: PathBuf,
    durability: Durability,
    /// `None` beside a node that has the spool open.
    writer: Option<Writer>,
    /// Numbers of files on their way into the quarantine; held while one is named there.
    quarantining: Mutex<()>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Writer {
    shared: Arc<Shared>,
    /// `None` while the spool is being closed.
    pen: Option<Pen>,
    stopping: Arc<AtomicBool>,
    reserve: Option<JoinHandle<()>>,
}

/// What all have a hand in who write.
#[derive(Debug)]
struct Shared {
    log: Mutex<Log>,
    /// Of the segments.
    folder: PathBuf,
    durability: Durability,
    pool: Pool,
}

/// What [`Spool::append_with`] put where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub location: Location,
    /// Bytes of head and body.
    pub length: u64,
    pub body_length: u64,
    /// CRC-32 of the body, as [`checksum`] gives it.
    pub body_checksum: u32,
}

/// A record of the log, as [`Spool::records`] finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub location: Location,
    pub series: SeriesKey,
    pub instance: Uid,
    /// What the caller of [`Spool::append_with`] wanted to find again.
    pub note: String,
    /// Grows from append to append.
    pub sequence: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot {action} {}: {source}; check the disk that holds the spool", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the spool has no object at {0:?}; the ledger names bytes that are gone")]
    Missing(String),
    #[error("{0:?} is no place in a spool; the ledger was altered by another program")]
    NoLocation(String),
    #[error("the quarantine holds no {0:?}; `sagittal quarantine list` shows what it holds")]
    NotQuarantined(String),
    #[error("the bytes at {0:?} are not those that were stored; check the disk that holds the spool")]
    Damaged(String),
    #[error("a note of {0} bytes for one object; 8 KiB are enough for all that the ledger keeps")]
    LongNote(usize),
    #[error(
        "the spool at {} was made by an earlier Sagittal, one file an instance; move it and the ledger beside it \
         away, start, and bring its DICOM files in again with `sagittal send`",
        .0.display()
    )]
    EarlierForm(PathBuf),
    #[error("the spool at {} belongs to a running node; only that node writes to it", .0.display())]
    ReadOnly(PathBuf),
}

impl SpoolError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
        move |source| SpoolError::Io { action, path: path.to_owned(), source }
    }
}

/// A location in numbers. The sequence number is given out once: a place used again is never mistaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    segment: u64,
    offset: u64,
    length: u64,
    sequence: u64,
}

impl Place {
    fn location(self) -> Location {
        let Place { segment, offset, length, sequence } = self;
        Location(format!("{segment}/{offset}/{length}/{sequence}"))
    }

    /// The place of a location, whose text may come from a ledger that someone edited.
    fn of(location: &Location) -> Result<Place, SpoolError> {
        let numbers: Vec<u64> = location.0.split('/').map_while(|part| part.parse().ok()).collect();
        if let [segment, offset, length, sequence] = numbers[..] {
            let place = Place { segment, offset, length, sequence };
            if place.location() == *location {
                return Ok(place);
            }
        }
        Err(SpoolError::NoLocation(location.0.clone()))
    }
}

impl Spool {
    /// Opens (making it when absent) the spool at `root` for the one process that writes to it: what a crash
    /// left half-written is freed.
    pub fn open(root: &Path) -> Result<Spool, SpoolError> {
        Spool::open_with(root, SpoolOptions::default())
    }

    pub fn open_with(root: &Path, options: SpoolOptions) -> Result<Spool, SpoolError> {
        let (incoming, folder) = (root.join(INCOMING), root.join(SEGMENTS));
        refuse_earlier_form(root)?;
        for folder in [&incoming, &folder] {
            fs::create_dir_all(folder).map_err(SpoolError::io("make the folder", folder))?;
        }
        let unfinished = |path: &PathBuf| path.extension().is_some_and(|extension| extension == log::UNFINISHED);
        let segments = durable::entries(&folder)?.into_iter().filter(unfinished);
        for leftover in durable::entries(&incoming)?.into_iter().chain(segments) {
            fs::remove_file(&leftover).map_err(SpoolError::io("remove the half-written file", &leftover))?;
        }
        durable::sync_folder(root)?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            durable::sync_folder(parent)?;
        }
        let writer = Writer::start(Log::open(&folder, options)?, folder, options);
        Ok(Spool { durability: options.durability, writer: Some(writer), ..Spool::attach(root) })
    }

    /// The spool at `root` beside a node that has it open: for reading.
    #[must_use]
    pub fn attach(root: &Path) -> Spool {
        Spool {
            root: root.to_owned(),
            durability: Durability::default(),
            writer: None,
            quarantining: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Appends one object to its series so that it survives a power cut, whatever [`Durability`] says.
    /// `parts` are written one after the other. Two appends of the same SOP Instance UID give two locations;
    /// neither overwrites the other.
    pub fn append(&self, series: &SeriesKey, instance: &Uid, parts: &[&[u8]]) -> Result<Location, SpoolError> {
        let mut draft = self.draft(instance, "", &[])?;
        parts.iter().try_for_each(|part| draft.write(part))?;
        Ok(self.put(draft, series, Durability::PowerLoss)?.location)
    }

    /// Appends one object, `head` and then `body`, that survives what [`SpoolOptions`] promise, with a note that
    /// [`Spool::records`] gives back: what the ledger is to say of the object, should it forget it. At most 8 KiB.
    pub fn append_with(
        &self,
        series: &SeriesKey,
        instance: &Uid,
        note: &str,
        head: &[u8],
        body: &[u8],
    ) -> Result<Stored, SpoolError> {
        let mut draft = self.draft(instance, note, head)?;
        draft.write(body)?;
        self.keep(draft, series)
    }

    /// Begins an object whose bytes are still to come; `head` goes before them. `note`: see [`Spool::append_with`].
    pub fn draft(&self, instance: &Uid, note: &str, head: &[u8]) -> Result<Draft, SpoolError> {
        Draft::new(self.writer()?.shared.clone(), instance, note, head)
    }

    /// Keeps an object as [`SpoolOptions`] promise. Blocking.
    pub fn keep(&self, draft: Draft, series: &SeriesKey) -> Result<Stored, SpoolError> {
        self.put(draft, series, self.durability)
    }

    fn put(&self, draft: Draft, series: &SeriesKey, promise: Durability) -> Result<Stored, SpoolError> {
        let writer = self.writer()?;
        if draft.is_large() {
            return draft.keep_aside(series, promise);
        }
        writer.write(Order { draft, series: series.clone(), promise })
    }

    /// The bytes of an object, compared with the checksum they were stored with.
    pub fn read(&self, location: &Location) -> Result<Vec<u8>, SpoolError> {
        let (segment, found) = self.find(location)?;
        let bytes = read_bytes(&segment, &found, found.header.length)?;
        if record::checksum(&bytes) == found.header.checksum {
            Ok(bytes)
        } else {
            Err(SpoolError::Damaged(location.0.clone()))
        }
    }

    /// The first `limit` bytes of an object (its header), not verified.
    pub fn read_head(&self, location: &Location, limit: usize) -> Result<Vec<u8>, SpoolError> {
        let (segment, found) = self.find(location)?;
        read_bytes(&segment, &found, found.header.length.min(limit as u64))
    }

    /// A reader over an object, for those who need not hold all of it; not verified.
    pub fn open_reader(&self, location: &Location) -> Result<Box<dyn Read + Send>, SpoolError> {
        let (segment, found) = self.find(location)?;
        let reader = ObjectReader { segment, at: found.offset + found.header.body(), left: found.header.length };
        Ok(Box::new(io::BufReader::with_capacity(64 * 1024, reader)))
    }

    /// Removes an object so that no power cut brings it back, unless [`Durability`] asks for less; removing what is
    /// gone already is no error.
    pub fn remove(&self, location: &Location) -> Result<(), SpoolError> {
        let writer = self.writer()?;
        let mut log = writer.lock();
        let segment = match self.find_with(location, true) {
            Ok((segment, found)) => log.free(&segment, found.offset).map(|()| segment)?,
            Err(SpoolError::Missing(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        drop(log);
        match self.durability {
            Durability::ProcessCrash => Ok(()),
            Durability::PowerLoss if segment.is_deleted() => durable::sync_folder(&self.root.join(SEGMENTS)),
            Durability::PowerLoss => segment.sync().map_err(SpoolError::io("sync", &segment.path)),
        }
    }

    /// All objects of the spool, quarantine excepted. Objects that no ledger row names were never
    /// acknowledged and may be removed while nothing is being received.
    pub fn locations(&self) -> Result<impl Iterator<Item = Result<Location, SpoolError>> + '_, SpoolError> {
        Ok(self.records()?.map(|record| record.map(|record| record.location)))
    }

    /// As [`Spool::locations`], with what each record says of itself; one segment at a time in memory.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Record, SpoolError>> + '_, SpoolError> {
        let folder = self.root.join(SEGMENTS);
        let files = if folder.exists() { log::segment_files(&folder)? } else { Vec::new() };
        Ok(files.into_iter().flat_map(|(path, number)| match records_of(&path, number) {
            Ok(records) => records.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }))
    }

    fn find(&self, location: &Location) -> Result<(Segment, Found), SpoolError> {
        self.find_with(location, false)
    }

    /// The record of a location, if it is still there.
    fn find_with(&self, location: &Location, writable: bool) -> Result<(Segment, Found), SpoolError> {
        let place = Place::of(location)?;
        let path = log::path_of(&self.root.join(SEGMENTS), place.segment);
        let mut segment = match Segment::open(&path, place.segment, writable) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(SpoolError::Missing(location.0.clone()));
            }
            opened => opened.map_err(SpoolError::io("open", &path))?,
        };
        if writable && self.durability == Durability::PowerLoss {
            segment.bypass_cache();
        }
        let found = segment.found_at(place.offset).map_err(SpoolError::io("read", &path))?;
        let same = |found: &Found| {
            let header = &found.header;
            !header.freed && header.sequence == place.sequence && header.length == place.length
        };
        match found.filter(same) {
            Some(found) => Ok((segment, found)),
            None => Err(SpoolError::Missing(location.0.clone())),
        }
    }

    fn writer(&self) -> Result<&Writer, SpoolError> {
        self.writer.as_ref().ok_or_else(|| SpoolError::ReadOnly(self.root.clone()))
    }
}

impl Writer {
    fn start(log: Log, folder: PathBuf, options: SpoolOptions) -> Writer {
        let (bell, rung) = sync_channel(1);
        let stopping = Arc::new(AtomicBool::new(false));
        let wanted = (options.reserve / options.segment_bytes) as usize;
        let SpoolOptions { segment_bytes, durability, .. } = options;
        let (log, pool) = (Mutex::new(log), Pool::default());
        let shared = Arc::new(Shared { log, folder, durability, pool });
        let reserve = Reserve { shared: shared.clone(), segment_bytes, wanted, stopping: stopping.clone() };
        let reserve = std::thread::spawn(move || reserve.run(&rung));
        Writer { pen: Some(Pen::new(shared.clone(), bell)), shared, stopping, reserve: Some(reserve) }
    }

    fn write(&self, order: Order) -> Result<Stored, SpoolError> {
        match &self.pen {
            Some(pen) => pen.write(order),
            None => Err(SpoolError::ReadOnly(self.shared.folder.clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.shared.log()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // the last end of the bell goes with it
        self.pen = None;
        if let Some(Err(_)) = self.reserve.take().map(JoinHandle::join) {
            tracing::error!("the thread that writes segments ahead panicked");
        }
    }
}

/// A data folder of one file an instance is left as it is: its files are DICOM files that somebody may want.
fn refuse_earlier_form(root: &Path) -> Result<(), SpoolError> {
    let is_study = |path: &PathBuf| {
        path.is_dir() && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| Uid::parse(name).is_ok())
    };
    if root.exists() && durable::entries(root)?.iter().any(is_study) {
        return Err(SpoolError::EarlierForm(root.to_owned()));
    }
    Ok(())
}

/// Reads an object piece by piece.
struct ObjectReader {
    segment: Segment,
    at: u64,
    left: u64,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.left.min(buffer.len() as u64);
        self.segment.read(&mut buffer[..count as usize], self.at)?;
        self.at += count;
        self.left -= count;
        Ok(count as usize)
    }
}

fn read_bytes(segment: &Segment, found: &Found, count: u64) -> Result<Vec<u8>, SpoolError> {
    let mut bytes = vec![0; count as usize];
    let at = found.offset + found.header.body();
    segment.read(&mut bytes, at).map_err(SpoolError::io("read", &segment.path))?;
    Ok(bytes)
}

fn records_of(path: &Path, number: u64) -> Result<Vec<Record>, SpoolError> {
    let found = match Segment::open(path, number, false).and_then(|segment| log::live_records(&segment)) {
        // the node beside us has deleted it meanwhile
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        found => found.map_err(SpoolError::io("read", path))?,
    };
    let record = |found: Found| {
        let (series, instance, note) = record::read_label(&found.label)?;
        let (length, sequence) = (found.header.length, found.header.sequence);
        let location = Place { segment: number, offset: found.offset, length, sequence }.location();
        Some(Record { location, series, instance, note, sequence })
    };
    Ok(found.into_iter().filter_map(record).collect())
}
