//! Who writes records: one at a time, in the order of their places, as many at once as wait.
//!
//! So no record is ever durable without all those before it in its segment, and a start that goes from header to header
//! finds every one that was kept. One write and one flush serve a whole group (group commit). Who needs no flush writes
//! on its own thread while nobody else does.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use super::draft::Draft;
use super::log::Taken;
use super::segment::FIRST;
use super::{Durability, Shared, SpoolError, Stored};
use crate::dicom::SeriesKey;

/// Most bytes written at once.
const GROUP: u64 = 8 << 20;
/// Most records written at once; each has some pieces, and a system call takes 1,024.
const MOST: usize = 60;

/// Is told what became of an object.
pub(super) type Then = Box<dyn FnOnce(Result<Stored, SpoolError>) + Send>;

/// A whole object that waits to be written.
pub(super) struct Order {
    pub draft: Draft,
    pub series: SeriesKey,
    pub promise: Durability,
    pub then: Then,
}

/// Hands orders to the thread that writes.
#[derive(Debug)]
pub(super) struct Pen {
    desk: Arc<Desk>,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Desk {
    shared: Arc<Shared>,
    /// Rung when a segment was used up.
    bell: SyncSender<()>,
    /// Held by who writes.
    writing: Mutex<()>,
}

impl Pen {
    pub fn start(shared: Arc<Shared>, bell: SyncSender<()>) -> Pen {
        let (orders, received) = channel();
        let desk = Arc::new(Desk { shared, bell, writing: Mutex::default() });
        let at_desk = desk.clone();
        let thread = std::thread::spawn(move || at_desk.run(&received));
        Pen { desk, orders: Some(orders), thread: Some(thread) }
    }

    /// Has `order` written: `here` and now unless another thread is writing, else together with others that wait.
    pub fn write(&self, order: Order, here: bool) {
        if here && let Ok(_writing) = self.desk.writing.try_lock() {
            return self.desk.write(vec![order]);
        }
        let refused = match &self.orders {
            Some(orders) => orders.send(order).err().map(|refused| refused.0),
            None => Some(order),
        };
        if let Some(order) = refused {
            let closed = io::Error::other("the spool is being closed");
            (order.then)(Err(SpoolError::io("write to", &self.desk.shared.folder)(closed)));
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that writes records panicked");
        }
    }
}

impl Desk {
    fn run(&self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let (mut bytes, mut group) = (first.draft.room(), vec![first]);
            while bytes < GROUP && group.len() < MOST {
                let Ok(next) = orders.try_recv() else { break };
                bytes += next.draft.room();
                group.push(next);
            }
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            self.write(group);
        }
    }

    /// Writes a group, and says to each what became of it.
    fn write(&self, group: Vec<Order>) {
        let mut placed: Vec<(Order, Taken)> = Vec::with_capacity(group.len());
        let mut log = self.shared.log();
        for mut order in group {
            match log.take(order.draft.room(), order.draft.object_length()) {
                Ok(taken) => {
                    order.draft.inscribe(&order.series, taken.segment.generation, taken.place.sequence);
                    placed.push((order, taken));
                }
                Err(error) => (order.then)(Err(error)),
            }
        }
        drop(log);
        if placed.iter().any(|(_, taken)| taken.place.offset == FIRST) {
            // a full bell has been rung already
            let _ = self.bell.try_send(());
        }
        let outcomes: Vec<_> = placed.chunk_by(in_one_segment).map(|run| (run.len(), write_run(run))).collect();
        let mut placed = placed.into_iter();
        for (count, outcome) in outcomes {
            for (order, taken) in placed.by_ref().take(count) {
                self.shared.log().settle(&taken, outcome.is_ok());
                let fault = |(action, kind): (&'static str, io::ErrorKind)| {
                    SpoolError::io(action, &taken.segment.path)(kind.into())
                };
                let stored = outcome.map(|()| order.draft.stored(&taken)).map_err(fault);
                drop(order.draft);
                (order.then)(stored);
            }
        }
    }
}

fn in_one_segment((_, one): &(Order, Taken), (_, next): &(Order, Taken)) -> bool {
    one.place.segment == next.place.segment
}

/// Writes records that lie one behind the other, and flushes them where one of them asks for it.
fn write_run(run: &[(Order, Taken)]) -> Result<(), (&'static str, io::ErrorKind)> {
    let [(_, first), ..] = run else { return Ok(()) };
    let slices: Vec<IoSlice<'_>> = run.iter().flat_map(|(order, _)| order.draft.slices()).collect();
    first.segment.write_run(&slices, first.place.offset).map_err(|error| ("write", error.kind()))?;
    if run.iter().any(|(order, _)| order.promise == Durability::PowerLoss) {
        first.segment.sync().map_err(|error| ("sync", error.kind()))?;
    }
    Ok(())
}
