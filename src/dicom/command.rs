//! Command sets: what a DIMSE message asks or answers (PS3.7 section 9.3 and annex E).
//!
//! A command set is always Implicit VR Little Endian and holds group 0000 only (PS3.7 section 6.3.1).
//! UIDs are kept as text here: a request whose SOP Instance UID is no UID still deserves its answer.
//! Never holds a data set, never decides a status.

use dicom_core::Tag;

/// Command Field (0000,0100) of the messages that this node speaks.
mod field {
    pub const STORE: u16 = 0x0001;
    pub const GET: u16 = 0x0010;
    pub const FIND: u16 = 0x0020;
    pub const MOVE: u16 = 0x0021;
    pub const ECHO: u16 = 0x0030;
    pub const EVENT: u16 = 0x0100;
    pub const ACTION: u16 = 0x0130;
    pub const CANCEL: u16 = 0x0fff;
    pub const RESPONSE: u16 = 0x8000;
}

/// Command Data Set Type (0000,0800): no data set follows.
const NO_DATA: u16 = 0x0101;
const WITH_DATA: u16 = 0x0001;
/// Error Comment (0000,0902) is LO: 64 characters.
const COMMENT_LENGTH: usize = 64;

/// One command set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    StoreRq(StoreRq),
    StoreRsp(Response),
    EchoRq {
        message_id: u16,
    },
    EchoRsp(Response),
    FindRq {
        message_id: u16,
        sop_class: String,
    },
    FindRsp(Response),
    /// C-GET-RQ (PS3.7 section 9.3.3.1).
    GetRq {
        message_id: u16,
        sop_class: String,
    },
    GetRsp(Retrieved),
    /// C-MOVE-RQ (PS3.7 section 9.3.4.1); `destination` is the AE title that gets the instances.
    MoveRq {
        message_id: u16,
        sop_class: String,
        destination: String,
    },
    MoveRsp(Retrieved),
    /// N-ACTION-RQ (PS3.7 section 10.3.5.1).
    ActionRq(Normalized),
    ActionRsp(Response),
    /// N-EVENT-REPORT-RQ (PS3.7 section 10.3.1.1).
    EventRq(Normalized),
    EventRsp(Response),
    CancelRq,
    Other(Other),
}

/// A request of a normalized service; UIDs are unchecked and empty when absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalized {
    pub message_id: u16,
    pub sop_class: String,
    pub sop_instance: String,
    /// Action Type ID (0000,1008) or Event Type ID (0000,1002).
    pub kind: u16,
    pub has_data: bool,
}

/// A response of C-GET or C-MOVE with its numbers of sub-operations (0000,1020) to (0000,1023), 0 when absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retrieved {
    pub response: Response,
    pub remaining: u16,
    pub completed: u16,
    pub failed: u16,
    pub warning: u16,
}

/// C-STORE-RQ (PS3.7 section 9.3.1.1). `sop_class` and `sop_instance` are unchecked and empty when absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRq {
    pub message_id: u16,
    pub sop_class: String,
    pub sop_instance: String,
    pub has_data: bool,
}

/// A response of any service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// Message ID Being Responded To (0000,0120).
    pub message_id: u16,
    pub sop_class: String,
    /// Affected SOP Instance UID (0000,1000), where the service has one.
    pub sop_instance: Option<String>,
    /// Status (0000,0900).
    pub status: u16,
    /// Error Comment (0000,0902); cut to 64 ASCII characters when encoded.
    pub comment: Option<String>,
    /// Offending Element (0000,0901).
    pub offending: Option<Tag>,
    pub has_data: bool,
}

/// A message of a service that this node does not speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub field: u16,
    pub message_id: u16,
    pub sop_class: String,
    pub has_data: bool,
}

/// Why bytes are no command set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the command set ends inside an element; the peer sent {0} bytes")]
    Truncated(usize),
    #[error("the command set holds ({0:04x},{1:04x}), outside group 0000")]
    ForeignElement(u16, u16),
    #[error("the command set lacks (0000,{0:04x}), without which it cannot be answered")]
    Missing(u16),
    #[error("(0000,{0:04x}) of the command set is not a 16-bit number")]
    NotANumber(u16),
}

impl Other {
    /// The answer of PS3.7 annex C.5.23 (Unrecognized Operation), or `None` for what must not be answered.
    #[must_use]
    pub fn unrecognized(&self) -> Option<Command> {
        (self.field & field::RESPONSE == 0)
            .then(|| Command::Other(Other { field: self.field | field::RESPONSE, has_data: false, ..self.clone() }))
    }
}

