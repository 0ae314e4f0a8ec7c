//! Who may write where: the segments in use, what lives in the others, and the spare ones.
//!
//! All of it can be told from the files alone, so nothing of it is kept elsewhere. Several segments are in use, one a
//! lane. Those who write have a lane to themselves and write in the order of their places (`pen`): whatever a flush makes
//! durable, the chain of headers that leads to it is durable too.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::medium::Medium;
use super::segment::{FIRST, Found, Segment};
use super::{Durability, Place, SpoolError, SpoolOptions, durable};

pub(super) const SUFFIX: &str = "seg";
/// Being zero-filled.
pub(super) const UNFINISHED: &str = "new";
const EPOCH: &str = "epoch";
/// Sequence numbers of one start; 2^40 objects are more than a start will see.
const A_START: u32 = 40;
/// Segments that are written side by side.
pub(super) const LANES: usize = 4;
/// Spare segments kept beyond the reserve; the files of more are deleted.
const MOST_SPARES: usize = 8;

/// The writer's view of the segment files. One per data folder.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    /// Length of a segment file; a larger object gets a file of its own.
    segment_bytes: u64,
    durability: Durability,
    /// Left without a flush: sealed by the reserve's thread, which can wait for one.
    pub unsealed: Vec<Left>,
    lanes: [Option<Current>; LANES],
    held: BTreeMap<u64, Held>,
    /// Numbers of segments that may be used again.
    pub spares: VecDeque<u64>,
    next_sequence: u64,
    next_number: u64,
}

#[derive(Debug)]
struct Current {
    segment: Arc<Segment>,
    tail: u64,
}

/// What a segment holds.
#[derive(Debug, Default)]
struct Held {
    live: usize,
    /// Records being written.
    pending: usize,
    /// Writing a record failed. What is there of it, and whether a power cut leaves it freed, the next start has to see.
    unclear: bool,
}

/// A segment that nothing more is appended to, not yet flushed.
#[derive(Debug)]
pub(super) struct Left {
    pub path: PathBuf,
    pub number: u64,
    generation: u64,
}

/// A place taken by [`Log::take`], to be filled and then given back to [`Log::settle`].
#[derive(Debug)]
pub(super) struct Taken {
    pub segment: Arc<Segment>,
    pub place: Place,
}

impl Log {
    /// Takes stock of the segment files in `folder`: torn records are freed, the last segment is continued.
    pub fn open(folder: &Path, options: SpoolOptions) -> Result<Log, SpoolError> {
        let mut log = Log {
            folder: folder.to_owned(),
            segment_bytes: options.segment_bytes,
            durability: options.durability,
            unsealed: Vec::new(),
            lanes: Default::default(),
            held: BTreeMap::new(),
            spares: VecDeque::new(),
            next_sequence: 0,
            next_number: 1,
        };
        let mut last = 0;
        for (path, number) in segment_files(folder)? {
            log.next_number = log.next_number.max(number + 1);
            last = last.max(log.survey(&path, number)?);
        }
        let epoch = read_epoch(folder).max(last >> A_START) + 1;
        write_epoch(folder, epoch)?;
        log.next_sequence = epoch << A_START;
        Ok(log)
    }

    /// Counts what is in one file; the largest sequence number seen.
    fn survey(&mut self, path: &Path, number: u64) -> Result<u64, SpoolError> {
        let fault = |action| SpoolError::io(action, path);
        let mut segment = Segment::open(path, number, true).map_err(fault("open"))?;
        let Some(head) = segment.head().map_err(fault("read"))? else {
            self.retire(number, path, segment.capacity);
            return Ok(0);
        };
        let (mut held, mut last) = (Held::default(), None);
        while let Some(found) = segment.next(last.as_ref()).map_err(fault("read"))? {
            let found = last.insert(found);
            if found.header.freed {
                continue;
            }
            if head.sealed || segment.is_whole(found).map_err(fault("read"))? {
                held.live += 1;
            } else {
                segment.free(found.offset).map_err(fault("write"))?;
            }
        }
        let (tail, newest) = last.map_or((FIRST, head.generation), |last| (last.end(), last.header.sequence));
        // whole records that nobody was told of may be recorded from now on: then they have to stay
        if !head.sealed {
            segment.sync().map_err(fault("sync"))?;
        }
        let live = held.live;
        self.held.insert(number, held);
        let lane = self.oldest_lane().filter(|_| !head.sealed && segment.capacity == self.segment_bytes);
        let newer = |before: &Current| before.segment.generation < segment.generation;
        if let Some(lane) = lane.filter(|lane| self.lanes[*lane].as_ref().is_none_or(newer)) {
            self.prepare(&mut segment);
            let before = self.lanes[lane].replace(Current { segment: Arc::new(segment), tail });
            self.leave(before);
        } else if live == 0 {
            self.held.remove(&number);
            self.retire(number, path, segment.capacity);
        } else if !head.sealed {
            segment.seal().map_err(fault("write"))?;
        }
        Ok(newest)
    }

