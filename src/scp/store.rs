//! Storage: C-STORE (PS3.7 section 9.1.1, statuses of PS3.4 section B.2.3).
//!
//! Every readable request gets an answer that says what is wrong with it; only what passes goes to the
//! handler. Never parses the data set.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use dicom_core::Tag;

use super::negotiation::Context;
use super::{Announced, StoreAnswer, StoreHandler, StoreRequest, UnnamedObject};
use crate::dicom::command::{Command, Response, StoreRq};
use crate::dicom::message::{Basket, Body};
use crate::dicom::{StoreStatus, Uid};

const AFFECTED_SOP_CLASS: Tag = Tag(0x0000, 0x0002);
const AFFECTED_SOP_INSTANCE: Tag = Tag(0x0000, 0x1000);
const DATA_SET_TYPE: Tag = Tag(0x0000, 0x0800);

/// Who sends, for all objects of an association.
#[derive(Debug, Clone)]
pub struct Sender {
    pub calling: String,
    pub called: String,
    /// `false` for one that may only verify.
    pub may_store: bool,
    pub peer: IpAddr,
    pub association: u64,
}

/// What the data set of a message is put into while it comes.
#[derive(Debug)]
pub enum Gathered<D> {
    /// An object, with its keeper already.
    Object(D),
    /// Of another service, which reads it when it is whole.
    Plain(Vec<u8>),
    /// An object that is refused whatever it is.
    Nothing,
}

impl<D: Basket> Basket for Gathered<D> {
    fn put(&mut self, bytes: &[u8]) {
        match self {
            Gathered::Object(draft) => draft.put(bytes),
            Gathered::Plain(dataset) => dataset.put(bytes),
            Gathered::Nothing => {}
        }
    }

    fn place(&mut self) -> Option<&mut [u8]> {
        if let Gathered::Object(draft) = self { draft.place() } else { None }
    }

    fn placed(&mut self, count: usize) {
        if let Gathered::Object(draft) = self {
            draft.placed(count);
        }
    }
}

/// What the data set behind `command` is put into.
pub fn basket<H: StoreHandler>(
    handler: &H,
    sender: &Sender,
    context: Option<&Context>,
    command: &Command,
) -> Gathered<H::Draft> {
    let Command::StoreRq(request) = command else { return Gathered::Plain(Vec::new()) };
    match context.filter(|context| sender.may_store && context.is_storage) {
        None => Gathered::Nothing,
        Some(context) => Gathered::Object(handler.begin(&Announced {
            calling: &sender.calling,
            called: &sender.called,
            peer: sender.peer,
            sop_class: &request.sop_class,
            sop_instance: &request.sop_instance,
            transfer_syntax: &context.transfer_syntax,
        })),
    }
}

/// The data set of another service.
pub fn plain<D>(body: Body<Gathered<D>>) -> Body {
    match body {
        Body::Dataset(Gathered::Plain(dataset)) => Body::Dataset(dataset),
        Body::TooLarge(size) => Body::TooLarge(size),
        Body::Dataset(_) | Body::None => Body::None,
    }
}

/// Has `handler` keep the object and makes the C-STORE-RSP.
pub async fn answer<H: StoreHandler>(
    handler: &Arc<H>,
    sender: &Sender,
    context: &Context,
    request: StoreRq,
    body: Body<Gathered<H::Draft>>,
) -> Command {
    let answer = match check(sender, context, &request, body) {
        Ok(object) => keep(handler.as_ref(), object).await,
        Err(Refusal::Plain(answer)) => answer,
        Err(Refusal::Unnamed(object, answer)) => {
            handler.unnamed(*object, &answer).await;
            answer
        }
    };
    if answer.status != StoreStatus::Success {
        let (status, comment) = (answer.status, answer.comment.as_deref());
        tracing::warn!(association = sender.association, calling = sender.calling, ?status, comment, "not stored");
    }
    Command::StoreRsp(Response {
        message_id: request.message_id,
        sop_class: request.sop_class,
        sop_instance: Some(request.sop_instance).filter(|uid| uid.len() <= 64),
        status: answer.status.code(),
        comment: answer.comment,
        offending: answer.offending,
        has_data: false,
    })
}

/// Has the object kept here, without another task's wake-ups; a panic becomes an answer all the same.
async fn keep<H: StoreHandler>(handler: &H, object: StoreRequest<H::Draft>) -> StoreAnswer {
    let mut storing = pin!(handler.store(object));
    let panicked = || StoreAnswer::failure(StoreStatus::ProcessingFailure, "the node failed to keep the object");
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| storing.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(panicked()))
    })
    .await
}

