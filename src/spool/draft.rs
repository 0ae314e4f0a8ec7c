//! An object on its way into the spool: its bytes are written as they come, and nothing of it counts before it is kept.
//!
//! Up to [`SPILL`] bytes wait in memory for a place in the log. What is larger goes to a file of its own while it comes,
//! which becomes a segment in the end; until then a start removes it, and so does dropping the draft. So an object costs
//! the same memory however large it is.

use std::fs;
use std::io::{self, IoSlice, Read};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crc32fast::Hasher;

use super::buffer::{PIECE, Piece};
use super::log::{self, Log, Taken};
use super::medium::Medium;
use super::record::{self, HEADER, PAGE};
use super::segment::{FIRST, Segment};
use super::{Durability, Shared, SpoolError, Stored, durable};
use crate::dicom::{SeriesKey, Uid};

/// Bytes of an object that wait in memory.
pub(super) const SPILL: usize = 1 << 20;

/// See the module. Made by [`super::Spool::draft`].
#[derive(Debug)]
pub struct Draft {
    shared: Arc<Shared>,
    /// The record from its first byte; behind the first piece those that are not in the file yet.
    pieces: Vec<Piece>,
    /// Bytes of the record so far.
    filled: u64,
    /// Bytes kept for the label.
    label: usize,
    instance: Uid,
    note: String,
    head: Hasher,
    head_length: u64,
    body: Hasher,
    aside: Option<Aside>,
}

/// The file of a large object.
#[derive(Debug)]
struct Aside {
    number: u64,
    path: PathBuf,
    medium: Medium,
    /// Bytes behind the first piece that are in the file.
    written: u64,
}

impl Draft {
    pub(super) fn new(shared: Arc<Shared>, instance: &Uid, note: &str, head: &[u8]) -> Result<Draft, SpoolError> {
        let label = record::longest_label(instance, note);
        if label > record::LONGEST_LABEL {
            return Err(SpoolError::LongNote(note.len()));
        }
        let mut draft = Draft {
            pieces: vec![shared.pool.take()],
            shared,
            filled: (HEADER + label) as u64,
            label,
            instance: instance.clone(),
            note: note.to_owned(),
            head: Hasher::new(),
            head_length: head.len() as u64,
            body: Hasher::new(),
            aside: None,
        };
        draft.head.update(head);
        draft.put(head)?;
        Ok(draft)
    }

