//! Reassembly of messages from presentation data values (PS3.8 section 9.3.5 and annex E, PS3.7 section 6.3).
//!
//! A pure state machine: bytes of P-DATA-TF PDUs in, whole messages out. It allows a command or a data set to
//! be cut anywhere, keeps both within limits, and names what a peer did wrong. It never answers anybody.

use super::command::{Command, CommandError};

/// A command set is some hundred bytes; more is an attack or another protocol.
const MAX_COMMAND: usize = 64 * 1024;

/// One presentation data value (PS3.8 section 9.3.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pdv<'a> {
    pub context: u8,
    pub is_command: bool,
    pub is_last: bool,
    pub data: &'a [u8],
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<B = Vec<u8>> {
    /// Presentation context ID.
    pub context: u8,
    pub command: Command,
    pub body: Body<B>,
}

/// What a data set is put into while it comes.
pub trait Basket {
    fn put(&mut self, bytes: &[u8]);

    /// Where the next bytes may be written instead, so that nobody copies them; those that were are told to
    /// [`Basket::placed`]. Never empty.
    fn place(&mut self) -> Option<&mut [u8]> {
        None
    }

    /// So many bytes were written to [`Basket::place`].
    fn placed(&mut self, count: usize) {
        debug_assert_eq!(count, 0, "a basket without a place");
    }
}

impl Basket for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// What followed the command set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<B = Vec<u8>> {
    None,
    Dataset(B),
    /// More than the limit; this many bytes came and were dropped.
    TooLarge(u64),
}

/// What a peer did that no answer can mend: the association is aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("a data value's length does not fit its PDU")]
    Length,
    #[error("a data set came without a command")]
    DatasetWithoutCommand,
    #[error("a command came before the data set of the previous one was complete")]
    CommandInsideDataset,
    #[error("a message changed its presentation context from {0} to {1}")]
    ContextChanged(u8, u8),
    #[error("a command set of more than 64 KiB")]
    CommandTooLarge,
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// The presentation data values of one P-DATA-TF PDU, `pdu` being its body after the six header bytes.
pub fn values(pdu: &[u8]) -> impl Iterator<Item = Result<Pdv<'_>, MessageError>> {
    let mut rest = Some(pdu);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        Some(split_value(bytes).map(|(value, after)| {
            rest = Some(after);
            value
        }))
    })
}

fn split_value(bytes: &[u8]) -> Result<(Pdv<'_>, &[u8]), MessageError> {
    let (length, tail) = bytes.split_first_chunk::<4>().ok_or(MessageError::Length)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (value, after) = tail.split_at_checked(length).ok_or(MessageError::Length)?;
    let ([context, control], data) = value.split_first_chunk::<2>().ok_or(MessageError::Length)?;
    Ok((Pdv { context: *context, is_command: control & 1 != 0, is_last: control & 2 != 0, data }, after))
}

#[derive(Debug)]
enum State<B> {
    Idle,
    Command {
        context: u8,
        bytes: Vec<u8>,
    },
    /// `basket`: `None` once more came than is taken.
    Dataset {
        context: u8,
        command: Command,
        basket: Option<B>,
        length: u64,
    },
}

/// Turns data values into messages.
#[derive(Debug)]
pub struct Assembler<B = Vec<u8>> {
    state: State<B>,
    max_dataset: u64,
}

impl Assembler {
    /// Takes one data value; a message when it was the last of one.
    pub fn push(&mut self, value: Pdv<'_>) -> Result<Option<Message>, MessageError> {
        self.push_into(value, |_, _| Vec::new())
    }
}

impl<B: Basket> Assembler<B> {
    /// Keeps data sets of up to `max_dataset` bytes.
    #[must_use]
    pub fn new(max_dataset: u64) -> Assembler<B> {
        Assembler { state: State::Idle, max_dataset }
    }

    /// Is no message in work?
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Where the next bytes of the data set in work may be written, to be told to [`Assembler::placed`].
    pub fn place(&mut self) -> Option<&mut [u8]> {
        match &mut self.state {
            State::Dataset { basket: Some(basket), length, .. } if *length < self.max_dataset => basket.place(),
            _ => None,
        }
    }

    /// As [`Assembler::push`], of a value whose `count` bytes are in [`Assembler::place`].
    pub fn placed(&mut self, context: u8, count: usize, is_last: bool) -> Result<Option<Message<B>>, MessageError> {
        if let State::Dataset { basket: Some(basket), length, .. } = &mut self.state {
            basket.placed(count);
            *length += count as u64;
        }
        self.push_dataset(Pdv { context, is_command: false, is_last, data: &[] })
    }

    /// As [`Assembler::push`]; `basket` is what the data set behind a command is put into, given the presentation
    /// context ID.
    pub fn push_into(
        &mut self,
        value: Pdv<'_>,
        basket: impl FnOnce(u8, &Command) -> B,
    ) -> Result<Option<Message<B>>, MessageError> {
        match (&mut self.state, value.is_command) {
            (State::Idle, true) => {
                self.state = State::Command { context: value.context, bytes: Vec::new() };
                self.push_command(value, basket)
            }
            (State::Command { .. }, true) => self.push_command(value, basket),
            (State::Dataset { .. }, false) => self.push_dataset(value),
            (State::Idle | State::Command { .. }, false) => Err(MessageError::DatasetWithoutCommand),
            (State::Dataset { .. }, true) => Err(MessageError::CommandInsideDataset),
        }
    }

