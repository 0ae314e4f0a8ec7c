//! A scripted peer that speaks bytes: it says what it was told to, right or wrong (after pynetdicom's parrot).
//!
//! PDUs are built here byte by byte (PS3.8 section 9.3), independently of the code under test.

use std::net::SocketAddr;
use std::time::Duration;

use sagittal::dicom::command::{Command, StoreRq};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const REJECT: u8 = 0x03;
pub const ACCEPT: u8 = 0x02;
pub const DATA: u8 = 0x04;
pub const RELEASE_ANSWER: u8 = 0x06;
pub const ABORT: u8 = 0x07;
pub const RELEASE: &[u8] = &[0x05, 0, 0, 0, 0, 4, 0, 0, 0, 0];

const COMMAND: u8 = 1;
const LAST: u8 = 2;

/// One PDU from the other side: type and body.
pub type Received = (u8, Vec<u8>);

pub struct Parrot(TcpStream);

impl Parrot {
    pub async fn connect(address: SocketAddr) -> Parrot {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Parrot(stream)
    }

    /// A connection that was made elsewhere.
    pub fn on(stream: TcpStream) -> Parrot {
        Parrot(stream)
    }

    /// The next connection to `listener`.
    pub async fn accept(listener: &TcpListener) -> Parrot {
        Parrot(super::soon(listener.accept()).await.unwrap().0)
    }

    /// Associates as PARROT with SAGITTAL and these (ID, abstract syntax) contexts in Implicit VR Little Endian.
    pub async fn associated(address: SocketAddr, contexts: &[(u8, &str)]) -> Parrot {
        let mut parrot = Parrot::connect(address).await;
        let (kind, _) = parrot.ask(&associate("SAGITTAL", contexts)).await.unwrap();
        assert_eq!(kind, ACCEPT);
        parrot
    }

    /// Says nothing more, and still listens.
    pub async fn end(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Says `bytes` one at a time until the other side says something.
    pub async fn drip(&mut self, bytes: &[u8]) -> Option<Received> {
        let (mut from, mut to) = self.0.split();
        let dripping = async {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            for byte in bytes {
                pace.tick().await;
                if to.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            heard = hear(&mut from) => heard,
            () = dripping => None,
        }
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next PDU, `None` when the other side closed.
    pub async fn hear(&mut self) -> Option<Received> {
        hear(&mut self.0).await
    }

    pub async fn ask(&mut self, bytes: &[u8]) -> Option<Received> {
        self.say(bytes).await;
        self.hear().await
    }

    /// Says `bytes`, expects one command set and decodes it.
    pub async fn command(&mut self, bytes: &[u8]) -> Command {
        let (kind, body) = self.ask(bytes).await.expect("an answer");
        assert_eq!((kind, body[5]), (DATA, COMMAND | LAST));
        Command::decode(&body[6..]).unwrap()
    }

    /// The status of a C-STORE.
    pub async fn store(&mut self, context: u8, request: &StoreRq, dataset: &[u8]) -> u16 {
        let command = command(context, &Command::StoreRq(request.clone()));
        match self.command(&[command, data(context, dataset)].concat()).await {
            Command::StoreRsp(response) => {
                assert_eq!(response.message_id, request.message_id);
                response.status
            }
            other => panic!("{other:?} instead of a C-STORE-RSP"),
        }
    }
}

async fn hear(from: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut header = [0; 6];
    super::soon(from.read_exact(&mut header)).await.ok()?;
    let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
    let mut body = vec![0; length as usize];
    super::soon(from.read_exact(&mut body)).await.unwrap();
    Some((header[0], body))
}

pub fn store_request(message_id: u16, sop_class: &str, sop_instance: &str) -> StoreRq {
    let (sop_class, sop_instance) = (sop_class.to_owned(), sop_instance.to_owned());
    StoreRq { message_id, sop_class, sop_instance, has_data: true }
}

pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

/// A P-DATA-TF PDU with one data value.
pub fn value(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32 + 2).to_be_bytes();
    pdu(DATA, &[&length[..], &[context, control], bytes].concat())
}

pub fn command(context: u8, command: &Command) -> Vec<u8> {
    value(context, COMMAND | LAST, &command.encode())
}

pub fn data(context: u8, bytes: &[u8]) -> Vec<u8> {
    value(context, LAST, bytes)
}

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// The A-ASSOCIATE-AC (PS3.8 section 9.3.3) to the body of a request: one context in Implicit VR Little Endian, and
/// user items of the caller's.
pub fn accept(request: &[u8], context: u8, user: &[u8]) -> Vec<u8> {
    let mut body = request[..68].to_vec();
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    body.extend(item(0x21, &[&[context, 0, 0, 0][..], &item(0x40, b"1.2.840.10008.1.2")].concat()));
    body.extend(item(0x50, &[&item(0x51, &[0, 0, 0x40, 0])[..], &item(0x52, b"1.2.3.4"), user].concat()));
    pdu(ACCEPT, &body)
}

/// The A-ASSOCIATE-AC to the body of a request: every context in Implicit VR Little Endian, PDUs of 16 KB.
pub fn accept_all(request: &[u8]) -> Vec<u8> {
    let mut body = request[..68].to_vec();
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let mut rest = &request[68..];
    while let [kind, _, high, low, after @ ..] = rest {
        let (inside, next) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        if *kind == 0x20 {
            body.extend(item(0x21, &[&[inside[0], 0, 0, 0][..], &item(0x40, b"1.2.840.10008.1.2")].concat()));
        }
        rest = next;
    }
    body.extend(item(0x50, &[item(0x51, &[0, 0, 0x40, 0]), item(0x52, b"1.2.3.4")].concat()));
    pdu(ACCEPT, &body)
}

/// The values of a P-DATA-TF body: context, control, bytes.
pub fn values(mut body: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let [a, b, c, d, after @ ..] = body {
        let (value, next) = after.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        found.push((value[0], value[1], value[2..].to_vec()));
        body = next;
    }
    found
}

/// An A-ASSOCIATE-RQ (PS3.8 section 9.3.2) from PARROT.
pub fn associate(called: &str, contexts: &[(u8, &str)]) -> Vec<u8> {
    associate_with(called, contexts, &[])
}

/// The same with further sub-items of the user information.
pub fn associate_with(called: &str, contexts: &[(u8, &str)], items: &[(u8, Vec<u8>)]) -> Vec<u8> {
    request(called, contexts, 0x4000, items)
}

/// The same of a peer that takes PDUs of up to `max_pdu` bytes.
pub fn associate_limited(called: &str, contexts: &[(u8, &str)], max_pdu: u32) -> Vec<u8> {
    request(called, contexts, max_pdu, &[])
}

fn request(called: &str, contexts: &[(u8, &str)], max_pdu: u32, items: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend(format!("{called:<16}PARROT          ").as_bytes());
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (id, class) in contexts {
        let syntaxes = [item(0x30, class.as_bytes()), item(0x40, b"1.2.840.10008.1.2")].concat();
        body.extend(item(0x20, &[&[*id, 0, 0, 0][..], &syntaxes].concat()));
    }
    let mut user = [item(0x51, &max_pdu.to_be_bytes()), item(0x52, b"1.2.3.4")].concat();
    user.extend(items.iter().flat_map(|(kind, bytes)| item(*kind, bytes)));
    body.extend(item(0x50, &user));
    pdu(0x01, &body)
}
