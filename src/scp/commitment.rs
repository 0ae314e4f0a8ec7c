//! Storage commitment: N-ACTION in, N-EVENT-REPORT out; and the other way round, the reports on requests of our own
//! (PS3.4 annex J, PS3.7 sections 10.1.1 and 10.1.4).
//!
//! A request is answered when the handler has kept it. Its report goes over the same association when the peer
//! leaves it open; otherwise the handler, told that the association is over, sends it another way. Never
//! decides what is held.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};

use super::StoreHandler;
use super::negotiation::Context;
use super::store::Sender;
use crate::dicom::command::{Command, Normalized, Response};
use crate::dicom::commitment::{CommitmentError, REQUEST, Report, Request};
use crate::dicom::message::Body;
use crate::dicom::{CommitmentStatus, tables};

/// How long an association must be quiet before a report is sent on it: most peers release right after the
/// answer, and a report would cross with that.
pub(super) const GRACE: Duration = Duration::from_millis(500);
/// Some 200,000 instances; more is no sensible request.
const MAX_REQUEST: usize = 32 << 20;
/// A peer that announces no limit, or a very large one, gets PDUs of this size.
const MAX_SENT_PDU: usize = 128 * 1024;

/// A request for storage commitment as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitmentRequest {
    /// Calling and called AE title as the peer wrote them, trimmed.
    pub calling: String,
    pub called: String,
    pub peer: IpAddr,
    pub association: u64,
    pub request: Request,
}

/// A request that survives a power cut, and what is to be reported on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCommitment {
    /// What the handler calls it.
    pub number: i64,
    pub report: Report,
}

/// The answer to a request that is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: CommitmentStatus,
    pub comment: String,
}

impl Refusal {
    fn new(status: CommitmentStatus, comment: impl Into<String>) -> Refusal {
        Refusal { status, comment: comment.into() }
    }

    /// 0110: the node failed for a reason of its own.
    #[must_use]
    pub fn failure(comment: impl Into<String>) -> Refusal {
        Refusal::new(CommitmentStatus::ProcessingFailure, comment)
    }

    /// 0115: a report on something that was not asked for.
    #[must_use]
    pub fn unknown_transaction() -> Refusal {
        Refusal::new(CommitmentStatus::InvalidArgument, "the Transaction UID is of no request of ours")
    }

    /// 0118: this receiver commits to nothing.
    #[must_use]
    pub fn unsupported() -> Refusal {
        Refusal::new(CommitmentStatus::NoSuchClass, "this node does not commit to storage")
    }
}

/// A report on a request of our own, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitmentReport {
    /// Calling AE title as the peer wrote it, trimmed.
    pub calling: String,
    pub peer: IpAddr,
    pub report: Report,
}

/// The reports of one association: one is on its way at a time.
#[derive(Debug)]
pub(super) struct Reports {
    waiting: VecDeque<(u8, String, KeptCommitment)>,
    in_flight: Option<(u16, i64)>,
    last_id: u16,
    /// Bytes of a data value that the peer takes.
    room: usize,
}

impl Reports {
    /// `peer_max_pdu`: what the peer takes, bytes; 0 stands for any size (PS3.8 section D.1.1).
    pub(super) fn new(peer_max_pdu: u32) -> Reports {
        let max_pdu = if peer_max_pdu == 0 { MAX_SENT_PDU } else { peer_max_pdu as usize };
        let room = (max_pdu.clamp(64, MAX_SENT_PDU) - 6) & !1;
        Reports { waiting: VecDeque::new(), in_flight: None, last_id: 0, room }
    }

    /// Is there a report to send, once the peer is quiet?
    pub(super) fn is_waiting(&self) -> bool {
        self.in_flight.is_none() && !self.waiting.is_empty()
    }

    /// The next report as PDUs. One that cannot be encoded is left to the handler's other way.
    pub(super) fn next(&mut self) -> Vec<Pdu> {
        let Some((context, syntax, kept)) = self.waiting.pop_front() else { return Vec::new() };
        let Ok(dataset) = kept.report.encode(&syntax) else { return Vec::new() };
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.in_flight = Some((self.last_id, kept.number));
        let command = Command::EventRq(event(self.last_id, &kept.report)).encode();
        let mut pdus = pieces(context, PDataValueType::Command, &command, self.room);
        pdus.extend(pieces(context, PDataValueType::Data, &dataset, self.room));
        pdus
    }

    /// The number of the report that `response` answers; `None` when none was asked about.
    fn answered(&mut self, response: &Response) -> Option<i64> {
        let (_, number) = self.in_flight.take_if(|(id, _)| *id == response.message_id)?;
        Some(number)
    }
}

/// The command of an N-EVENT-REPORT-RQ with `report`.
fn event(message_id: u16, report: &Report) -> Normalized {
    let (sop_class, sop_instance) = (tables::STORAGE_COMMITMENT, tables::STORAGE_COMMITMENT_INSTANCE);
    let (sop_class, sop_instance) = (sop_class.to_owned(), sop_instance.to_owned());
    Normalized { message_id, sop_class, sop_instance, kind: report.event(), has_data: true }
}

fn pieces(context: u8, value_type: PDataValueType, bytes: &[u8], room: usize) -> Vec<Pdu> {
    let count = bytes.len().div_ceil(room);
    let piece = |(at, data): (usize, &[u8])| {
        let (value_type, is_last) = (value_type.clone(), at + 1 == count);
        Pdu::PData {
            data: vec![PDataValue { presentation_context_id: context, value_type, is_last, data: data.into() }],
        }
    };
    bytes.chunks(room).enumerate().map(piece).collect()
}

