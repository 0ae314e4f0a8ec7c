//! One file under positioned reads and writes: all that segments ask of a disk.
//!
//! Tests put a disk behind it that loses what was not flushed, fills up, or refuses (`fault`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

#[cfg(test)]
use super::fault;

#[derive(Debug)]
pub(super) struct Medium {
    file: File,
    #[cfg(test)]
    disk: Option<fault::Place>,
}

impl Medium {
    pub fn open(path: &Path, writable: bool) -> io::Result<Medium> {
        let file = OpenOptions::new().read(true).write(writable).open(path)?;
        #[cfg(test)]
        let disk = fault::place(path);
        Ok(Medium {
            file,
            #[cfg(test)]
            disk,
        })
    }

    /// Makes a file of `length` zeros that take no room yet.
    pub fn make(path: &Path, length: u64) -> io::Result<()> {
        #[cfg(test)]
        fault::place(path).map_or(Ok(()), |disk| disk.making(length))?;
        File::create_new(path)?.set_len(length)
    }

    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether someone deleted the file: what is written to it now is lost.
    pub fn is_deleted(&self) -> bool {
        self.file.metadata().map_or(true, |metadata| metadata.nlink() == 0)
    }

    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(disk) = &self.disk {
            let taken = disk.writing(bytes, offset);
            self.file.write_all_at(&bytes[..taken.as_ref().map_or(0, |count| *count)], offset)?;
            return match taken {
                Ok(count) if count < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
        }
        self.file.write_all_at(bytes, offset)
    }

    /// Returns when all that was written is on stable storage.
    pub fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(disk) = &self.disk {
            return disk.syncing(|| self.file.sync_data());
        }
        self.file.sync_data()
    }

    pub fn read_exact(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Reads until `buffer` is full or the file ends; how much was read.
    pub fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}
