//! The requesting side of an association: C-ECHO, C-STORE and C-FIND as SCU (PS3.7 section 9.1, PS3.8).
//!
//! One request at a time. Objects go out as they are wherever the peer accepts their transfer syntax. Every
//! wait has the peer's time limit. Never retries.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use dicom_ul::association::{ClientAssociationOptions, Error as UlError};
use dicom_ul::pdu::{PDataValueType, Pdu};

use super::attempt::refusal;
use super::contexts::learned;
pub use super::contexts::{Chosen, MAX_CONTEXTS, Proposal, proposals};
use super::link::{Link, LinkError};
use super::part10::{is_convertible, is_native};
use super::{DeliveryError, Object};
use crate::config::KnownPeer;
use crate::dicom::command::{Command, Response, StoreRq};
use crate::dicom::message::{Assembler, Body, Message, Pdv};
use crate::dicom::{AeTitle, Answer, Learned, Verdict, services, tables};
use crate::tls::ClientFiles;

/// Largest PDU sent, whatever the peer takes: larger ones gain nothing and some peers choke.
const MAX_SENT_PDU: usize = 128 * 1024;
/// Bytes that are handed to the system at once: peers with small PDUs would cost a call for each of them.
const WRITTEN: usize = 256 * 1024;
const MAX_RECEIVED_PDU: u32 = 64 * 1024;
/// A C-FIND identifier at the instance level is some hundred bytes.
const MAX_IDENTIFIER: u64 = 1 << 20;
/// An object that is fetched is held in memory as a whole.
const MAX_FETCHED: u64 = 2 << 30;
/// A peer that has answered everything and does not answer the release keeps nobody waiting.
const LONGEST_RELEASE: Duration = Duration::from_secs(5);
const LAST: u8 = 2;

/// Another application entity, and the title we use towards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub host: String,
    pub port: u16,
    pub called: AeTitle,
    pub calling: AeTitle,
    /// What the connection is secured with; `None`: plain TCP.
    pub tls: Option<ClientFiles>,
}

impl Peer {
    /// A peer by titles that are not checked yet, such as those of an association it made with us.
    pub fn named(at: &KnownPeer, called: &str, calling: &str) -> Result<Peer, String> {
        let title = |text: &str| AeTitle::parse(text).map_err(|error| error.to_string());
        let (host, port, tls) = (at.host.clone(), at.port, at.tls.clone());
        Ok(Peer { host, port, called: title(called)?, calling: title(calling)?, tls })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.called, self.host, self.port)
    }
}

/// An association that we asked for.
pub struct Scu {
    link: Link,
    peer: Peer,
    /// What was proposed, in the order of the context IDs.
    proposed: Vec<Proposal>,
    timeout: Duration,
    last_id: u16,
    assembler: Assembler,
    /// Messages that came in one PDU with the one handed out.
    heard: VecDeque<Message>,
}

/// Asks `peer` whether it is there (C-ECHO).
pub async fn echo(peer: &Peer, timeout: Duration) -> Result<(), DeliveryError> {
    let verification = Proposal::of(&services::ECHO);
    let mut scu = Scu::connect(peer, timeout, &[verification]).await?;
    scu.echo().await?;
    scu.release().await;
    Ok(())
}

impl Scu {
    /// Associates, proposing the first [`MAX_CONTEXTS`] of `proposals`.
    pub async fn connect(peer: &Peer, timeout: Duration, proposals: &[Proposal]) -> Result<Scu, DeliveryError> {
        Scu::connect_providing(peer, timeout, proposals, &[]).await
    }

    /// As [`Scu::connect`], asking for the SCP role, and that alone, in the SOP classes `provided`.
    pub async fn connect_providing(
        peer: &Peer,
        timeout: Duration,
        proposals: &[Proposal],
        provided: &[&str],
    ) -> Result<Scu, DeliveryError> {
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(peer.calling.as_str())
            .called_ae_title(peer.called.as_str())
            .max_pdu_length(MAX_RECEIVED_PDU)
            .strict(false);
        for proposal in proposals.iter().take(MAX_CONTEXTS) {
            options =
                options.with_presentation_context(proposal.abstract_syntax.clone(), proposal.transfer_syntaxes.clone());
        }
        for class in provided {
            options = options.with_role_selection((*class).to_owned(), false, true);
        }
        let late = || DeliveryError::Timeout { peer: peer.to_string(), request: "association request", after: timeout };
        let link = tokio::time::timeout(timeout, Link::open(peer, options)).await.map_err(|_| late())?;
        let link = link.map_err(|error| match error {
            LinkError::Association(error) => not_associated(peer, proposals, *error),
            LinkError::Tls(error) => DeliveryError::Tls { peer: peer.to_string(), reason: error.to_string() },
            LinkError::Io(error) => DeliveryError::Connect { peer: peer.to_string(), reason: error.to_string() },
        })?;
        // Only a C-GET brings whole objects to the requestor.
        let limit = if provided.is_empty() { MAX_IDENTIFIER } else { MAX_FETCHED };
        let (peer, assembler, heard) = (peer.clone(), Assembler::new(limit), VecDeque::new());
        let proposed = proposals.iter().take(MAX_CONTEXTS).cloned().collect();
        Ok(Scu { link, peer, proposed, timeout, last_id: 0, assembler, heard })
    }

    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Was all of `contexts` proposed to the peer, whatever it answered?
    #[must_use]
    pub fn has_proposed(&self, contexts: &[Proposal]) -> bool {
        contexts.iter().all(|context| self.proposed.contains(context))
    }

