//! A store provider that reacts as it is told, object by object: with a status, with silence, with an abort in the middle.
//! It is asked by C-FIND for what it took, too. Everything in Implicit VR Little Endian.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sagittal::dicom::command::{Command, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::instance::IMPLICIT;
use super::parrot::{self, DATA, Parrot, RELEASE_ANSWER};

const ASSOCIATE: u8 = 0x01;
const RELEASE: u8 = 0x05;

/// What the peer does with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    Status(u16),
    Abort,
    /// The connection stays open; nothing more is said.
    Silence,
}

/// An object that came: on which association, which one.
pub type Arrival = (usize, String);

type React = dyn Fn(&str, usize) -> Reaction + Send + Sync;

pub struct Balky {
    pub address: SocketAddr,
    arrivals: watch::Receiver<Vec<Arrival>>,
    gone: watch::Receiver<usize>,
    serving: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Manner {
    react: Arc<React>,
    arrivals: watch::Sender<Vec<Arrival>>,
    gone: watch::Sender<usize>,
    held: Arc<Mutex<Vec<String>>>,
    forgets: bool,
    /// So many associations are rejected first.
    rejects: usize,
}

impl Balky {
    /// `react`: to a SOP Instance UID, and the how manieth time it comes (from 1).
    pub async fn start(react: impl Fn(&str, usize) -> Reaction + Send + Sync + 'static) -> Balky {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Balky::on(listener, react, false)
    }

    /// Acknowledges and finds nothing of it until an object came twice.
    pub async fn forgetful() -> Balky {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Balky::on(listener, |_, _| Reaction::Status(0), true)
    }

    /// Rejects so many associations before it takes everything.
    pub async fn rejecting(rejects: usize) -> Balky {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Balky::with(listener, |_, _| Reaction::Status(0), false, rejects)
    }

    pub fn on(
        listener: TcpListener,
        react: impl Fn(&str, usize) -> Reaction + Send + Sync + 'static,
        forgets: bool,
    ) -> Balky {
        Balky::with(listener, react, forgets, 0)
    }

    fn with(
        listener: TcpListener,
        react: impl Fn(&str, usize) -> Reaction + Send + Sync + 'static,
        forgets: bool,
        rejects: usize,
    ) -> Balky {
        let address = listener.local_addr().unwrap();
        let (sender, arrivals) = watch::channel(Vec::new());
        let (leaving, gone) = watch::channel(0);
        let (react, held) = (Arc::new(react), Arc::default());
        let manner = Manner { react, arrivals: sender, gone: leaving, held, forgets, rejects };
        let serving = tokio::spawn(async move {
            for association in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(associate(Parrot::on(stream), association, manner.clone()));
            }
        });
        Balky { address, arrivals, gone, serving }
    }

    /// Every object that came, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.borrow().clone()
    }

    /// Waits until so many objects came.
    pub async fn came(&self, count: usize) {
        self.arrivals.clone().wait_for(|all| all.len() >= count).await.unwrap();
    }

    /// Waits until so many were left by those who got no answer.
    pub async fn gone(&self, count: usize) {
        self.gone.clone().wait_for(|gone| *gone >= count).await.unwrap();
    }
}

impl Drop for Balky {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn associate(mut parrot: Parrot, association: usize, manner: Manner) {
    let mut command = None;
    let (mut heard, mut dataset) = (Vec::new(), Vec::new());
    while let Some((kind, body)) = parrot.hear().await {
        match kind {
            // transient, by the service user, no reason given (PS3.8 section 9.3.4)
            ASSOCIATE if association < manner.rejects => {
                return parrot.say(&parrot::pdu(parrot::REJECT, &[0, 2, 1, 1])).await;
            }
            ASSOCIATE => parrot.say(&parrot::accept_all(&body)).await,
            RELEASE => return parrot.say(&parrot::pdu(RELEASE_ANSWER, &[0; 4])).await,
            DATA => {}
            _ => return,
        }
        for (context, control, data) in if kind == DATA { parrot::values(&body) } else { Vec::new() } {
            if control & 1 == 1 {
                heard.extend(data);
                command = (control & 2 == 2).then(|| Command::decode(&std::mem::take(&mut heard)).unwrap());
                if !matches!(command, Some(Command::EchoRq { .. })) {
                    continue;
                }
            } else {
                dataset.extend(data);
                if control & 2 == 0 {
                    continue;
                }
            }
            let set = std::mem::take(&mut dataset);
            let Some(answers) = answer(command.take().unwrap(), &set, association, &manner) else {
                while parrot.hear().await.is_some() {}
                return manner.gone.send_modify(|gone| *gone += 1);
            };
            let Some(answers) = answers else { return parrot.say(&parrot::pdu(parrot::ABORT, &[0; 4])).await };
            for answer in answers {
                parrot.say(&parrot::command(context, &answer)).await;
                if matches!(&answer, Command::FindRsp(response) if response.has_data) {
                    parrot.say(&parrot::data(context, &set)).await;
                }
            }
        }
    }
}

/// `None`: silence; `Some(None)`: abort.
#[allow(clippy::option_option, reason = "three answers, two of them none")]
fn answer(command: Command, set: &[u8], association: usize, manner: &Manner) -> Option<Option<Vec<Command>>> {
    match command {
        Command::StoreRq(request) => {
            let uid = request.sop_instance.clone();
            manner.arrivals.send_modify(|all| all.push((association, uid.clone())));
            let times = manner.arrivals.borrow().iter().filter(|(_, came)| *came == uid).count();
            let status = match (manner.react)(&uid, times) {
                Reaction::Silence => return None,
                Reaction::Abort => return Some(None),
                Reaction::Status(status) => status,
            };
            if status == 0 && (!manner.forgets || times > 1) {
                manner.held.lock().unwrap().push(uid.clone());
            }
            let (message_id, sop_class) = (request.message_id, request.sop_class);
            let comment = (status != 0).then(|| "as told".to_owned());
            let sop_instance = Some(uid);
            let response = Response { message_id, sop_class, sop_instance, status, comment, ..Response::default() };
            Some(Some(vec![Command::StoreRsp(response)]))
        }
        Command::FindRq { message_id, sop_class } => {
            let has = |uid: &String| set.windows(uid.len()).any(|window| window == uid.as_bytes());
            let found = manner.held.lock().unwrap().iter().any(has);
            let end = Response { message_id, sop_class, ..Response::default() };
            let pending = Response { status: 0xff00, has_data: true, ..end.clone() };
            let matches = found.then_some(Command::FindRsp(pending));
            Some(Some(matches.into_iter().chain([Command::FindRsp(end)]).collect()))
        }
        Command::EchoRq { message_id } => {
            let sop_class = "1.2.840.10008.1.1".to_owned();
            Some(Some(vec![Command::EchoRsp(Response { message_id, sop_class, ..Response::default() })]))
        }
        other => panic!("{other:?}"),
    }
}

/// What a test sends to such a peer.
pub fn objects(count: usize) -> Vec<sagittal::delivery::Object> {
    (1..=count).map(|number| super::instance::mr(&format!("1.2.3.{number}"), IMPLICIT)).collect()
}
