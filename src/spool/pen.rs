//! Who writes records: whoever brings one, on its own thread, in a lane of the log that nobody else has meanwhile.
//!
//! A lane is a segment in use ([`super::log::LANES`]). In it records are written one behind the other, so none is ever
//! durable without all those before it, and a start that goes from header to header finds every one that was kept. Lanes
//! write side by side. Who finds none free waits, and is led by the next who has one: one write and one flush serve all
//! who wait (group commit). No thread stands between an object and the disk.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::draft::Draft;
use super::log::{LANES, Taken};
use super::segment::FIRST;
use super::{Durability, Shared, SpoolError, Stored};
use crate::dicom::SeriesKey;

/// Most bytes written at once.
const GROUP: u64 = 2 << 20;
/// Most records written at once; each has some pieces, and a system call takes 1,024.
const MOST: usize = 60;
/// Lanes that small objects take at a time: each write then serves many of them, and none waits for a thread to wake.
const LANES_OF_SMALL: usize = 2;
/// Objects below it do better together than side by side; those of tests are all small.
const SMALL: u64 = if cfg!(test) { 8 * 1024 } else { 64 * 1024 };

/// A whole object to be written.
#[derive(Debug)]
pub(super) struct Order {
    pub draft: Draft,
    pub series: SeriesKey,
    pub promise: Durability,
}

/// Says who writes.
#[derive(Debug)]
pub(super) struct Pen {
    shared: Arc<Shared>,
    /// Rung when a segment was used up.
    bell: SyncSender<()>,
    desk: Mutex<Desk>,
}

#[derive(Debug)]
struct Desk {
    /// Lanes that nobody has.
    free: BTreeSet<usize>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    order: Order,
    tell: SyncSender<Word>,
}

/// What one who waits is told.
#[derive(Debug)]
enum Word {
    /// The lane is its own now: it writes its order, which it gets back, and those of others who wait.
    Lead(usize, Box<Waiting>),
    Done(Result<Stored, SpoolError>),
}

/// The stay in a lane, which passes it on when it is over.
struct Turn<'p> {
    pen: &'p Pen,
    lane: usize,
}

impl Pen {
    pub fn new(shared: Arc<Shared>, bell: SyncSender<()>) -> Pen {
        let desk = Desk { free: (0..LANES).collect(), waiting: VecDeque::new() };
        Pen { shared, bell, desk: Mutex::new(desk) }
    }

    /// Writes `order`, or has it written with others. Blocking.
    pub fn write(&self, order: Order) -> Result<Stored, SpoolError> {
        let (tell, told) = sync_channel(1);
        let waiting = Waiting { order, tell };
        let mut desk = self.desk();
        if let Some(lane) = desk.lane_for(waiting.order.draft.room()) {
            drop(desk);
            self.lead(lane, waiting);
        } else {
            desk.waiting.push_back(waiting);
            drop(desk);
        }
        loop {
            match told.recv() {
                Ok(Word::Done(outcome)) => return outcome,
                Ok(Word::Lead(lane, waiting)) => self.lead(lane, *waiting),
                Err(_) => {
                    let fault = io::Error::other("the thread that wrote for several panicked");
                    return Err(SpoolError::io("write to", &self.shared.folder)(fault));
                }
            }
        }
    }

    /// Writes the order of `first` and those that wait behind it.
    fn lead(&self, lane: usize, first: Waiting) {
        let turn = Turn { pen: self, lane };
        let group = self.desk().gather(first);
        let told = self.write_group(lane, group);
        // the next one writes while these are told
        drop(turn);
        for (tell, outcome) in told {
            let _ = tell.send(Word::Done(outcome));
        }
    }

    /// Writes a group; what is to be said to each.
    fn write_group(&self, lane: usize, group: Vec<Waiting>) -> Vec<(SyncSender<Word>, Result<Stored, SpoolError>)> {
        let (mut told, mut placed) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
        let mut log = self.shared.log();
        for Waiting { mut order, tell } in group {
            match log.take(lane, order.draft.room(), order.draft.object_length()) {
                Ok(taken) => {
                    order.draft.inscribe(&order.series, taken.segment.generation, taken.place.sequence);
                    placed.push((order, taken, tell));
                }
                Err(error) => told.push((tell, Err(error))),
            }
        }
        drop(log);
        if placed.iter().any(|(_, taken, _)| taken.place.offset == FIRST) {
            // a full bell has been rung already
            let _ = self.bell.try_send(());
        }
        for run in placed.chunk_by(in_one_segment) {
            let outcome = write_run(run);
            for (order, taken, tell) in run {
                self.shared.log().settle(taken, outcome.is_ok());
                let fault = |(action, kind): (&'static str, io::ErrorKind)| {
                    SpoolError::io(action, &taken.segment.path)(kind.into())
                };
                told.push((tell.clone(), outcome.map(|()| order.draft.stored(taken)).map_err(fault)));
            }
        }
        told
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// A lane for a record of `room` bytes, where it is not to wait for one.
    fn lane_for(&mut self, room: u64) -> Option<usize> {
        let most = if room < SMALL { LANES_OF_SMALL } else { LANES };
        if LANES - self.free.len() < most { self.free.pop_first() } else { None }
    }

    fn gather(&mut self, first: Waiting) -> Vec<Waiting> {
        let (mut bytes, mut group) = (first.order.draft.room(), vec![first]);
        while bytes < GROUP && group.len() < MOST {
            let Some(next) = self.waiting.pop_front() else { break };
            bytes += next.order.draft.room();
            group.push(next);
        }
        group
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut desk = self.pen.desk();
        let Some(next) = desk.waiting.pop_front() else {
            desk.free.insert(self.lane);
            return;
        };
        drop(desk);
        let tell = next.tell.clone();
        // who waits listens until it is told
        let _ = tell.send(Word::Lead(self.lane, Box::new(next)));
    }
}

fn in_one_segment<W>((_, one, _): &(Order, Taken, W), (_, next, _): &(Order, Taken, W)) -> bool {
    one.place.segment == next.place.segment
}

/// Writes records that lie one behind the other, and flushes them where one of them asks for it.
fn write_run<W>(run: &[(Order, Taken, W)]) -> Result<(), (&'static str, io::ErrorKind)> {
    let [(_, first, _), ..] = run else { return Ok(()) };
    let slices: Vec<IoSlice<'_>> = run.iter().flat_map(|(order, ..)| order.draft.slices()).collect();
    first.segment.write_run(&slices, first.place.offset).map_err(|error| ("write", error.kind()))?;
    if run.iter().any(|(order, ..)| order.promise == Durability::PowerLoss) {
        first.segment.sync().map_err(|error| ("sync", error.kind()))?;
    }
    Ok(())
}
