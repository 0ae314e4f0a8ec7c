//! Segments zero-filled ahead of use by a thread of their own: a flush into blocks that the file system has
//! assigned already costs half of one that must assign them.
//!
//! Never in the way of a receipt: it is filled while nothing is received, past the page cache, and when it is used up
//! records go to files that are not filled.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::log::{self, Log};
use super::medium::direct_flag;
use super::segment::Segment;
use super::{Durability, Shared, SpoolError, durable};

const PIECE: usize = 1 << 20;
/// What direct writes must be aligned to, everywhere we know of.
const PAGE: usize = 4096;
/// Nothing was received for so long: now the disk is free.
const QUIET: Duration = Duration::from_secs(2);

/// What the thread works on.
#[derive(Debug, Clone)]
pub(super) struct Reserve {
    pub shared: Arc<Shared>,
    pub segment_bytes: u64,
    /// Spare segments wanted.
    pub wanted: usize,
    pub stopping: Arc<AtomicBool>,
}

impl Reserve {
    /// Works after every call of the bell, until the other end is dropped.
    pub fn run(&self, bell: &Receiver<()>) {
        loop {
            if let Err(error) = self.seal() {
                tracing::warn!("a segment stays unsealed, the next start reads all of it: {error}");
            }
            if let Err(error) = self.fill() {
                tracing::warn!("no segments written ahead, receiving is slower: {error}");
            }
            if bell.recv().is_err() || !self.is_quiet(bell) {
                return;
            }
        }
    }

    /// Waits until nothing has been received for a while; `false`: the spool is closed.
    fn is_quiet(&self, bell: &Receiver<()>) -> bool {
        loop {
            let before = self.lock().progress();
            match bell.recv_timeout(QUIET) {
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) if self.lock().progress() == before => return true,
                _ => {}
            }
        }
    }

    /// Makes spare segments until there are as many as wanted.
    pub fn fill(&self) -> Result<(), SpoolError> {
        while let Some(number) = self.lacking() {
            let aside = log::path_of(&self.shared.folder, number).with_extension(log::UNFINISHED);
            if !self.write_zeros(&aside)? {
                let _ = fs::remove_file(&aside);
                return Ok(());
            }
            let path = log::path_of(&self.shared.folder, number);
            durable::name(&aside, &path)?;
            durable::sync_folder(&self.shared.folder)?;
            self.lock().spares.push_back(number);
        }
        Ok(())
    }

    /// Flushes and seals the segments that were left without a flush.
    fn seal(&self) -> Result<(), SpoolError> {
        let unsealed = std::mem::take(&mut self.lock().unsealed);
        for left in unsealed {
            let synced = Segment::open(&left.path, left.number, true).and_then(|segment| {
                segment.sync()?;
                Ok(segment)
            });
            let segment = synced.map_err(SpoolError::io("sync", &left.path))?;
            self.lock().seal(&left, &segment)?;
        }
        Ok(())
    }

    fn lacking(&self) -> Option<u64> {
        let mut log = self.lock();
        (log.spares.len() < self.wanted).then(|| log.number())
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.shared.log()
    }

    /// Whether it was finished before the spool was closed.
    fn write_zeros(&self, path: &Path) -> Result<bool, SpoolError> {
        let fault = |action| SpoolError::io(action, path);
        let zeros = vec![0; PIECE + PAGE];
        let aligned = &zeros[zeros.as_ptr().align_offset(PAGE)..][..PIECE];
        let made = match self.shared.durability {
            Durability::PowerLoss => past_the_cache(path),
            // what is written there later stays in the cache: it may as well find room there
            Durability::ProcessCrash => File::create(path),
        };
        let mut file = made.map_err(fault("make"))?;
        let mut left = self.segment_bytes as usize;
        while left > 0 {
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let piece = left.min(PIECE);
            file.write_all(&aligned[..piece]).map_err(fault("write"))?;
            left -= piece;
        }
        file.sync_all().map_err(fault("sync"))?;
        Ok(true)
    }
}

/// A new file whose writes leave the page cache alone, where the file system can do that.
fn past_the_cache(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).custom_flags(direct_flag()).open(path);
    opened.or_else(|_| File::create(path))
}