impl Command {
    /// Does a data set follow?
    #[must_use]
    pub fn has_data(&self) -> bool {
        match self {
            Command::StoreRq(StoreRq { has_data, .. })
            | Command::ActionRq(Normalized { has_data, .. })
            | Command::EventRq(Normalized { has_data, .. })
            | Command::Other(Other { has_data, .. }) => *has_data,
            Command::StoreRsp(response)
            | Command::EchoRsp(response)
            | Command::FindRsp(response)
            | Command::ActionRsp(response)
            | Command::EventRsp(response)
            | Command::GetRsp(Retrieved { response, .. })
            | Command::MoveRsp(Retrieved { response, .. }) => response.has_data,
            Command::FindRq { .. } | Command::GetRq { .. } | Command::MoveRq { .. } => true,
            Command::EchoRq { .. } | Command::CancelRq => false,
        }
    }

    /// Reads a command set.
    pub fn decode(bytes: &[u8]) -> Result<Command, CommandError> {
        let set = Elements::split(bytes)?;
        let command = set.number(0x0100)?;
        let has_data = set.number(0x0800)? != NO_DATA;
        let message_id = || set.number(0x0110);
        let sop_class = set.text(0x0002);
        Ok(match command {
            field::STORE => Command::StoreRq(StoreRq {
                message_id: message_id()?,
                sop_class,
                sop_instance: set.text(0x1000),
                has_data,
            }),
            field::ECHO => Command::EchoRq { message_id: message_id()? },
            field::FIND => Command::FindRq { message_id: message_id()?, sop_class },
            field::GET => Command::GetRq { message_id: message_id()?, sop_class },
            field::MOVE => Command::MoveRq { message_id: message_id()?, sop_class, destination: set.text(0x0600) },
            field::ACTION => Command::ActionRq(set.normalized([0x0003, 0x1001, 0x1008], has_data)?),
            field::EVENT => Command::EventRq(set.normalized([0x0002, 0x1000, 0x1002], has_data)?),
            field::CANCEL => Command::CancelRq,
            response if response & field::RESPONSE != 0 => set.response(response, has_data)?,
            other => Command::Other(Other { field: other, message_id: message_id()?, sop_class, has_data }),
        })
    }

    /// Writes a command set, group length included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut set = Encoder::default();
        match self {
            Command::StoreRq(request) => {
                set.head(&request.sop_class, field::STORE);
                set.number(0x0110, request.message_id);
                set.number(0x0700, 0);
                set.number(0x0800, if request.has_data { WITH_DATA } else { NO_DATA });
                set.uid(0x1000, &request.sop_instance);
            }
            Command::EchoRq { message_id } => {
                set.head(super::tables::VERIFICATION, field::ECHO);
                set.number(0x0110, *message_id);
                set.number(0x0800, NO_DATA);
            }
            Command::FindRq { message_id, sop_class } => set.query(field::FIND, *message_id, sop_class, None),
            Command::GetRq { message_id, sop_class } => set.query(field::GET, *message_id, sop_class, None),
            Command::MoveRq { message_id, sop_class, destination } => {
                set.query(field::MOVE, *message_id, sop_class, Some(destination));
            }
            Command::ActionRq(request) => set.normalized([0x0003, 0x1001, 0x1008], field::ACTION, request),
            Command::EventRq(request) => set.normalized([0x0002, 0x1000, 0x1002], field::EVENT, request),
            Command::CancelRq => {
                set.number(0x0100, field::CANCEL);
                set.number(0x0800, NO_DATA);
            }
            Command::StoreRsp(response) => set.response(field::STORE, response),
            Command::EchoRsp(response) => set.response(field::ECHO, response),
            Command::FindRsp(response) => set.response(field::FIND, response),
            Command::ActionRsp(response) => set.response(field::ACTION, response),
            Command::EventRsp(response) => set.response(field::EVENT, response),
            Command::GetRsp(retrieved) => set.retrieved(field::GET, retrieved),
            Command::MoveRsp(retrieved) => set.retrieved(field::MOVE, retrieved),
            Command::Other(other) => set.other(other),
        }
        set.finish()
    }
}

