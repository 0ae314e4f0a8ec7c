//! Segments zero-filled ahead of use by a thread of their own: a flush into blocks that the file system has
//! assigned already costs half of one that must assign them.
//!
//! Never in the way of a receipt: when the reserve is used up, records go to files that are not filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::log::{self, Log};
use super::segment::Segment;
use super::{SpoolError, durable};

const PIECE: usize = 1 << 20;

/// What the thread works on.
#[derive(Debug, Clone)]
pub(super) struct Reserve {
    pub log: Arc<Mutex<Log>>,
    pub folder: std::path::PathBuf,
    pub segment_bytes: u64,
    /// Spare segments wanted.
    pub wanted: usize,
    pub stopping: Arc<AtomicBool>,
}

impl Reserve {
    /// Fills the reserve at every call of the bell, until the other end is dropped.
    pub fn run(&self, bell: &Receiver<()>) {
        loop {
            if let Err(error) = self.seal() {
                tracing::warn!("a segment stays unsealed, the next start reads all of it: {error}");
            }
            if let Err(error) = self.fill() {
                tracing::warn!("no segments written ahead, receiving is slower: {error}");
            }
            if bell.recv().is_err() {
                return;
            }
        }
    }

    /// Makes spare segments until there are as many as wanted.
    pub fn fill(&self) -> Result<(), SpoolError> {
        while let Some(number) = self.lacking() {
            let aside = log::path_of(&self.folder, number).with_extension(log::UNFINISHED);
            if !self.write_zeros(&aside)? {
                let _ = fs::remove_file(&aside);
                return Ok(());
            }
            let path = log::path_of(&self.folder, number);
            fs::rename(&aside, &path).map_err(SpoolError::io("name", &path))?;
            durable::sync_folder(&self.folder)?;
            self.log.lock().unwrap_or_else(PoisonError::into_inner).spares.push_back(number);
        }
        Ok(())
    }

    /// Flushes and seals the segments that were left without a flush.
    fn seal(&self) -> Result<(), SpoolError> {
        let unsealed = std::mem::take(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner).unsealed);
        for left in unsealed {
            let synced = Segment::open(&left.path, left.number, true).and_then(|segment| {
                segment.sync()?;
                Ok(segment)
            });
            let segment = synced.map_err(SpoolError::io("sync", &left.path))?;
            self.log.lock().unwrap_or_else(PoisonError::into_inner).seal(&left, &segment)?;
        }
        Ok(())
    }

    fn lacking(&self) -> Option<u64> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        (log.spares.len() < self.wanted).then(|| log.number())
    }

    /// Whether it was finished before the spool was closed.
    fn write_zeros(&self, path: &Path) -> Result<bool, SpoolError> {
        let fault = |action| SpoolError::io(action, path);
        let mut file = File::create(path).map_err(fault("make"))?;
        let zeros = vec![0; PIECE];
        let mut left = self.segment_bytes;
        while left > 0 {
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let piece = left.min(PIECE as u64);
            file.write_all(&zeros[..piece as usize]).map_err(fault("write"))?;
            left -= piece;
        }
        file.sync_all().map_err(fault("sync"))?;
        Ok(true)
    }
}