    /// What the peer's answer to the proposals tells about it.
    #[must_use]
    pub fn learned(&self) -> Vec<Learned> {
        learned(&self.proposed, |place| self.transfer_syntax((2 * place + 1) as u8))
    }

    /// Does the peer still listen? One that has said something unasked wants to end the association.
    pub async fn is_alive(&mut self) -> bool {
        self.heard.is_empty() && self.link.is_quiet().await
    }

    /// The same association with another time limit for each answer.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Scu {
        Scu { timeout, ..self }
    }

    /// The first accepted context of `abstract_syntax` with a transfer syntax that `fits`.
    pub fn context(&self, abstract_syntax: &str, fits: impl Fn(&str) -> bool) -> Option<Chosen> {
        let contexts = self.link.contexts().iter();
        let trimmed = |text: &str| text.trim_end_matches(['\0', ' ']).to_owned();
        contexts
            .filter(|context| context.abstract_syntax == abstract_syntax)
            .map(|context| Chosen { id: context.id, transfer_syntax: trimmed(&context.transfer_syntax) })
            .find(|chosen| fits(&chosen.transfer_syntax))
    }

    /// The transfer syntax of the accepted context `id`.
    pub(super) fn transfer_syntax(&self, id: u8) -> Option<String> {
        let context = self.link.contexts().iter().find(|context| context.id == id)?;
        Some(context.transfer_syntax.trim_end_matches(['\0', ' ']).to_owned())
    }

    /// C-ECHO.
    pub async fn echo(&mut self) -> Result<(), DeliveryError> {
        let context = self.context(tables::VERIFICATION, |_| true);
        let context = context.ok_or_else(|| self.no_context("Verification".to_owned()))?;
        let message_id = self.next_id();
        self.send(context.id, &Command::EchoRq { message_id }, None).await?;
        match self.receive().await?.command {
            Command::EchoRsp(Response { status: 0, .. }) => Ok(()),
            other => Err(self.protocol(format!("the C-ECHO was answered with {other:?}"))),
        }
    }

    /// Stores one object; what the peer said of it, or why it could not say anything.
    pub async fn store(&mut self, object: &Object) -> Result<Verdict, DeliveryError> {
        let (class, own) = (object.sop_class.as_str(), object.transfer_syntax.as_str());
        let context = self.context(class, |syntax| syntax == own);
        let context = context.or_else(|| self.context(class, |syntax| is_convertible(own) && is_native(syntax)));
        let context = context.ok_or_else(|| self.no_context(described(class, own)))?;
        let message_id = self.next_id();
        let (sop_class, sop_instance) = (class.to_owned(), object.sop_instance.to_string());
        let request = Command::StoreRq(StoreRq { message_id, sop_class, sop_instance, has_data: true });
        if context.transfer_syntax == own {
            self.send(context.id, &request, Some(object.dataset()?)).await?;
        } else {
            let converted = object.converted(&context.transfer_syntax).await?;
            self.send(context.id, &request, Some(&converted)).await?;
        }
        match self.receive().await?.command {
            Command::StoreRsp(Response { status, comment, .. }) => {
                let (sop_instance, answer) = (object.sop_instance.clone(), Answer::of_status(status));
                Ok(Verdict { sop_instance, answer, status: Some(status), comment })
            }
            other => Err(self.protocol(format!("the C-STORE was answered with {other:?}"))),
        }
    }

    /// The error that a verdict of refusal is.
    pub fn accepted(&self, verdict: &Verdict) -> Result<(), DeliveryError> {
        refusal(&self.peer.to_string(), verdict).map_or(Ok(()), Err)
    }

    /// Asks by C-FIND in `context` with an encoded identifier; the identifiers of all matches.
    pub async fn find(
        &mut self,
        context: &Chosen,
        sop_class: &str,
        identifier: &[u8],
    ) -> Result<Vec<Vec<u8>>, DeliveryError> {
        let message_id = self.next_id();
        let request = Command::FindRq { message_id, sop_class: sop_class.to_owned() };
        self.send(context.id, &request, Some(identifier)).await?;
        let mut matches = Vec::new();
        loop {
            let message = self.receive().await?;
            match (message.command, message.body) {
                (Command::FindRsp(Response { status: 0xff00 | 0xff01, .. }), Body::Dataset(bytes)) => {
                    matches.push(bytes);
                }
                (Command::FindRsp(Response { status: 0, .. }), _) => return Ok(matches),
                (Command::FindRsp(Response { status, .. }), _) => {
                    return Err(self.protocol(format!("the C-FIND failed with status {status:04x}")));
                }
                (other, _) => return Err(self.protocol(format!("the C-FIND was answered with {other:?}"))),
            }
        }
    }

    /// Ends the association; a peer that does not answer properly has stored what it acknowledged all the same.
    pub async fn release(self) {
        let patience = self.timeout.min(LONGEST_RELEASE);
        if let Ok(Err(error)) = tokio::time::timeout(patience, self.link.release()).await {
            tracing::debug!(peer = %self.peer, %error, "the release was not answered");
        }
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.last_id
    }

    pub(super) async fn send(
        &mut self,
        context: u8,
        command: &Command,
        dataset: Option<&[u8]>,
    ) -> Result<(), DeliveryError> {
        let room = ((self.link.peer_max_pdu() as usize).clamp(64, MAX_SENT_PDU) - 6) & !1;
        let (peer, timeout) = (self.peer.to_string(), self.timeout);
        let link = &mut self.link;
        let mut pdus = Vec::with_capacity(dataset.map_or(0, <[u8]>::len).min(WRITTEN) + room + 1024);
        append_pdata(&mut pdus, context, 1 | LAST, &command.encode());
        let mut rest = dataset;
        while let Some(bytes) = rest {
            let (chunk, after) = bytes.split_at(bytes.len().min(room));
            rest = Some(after).filter(|after| !after.is_empty());
            append_pdata(&mut pdus, context, if rest.is_none() { LAST } else { 0 }, chunk);
            if pdus.len() >= WRITTEN {
                limited(&peer, "request", timeout, link.write(&pdus)).await?;
                pdus.clear();
            }
        }
        limited(&peer, "request", timeout, link.write(&pdus)).await
    }

    pub(super) async fn receive(&mut self) -> Result<Message, DeliveryError> {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return Ok(message);
            }
            let peer = self.peer.to_string();
            let values = match limited(&peer, "request", self.timeout, self.link.receive()).await? {
                Pdu::PData { data } => data,
                other => return Err(self.protocol(format!("{} instead of an answer", other.short_description()))),
            };
            for value in &values {
                let pdv = Pdv {
                    context: value.presentation_context_id,
                    is_command: value.value_type == PDataValueType::Command,
                    is_last: value.is_last,
                    data: &value.data,
                };
                let message = self.assembler.push(pdv).map_err(|error| self.protocol(error.to_string()))?;
                self.heard.extend(message);
            }
        }
    }

    pub(super) fn no_context(&self, what: String) -> DeliveryError {
        DeliveryError::NoContext { peer: self.peer.to_string(), what }
    }

    pub(super) fn protocol(&self, reason: String) -> DeliveryError {
        DeliveryError::Protocol { peer: self.peer.to_string(), reason }
    }
}

