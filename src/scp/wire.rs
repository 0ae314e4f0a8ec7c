//! PDUs on a socket: framing, time limits, acknowledgements (PS3.8 section 9.3).
//!
//! P-DATA-TF bodies are handed out as slices of the read buffer, so that a data set is copied once on its way
//! from the socket; every other PDU is decoded by dicom-ul. Knows nothing of messages or contexts.

use std::io;
use std::time::Duration;

use dicom_ul::pdu::{self, Pdu};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::sync::CancellationToken;

use super::refused::Breach;
use super::stream::Stream;

const HEADER: usize = 6;
const P_DATA: u8 = 0x04;
/// The largest A-ASSOCIATE-RQ that 128 contexts of many transfer syntaxes make is about 350 KiB.
const MAX_CONTROL_PDU: u32 = 1 << 20;
/// How long a peer may hold up the node's shutdown after the last PDU to it.
const LAST_GRACE: Duration = Duration::from_millis(500);
/// Room of the read buffer, and the room below which it is made again.
const READ_AHEAD: usize = 256 * 1024;
const READ_AT_LEAST: usize = 64 * 1024;

/// One received PDU.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The body of a P-DATA-TF PDU.
    Data(&'a [u8]),
    Control(Pdu),
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the peer closed the connection {}", if *inside { "inside a PDU" } else { "without a release" })]
    Closed { inside: bool },
    #[error("no PDU for {} s; the peer is gone or stuck", .0.as_secs())]
    Silence(Duration),
    #[error("a PDU of {length} bytes, {limit} were agreed")]
    TooLong { length: u32, limit: u32 },
    #[error("a PDU that cannot be read: {0}")]
    Unreadable(#[from] pdu::ReadError),
    #[error("a PDU that cannot be written: {0}")]
    Unwritable(#[from] pdu::WriteError),
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
}

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    buffer: BytesMut,
    /// Length of the PDU handed out last, still in front of the buffer.
    taken: usize,
    max_pdu: u32,
}

impl Wire {
    /// `max_pdu`: the largest P-DATA-TF body taken.
    #[must_use]
    pub fn new(stream: Stream, max_pdu: u32) -> Wire {
        Wire { stream, buffer: BytesMut::with_capacity(READ_AHEAD), taken: 0, max_pdu }
    }

    /// The next PDU, waiting at most `patience` for it. Dropping the future loses no byte.
    pub async fn receive(&mut self, patience: Duration) -> Result<Incoming<'_>, WireError> {
        self.buffer.advance(std::mem::take(&mut self.taken));
        let length = timeout(patience, self.fill()).await.map_err(|_| WireError::Silence(patience))??;
        self.taken = length;
        if self.buffer[0] == P_DATA {
            return Ok(Incoming::Data(&self.buffer[HEADER..length]));
        }
        match pdu::read_pdu(&self.buffer[..length], MAX_CONTROL_PDU, true)? {
            Some(pdu) => Ok(Incoming::Control(pdu)),
            None => Err(WireError::Closed { inside: true }),
        }
    }

    /// Reads until one whole PDU is in the buffer; its length with the header.
    async fn fill(&mut self) -> Result<usize, WireError> {
        loop {
            let needed = self.wanted()?;
            if needed <= self.buffer.len() && self.buffer.len() >= HEADER {
                return Ok(needed);
            }
            let least = (needed - self.buffer.len()).max(READ_AT_LEAST);
            if self.buffer.capacity() - self.buffer.len() < least {
                self.buffer.reserve(least.max(READ_AHEAD));
            }
            self.acknowledge_at_once();
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(WireError::Closed { inside: !self.buffer.is_empty() });
            }
        }
    }

    /// Bytes needed before anything can be said about the PDU in front.
    fn wanted(&self) -> Result<usize, WireError> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(HEADER) };
        let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
        // Some peers count the header in: six bytes are forgiven.
        let limit = if header[0] == P_DATA { self.max_pdu.saturating_add(HEADER as u32) } else { MAX_CONTROL_PDU };
        if length > limit {
            return Err(WireError::TooLong { length, limit });
        }
        Ok(HEADER + length as usize)
    }

    /// A peer that leaves Nagle's algorithm on waits for our acknowledgement before it sends its last, short
    /// segment; Linux forgets the setting, so it is made before every read.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(self.stream.tcp()).set_tcp_quickack(true);
    }

    pub async fn send(&mut self, pdu: &Pdu, patience: Duration) -> Result<(), WireError> {
        let mut bytes = Vec::with_capacity(512);
        pdu::write_pdu(&mut bytes, pdu)?;
        let sent = async {
            self.stream.write_all(&bytes).await?;
            // TLS keeps back what the socket does not take at once.
            self.stream.flush().await
        };
        timeout(patience, sent).await.map_err(|_| WireError::Silence(patience))??;
        Ok(())
    }

    /// Sends `last`, then waits for the peer to close, as state Sta13 of PS3.8 table 9-10 asks: closing at once
    /// would let the peer's unread bytes reset the connection before it has read our PDU.
    pub async fn finish(mut self, last: &Pdu, artim: Duration, shutdown: &CancellationToken) {
        if self.send(last, artim).await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            self.buffer.clear();
            while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                self.buffer.clear();
            }
        };
        let stopped = async {
            shutdown.cancelled().await;
            sleep(LAST_GRACE).await;
        };
        tokio::select! {
            _ = timeout(artim, drain) => {}
            () = stopped => {}
        }
    }
}

impl WireError {
    /// What the association is aborted for, `None` when there is nobody left to tell.
    #[must_use]
    pub fn breach(&self) -> Option<Breach> {
        match self {
            WireError::Closed { .. } | WireError::Io(_) => None,
            WireError::Silence(_) | WireError::Unwritable(_) => Some(Breach::Other),
            WireError::TooLong { .. } | WireError::Unreadable(_) => Some(Breach::InvalidParameter),
        }
    }
}
