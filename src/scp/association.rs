//! One association from its request to its end, as acceptor (PS3.8 section 9.2).
//!
//! Messages are answered one at a time, in order. Whatever breaks the protocol ends in A-ABORT and is logged
//! with the peer; whatever can be answered is answered. Never decides about an object.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dicom_ul::pdu::{AssociationRQ, PDataValue, PDataValueType, Pdu};
use tokio_util::sync::CancellationToken;

use super::commitment::{self, Reports};
use super::doorstep::Guest;
use super::negotiation::{self, Accepted, Context};
use super::refused::{Breach, Denial};
use super::store::{Gathered, Sender};
use super::stream::Stream;
use super::wire::{Incoming, Wire, WireError};
use super::{Node, StoreHandler, Visitor, echo, quarters, store};
use crate::dicom::command::{Command, Response, Retrieved};
use crate::dicom::message::{Assembler, Message, MessageError};

/// Length, context ID and control header of a data value (PS3.8 section 9.3.5.1 and annex E.2).
const VALUE_HEADER: usize = 6;
/// Unrecognized operation (PS3.7 annex C.5.23).
const UNRECOGNIZED: u16 = 0x0211;

/// Why an association ended otherwise than by release.
#[derive(Debug, thiserror::Error)]
enum AssociationError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("a message for presentation context {0}, which was not accepted")]
    UnknownContext(u8),
    #[error("an unexpected PDU: {0}")]
    UnexpectedPdu(String),
    #[error("a PDU of the unknown type {0:#04x}")]
    UnknownPdu(u8),
    #[error("an unexpected response, to a request never made")]
    UnexpectedResponse,
    #[error("the peer aborted")]
    Aborted,
    #[error("the node is stopping")]
    Stopping,
}

/// Serves one connection until it is closed, or until it is an association and has a thread of its own ([`quarters`]);
/// `guest` is its stay while it has not asked for one.
pub(super) async fn run<H: StoreHandler>(
    stream: Stream,
    peer: IpAddr,
    node: &Arc<Node<H>>,
    shutdown: &CancellationToken,
    guest: Guest,
) {
    let mut wire = Wire::new(stream, node.options.max_pdu);
    let artim = node.options.artim_timeout;
    let request = tokio::select! {
        biased;
        () = shutdown.cancelled() => return,
        () = guest.sent_away.cancelled() => return tracing::debug!(%peer, "too many connections without a request"),
        request = association_request(&mut wire, artim) => request,
    };
    drop(guest);
    let request = match request {
        Ok(request) => request,
        Err(error) => return see_off(node, fail(wire, &error, peer, artim, shutdown)).await,
    };
    let place = node.places.take(peer);
    let answer = match &place {
        Some(_) => negotiation::answer(&request, peer, &node.options),
        None => Err(Denial::Crowded),
    };
    let accepted = match answer {
        Ok(accepted) => accepted,
        Err(denial) => {
            let (calling, called) = (request.calling_ae_title.trim(), request.called_ae_title.trim());
            tracing::warn!(%peer, calling, called, "association rejected: {}", denial.when());
            let (calling, why) = (Some(calling.to_owned()), format!("association rejected: {}", denial.when()));
            node.handler.turned_away(Visitor { peer, calling, why });
            return see_off(node, wire.finish(&denial.pdu(), artim, shutdown)).await;
        }
    };
    let id = node.number();
    tracing::info!(association = id, %peer, calling = accepted.calling, "association accepted");
    let (calling, called) = (accepted.calling.clone(), accepted.called.clone());
    let sender = Sender { calling, called, may_store: accepted.may_store, peer, association: id };
    let reports = Reports::new(accepted.peer_max_pdu);
    let (node, shutdown) = (Arc::clone(node), shutdown.clone());
    let tasks = node.tasks.clone();
    quarters::give(&tasks, move || async move {
        if let Err(error) = wire.move_here() {
            return tracing::error!(%peer, %error, "an association lost its connection on the way to its thread");
        }
        let ended = talk(&mut wire, accepted, reports, &sender, &node, &shutdown).await;
        // Before the release is answered: a peer that has its answer finds the association over here, too.
        node.handler.released(id).await;
        drop(place);
        match ended {
            Ok(()) => see_off(&node, wire.finish(&Pdu::ReleaseRP, artim, &shutdown)).await,
            Err(error) => see_off(&node, fail(wire, &error, peer, artim, &shutdown)).await,
        }
        tracing::info!(association = id, "association over");
    });
}

/// The last PDU and the wait for the peer to close, as long as there is room for the connection.
async fn see_off<H>(node: &Node<H>, farewell: impl Future<Output = ()>) {
    let guest = node.leaving.enter();
    tokio::select! {
        biased;
        () = farewell => {}
        () = guest.sent_away.cancelled() => {}
    }
}

async fn association_request(wire: &mut Wire, artim: Duration) -> Result<AssociationRQ, AssociationError> {
    match wire.receive(artim, None).await? {
        Incoming::Control(Pdu::AssociationRQ(request)) => Ok(request),
        Incoming::Control(pdu) => Err(unexpected(&pdu)),
        Incoming::Value(_) | Incoming::Placed { .. } => {
            Err(AssociationError::UnexpectedPdu("P-DATA before the association".to_owned()))
        }
    }
}

