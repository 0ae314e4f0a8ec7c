//! STOW-RS, the Store transaction of DICOMweb (PS3.18 section 10.5): one instance after the other into intake.
//!
//! Every part is answered on its own; one that is refused keeps no other back. An answer of "stored" is given only
//! after intake has made the instance durable. Never changes an instance.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use super::Server;
use super::access::Caller;
use super::answer::{Form, Outcome};
use super::multipart::{self, Content, Multipart, MultipartError, Part, Source};
use crate::dicom::part10::{self, Part10Error};
use crate::dicom::{Meta, StoreStatus, Uid, tables, uid_of};
use crate::intake::{Arrival, UnreadableFile};
use crate::observe::audit::{self, Peer, Transfer};

/// What stands for the calling AE title in rules and logs.
const CALLING: &str = "STOW-RS";
/// Failure Reason "Referenced Transfer Syntax not supported" (PS3.18 section 10.5.3.2).
const SYNTAX_NOT_SUPPORTED: u16 = 0xc122;

/// A request that is refused as a whole.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the answer can be application/dicom+json or application/dicom+xml")]
    NotAcceptable,
    #[error("the study in the URL is no UID: {0}")]
    Study(#[from] crate::dicom::UidError),
    #[error(transparent)]
    Body(#[from] MultipartError),
    #[error("the body holds no part")]
    Empty,
    #[error("too many uploads at a time; try again later")]
    Crowded,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Refusal::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Refusal::Body(MultipartError::ContentType(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Body(MultipartError::Slow) => StatusCode::REQUEST_TIMEOUT,
            Refusal::Body(MultipartError::Stopping) | Refusal::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Study(_) | Refusal::Body(_) | Refusal::Empty => StatusCode::BAD_REQUEST,
        };
        tracing::warn!(%status, "upload refused: {self}");
        (status, format!("{self}\n")).into_response()
    }
}

/// `POST /dicom-web/studies`.
pub(super) async fn store(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    Upload::new(server, peer, caller, None).run(request).await
}

/// `POST /dicom-web/studies/{study}`: an instance of another study is refused.
pub(super) async fn store_in_study(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(caller): Extension<Caller>,
    Path(study): Path<String>,
    request: Request,
) -> Response {
    match Uid::parse(&study) {
        Ok(study) => Upload::new(server, peer, caller, Some(study)).run(request).await,
        Err(error) => Refusal::Study(error).into_response(),
    }
}

/// One request.
struct Upload {
    server: Arc<Server>,
    number: u64,
    sender: String,
    caller: Caller,
    study: Option<Uid>,
}

/// An instance that may go to intake.
struct Candidate {
    meta: Meta,
    file: Vec<u8>,
}

impl Upload {
    fn new(server: Arc<Server>, peer: SocketAddr, caller: Caller, study: Option<Uid>) -> Upload {
        let number = server.number();
        Upload { server, number, sender: peer.ip().to_canonical().to_string(), caller, study }
    }

    /// In a task of its own: a client that hangs up leaves no upload half noted, and a panic becomes an answer.
    async fn run(self, request: Request) -> Response {
        let outcome = tokio::spawn(async move { self.receive(request).await }).await;
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR.into_response();
        outcome.map_or_else(failed, |outcome| outcome.unwrap_or_else(IntoResponse::into_response))
    }

    async fn receive(&self, request: Request) -> Result<Response, Refusal> {
        let header = |headers: &HeaderMap, name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let accept = header(request.headers(), header::ACCEPT);
        let form = Form::of_accept(accept.as_deref()).ok_or(Refusal::NotAcceptable)?;
        let content_type = header(request.headers(), header::CONTENT_TYPE).unwrap_or_default();
        let boundary = multipart::boundary(&content_type)?;
        let _place = self.server.uploads.try_acquire().map_err(|_| Refusal::Crowded)?;
        let outcome = self.parts(request.into_body(), &boundary).await?;
        if outcome.is_empty() {
            return Err(Refusal::Empty);
        }
        let (stored, failed) = (outcome.stored.len(), outcome.failed.len() + outcome.unnamed.len());
        tracing::info!(sender = self.sender, caller = ?self.caller, stored, failed, "upload over");
        let media_type = [(header::CONTENT_TYPE, form.media_type())];
        Ok((outcome.status(), media_type, outcome.write(form)).into_response())
    }

    /// Takes part after part. A body that breaks off spoils nothing that was stored before.
    async fn parts(&self, body: Body, boundary: &str) -> Result<Outcome, MultipartError> {
        let reception = self.server.config.load().node.reception.clone();
        let incoming = Incoming { body, patience: reception.idle_timeout, stop: self.server.stop.clone() };
        let mut parts = Multipart::new(incoming, boundary, reception.max_object);
        let mut outcome = Outcome::default();
        let ended = loop {
            match parts.part().await {
                Ok(Some(part)) => self.take(part, &mut outcome).await,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.witness(&outcome).await;
        self.over().await;
        match ended {
            Err(error) if outcome.is_empty() => Err(error),
            Err(error) => {
                tracing::warn!(sender = self.sender, "the upload broke off: {error}");
                outcome.unnamed.push(StoreStatus::CannotUnderstand.code());
                Ok(outcome)
            }
            Ok(()) => Ok(outcome),
        }
    }

    /// Tells the audit trail what came, while intake knows of which studies it is.
    async fn witness(&self, outcome: &Outcome) {
        let Some(trail) = self.server.trail.clone().filter(|_| !outcome.stored.is_empty()) else { return };
        let (intake, number) = (self.server.intake.clone(), self.number);
        let fed = tokio::task::spawn_blocking(move || intake.fed(number)).await.unwrap_or_default();
        let classes = outcome.stored.iter().map(|(class, _)| class.to_string());
        let peer = Peer { title: CALLING.to_owned(), address: Some(self.sender.clone()) };
        let refused = outcome.failed.len() + outcome.unnamed.len();
        trail.tell(audit::Event::Received(Transfer::of(peer, fed, classes, refused as u64)));
    }

    async fn take(&self, part: Part, outcome: &mut Outcome) {
        let file = match (part.media_type.as_str(), part.content) {
            ("application/dicom", Content::Whole(file)) => file,
            ("application/dicom", Content::TooLarge(size)) => {
                tracing::warn!(size, "a part is over `max_object` and not kept");
                return outcome.unnamed.push(StoreStatus::OutOfResources.code());
            }
            (other, _) => {
                tracing::warn!(media_type = other, "a part is no application/dicom");
                return outcome.unnamed.push(StoreStatus::CannotUnderstand.code());
            }
        };
        let meta = match Meta::read(&file) {
            Ok(meta) => meta,
            Err(error) => {
                self.quarantine(file, error).await;
                return outcome.unnamed.push(StoreStatus::CannotUnderstand.code());
            }
        };
        let (class, instance) = (meta.sop_class.clone(), meta.sop_instance.clone());
        match self.keep(Candidate { meta, file }).await {
            Ok(()) => outcome.stored.push((class, instance)),
            Err(reason) => outcome.failed.push((class, instance, reason)),
        }
    }

    /// Keeps a part that is no DICOM file for the administrator.
    async fn quarantine(&self, file: Vec<u8>, reason: Part10Error) {
        let called = self.server.config.load().node.reception.ae_title.to_string();
        let (intake, sender) = (self.server.intake.clone(), self.sender.clone());
        let keep = move || {
            let file = UnreadableFile { calling: CALLING, called: &called, sender: &sender, bytes: &file };
            intake.quarantine_file(&file, StoreStatus::CannotUnderstand, &reason);
        };
        if let Err(fault) = tokio::task::spawn_blocking(keep).await {
            tracing::error!("a part that is no DICOM file is not in the quarantine: {fault}");
        }
    }

    /// Has intake keep the instance; the Failure Reason when it does not.
    async fn keep(&self, candidate: Candidate) -> Result<(), u16> {
        let config = self.server.config.load_full();
        let reception = &config.node.reception;
        self.check(&candidate, reception.profile.stores(candidate.meta.sop_class.as_str()))?;
        let (intake, sender, number) = (self.server.intake.clone(), self.sender.clone(), self.number);
        let called = reception.ae_title.to_string();
        let taken = tokio::task::spawn_blocking(move || {
            let Candidate { meta, file } = &candidate;
            let arrival = Arrival {
                calling: CALLING,
                called: &called,
                sender: &sender,
                association: Some(number),
                sop_class: &meta.sop_class,
                sop_instance: &meta.sop_instance,
                transfer_syntax: &meta.transfer_syntax,
            };
            intake.take(&arrival, &file[meta.offset..])
        });
        match taken.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(status = format!("{:04X}", error.status().code()), "instance refused: {error}");
                Err(error.status().code())
            }
            Err(_) => Err(StoreStatus::ProcessingFailure.code()),
        }
    }

    /// What the negotiation of an association would have refused, and what the URL says.
    fn check(&self, candidate: &Candidate, class_is_stored: bool) -> Result<(), u16> {
        let Candidate { meta, file } = candidate;
        if !class_is_stored {
            return Err(StoreStatus::SopClassNotSupported.code());
        }
        if !tables::is_storage_syntax(meta.transfer_syntax.as_str()) {
            return Err(SYNTAX_NOT_SUPPORTED);
        }
        let Some(study) = &self.study else { return Ok(()) };
        let header = part10::parse_header(file.as_slice()).map_err(|_| StoreStatus::CannotUnderstand.code())?;
        let found = uid_of(&header, dicom_dictionary_std::tags::STUDY_INSTANCE_UID);
        let same = found.is_ok_and(|found| found == *study);
        if same { Ok(()) } else { Err(StoreStatus::DataSetDoesNotMatchSopClass.code()) }
    }

    /// The series of this upload may close after the short quiet time, as at the end of an association.
    async fn over(&self) {
        let (intake, number) = (self.server.intake.clone(), self.number);
        let noted = tokio::task::spawn_blocking(move || intake.association_over(number)).await;
        if let Ok(Err(error)) = noted {
            tracing::error!("cannot note the end of an upload: {error}");
        }
    }
}

/// The body of a request, which may be slow but not silent.
struct Incoming {
    body: Body,
    patience: Duration,
    stop: CancellationToken,
}

impl Source for Incoming {
    async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(MultipartError::Stopping),
                frame = tokio::time::timeout(self.patience, self.body.frame()) => frame.map_err(|_| MultipartError::Slow)?,
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(MultipartError::Broken(error.to_string())),
                Some(Ok(frame)) => {
                    // A frame without data holds trailers, which say nothing here.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