    fn push_command(
        &mut self,
        value: Pdv<'_>,
        basket: impl FnOnce(u8, &Command) -> B,
    ) -> Result<Option<Message<B>>, MessageError> {
        let State::Command { context, bytes } = &mut self.state else { return Ok(None) };
        let context = same_context(*context, value.context)?;
        if bytes.len() + value.data.len() > MAX_COMMAND {
            return Err(MessageError::CommandTooLarge);
        }
        bytes.extend_from_slice(value.data);
        if !value.is_last {
            return Ok(None);
        }
        let command = Command::decode(bytes)?;
        if command.has_data() {
            let basket = Some(basket(context, &command));
            self.state = State::Dataset { context, command, basket, length: 0 };
            return Ok(None);
        }
        self.state = State::Idle;
        Ok(Some(Message { context, command, body: Body::None }))
    }

    fn push_dataset(&mut self, value: Pdv<'_>) -> Result<Option<Message<B>>, MessageError> {
        let State::Dataset { context, basket, length, .. } = &mut self.state else { return Ok(None) };
        same_context(*context, value.context)?;
        *length += value.data.len() as u64;
        if *length > self.max_dataset {
            // The rest is drained: the request was readable and gets its answer.
            *basket = None;
        }
        if let Some(basket) = basket {
            basket.put(value.data);
        }
        if !value.is_last {
            return Ok(None);
        }
        let State::Dataset { context, command, basket, length } = std::mem::replace(&mut self.state, State::Idle)
        else {
            return Ok(None);
        };
        Ok(Some(Message { context, command, body: basket.map_or(Body::TooLarge(length), Body::Dataset) }))
    }
}

fn same_context(started: u8, now: u8) -> Result<u8, MessageError> {
    if started == now { Ok(started) } else { Err(MessageError::ContextChanged(started, now)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::dicom::command::StoreRq;

    const COMMAND: u8 = 1;
    const LAST: u8 = 2;

    fn pdv(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = (data.len() as u32 + 2).to_be_bytes().to_vec();
        bytes.extend([context, control]);
        bytes.extend(data);
        bytes
    }

    fn store() -> Command {
        let (sop_class, sop_instance) = ("1.2.840.10008.5.1.4.1.1.4".to_owned(), "1.2.3".to_owned());
        Command::StoreRq(StoreRq { message_id: 5, sop_class, sop_instance, has_data: true })
    }

    /// Pushes the values of one PDU; the last outcome.
    fn feed(assembler: &mut Assembler, pdu: &[u8]) -> Result<Option<Message>, MessageError> {
        let mut last = None;
        for value in values(pdu) {
            last = assembler.push(value?)?;
        }
        Ok(last)
    }

    fn check(pdus: &[Vec<u8>], expected: Result<Option<Message>, MessageError>) {
        let mut assembler = Assembler::new(8);
        let (last, before) = pdus.split_last().unwrap();
        for pdu in before {
            assert_eq!(feed(&mut assembler, pdu), Ok(None));
        }
        assert_eq!(feed(&mut assembler, last), expected);
        if matches!(expected, Ok(Some(_))) {
            assert!(assembler.is_idle());
        }
    }

    #[test]
    fn a_message_may_be_cut_anywhere() {
        let command = store().encode();
        let whole = Message { context: 3, command: store(), body: Body::Dataset(b"abcdefgh".to_vec()) };
        let one_pdu = [pdv(3, COMMAND | LAST, &command), pdv(3, LAST, b"abcdefgh")].concat();
        check(&[one_pdu], Ok(Some(whole.clone())));
        for cut in [1, 7, command.len() - 1] {
            let pdus = [
                pdv(3, COMMAND, &command[..cut]),
                pdv(3, COMMAND | LAST, &command[cut..]),
                pdv(3, 0, b"abc"),
                pdv(3, 0, b""),
                pdv(3, LAST, b"defgh"),
            ];
            check(&pdus, Ok(Some(whole.clone())));
        }
        let empty = Message { body: Body::Dataset(Vec::new()), ..whole };
        check(&[pdv(3, COMMAND | LAST, &command), pdv(3, LAST, b"")], Ok(Some(empty)));
    }

    #[test]
    fn a_command_may_stand_alone() {
        let echo = Command::EchoRq { message_id: 1 };
        let expected = Message { context: 1, command: echo.clone(), body: Body::None };
        check(&[pdv(1, COMMAND | LAST, &echo.encode())], Ok(Some(expected)));
    }

    #[test]
    fn a_data_set_over_the_limit_is_drained() {
        let expected = Message { context: 3, command: store(), body: Body::TooLarge(11) };
        let command = pdv(3, COMMAND | LAST, &store().encode());
        check(&[command, pdv(3, 0, b"abcdefgh"), pdv(3, 0, b"i"), pdv(3, LAST, b"jk")], Ok(Some(expected)));
    }

    #[test]
    fn protocol_errors_are_named() {
        let command = store().encode();
        let start = || pdv(3, COMMAND | LAST, &command);
        check(&[pdv(3, LAST, b"abc")], Err(MessageError::DatasetWithoutCommand));
        check(&[pdv(3, COMMAND, &command[..9]), pdv(3, LAST, b"abc")], Err(MessageError::DatasetWithoutCommand));
        check(&[start(), start()], Err(MessageError::CommandInsideDataset));
        check(&[start(), pdv(5, LAST, b"abc")], Err(MessageError::ContextChanged(3, 5)));
        check(&[pdv(3, COMMAND, &vec![0; 65536]), pdv(3, COMMAND, &[0])], Err(MessageError::CommandTooLarge));
        check(&[pdv(3, COMMAND | LAST, &[0; 5])], Err(MessageError::Command(CommandError::Truncated(5))));
        check(&[vec![0, 0, 0]], Err(MessageError::Length));
        check(&[vec![0, 0, 0, 1, 3]], Err(MessageError::Length));
        check(&[vec![0, 0, 0, 9, 3, 3, 0]], Err(MessageError::Length));
    }
}
