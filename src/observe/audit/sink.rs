//! Where audit messages go: a file, one message a line, and a syslog server (RFC 5424) over UDP (RFC 5426), TCP with
//! octet counting (RFC 6587) or TLS (RFC 5425), as PS3.15 section A.6 asks.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use super::message::Source;
use crate::clock::Millis;
use crate::config::{SyslogServer, Transport};

/// Facility 10 (security/authorization), severity 5 (notice): 10 * 8 + 5 (PS3.15 section A.6).
const PRIORITY: u8 = 85;
/// MSGID of an audit message (PS3.15 section A.6).
const MESSAGE_ID: &str = "DICOM+RFC3881";
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries to reach a server.
const PAUSE: Duration = Duration::from_secs(2);
/// Tries for one message before the next one is tried: a message that nobody takes must not keep all others.
const TRIES: u32 = 150;

/// Where messages go.
pub(super) trait Sink {
    /// Returns when the message is written, or was given up. Blocking.
    fn write(&mut self, message: &str, at: Millis);
}

pub(super) struct FileSink {
    path: PathBuf,
    file: Option<File>,
}

impl FileSink {
    pub(super) fn new(path: PathBuf) -> FileSink {
        FileSink { path, file: None }
    }

    fn append(&mut self, message: &str) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().create(true).append(true).open(&self.path)?,
        };
        // One write, so that a message is in the file as a whole, also when another process appends.
        file.write_all(format!("{message}\n").as_bytes())?;
        self.file = Some(file);
        Ok(())
    }
}

impl Sink for FileSink {
    fn write(&mut self, message: &str, _: Millis) {
        if let Err(error) = self.append(message) {
            tracing::error!("an audit message is lost: cannot write {}: {error}", self.path.display());
        }
    }
}

pub(super) struct SyslogSink {
    server: SyslogServer,
    line: Option<Line>,
    source: Arc<Source>,
}

impl SyslogSink {
    pub(super) fn new(server: SyslogServer, source: Arc<Source>) -> SyslogSink {
        SyslogSink { server, line: None, source }
    }

    /// A SYSLOG-MSG (RFC 5424 section 6); the BOM says that the message is UTF-8.
    fn record(&self, message: &str, at: Millis) -> Vec<u8> {
        let time = at.utc().map(|utc| utc.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)).unwrap_or_default();
        let Source { host, process, .. } = &*self.source;
        format!("<{PRIORITY}>1 {time} {host} sagittal {process} {MESSAGE_ID} - \u{feff}{message}").into_bytes()
    }

    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => Line::open(&self.server)?,
        };
        line.write(record)?;
        self.line = Some(line);
        Ok(())
    }
}

impl Sink for SyslogSink {
    fn write(&mut self, message: &str, at: Millis) {
        let record = self.record(message, at);
        for attempt in 0..TRIES {
            let Err(error) = self.send(&record) else { return };
            if attempt == 0 {
                tracing::error!("the audit server {}:{} is away: {error}", self.server.host, self.server.port);
            }
            std::thread::sleep(PAUSE);
        }
        tracing::error!("an audit message is given up: the server did not take it");
    }
}

/// A way to the server.
enum Line {
    Datagrams(UdpSocket),
    Stream(TcpStream),
    Secured(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Line {
    fn open(server: &SyslogServer) -> io::Result<Line> {
        let address = (server.host.as_str(), server.port);
        if server.transport == Transport::Udp {
            let Some(address) = address.to_socket_addrs()?.next() else { return Err(io::ErrorKind::NotFound.into()) };
            let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
            socket.connect(address)?;
            return Ok(Line::Datagrams(socket));
        }
        let Some(address) = address.to_socket_addrs()?.next() else { return Err(io::ErrorKind::NotFound.into()) };
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let Some(files) = &server.tls else { return Ok(Line::Stream(stream)) };
        let settings = files.load().map_err(io::Error::other)?;
        let name = ServerName::try_from(files.server_name.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(&settings), name).map_err(io::Error::other)?;
        Ok(Line::Secured(Box::new(StreamOwned::new(connection, stream))))
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        let counted = || [format!("{} ", record.len()).as_bytes(), record].concat();
        match self {
            Line::Datagrams(socket) => socket.send(record).map(drop),
            Line::Stream(stream) => stream.write_all(&counted()),
            Line::Secured(stream) => stream.write_all(&counted()).and_then(|()| stream.flush()),
        }
    }
}