    /// Adds to the object. Waits for the disk where it is larger than what waits in memory.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.body.update(bytes);
        self.put(bytes)
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.pieces.len() * PIECE
    }

    /// Bytes of the object, without its head.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.filled - self.front() - self.head_length
    }

    /// Head and body as far as they came: what of them is in the first piece, and a reader of the rest.
    pub fn reader(&self) -> (&[u8], impl Read + '_) {
        let (front, end) = (self.front(), self.filled.min(PIECE as u64));
        let begin = self.pieces.first().and_then(|piece| piece.get(front as usize..end as usize)).unwrap_or_default();
        (begin, Reader { draft: self, at: front + begin.len() as u64 })
    }

    /// The body as far as it came.
    pub fn body(&self) -> impl Read + '_ {
        Reader { draft: self, at: self.front() + self.head_length }
    }

    fn front(&self) -> u64 {
        (HEADER + self.label) as u64
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), SpoolError> {
        while !bytes.is_empty() {
            self.make_place()?;
            let place = self.place();
            let (now, later) = bytes.split_at(bytes.len().min(place.len()));
            place[..now.len()].copy_from_slice(now);
            self.filled += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Sees to it that [`Draft::place`] is not empty; waits for the disk as [`Draft::write`] does.
    pub fn make_place(&mut self) -> Result<(), SpoolError> {
        if self.in_last_piece() == PIECE {
            self.spill(SPILL)?;
            self.pieces.push(self.shared.pool.take());
        }
        Ok(())
    }

    /// Where the next bytes go.
    pub fn place(&mut self) -> &mut [u8] {
        let at = self.in_last_piece();
        self.pieces.last_mut().map_or(&mut [], |piece| &mut piece[at..])
    }

    fn in_last_piece(&self) -> usize {
        let elsewhere = self.aside.as_ref().map_or(0, |aside| aside.written);
        (self.filled - elsewhere) as usize - (self.pieces.len() - 1) * PIECE
    }

    /// Adds `count` bytes that are in [`Draft::place`] already.
    pub fn placed(&mut self, count: usize) {
        let at = self.in_last_piece();
        if let Some(bytes) = self.pieces.last().and_then(|piece| piece.get(at..at + count)) {
            self.body.update(bytes);
            self.filled += count as u64;
        }
    }

    /// Writes all but the first piece to the file when there are more than `most` bytes in memory.
    fn spill(&mut self, most: usize) -> Result<(), SpoolError> {
        if self.in_memory() < most {
            return Ok(());
        }
        let mut aside = match self.aside.take() {
            Some(aside) => aside,
            None => Aside::make(&self.shared)?,
        };
        let slices: Vec<IoSlice<'_>> = self.pieces[1..].iter().map(|piece| IoSlice::new(piece)).collect();
        let written = aside.medium.write_run(&slices, FIRST + PIECE as u64 + aside.written);
        aside.written += ((self.pieces.len() - 1) * PIECE) as u64;
        let written = written.map_err(SpoolError::io("write", &aside.path));
        self.aside = Some(aside);
        self.shared.pool.give(self.pieces.drain(1..));
        written
    }

    /// Whether it has a file of its own: keeping it waits for the disk.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.aside.is_some()
    }

    /// Bytes of the record in its segment.
    pub(super) fn room(&self) -> u64 {
        self.filled.next_multiple_of(PAGE)
    }

    /// Bytes of head and body.
    #[must_use]
    pub fn object_length(&self) -> u64 {
        self.filled - self.front()
    }

    /// Writes header and label, now that all that they say is known.
    pub(super) fn inscribe(&mut self, series: &SeriesKey, generation: u64, sequence: u64) {
        let mut checksum = self.head.clone();
        checksum.combine(&self.body);
        let mut label = record::label(series, &self.instance, &self.note);
        label.resize(self.label, 0);
        let length = self.object_length();
        let header = record::encode(generation, sequence, length, checksum.finalize(), &label);
        if let Some(piece) = self.pieces.first_mut() {
            piece[..header.len()].copy_from_slice(&header);
        }
        // the last page is written whole
        let (end, padded) = (self.filled % PIECE as u64, self.room());
        let padding = (padded - self.filled) as usize;
        if let Some(piece) = self.pieces.last_mut().filter(|_| padding > 0) {
            piece[end as usize..][..padding].fill(0);
        }
    }

    /// The pieces in memory, to the end of the last page.
    pub(super) fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        let elsewhere = self.aside.as_ref().map_or(0, |aside| aside.written);
        let mut left = (self.room() - elsewhere) as usize;
        self.pieces.iter().map(move |piece| {
            let now = left.min(PIECE);
            left -= now;
            IoSlice::new(&piece[..now])
        })
    }

    pub(super) fn stored(&self, taken: &Taken) -> Stored {
        let (location, length) = (taken.place.location(), self.object_length());
        Stored { location, length, body_length: self.length(), body_checksum: self.body.clone().finalize() }
    }

    /// Makes the file of a large object a segment. Blocking.
    pub(super) fn keep_aside(mut self, series: &SeriesKey, promise: Durability) -> Result<Stored, SpoolError> {
        let Some(Aside { number, path, written, .. }) = &self.aside else {
            return Err(SpoolError::Missing(String::new()));
        };
        let (number, path, written) = (*number, path.clone(), *written);
        let fault = |action| SpoolError::io(action, &path);
        let sequence = self.shared.log().sequence();
        self.inscribe(series, sequence, sequence);
        let slices: Vec<IoSlice<'_>> = self.slices().collect();
        let mut segment = Segment::open(&path, number, true).map_err(fault("open"))?;
        let placed = segment.write_run(&slices[1..], FIRST + PIECE as u64 + written);
        placed.and_then(|()| segment.write_run(&slices[..1], FIRST)).map_err(fault("write"))?;
        segment.begin(sequence).map_err(fault("write"))?;
        if promise == Durability::PowerLoss {
            segment.sync().map_err(fault("sync"))?;
        }
        let name = log::path_of(&self.shared.folder, number);
        durable::name(&path, &name)?;
        self.aside = None;
        if promise == Durability::PowerLoss {
            durable::sync_folder(&self.shared.folder)?;
        }
        let length = self.object_length();
        let taken = self.shared.log().adopt(segment, length, sequence);
        // what is still in memory counts, too
        Ok(self.stored(&taken))
    }
}

impl Aside {
    fn make(shared: &Shared) -> Result<Aside, SpoolError> {
        let number = shared.log().number();
        let path = log::path_of(&shared.folder, number).with_extension(log::UNFINISHED);
        let make = || -> io::Result<Medium> {
            Medium::make(&path, 0)?;
            let mut medium = Medium::open(&path, true)?;
            if shared.durability == Durability::PowerLoss {
                medium.bypass_cache(&path);
            }
            Ok(medium)
        };
        let medium = make().map_err(SpoolError::io("make", &path))?;
        Ok(Aside { number, path, medium, written: 0 })
    }
}

impl Shared {
    pub(super) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.shared.pool.give(self.pieces.drain(..));
        if let Some(aside) = &self.aside
            && let Err(error) = fs::remove_file(&aside.path)
        {
            tracing::warn!(path = %aside.path.display(), "half an object stays until the next start: {error}");
        }
    }
}

struct Reader<'d> {
    draft: &'d Draft,
    /// Counted from the first byte of the record.
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (piece, elsewhere) = (PIECE as u64, self.draft.aside.as_ref().map_or(0, |aside| aside.written));
        let left = (self.draft.filled - self.at).min(buffer.len() as u64) as usize;
        let count = match &self.draft.aside {
            Some(aside) if (piece..piece + elsewhere).contains(&self.at) => {
                let count = left.min((piece + elsewhere - self.at) as usize);
                aside.medium.read_exact(&mut buffer[..count], FIRST + self.at)?;
                count
            }
            _ => {
                let at = if self.at < piece { self.at } else { self.at - elsewhere };
                let Some(from) = self.draft.pieces.get((at / piece) as usize) else { return Ok(0) };
                let from = &from[(at % piece) as usize..];
                let count = left.min(from.len());
                buffer[..count].copy_from_slice(&from[..count]);
                count
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}