/// The elements of a command set, by element number.
struct Elements<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Elements<'a> {
    fn split(bytes: &'a [u8]) -> Result<Elements<'a>, CommandError> {
        let mut elements = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((head, tail)) = rest.split_first_chunk::<8>() else {
                return Err(CommandError::Truncated(bytes.len()));
            };
            let (group, element) = (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
            if group != 0 {
                return Err(CommandError::ForeignElement(group, element));
            }
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let (value, after) = tail.split_at_checked(length).ok_or(CommandError::Truncated(bytes.len()))?;
            elements.push((element, value));
            rest = after;
        }
        Ok(Elements(elements))
    }

    fn value(&self, element: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(number, _)| *number == element).map(|(_, value)| *value)
    }

    fn number(&self, element: u16) -> Result<u16, CommandError> {
        let value = self.value(element).ok_or(CommandError::Missing(element))?;
        value.try_into().map(u16::from_le_bytes).map_err(|_| CommandError::NotANumber(element))
    }

    fn text(&self, element: u16) -> String {
        let value = self.value(element).unwrap_or_default();
        String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_owned()
    }

    /// `places`: the elements of SOP class, SOP instance and type.
    fn normalized(&self, places: [u16; 3], has_data: bool) -> Result<Normalized, CommandError> {
        let message_id = self.number(0x0110)?;
        let (sop_class, sop_instance) = (self.text(places[0]), self.text(places[1]));
        Ok(Normalized { message_id, sop_class, sop_instance, kind: self.number(places[2])?, has_data })
    }

    fn retrieved(&self, response: Response) -> Retrieved {
        let count = |element| self.number(element).unwrap_or_default();
        let (remaining, completed) = (count(0x1020), count(0x1021));
        Retrieved { response, remaining, completed, failed: count(0x1022), warning: count(0x1023) }
    }

    fn response(&self, command: u16, has_data: bool) -> Result<Command, CommandError> {
        let message_id = self.number(0x0120)?;
        let sop_class = self.text(0x0002);
        let offending = self.value(0x0901).and_then(|value| value.first_chunk::<4>());
        let response = Response {
            message_id,
            sop_class: sop_class.clone(),
            sop_instance: Some(self.text(0x1000)).filter(|uid| !uid.is_empty()),
            status: self.number(0x0900)?,
            comment: Some(self.text(0x0902)).filter(|text| !text.is_empty()),
            offending: offending.map(|v| Tag(u16::from_le_bytes([v[0], v[1]]), u16::from_le_bytes([v[2], v[3]]))),
            has_data,
        };
        Ok(match command & !field::RESPONSE {
            field::STORE => Command::StoreRsp(response),
            field::ECHO => Command::EchoRsp(response),
            field::FIND => Command::FindRsp(response),
            field::ACTION => Command::ActionRsp(response),
            field::EVENT => Command::EventRsp(response),
            field::GET => Command::GetRsp(self.retrieved(response)),
            field::MOVE => Command::MoveRsp(self.retrieved(response)),
            _ => Command::Other(Other { field: command, message_id, sop_class, has_data }),
        })
    }
}