/// Names of a SOP class and a transfer syntax for a message.
fn described(class: &str, syntax: &str) -> String {
    let name = |uid| tables::name_of(uid).unwrap_or(uid);
    format!("{} in {}", name(class), name(syntax))
}

fn append_pdata(pdu: &mut Vec<u8>, context: u8, control: u8, data: &[u8]) {
    pdu.extend([0x04, 0]);
    pdu.extend((data.len() as u32 + 6).to_be_bytes());
    pdu.extend((data.len() as u32 + 2).to_be_bytes());
    pdu.extend([context, control]);
    pdu.extend_from_slice(data);
}

async fn limited<T, E: fmt::Display>(
    peer: &str,
    request: &'static str,
    after: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, DeliveryError> {
    let done = tokio::time::timeout(after, work).await;
    let done = done.map_err(|_| DeliveryError::Timeout { peer: peer.to_owned(), request, after })?;
    done.map_err(|error| DeliveryError::Connect { peer: peer.to_owned(), reason: error.to_string() })
}

fn not_associated(peer: &Peer, proposals: &[Proposal], error: UlError) -> DeliveryError {
    let peer = peer.to_string();
    match error {
        UlError::Rejected { association_rj, .. } => {
            DeliveryError::Rejected { peer, reason: association_rj.source.to_string() }
        }
        UlError::NoAcceptedPresentationContexts { .. } => {
            let first = proposals.first();
            let what = first.map(|p| described(&p.abstract_syntax, p.transfer_syntaxes.first().map_or("", |s| s)));
            DeliveryError::NoContext { peer, what: what.unwrap_or_default() }
        }
        UlError::Connect { source, .. } | UlError::ToAddress { source, .. } => {
            DeliveryError::Connect { peer, reason: source.to_string() }
        }
        other => DeliveryError::Connect { peer, reason: other.to_string() },
    }
}