    /// The lane that is empty, or was begun first.
    fn oldest_lane(&self) -> Option<usize> {
        (0..LANES).min_by_key(|lane| self.lanes[*lane].as_ref().map(|current| current.segment.generation))
    }

    /// Takes the place for a record of `room` bytes, an object of `length` bytes. Whoever takes one in a lane has it
    /// written and settled before the next is taken there.
    pub fn take(&mut self, lane: usize, room: u64, length: u64) -> Result<Taken, SpoolError> {
        let sequence = self.next_sequence;
        let (segment, offset) = self.room_for(lane, room, sequence)?;
        if segment.is_deleted() {
            self.lanes[lane] = None;
            return Err(SpoolError::io("find", &segment.path)(io::ErrorKind::NotFound.into()));
        }
        self.next_sequence += 1;
        if let Some(current) = self.lanes[lane].as_mut().filter(|current| current.segment.number == segment.number) {
            current.tail = offset + room;
        }
        self.held.entry(segment.number).or_default().pending += 1;
        let place = Place { segment: segment.number, offset, length, sequence };
        Ok(Taken { segment, place })
    }

    /// A sequence number for a record that has a segment of its own.
    pub fn sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence - 1
    }

    /// A whole segment that was written elsewhere, with one record.
    pub fn adopt(&mut self, segment: Segment, length: u64, sequence: u64) -> Taken {
        self.held.insert(segment.number, Held { live: 1, ..Held::default() });
        self.finish(&segment);
        let place = Place { segment: segment.number, offset: FIRST, length, sequence };
        Taken { segment: Arc::new(segment), place }
    }

    /// The segment and the offset where `room` bytes can be written.
    fn room_for(&mut self, lane: usize, room: u64, generation: u64) -> Result<(Arc<Segment>, u64), SpoolError> {
        if FIRST + room > self.segment_bytes {
            return Ok((self.make(FIRST + room, generation)?, FIRST));
        }
        let has_room = |current: &&Current| current.tail + room <= current.segment.capacity;
        if let Some(current) = self.lanes[lane].as_ref().filter(has_room) {
            return Ok((current.segment.clone(), current.tail));
        }
        let segment = match self.spares.pop_front() {
            Some(number) => self.reuse(number, generation)?,
            None => self.make(self.segment_bytes, generation)?,
        };
        let before = self.lanes[lane].replace(Current { segment: segment.clone(), tail: FIRST });
        self.leave(before);
        Ok((segment, FIRST))
    }

    fn reuse(&self, number: u64, generation: u64) -> Result<Arc<Segment>, SpoolError> {
        let path = path_of(&self.folder, number);
        let begun = Segment::open(&path, number, true).and_then(|mut segment| {
            let lived = segment.generation != 0;
            segment.begin(generation)?;
            self.prepare(&mut segment);
            // Else a power cut could leave new bytes under old headers, which a sealed head vouches for.
            if lived {
                segment.sync()?;
            }
            Ok(segment)
        });
        begun.map(Arc::new).map_err(SpoolError::io("use", &path))
    }

    fn prepare(&self, segment: &mut Segment) {
        if self.durability == Durability::PowerLoss {
            segment.bypass_cache();
        }
    }

    /// A new file, not zero-filled: nobody waits for that.
    fn make(&mut self, length: u64, generation: u64) -> Result<Arc<Segment>, SpoolError> {
        let number = self.number();
        let path = path_of(&self.folder, number);
        Medium::make(&path, length).map_err(SpoolError::io("make", &path))?;
        let segment = self.reuse(number, generation)?;
        durable::sync_folder(&self.folder)?;
        Ok(segment)
    }

    /// Grows while objects are appended.
    pub fn progress(&self) -> u64 {
        self.next_sequence
    }

    pub fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Notes how the writing of a record ended.
    pub fn settle(&mut self, taken: &Taken, kept: bool) {
        let number = taken.segment.number;
        let held = self.held.entry(number).or_default();
        held.pending -= 1;
        held.live += usize::from(kept);
        if !kept {
            held.unclear = true;
            if let Err(error) = taken.segment.free(taken.place.offset) {
                tracing::warn!(path = %taken.segment.path.display(), "cannot free what was not written: {error}");
            }
            // what failed once will fail again: the next object goes elsewhere
            for lane in &mut self.lanes {
                drop(lane.take_if(|current| current.segment.number == number));
            }
        }
        if !self.is_in_use(number) {
            self.finish(&taken.segment);
        }
    }

    /// Frees the record at `offset` of `segment`.
    pub fn free(&mut self, segment: &Segment, offset: u64) -> Result<(), SpoolError> {
        segment.free(offset).map_err(SpoolError::io("free a record of", &segment.path))?;
        let held = self.held.entry(segment.number).or_default();
        held.live = held.live.saturating_sub(1);
        if !self.is_in_use(segment.number) {
            self.finish(segment);
        }
        Ok(())
    }

    /// Whether something is appended to this segment.
    fn is_in_use(&self, number: u64) -> bool {
        self.lanes.iter().flatten().any(|current| current.segment.number == number)
    }

    fn leave(&mut self, before: Option<Current>) {
        if let Some(before) = before {
            self.finish(&before.segment);
        }
    }

    /// A segment that nothing more is appended to: sealed when all is written, used again when all is freed.
    fn finish(&mut self, segment: &Segment) {
        let Some(held) = self.held.get(&segment.number) else { return };
        if held.pending > 0 {
            return;
        }
        if held.live == 0 {
            self.held.remove(&segment.number);
            self.retire(segment.number, &segment.path, segment.capacity);
        } else if held.unclear {
            tracing::debug!(path = %segment.path.display(), "stays unsealed");
        } else if self.durability == Durability::ProcessCrash {
            let Segment { number, generation, .. } = *segment;
            self.unsealed.push(Left { path: segment.path.clone(), number, generation });
        } else if let Err(error) = segment.seal() {
            tracing::warn!(path = %segment.path.display(), "cannot seal; the next start will look again: {error}");
        }
    }

    /// Seals a segment that was flushed since it was left, unless it lives another life by now.
    pub fn seal(&self, left: &Left, segment: &Segment) -> Result<(), SpoolError> {
        if self.is_in_use(left.number) || segment.generation != left.generation || !self.held.contains_key(&left.number)
        {
            return Ok(());
        }
        segment.seal().map_err(SpoolError::io("seal", &left.path))
    }

    fn retire(&mut self, number: u64, path: &Path, capacity: u64) {
        if capacity == self.segment_bytes && self.spares.len() < MOST_SPARES {
            self.spares.push_back(number);
        } else if let Err(error) = fs::remove_file(path) {
            tracing::warn!(path = %path.display(), "cannot delete an empty segment: {error}");
        }
    }
}