/// Elements written one after the other; callers keep the order of the tags.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn element(&mut self, element: u16, value: &[u8], padding: u8) {
        self.0.extend([0, 0]);
        self.0.extend(element.to_le_bytes());
        self.0.extend(((value.len() + value.len() % 2) as u32).to_le_bytes());
        self.0.extend(value);
        if value.len() % 2 == 1 {
            self.0.push(padding);
        }
    }

    fn number(&mut self, element: u16, value: u16) {
        self.element(element, &value.to_le_bytes(), 0);
    }

    fn uid(&mut self, element: u16, uid: &str) {
        self.element(element, uid.as_bytes(), 0);
    }

    fn head(&mut self, sop_class: &str, command: u16) {
        if !sop_class.is_empty() {
            self.uid(0x0002, sop_class);
        }
        self.number(0x0100, command);
    }

    fn response(&mut self, command: u16, response: &Response) {
        self.head(&response.sop_class, command | field::RESPONSE);
        self.number(0x0120, response.message_id);
        self.number(0x0800, if response.has_data { WITH_DATA } else { NO_DATA });
        self.number(0x0900, response.status);
        if let Some(Tag(group, element)) = response.offending {
            let [a, b] = group.to_le_bytes();
            let [c, d] = element.to_le_bytes();
            self.element(0x0901, &[a, b, c, d], 0);
        }
        if let Some(comment) = &response.comment {
            let text: String = comment.chars().filter(|c| matches!(c, ' '..='~' if *c != '\\')).collect();
            self.element(0x0902, &text.as_bytes()[..text.len().min(COMMENT_LENGTH)], b' ');
        }
        if let Some(instance) = response.sop_instance.as_deref().filter(|uid| !uid.is_empty()) {
            self.uid(0x1000, instance);
        }
    }

    fn retrieved(&mut self, command: u16, retrieved: &Retrieved) {
        self.response(command, &retrieved.response);
        let Retrieved { remaining, completed, failed, warning, .. } = *retrieved;
        for (element, count) in (0x1020..).zip([remaining, completed, failed, warning]) {
            self.number(element, count);
        }
    }

    fn query(&mut self, command: u16, message_id: u16, sop_class: &str, destination: Option<&str>) {
        self.head(sop_class, command);
        self.number(0x0110, message_id);
        if let Some(title) = destination {
            self.element(0x0600, title.as_bytes(), b' ');
        }
        self.number(0x0700, 0);
        self.number(0x0800, WITH_DATA);
    }

    /// `places`: the elements of SOP class, SOP instance and type.
    fn normalized(&mut self, places: [u16; 3], command: u16, request: &Normalized) {
        self.uid(places[0], &request.sop_class);
        self.number(0x0100, command);
        self.number(0x0110, request.message_id);
        self.number(0x0800, if request.has_data { WITH_DATA } else { NO_DATA });
        self.uid(places[1], &request.sop_instance);
        self.number(places[2], request.kind);
    }

    fn other(&mut self, other: &Other) {
        self.head(&other.sop_class, other.field);
        let is_response = other.field & field::RESPONSE != 0;
        self.number(if is_response { 0x0120 } else { 0x0110 }, other.message_id);
        self.number(0x0800, if other.has_data { WITH_DATA } else { NO_DATA });
        if is_response {
            self.number(0x0900, 0x0211);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut whole = Encoder::default();
        whole.element(0x0000, &(self.0.len() as u32).to_le_bytes(), 0);
        whole.0.extend(self.0);
        whole.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(number: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        bytes.extend(number.to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value);
        bytes
    }

    #[test]
    fn what_is_written_reads_back() {
        let response = Response {
            message_id: 7,
            sop_class: "1.2.3".into(),
            sop_instance: Some("1.2.3.4".into()),
            status: 0xa700,
            comment: Some("no room left".into()),
            offending: Some(Tag(0x0008, 0x0018)),
            has_data: false,
        };
        let moved = Response { message_id: 1, sop_class: "1.2".into(), status: 0xb000, ..Response::default() };
        let normalized = Normalized {
            message_id: 8,
            sop_class: "1.2".into(),
            sop_instance: "1.2.1".into(),
            kind: 2,
            has_data: true,
        };
        let all = [
            Command::StoreRq(StoreRq {
                message_id: 3,
                sop_class: "1.2.3".into(),
                sop_instance: "../../etc".into(),
                has_data: true,
            }),
            Command::StoreRsp(response.clone()),
            Command::EchoRq { message_id: 65535 },
            Command::EchoRsp(Response { message_id: 1, sop_class: "1.2.840.10008.1.1".into(), ..Response::default() }),
            Command::FindRq { message_id: 9, sop_class: "1.2".into() },
            Command::FindRsp(Response { status: 0xff00, has_data: true, ..response }),
            Command::CancelRq,
            Command::GetRq { message_id: 1, sop_class: "1.2".into() },
            Command::MoveRq { message_id: 1, sop_class: "1.2".into(), destination: "ELSEWHERE".into() },
            Command::GetRsp(Retrieved { response: moved.clone(), remaining: 4, completed: 3, failed: 2, warning: 1 }),
            Command::MoveRsp(Retrieved { response: moved.clone(), ..Retrieved::default() }),
            Command::ActionRq(normalized.clone()),
            Command::EventRq(normalized),
            Command::ActionRsp(moved.clone()),
            Command::EventRsp(moved),
            Command::Other(Other { field: 0x0140, message_id: 2, sop_class: "1.2".into(), has_data: true }),
        ];
        for command in all {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn an_echo_request_has_these_bytes() {
        let mut body = element(0x0002, b"1.2.840.10008.1.1\0");
        body.extend(element(0x0100, &[0x30, 0]));
        body.extend(element(0x0110, &[1, 0]));
        body.extend(element(0x0800, &[1, 1]));
        let mut bytes = element(0x0000, &(body.len() as u32).to_le_bytes());
        bytes.extend(body);
        assert_eq!(Command::EchoRq { message_id: 1 }.encode(), bytes);
    }

    #[test]
    fn what_is_no_command_set_says_why() {
        let check = |bytes: &[u8], expected: CommandError| assert_eq!(Command::decode(bytes), Err(expected));
        check(&[], CommandError::Missing(0x0100));
        check(&[0, 0, 0], CommandError::Truncated(3));
        check(&element(0x0100, &[0x30, 0])[..9], CommandError::Truncated(9));
        check(&[8, 0, 5, 0, 0, 0, 0, 0], CommandError::ForeignElement(8, 5));
        check(&element(0x0100, &[1]), CommandError::NotANumber(0x0100));
        let no_id = [element(0x0100, &[1, 0]), element(0x0800, &[0, 0])].concat();
        check(&no_id, CommandError::Missing(0x0110));
    }

    #[test]
    fn comments_are_cut_to_what_the_attribute_holds() {
        let long = Response { comment: Some("é\\x".repeat(100)), ..Response::default() };
        let Ok(Command::StoreRsp(read)) = Command::decode(&Command::StoreRsp(long).encode()) else {
            panic!("not a response")
        };
        assert_eq!(read.comment.map(|text| text.len()), Some(64));
    }
}
