//! PDUs on a socket: framing, time limits, acknowledgements (PS3.8 section 9.3).
//!
//! Data values are handed out piece by piece, as slices of a small read buffer or in the place they are meant for, and no
//! PDU is waited for as a whole; PDUs without data are decoded by dicom-ul. Knows nothing of messages or contexts.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use dicom_ul::pdu::{self, Pdu};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::refused::Breach;
use super::stream::Stream;
use crate::dicom::message::Pdv;

const HEADER: usize = 6;
const P_DATA: u8 = 0x04;
/// The largest A-ASSOCIATE-RQ that 128 contexts of many transfer syntaxes make is about 350 KiB.
const MAX_CONTROL_PDU: u32 = 1 << 20;
/// How long a peer may hold up the node's shutdown after the last PDU to it.
const LAST_GRACE: Duration = Duration::from_millis(500);
/// Room of the read buffer; only a PDU of control may need more. What of a data set does not fit goes past it.
const READ_AHEAD: usize = 16 * 1024;
/// Length, context ID and control header of a data value (PS3.8 section 9.3.5.1 and annex E.2).
const VALUE_HEADER: usize = 6;

/// What was received next.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A data value, or as much of it as is here.
    Value(Pdv<'a>),
    /// The same, of a data set, in the place that was given.
    Placed {
        context: u8,
        count: usize,
        is_last: bool,
    },
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
    #[error("a data value's length does not fit its PDU")]
    BadValue,
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
    buffer: Vec<u8>,
    /// What of the buffer was received and not handed out yet.
    filled: Range<usize>,
    max_pdu: u32,
    /// Bytes still to come of the P-DATA-TF in work, and the value in work.
    data: usize,
    value: Option<Value>,
    /// When the PDU in work has to be here.
    deadline: Option<Instant>,
}

/// A data value of which something is still to come.
#[derive(Debug, Clone, Copy)]
struct Value {
    context: u8,
    control: u8,
    left: usize,
}

impl Value {
    fn is_data(&self) -> bool {
        self.control & 1 == 0
    }
}

/// What stands in front of the buffer.
enum Front {
    Value(Value, Range<usize>),
    Control(Pdu),
    /// This many bytes are needed to tell.
    Wants(usize),
}

impl Wire {
    /// `max_pdu`: the largest P-DATA-TF body taken.
    #[must_use]
    pub fn new(stream: Stream, max_pdu: u32) -> Wire {
        let buffer = vec![0; READ_AHEAD];
        Wire { stream, buffer, filled: 0..0, max_pdu, data: 0, value: None, deadline: None }
    }