pub(super) fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.{SUFFIX}"))
}

/// The segment files of `folder` and their numbers, in the order they were made.
pub(super) fn segment_files(folder: &Path) -> Result<Vec<(PathBuf, u64)>, SpoolError> {
    let number = |path: &Path| path.file_stem()?.to_str()?.parse().ok();
    let paths = durable::entries(folder)?.into_iter();
    let mut files: Vec<(PathBuf, u64)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == SUFFIX))
        .filter_map(|path| number(&path).map(|number| (path, number)))
        .filter(|(path, number)| *path == path_of(folder, *number))
        .collect();
    files.sort_unstable_by_key(|(_, number)| *number);
    Ok(files)
}

/// The records of a segment that count: whole ones that nobody freed.
pub(super) fn live_records(segment: &Segment) -> io::Result<Vec<Found>> {
    let Some(head) = segment.head()? else { return Ok(Vec::new()) };
    let (mut live, mut last) = (Vec::new(), None);
    while let Some(found) = segment.next(last.as_ref())? {
        if !found.header.freed && (head.sealed || segment.is_whole(&found)?) {
            live.push(found.clone());
        }
        last = Some(found);
    }
    Ok(live)
}

/// How often this spool was opened: no sequence number is given out twice, even when all that an earlier
/// start wrote was lost before it became durable.
fn read_epoch(folder: &Path) -> u64 {
    fs::read_to_string(folder.join(EPOCH)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn write_epoch(folder: &Path, epoch: u64) -> Result<(), SpoolError> {
    let (path, aside) = (folder.join(EPOCH), folder.join(format!("{EPOCH}.{UNFINISHED}")));
    let _ = fs::remove_file(&aside);
    durable::write(&aside, &[format!("{epoch}\n").as_bytes()])?;
    durable::name(&aside, &path)?;
    durable::sync_folder(folder)
}
