//! Delivery: objects on their way to a destination, one file a kind.
//!
//! A delivery is one attempt. It says what it knows, confirmed or only sent, and an error says whether another
//! attempt can help; retrying, backoff and the ledger are the worker's. Objects are sent as they lie in the
//! spool: never changed beyond the transfer syntax that a peer insists on.

mod associations;
mod attempt;
mod commitment;
mod contexts;
mod dicom;
mod dicomweb;
pub mod fetch;
pub mod find;
mod folder;
mod link;
mod orthanc;
mod part10;
pub mod pull;
mod query;
mod report_only;
pub mod scu;
mod web;

use std::io;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use associations::Associations;
use web::Web;

use crate::config::{Destination, DestinationKind};
use crate::dicom::Uid;
use crate::dicom::ladder::Form;

pub use attempt::{Attempt, Consignment, Outcome, Record};
pub use commitment::report;

/// One DICOM object to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// Of a segmentation and what refers to it, where there are several forms: none is of use without those before it.
    pub form: Option<Form>,
    /// The whole Part 10 file.
    pub bytes: Vec<u8>,
}

/// Why a delivery failed. Messages name the peer and the remedy, never a patient attribute.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("cannot reach {peer}: {reason}; check host and port, and that the peer is running")]
    Connect { peer: String, reason: String },
    #[error("cannot secure the connection to {peer}: {reason}")]
    Tls { peer: String, reason: String },
    #[error("{peer} did not answer the {request} in {after:?}; check its load, or raise the destination's timeout")]
    Timeout { peer: String, request: &'static str, after: Duration },
    #[error("{peer} rejected the association: {reason}; register our AE title there, or correct the titles here")]
    Rejected { peer: String, reason: String },
    #[error("{peer} accepts no presentation context for {what}; enable that SOP class and transfer syntax there")]
    NoContext { peer: String, what: String },
    #[error("{peer} refused {instance} with status {status:04x} ({comment}); look into the peer's log")]
    Refused { peer: String, instance: Uid, status: u16, comment: String },
    #[error("{failed} of {total} objects were not stored; the first: {first}")]
    Partly { failed: usize, total: usize, first: Box<DeliveryError> },
    #[error("{peer} does not commit to {failed} of {total} objects; look into its storage and log")]
    NotCommitted { peer: String, failed: usize, total: usize },
    #[error("{peer} took {instance}, but does not find it when asked; it may be indexing still")]
    NotFound { peer: String, instance: Uid },
    #[error("{peer} broke the protocol: {reason}")]
    Protocol { peer: String, reason: String },
    #[error("{url} answered {status}; {remedy}")]
    Http { url: String, status: u16, remedy: &'static str },
    #[error("cannot {action} {}: {source}; check the folder's rights and room", path.display())]
    Folder { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{what} is no readable DICOM object: {reason}")]
    Unreadable { what: String, reason: String },
    #[error("the HTTP client cannot be set up: {0}; check the system's certificates")]
    Client(String),
}

impl DeliveryError {
    /// Does it concern one object only, so that the next one may go over the same association?
    #[must_use]
    pub fn is_about_one_object(&self) -> bool {
        matches!(
            self,
            DeliveryError::Refused { .. } | DeliveryError::NoContext { .. } | DeliveryError::Unreadable { .. }
        )
    }

    /// Is the association of no use any more?
    fn ends_the_association(&self) -> bool {
        let is_answer = matches!(
            self,
            DeliveryError::Partly { .. } | DeliveryError::NotFound { .. } | DeliveryError::NotCommitted { .. }
        );
        !is_answer && !self.is_about_one_object()
    }

    /// Does it say that the destination as a whole does not work, whatever it is brought?
    #[must_use]
    pub fn is_about_the_destination(&self) -> bool {
        match self {
            DeliveryError::Connect { .. }
            | DeliveryError::Tls { .. }
            | DeliveryError::Timeout { .. }
            | DeliveryError::Rejected { .. }
            | DeliveryError::Protocol { .. }
            | DeliveryError::Folder { .. } => true,
            DeliveryError::Http { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// What a delivery was at when it failed so.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        match self {
            DeliveryError::Connect { .. }
            | DeliveryError::Tls { .. }
            | DeliveryError::Rejected { .. }
            | DeliveryError::Client(_) => "connect",
            DeliveryError::NoContext { .. } => "negotiate",
            DeliveryError::NotCommitted { .. } | DeliveryError::NotFound { .. } => "confirm",
            DeliveryError::Partly { first, .. } => first.stage(),
            DeliveryError::Unreadable { .. } => "read",
            DeliveryError::Timeout { .. }
            | DeliveryError::Refused { .. }
            | DeliveryError::Protocol { .. }
            | DeliveryError::Http { .. }
            | DeliveryError::Folder { .. } => "send",
        }
    }

    /// Is another attempt pointless until somebody changes something?
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            DeliveryError::NoContext { .. } | DeliveryError::Unreadable { .. } => true,
            DeliveryError::Partly { first, .. } => first.is_permanent(),
            // These speak about the object or our rights; A7xx, 0110 and the rest about the moment.
            DeliveryError::Refused { status, .. } => {
                // 200 and 400 are Orthanc's: filtered out, and not understood.
                matches!(status, 0x0117 | 0x0122 | 0x0124 | 0xa900..=0xa9ff | 0xc000..=0xcfff | 200 | 400)
            }
            DeliveryError::Http { status, .. } => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
            // A rejection is usually a peer being set up or restarted with another list of titles.
            DeliveryError::Connect { .. }
            | DeliveryError::Tls { .. }
            | DeliveryError::Timeout { .. }
            | DeliveryError::Rejected { .. }
            | DeliveryError::NotFound { .. }
            | DeliveryError::NotCommitted { .. }
            | DeliveryError::Protocol { .. }
            | DeliveryError::Folder { .. }
            | DeliveryError::Client(_) => false,
        }
    }
}

/// Delivers to every kind of destination; cheap to clone.
#[derive(Debug, Clone)]
pub struct Delivery {
    http: reqwest::Client,
    associations: Associations,
}

impl Delivery {
    pub fn new() -> Result<Delivery, DeliveryError> {
        tls_provider();
        let http = reqwest::Client::builder().tcp_nodelay(true).build();
        let http = http.map_err(|error| DeliveryError::Client(error.to_string()))?;
        Ok(Delivery { http, associations: Associations::default() })
    }

    /// Makes one attempt to bring everything to `destination`.
    pub async fn deliver(&self, destination: &Destination, consignment: Consignment<'_>) -> Attempt {
        let mut record = Record::default();
        // Boxed: associating makes a large future of it.
        let outcome = Box::pin(self.bring(destination, consignment, &mut record)).await;
        Attempt { outcome, record }
    }

    async fn bring(
        &self,
        destination: &Destination,
        consignment: Consignment<'_>,
        record: &mut Record,
    ) -> Result<Outcome, DeliveryError> {
        let timeout = destination.timeout;
        match &destination.kind {
            DestinationKind::Dicom { .. } => {
                let manner = dicom::Manner::of(destination)?;
                dicom::deliver(&manner, &self.associations, consignment, record).await
            }
            DestinationKind::Orthanc(peer) => {
                let web = Web::new(&self.http, &peer.at, timeout).await?;
                orthanc::deliver(&web, peer, consignment, record).await
            }
            DestinationKind::DicomWeb { at, query } => {
                let web = Web::new(&self.http, at, timeout).await?;
                dicomweb::deliver(&web, *query, consignment, record).await
            }
            DestinationKind::Folder { path } => folder::deliver(path.clone(), consignment, record).await,
            DestinationKind::ReportOnly => Ok(report_only::deliver(&destination.name, consignment, record)),
        }
    }

    /// Is `destination` there, and what does it take? Sends no object. `Ok`: what it says of itself.
    pub async fn probe(&self, destination: &Destination) -> (Result<String, DeliveryError>, Record) {
        let mut record = Record::default();
        let said = Box::pin(self.ask(destination, &mut record)).await;
        (said, record)
    }

    async fn ask(&self, destination: &Destination, record: &mut Record) -> Result<String, DeliveryError> {
        let timeout = destination.timeout;
        match &destination.kind {
            DestinationKind::Dicom { .. } => dicom::probe(&dicom::Manner::of(destination)?, record).await,
            DestinationKind::Orthanc(peer) => orthanc::probe(&Web::new(&self.http, &peer.at, timeout).await?).await,
            DestinationKind::DicomWeb { at, .. } => dicomweb::probe(&Web::new(&self.http, at, timeout).await?).await,
            DestinationKind::Folder { path } => folder::probe(path.clone()).await,
            DestinationKind::ReportOnly => Ok("sends nothing".to_owned()),
        }
    }

    /// Releases the associations that are kept open; the node stops.
    pub async fn close(&self) {
        self.associations.close().await;
    }
}

/// Installs rustls' cryptography, once a process: reqwest is built without a choice of its own.
pub fn tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(crate::tls::install_provider);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_what_retrying_cannot_mend_is_permanent() {
        let refused = |status: u16| DeliveryError::Refused {
            peer: "PACS@host:104".into(),
            instance: Uid::parse("1.2.3").unwrap(),
            status,
            comment: "no comment".into(),
        };
        let http = |status| DeliveryError::Http { url: "http://host".into(), status, remedy: "try" };
        let check = |error: DeliveryError, expected: bool| assert_eq!(error.is_permanent(), expected, "{error}");
        check(refused(0xa700), false);
        check(refused(0x0110), false);
        check(refused(0xa900), true);
        check(refused(0xc123), true);
        check(refused(0x0122), true);
        check(http(503), false);
        check(http(429), false);
        check(http(401), true);
        check(DeliveryError::Connect { peer: "p".into(), reason: "refused".into() }, false);
        check(DeliveryError::NoContext { peer: "p".into(), what: "SEG".into() }, true);
        check(DeliveryError::Partly { failed: 1, total: 2, first: Box::new(refused(0xa700)) }, false);
    }
}