    /// What comes next; a PDU has to be here within `patience`. Dropping the future loses no byte. `place`: where those of
    /// a data set may be put at once.
    pub async fn receive(
        &mut self,
        patience: Duration,
        mut place: Option<&mut [u8]>,
    ) -> Result<Incoming<'_>, WireError> {
        if self.data == 0 && self.filled.is_empty() {
            self.deadline = None;
        }
        loop {
            match self.front()? {
                Front::Wants(bytes) => {
                    let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + patience);
                    let silence = |_| WireError::Silence(patience);
                    let (Some(place), Some(value)) = (&mut place, self.value.filter(Value::is_data)) else {
                        timeout_at(deadline, self.read(bytes)).await.map_err(silence)??;
                        continue;
                    };
                    let most = place.len().min(value.left);
                    let read = timeout_at(deadline, read_into(&mut self.stream, &mut place[..most])).await;
                    return self.placed(value, read.map_err(silence)??);
                }
                Front::Control(pdu) => return Ok(Incoming::Control(pdu)),
                Front::Value(Value { context, control, left }, at) => {
                    let (is_command, is_last) = (control & 1 != 0, control & 2 != 0 && left == 0);
                    return Ok(Incoming::Value(Pdv { context, is_command, is_last, data: &self.buffer[at] }));
                }
            }
        }
    }

    /// Takes what it names out of the buffer.
    fn front(&mut self) -> Result<Front, WireError> {
        if self.data == 0 {
            let Some(header) = self.buffer[self.filled.clone()].first_chunk::<HEADER>() else {
                return Ok(Front::Wants(HEADER));
            };
            let (kind, length) = (header[0], u32::from_be_bytes([header[2], header[3], header[4], header[5]]));
            // Some peers count the header in: six bytes are forgiven.
            let limit = if kind == P_DATA { self.max_pdu.saturating_add(HEADER as u32) } else { MAX_CONTROL_PDU };
            if length > limit {
                return Err(WireError::TooLong { length, limit });
            }
            if kind != P_DATA {
                return self.control(HEADER + length as usize);
            }
            self.take(HEADER);
            self.data = length as usize;
            self.deadline = None;
            if self.data == 0 {
                return self.front();
            }
        }
        let mut value = match self.value.take() {
            Some(value) => value,
            None if self.data < VALUE_HEADER => return Err(WireError::BadValue),
            None => {
                let Some(header) = self.buffer[self.filled.clone()].first_chunk::<VALUE_HEADER>() else {
                    return Ok(Front::Wants(VALUE_HEADER));
                };
                let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
                let value = Value { context: header[4], control: header[5], left: length.wrapping_sub(2) };
                if value.left > self.data - VALUE_HEADER {
                    return Err(WireError::BadValue);
                }
                self.take(VALUE_HEADER);
                self.data -= VALUE_HEADER;
                value
            }
        };
        if value.left > 0 && self.filled.is_empty() {
            self.value = Some(value);
            return Ok(Front::Wants(1));
        }
        let at = self.take(value.left.min(self.filled.len()));
        value.left -= at.len();
        self.data -= at.len();
        if self.data == 0 {
            self.deadline = None;
        }
        self.value = Some(value).filter(|value| value.left > 0);
        Ok(Front::Value(value, at))
    }

    fn control(&mut self, length: usize) -> Result<Front, WireError> {
        if self.filled.len() < length {
            return Ok(Front::Wants(length));
        }
        let at = self.take(length);
        self.deadline = None;
        let pdu = pdu::read_pdu(&self.buffer[at], MAX_CONTROL_PDU, true)?;
        Ok(Front::Control(pdu.ok_or(WireError::Closed { inside: true })?))
    }

    /// Notes that `count` bytes of `value` went where the caller wanted them.
    fn placed(&mut self, value: Value, count: usize) -> Result<Incoming<'_>, WireError> {
        if count == 0 {
            return Err(WireError::Closed { inside: true });
        }
        let left = value.left - count;
        self.data -= count;
        if self.data == 0 {
            self.deadline = None;
        }
        self.value = Some(Value { left, ..value }).filter(|value| value.left > 0);
        Ok(Incoming::Placed { context: value.context, count, is_last: value.control & 2 != 0 && left == 0 })
    }

    fn take(&mut self, count: usize) -> Range<usize> {
        let start = self.filled.start;
        self.filled.start += count;
        start..start + count
    }

    /// Receives until at least `wanted` bytes are in the buffer.
    async fn read(&mut self, wanted: usize) -> Result<(), WireError> {
        if self.filled.start > 0 {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        if self.buffer.len() != wanted.max(READ_AHEAD) {
            self.buffer.resize(wanted.max(READ_AHEAD), 0);
            self.buffer.shrink_to_fit();
        }
        while self.filled.len() < wanted {
            match read_into(&mut self.stream, &mut self.buffer[self.filled.end..]).await? {
                0 => return Err(WireError::Closed { inside: self.data > 0 || !self.filled.is_empty() }),
                count => self.filled.end += count,
            }
        }
        Ok(())
    }

    /// Has the runtime of this thread wait for the connection from now on. A secured one stays where it is: its state
    /// cannot be taken apart.
    pub fn move_here(&mut self) -> io::Result<()> {
        if let Stream::Plain(stream) = &mut self.stream {
            let same = socket2::SockRef::from(&*stream).try_clone()?;
            *stream = TcpStream::from_std(same.into())?;
        }
        Ok(())
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
        let drain = async { while matches!(self.stream.read(&mut self.buffer).await, Ok(1..)) {} };
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
            WireError::TooLong { .. } | WireError::BadValue | WireError::Unreadable(_) => {
                Some(Breach::InvalidParameter)
            }
        }
    }
}

/// Receives into `room`; 0 when the peer closed.
async fn read_into(stream: &mut Stream, room: &mut [u8]) -> io::Result<usize> {
    poll_fn(|context| {
        let mut into = ReadBuf::new(room);
        let read = Pin::new(&mut *stream).poll_read(context, &mut into);
        if read.is_pending() {
            acknowledge(stream);
        }
        read.map_ok(|()| into.filled().len())
    })
    .await
}

/// A peer that leaves Nagle's algorithm on waits for our acknowledgement before it sends its last, short segment; Linux
/// forgets the setting, so it is made whenever there is nothing more to read.
fn acknowledge(stream: &Stream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream.tcp()).set_tcp_quickack(true);
}