/// Has `handler` keep the request and makes the N-ACTION-RSP.
pub(super) async fn answer<H: StoreHandler>(
    handler: &Arc<H>,
    sender: &Sender,
    (id, context): (u8, &Context),
    action: Normalized,
    body: Body,
    reports: &mut Reports,
) -> Command {
    let kept = match check(sender, context, &action, body) {
        Ok(request) => keep(Arc::clone(handler), request).await,
        Err(refusal) => Err(refusal),
    };
    let kept = kept.map(|kept| {
        tracing::info!(
            association = sender.association,
            calling = sender.calling,
            held = kept.report.held.len(),
            failed = kept.report.failed.len(),
            "storage commitment asked for"
        );
        reports.waiting.push_back((id, context.transfer_syntax.clone(), kept));
    });
    Command::ActionRsp(response(sender, action, kept, "storage commitment refused"))
}

/// The response to `message`; a refusal is logged as `refused`.
fn response(sender: &Sender, message: Normalized, kept: Result<(), Refusal>, refused: &'static str) -> Response {
    let (status, comment) = match kept {
        Ok(()) => (CommitmentStatus::Success, None),
        Err(Refusal { status, comment }) => {
            let (association, calling) = (sender.association, &sender.calling);
            tracing::warn!(association, calling, ?status, comment, "{refused}");
            (status, Some(comment))
        }
    };
    let sop_instance = Some(message.sop_instance).filter(|uid| uid.len() <= 64);
    let (message_id, sop_class) = (message.message_id, message.sop_class);
    let status = status.code();
    Response { message_id, sop_class, sop_instance, status, comment, ..Response::default() }
}

/// In a task of its own, so that a panic becomes an answer.
async fn keep<H: StoreHandler>(handler: Arc<H>, request: CommitmentRequest) -> Result<KeptCommitment, Refusal> {
    let kept = tokio::spawn(async move { handler.commit(request).await }).await;
    kept.unwrap_or_else(|_| Err(Refusal::failure("the node failed to keep the request")))
}

/// Has `handler` keep the peer's report on a request of ours and makes the N-EVENT-REPORT-RSP.
pub(super) async fn told<H: StoreHandler>(
    handler: &Arc<H>,
    sender: &Sender,
    context: &Context,
    event: Normalized,
    body: Body,
) -> Command {
    let kept = match heard(sender, context, &event, body) {
        Ok(report) => handler.told(report).await,
        Err(refusal) => Err(refusal),
    };
    Command::EventRsp(response(sender, event, kept, "report of storage commitment refused"))
}

fn heard(sender: &Sender, context: &Context, event: &Normalized, body: Body) -> Result<CommitmentReport, Refusal> {
    well_known(context, event)?;
    if !matches!(event.kind, 1 | 2) {
        return Err(Refusal::new(CommitmentStatus::NoSuchEvent, format!("event type {} is unknown", event.kind)));
    }
    let report = decoded(body, |bytes| Report::decode(bytes, &context.transfer_syntax))?;
    Ok(CommitmentReport { calling: sender.calling.clone(), peer: sender.peer, report })
}

/// Tells `handler` what the peer said to a report; `false` when there was none to answer.
pub(super) async fn answered<H: StoreHandler>(handler: &Arc<H>, reports: &mut Reports, response: &Response) -> bool {
    let Some(number) = reports.answered(response) else { return false };
    handler.reported(number, response.status).await;
    true
}

fn check(sender: &Sender, context: &Context, action: &Normalized, body: Body) -> Result<CommitmentRequest, Refusal> {
    well_known(context, action)?;
    if !sender.may_store {
        return Err(Refusal::new(
            CommitmentStatus::NotAuthorized,
            "this calling AE title may verify here and store nothing",
        ));
    }
    if action.kind != REQUEST {
        return Err(Refusal::new(CommitmentStatus::NoSuchAction, format!("action type {} is unknown", action.kind)));
    }
    let request = decoded(body, |bytes| Request::decode(bytes, &context.transfer_syntax))?;
    let Sender { calling, called, peer, association, .. } = sender.clone();
    Ok(CommitmentRequest { calling, called, peer, association, request })
}

/// Is it about the one instance of this SOP class (PS3.4 section J.3.5)?
fn well_known(context: &Context, message: &Normalized) -> Result<(), Refusal> {
    if context.abstract_syntax != tables::STORAGE_COMMITMENT || message.sop_class != tables::STORAGE_COMMITMENT {
        return Err(Refusal::new(CommitmentStatus::NoSuchClass, "the context is not for storage commitment"));
    }
    if message.sop_instance != tables::STORAGE_COMMITMENT_INSTANCE {
        return Err(Refusal::new(
            CommitmentStatus::NoSuchInstance,
            "not the well-known SOP instance of storage commitment",
        ));
    }
    Ok(())
}

fn decoded<T>(body: Body, decode: impl FnOnce(&[u8]) -> Result<T, CommitmentError>) -> Result<T, Refusal> {
    match body {
        Body::Dataset(bytes) if bytes.len() <= MAX_REQUEST => {
            decode(&bytes).map_err(|error| Refusal::new(CommitmentStatus::InvalidArgument, error.to_string()))
        }
        Body::Dataset(_) | Body::TooLarge(_) => Err(Refusal::new(
            CommitmentStatus::ResourceLimitation,
            "more instances than this node takes in one message",
        )),
        Body::None => Err(Refusal::new(CommitmentStatus::InvalidArgument, "the message has no data set")),
    }
}
