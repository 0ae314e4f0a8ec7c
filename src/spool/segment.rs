//! One segment file: a head page, then records one after the other; positioned reads and writes only.
//!
//! Knows nothing of other segments.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::medium::Medium;
use super::record::{self, HEADER, Header};

/// Where the first record begins.
pub(super) const FIRST: u64 = 4096;
const MAGIC: [u8; 4] = *b"SgS1";
/// Where the head says that no record of this life is unfinished.
const SEALED_AT: u64 = 64;
const SEALED: [u8; 4] = *b"DONE";
/// Header and label of most records are in here.
const FIRST_READ: usize = 1024;

/// An open segment in one of its lives.
#[derive(Debug)]
pub(super) struct Segment {
    pub number: u64,
    pub generation: u64,
    /// Length of the file.
    pub capacity: u64,
    pub path: PathBuf,
    file: Medium,
}

/// What the head page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub generation: u64,
    pub sealed: bool,
}

/// A record found in a segment.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub offset: u64,
    pub header: Header,
    pub label: Vec<u8>,
}

impl Found {
    /// Where the next record begins.
    pub fn end(&self) -> u64 {
        self.offset + self.header.room()
    }
}

impl Segment {
    pub fn open(path: &Path, number: u64, writable: bool) -> io::Result<Segment> {
        let file = Medium::open(path, writable)?;
        let capacity = file.length()?;
        let mut segment = Segment { number, generation: 0, capacity, path: path.to_owned(), file };
        segment.generation = segment.head()?.map_or(0, |head| head.generation);
        Ok(segment)
    }

    /// Begins a new life: what older lives left no longer counts.
    pub fn begin(&mut self, generation: u64) -> io::Result<()> {
        let mut head = [0; SEALED_AT as usize + 4];
        head[..4].copy_from_slice(&MAGIC);
        head[8..16].copy_from_slice(&generation.to_le_bytes());
        let sum = crc32fast::hash(&head[8..16]);
        head[4..8].copy_from_slice(&sum.to_le_bytes());
        self.generation = generation;
        self.file.write(&head, 0)
    }

    /// `None` for a segment that was never used.
    pub fn head(&self) -> io::Result<Option<Head>> {
        let mut head = [0; SEALED_AT as usize + 4];
        let read = self.file.read_up_to(&mut head, 0)?;
        let sum = crc32fast::hash(&head[8..16]).to_le_bytes();
        let sound = read == head.len() && head[..4] == MAGIC && head[4..8] == sum;
        let generation = u64::from_le_bytes(std::array::from_fn(|n| head[8 + n]));
        Ok(sound.then_some(Head { generation, sealed: head[SEALED_AT as usize..] == SEALED }))
    }

    /// Says that every record is whole or freed. Not flushed: without it a start looks at the bytes again.
    pub fn seal(&self) -> io::Result<()> {
        self.file.write(&SEALED, SEALED_AT)
    }

    /// Whether someone deleted the file: what is written to it now is lost.
    pub fn is_deleted(&self) -> bool {
        self.file.is_deleted()
    }

    /// See [`Medium::bypass_cache`].
    pub fn bypass_cache(&mut self) {
        self.file.bypass_cache(&self.path);
    }

    /// Writes whole pages.
    pub fn write_run(&self, pages: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.file.write_run(pages, offset)
    }

    pub fn free(&self, offset: u64) -> io::Result<()> {
        self.file.patch(&record::FREED, offset + record::STATE)
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// The record at `offset`, whatever its life; `None` where there is no whole header.
    pub fn found_at(&self, offset: u64) -> io::Result<Option<Found>> {
        if offset >= self.capacity {
            return Ok(None);
        }
        let mut bytes = vec![0; FIRST_READ];
        let read = self.file.read_up_to(&mut bytes, offset)?;
        bytes.truncate(read);
        let Some(header) = Header::decode(&bytes) else { return Ok(None) };
        let end = HEADER + header.label as usize;
        if end > bytes.len() {
            let have = bytes.len();
            bytes.resize(end, 0);
            let more = self.file.read_up_to(&mut bytes[have..], offset + have as u64)?;
            bytes.truncate(have + more);
        }
        let Some(label) = bytes.get(HEADER..end) else { return Ok(None) };
        let inside = offset.checked_add(header.room()).is_some_and(|end| end <= self.capacity);
        let sound = inside && header.owns(&bytes, label);
        Ok(sound.then(|| Found { offset, header, label: label.to_vec() }))
    }

    /// How a scan goes from record to record: `None` behind the last. What an older life left there is no record, nor is
    /// what a power cut left behind a hole that newer records filled: their numbers are larger.
    pub fn next(&self, before: Option<&Found>) -> io::Result<Option<Found>> {
        let (offset, least) = before.map_or((FIRST, self.generation), |found| (found.end(), found.header.sequence + 1));
        let follows = |found: &Found| found.header.generation == self.generation && found.header.sequence >= least;
        Ok(self.found_at(offset)?.filter(follows))
    }

    /// Reads `buffer.len()` bytes of an object.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact(buffer, offset)
    }

    /// Whether the bytes of a record are those that its header speaks of.
    pub fn is_whole(&self, found: &Found) -> io::Result<bool> {
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; 256 * 1024];
        let (mut at, mut left) = (found.offset + found.header.body(), found.header.length);
        while left > 0 {
            let piece = &mut buffer[..left.min(256 * 1024) as usize];
            self.file.read_exact(piece, at)?;
            hasher.update(piece);
            at += piece.len() as u64;
            left -= piece.len() as u64;
        }
        Ok(hasher.finalize() == found.header.checksum)
    }
}