/// Accepts, then answers messages until the peer asks for release.
async fn talk<H: StoreHandler>(
    wire: &mut Wire,
    accepted: Accepted,
    mut reports: Reports,
    sender: &Sender,
    node: &Node<H>,
    shutdown: &CancellationToken,
) -> Result<(), AssociationError> {
    let patience = node.options.idle_timeout;
    wire.send(&Pdu::AssociationAC(accepted.answer), patience).await?;
    let mut assembler = Assembler::new(node.options.max_object);
    loop {
        let incoming = tokio::select! {
            biased;
            () = shutdown.cancelled(), if assembler.is_idle() => return Err(AssociationError::Stopping),
            incoming = wire.receive(patience, assembler.place()) => Some(incoming?),
            () = tokio::time::sleep(commitment::GRACE), if reports.is_waiting() && assembler.is_idle() => None,
        };
        let Some(incoming) = incoming else {
            for pdu in reports.next() {
                wire.send(&pdu, patience).await?;
            }
            continue;
        };
        let message = match incoming {
            Incoming::Value(value) => assembler.push_into(value, |context, command| {
                store::basket(node.handler.as_ref(), sender, accepted.contexts.get(&context), command)
            })?,
            Incoming::Placed { context, count, is_last } => assembler.placed(context, count, is_last)?,
            Incoming::Control(Pdu::ReleaseRQ) => return Ok(()),
            Incoming::Control(Pdu::AbortRQ { .. }) => return Err(AssociationError::Aborted),
            Incoming::Control(pdu) => return Err(unexpected(&pdu)),
        };
        let Some(message) = message else { continue };
        let id = message.context;
        let context = accepted.contexts.get(&id).ok_or(AssociationError::UnknownContext(id))?;
        if let Some(response) = answer(message, context, sender, &node.handler, &mut reports).await? {
            for pdu in command_pdus(id, &response, accepted.peer_max_pdu) {
                wire.send(&pdu, patience).await?;
            }
        }
    }
}

async fn answer<H: StoreHandler>(
    message: Message<Gathered<H::Draft>>,
    context: &Context,
    sender: &Sender,
    handler: &Arc<H>,
    reports: &mut Reports,
) -> Result<Option<Command>, AssociationError> {
    Ok(match message.command {
        Command::EchoRq { message_id } => Some(echo::answer(message_id)),
        Command::StoreRq(request) => Some(store::answer(handler, sender, context, request, message.body).await),
        Command::ActionRq(action) => {
            let context = (message.context, context);
            Some(commitment::answer(handler, sender, context, action, store::plain(message.body), reports).await)
        }
        Command::EventRsp(response) => {
            let asked = commitment::answered(handler, reports, &response).await;
            return if asked { Ok(None) } else { Err(AssociationError::UnexpectedResponse) };
        }
        Command::FindRq { message_id, sop_class } => Some(Command::FindRsp(unrecognized(message_id, sop_class))),
        Command::GetRq { message_id, sop_class } => Some(Command::GetRsp(not_retrieved(message_id, sop_class))),
        Command::MoveRq { message_id, sop_class, .. } => Some(Command::MoveRsp(not_retrieved(message_id, sop_class))),
        Command::EventRq(event) => {
            Some(commitment::told(handler, sender, context, event, store::plain(message.body)).await)
        }
        Command::CancelRq => None,
        Command::Other(other) => Some(other.unrecognized().ok_or(AssociationError::UnexpectedResponse)?),
        Command::StoreRsp(_)
        | Command::EchoRsp(_)
        | Command::FindRsp(_)
        | Command::GetRsp(_)
        | Command::MoveRsp(_)
        | Command::ActionRsp(_) => return Err(AssociationError::UnexpectedResponse),
    })
}

fn unrecognized(message_id: u16, sop_class: String) -> Response {
    Response { message_id, sop_class, status: UNRECOGNIZED, ..Response::default() }
}

fn not_retrieved(message_id: u16, sop_class: String) -> Retrieved {
    Retrieved { response: unrecognized(message_id, sop_class), ..Retrieved::default() }
}

/// A command set in PDUs no larger than the peer takes, 0 standing for any size (PS3.8 section D.1.1).
fn command_pdus(context: u8, command: &Command, peer_max_pdu: u32) -> Vec<Pdu> {
    let bytes = command.encode();
    let room = match peer_max_pdu {
        0 => bytes.len(),
        limit => (limit as usize).saturating_sub(VALUE_HEADER).max(2) & !1,
    };
    let fragments = bytes.chunks(room.max(1));
    let last = fragments.len().saturating_sub(1);
    let pdu = |(number, fragment): (usize, &[u8])| {
        let (value_type, data, is_last) = (PDataValueType::Command, fragment.to_vec(), number == last);
        Pdu::PData { data: vec![PDataValue { presentation_context_id: context, value_type, is_last, data }] }
    };
    fragments.enumerate().map(pdu).collect()
}

fn unexpected(pdu: &Pdu) -> AssociationError {
    match pdu {
        Pdu::Unknown { pdu_type, .. } => AssociationError::UnknownPdu(*pdu_type),
        other => AssociationError::UnexpectedPdu(other.short_description().to_string()),
    }
}

/// Logs why the association failed and tells the peer, if it is still there.
async fn fail(wire: Wire, error: &AssociationError, peer: IpAddr, artim: Duration, shutdown: &CancellationToken) {
    tracing::warn!(%peer, %error, "association ended without release");
    let breach = match error {
        AssociationError::Wire(error) => error.breach(),
        AssociationError::Aborted => None,
        AssociationError::UnexpectedPdu(_) => Some(Breach::UnexpectedPdu),
        AssociationError::UnknownPdu(_) => Some(Breach::UnknownPdu),
        AssociationError::Message(_) | AssociationError::UnknownContext(_) | AssociationError::UnexpectedResponse => {
            Some(Breach::InvalidParameter)
        }
        AssociationError::Stopping => Some(Breach::Other),
    };
    if let Some(breach) = breach {
        wire.finish(&breach.pdu(), artim, shutdown).await;
    }
}
