//! The audit trail: who did what with whose images (PS3.15 section A.5), to a file, to a syslog server, or both.
//!
//! The one place where patients are named, as the standard asks; `patients = false` keeps them out of here, too. Nobody who
//! tells the trail something waits for it: messages go through a bounded queue to a thread of their own.

mod door;
mod event;
mod message;
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::clock::{Clock, Millis};
use crate::config::AuditSettings;

pub use door::Door;
pub use event::{Event, Patient, Peer, Study, Transfer};
pub use message::{Source, message};
use sink::{FileSink, Sink, SyslogSink};

/// Messages that wait for a syslog server that is away.
const QUEUE: usize = 10_000;
/// How long the end of the node waits for the last messages.
const FAREWELL: Duration = Duration::from_secs(3);

/// Takes events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trail {
    /// One a sink: a server that is away keeps nothing out of the file.
    queues: Vec<SyncSender<Entry>>,
    source: Arc<Source>,
    clock: Arc<dyn Clock>,
    overflowed: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Entry {
    Message(Arc<str>, Millis),
    Flush(SyncSender<()>),
}

impl Trail {
    /// Starts a thread for each sink. A sink is opened when the first message is written; one that fails is tried again.
    #[must_use]
    pub fn start(settings: &AuditSettings, source: Source, clock: Arc<dyn Clock>) -> Trail {
        let source = Arc::new(source);
        let file = settings.file.clone().map(|path| serve(FileSink::new(path)));
        let server = settings.syslog.clone().map(|server| serve(SyslogSink::new(server, source.clone())));
        let queues = file.into_iter().chain(server).collect();
        Trail { queues, source, clock, overflowed: Arc::default() }
    }

    /// Notes an event, now.
    pub fn tell(&self, event: Event) {
        let now = self.clock.now();
        let text: Arc<str> = message(&event, &self.source, now).into();
        let sent: Vec<_> = self.queues.iter().map(|queue| queue.try_send(Entry::Message(text.clone(), now))).collect();
        if sent.iter().all(Result::is_ok) {
            self.overflowed.store(false, Ordering::Relaxed);
        } else if !self.overflowed.swap(true, Ordering::Relaxed) {
            tracing::error!("audit messages are lost: the file or the server has been away for too long");
        }
    }

    /// Waits, not for long, until what was told is written. Blocking.
    pub fn flush(&self) {
        for queue in &self.queues {
            let (answer, done) = sync_channel(1);
            if queue.try_send(Entry::Flush(answer)).is_err() || done.recv_timeout(FAREWELL).is_err() {
                tracing::warn!("the last audit messages could not be written everywhere");
            }
        }
    }
}

/// The queue of a sink that writes on a thread of its own.
fn serve(mut sink: impl Sink + Send + 'static) -> SyncSender<Entry> {
    let (queue, entries): (_, Receiver<Entry>) = sync_channel(QUEUE);
    std::thread::spawn(move || {
        while let Ok(entry) = entries.recv() {
            match entry {
                Entry::Message(text, at) => sink.write(&text, at),
                Entry::Flush(answer) => {
                    let _ = answer.send(());
                }
            }
        }
    });
    queue
}