/// A request that the handler does not get to store.
#[derive(Debug)]
enum Refusal<D> {
    Plain(StoreAnswer),
    Unnamed(Box<UnnamedObject<D>>, StoreAnswer),
}

impl<D> From<StoreAnswer> for Refusal<D> {
    fn from(answer: StoreAnswer) -> Refusal<D> {
        Refusal::Plain(answer)
    }
}

fn check<D>(
    sender: &Sender,
    context: &Context,
    request: &StoreRq,
    body: Body<Gathered<D>>,
) -> Result<StoreRequest<D>, Refusal<D>> {
    if !sender.may_store {
        let comment = "this AE title may verify and store nothing";
        return Err(StoreAnswer::failure(StoreStatus::NotAuthorized, comment).into());
    }
    if !context.is_storage {
        let answer = StoreAnswer::failure(StoreStatus::SopClassNotSupported, "the context is not for storage");
        return Err(answer.offending(AFFECTED_SOP_CLASS).into());
    }
    let sop_class = Uid::parse(&request.sop_class).ok().filter(|uid| uid.as_str() == context.abstract_syntax);
    let sop_class = sop_class.ok_or_else(|| {
        let comment = "SOP class differs from that of the context";
        StoreAnswer::failure(StoreStatus::DataSetDoesNotMatchSopClass, comment).offending(AFFECTED_SOP_CLASS)
    })?;
    let transfer_syntax = Uid::parse(&context.transfer_syntax)
        .map_err(|error| StoreAnswer::failure(StoreStatus::CannotUnderstand, error.to_string()))?;
    let dataset = match body {
        Body::Dataset(Gathered::Object(draft)) => draft,
        Body::Dataset(_) | Body::None => {
            let answer = StoreAnswer::failure(StoreStatus::CannotUnderstand, "the request has no data set");
            return Err(answer.offending(DATA_SET_TYPE).into());
        }
        Body::TooLarge(size) => {
            let comment = format!("a data set of {size} bytes is over this node's limit");
            return Err(StoreAnswer::failure(StoreStatus::OutOfResources, comment).into());
        }
    };
    let Sender { calling, called, peer, association, .. } = sender.clone();
    let sop_instance = match Uid::parse(&request.sop_instance) {
        Ok(uid) => uid,
        Err(error) => {
            let answer = StoreAnswer::failure(StoreStatus::InvalidObjectInstance, error.to_string());
            let announced = request.sop_instance.clone();
            let object = UnnamedObject { calling, called, peer, sop_class, announced, transfer_syntax, dataset };
            return Err(Refusal::Unnamed(Box::new(object), answer.offending(AFFECTED_SOP_INSTANCE)));
        }
    };
    Ok(StoreRequest { calling, called, peer, association, sop_class, sop_instance, transfer_syntax, dataset })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

    #[test]
    fn every_fault_has_its_status() {
        let sender = Sender {
            calling: "MODALITY".into(),
            called: "SAGITTAL".into(),
            may_store: true,
            peer: "127.0.0.1".parse().unwrap(),
            association: 1,
        };
        let check = |abstract_syntax: &str,
                     class: &str,
                     instance: &str,
                     body: Body<Gathered<Vec<u8>>>,
                     expected: Option<u16>| {
            let is_storage = abstract_syntax == MR;
            let transfer_syntax = "1.2.840.10008.1.2".into();
            let context = Context { abstract_syntax: abstract_syntax.into(), transfer_syntax, is_storage };
            let (sop_class, sop_instance) = (class.to_owned(), instance.to_owned());
            let request = StoreRq { message_id: 1, sop_class, sop_instance, has_data: true };
            let status = check(&sender, &context, &request, body).err().map(|refusal| match refusal {
                Refusal::Plain(answer) => answer.status.code(),
                Refusal::Unnamed(object, answer) => {
                    assert_eq!((object.announced.as_str(), object.dataset.as_slice()), (instance, &[1][..]));
                    answer.status.code()
                }
            });
            assert_eq!(status, expected, "{abstract_syntax} {class} {instance}");
        };
        let data = || Body::Dataset(Gathered::Object(vec![1]));
        check(MR, MR, "1.2.3", data(), None);
        check("1.2.840.10008.1.1", MR, "1.2.3", data(), Some(0x0122));
        check(MR, "1.2.840.10008.5.1.4.1.1.2", "1.2.3", data(), Some(0xa900));
        check(MR, "", "1.2.3", data(), Some(0xa900));
        check(MR, MR, "../../etc/passwd", data(), Some(0x0117));
        check(MR, MR, "", data(), Some(0x0117));
        check(MR, MR, "1.2.3", Body::TooLarge(9), Some(0xa700));
        check(MR, MR, "1.2.3", Body::None, Some(0xc000));
    }
}
