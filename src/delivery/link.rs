//! The connection under an association that we asked for: plain TCP or TLS, the same to the requests above.
//!
//! The files of TLS are read anew for each connection, so that a renewed certificate is used at once. The
//! peer's certificate is checked against `ca` and the server name; there is no way to leave that out.

use std::io;
use std::time::Duration;

use dicom_ul::association::{AsyncClientAssociation, ClientAssociationOptions, Error as UlError};
use dicom_ul::pdu::{Pdu, PresentationContextNegotiated};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::scu::Peer;
use crate::tls::TlsError;

const RELEASE_REQUEST: &[u8] = &[0x05, 0, 0, 0, 0, 4, 0, 0, 0, 0];
const RELEASE_ANSWER: &[u8] = &[0x06, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// Why there is no association.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Association(Box<UlError>),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(super) enum Link {
    Plain(Box<AsyncClientAssociation<TcpStream>>),
    Secured(Box<AsyncClientAssociation<TlsStream<TcpStream>>>),
}

impl Link {
    /// Connects to `peer` and associates.
    pub(super) async fn open(peer: &Peer, options: ClientAssociationOptions<'_>) -> Result<Link, LinkError> {
        let address = (peer.host.as_str(), peer.port);
        let fault = |error| LinkError::Association(Box::new(error));
        let Some(files) = peer.tls.clone() else {
            let mut association = options.establish_async(address).await.map_err(fault)?;
            association.inner_stream().set_nodelay(true)?;
            return Ok(Link::Plain(Box::new(association)));
        };
        let name = files.server_name.clone();
        let config = tokio::task::spawn_blocking(move || files.load()).await.map_err(io::Error::other)??;
        let options = options.tls_config(config).server_name(&name);
        let mut association = options.establish_tls_async(address).await.map_err(fault)?;
        association.inner_stream().get_ref().0.set_nodelay(true)?;
        Ok(Link::Secured(Box::new(association)))
    }

    pub(super) fn contexts(&self) -> &[PresentationContextNegotiated] {
        match self {
            Link::Plain(association) => association.presentation_contexts(),
            Link::Secured(association) => association.presentation_contexts(),
        }
    }

    /// Largest PDU that the peer takes, bytes.
    pub(super) fn peer_max_pdu(&self) -> u32 {
        match self {
            Link::Plain(association) => association.acceptor_max_pdu_length(),
            Link::Secured(association) => association.acceptor_max_pdu_length(),
        }
    }

    /// Writes whole PDUs.
    pub(super) async fn write(&mut self, pdus: &[u8]) -> io::Result<()> {
        match self {
            Link::Plain(association) => association.inner_stream().write_all(pdus).await,
            Link::Secured(association) => {
                let stream = association.inner_stream();
                stream.write_all(pdus).await?;
                stream.flush().await
            }
        }
    }

    pub(super) async fn receive(&mut self) -> Result<Pdu, UlError> {
        match self {
            Link::Plain(association) => association.receive().await,
            Link::Secured(association) => association.receive().await,
        }
    }

    /// Is nothing to be read, not even the end? A peer that speaks unasked wants to end the association.
    pub(super) async fn is_quiet(&mut self) -> bool {
        let stream = match self {
            Link::Plain(association) => association.inner_stream(),
            Link::Secured(association) => association.inner_stream().get_mut().0,
        };
        tokio::time::timeout(Duration::ZERO, stream.peek(&mut [0])).await.is_err()
    }

    /// Asks for release and waits for the answer.
    pub(super) async fn release(mut self) -> Result<(), LinkError> {
        self.write(RELEASE_REQUEST).await?;
        loop {
            match self.receive().await.map_err(|error| LinkError::Association(Box::new(error)))? {
                Pdu::ReleaseRP => return Ok(()),
                // Both sides asked at once (PS3.8 section 7.2.2.5): the requestor of the association answers first.
                Pdu::ReleaseRQ => self.write(RELEASE_ANSWER).await?,
                Pdu::PData { .. } => {}
                other => return Err(io::Error::other(format!("{} instead", other.short_description())).into()),
            }
        }
    }
}
