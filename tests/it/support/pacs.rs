//! A destination in this process: keeps what arrives and counts how often.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sagittal::dicom::{AeTitle, StoreStatus};
use sagittal::scp::{self, Announced, ScpOptions, StoreAnswer, StoreHandler, StoreRequest};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Every arrival by SOP Instance UID, in order.
type Arrivals = Arc<Mutex<BTreeMap<String, Vec<StoreRequest>>>>;

#[derive(Clone)]
struct Keep {
    arrivals: Arrivals,
    bell: Arc<Notify>,
    /// While `true`, what arrived is not answered.
    gate: tokio::sync::watch::Sender<bool>,
}

impl Keep {
    fn new() -> Keep {
        Keep { arrivals: Arrivals::default(), bell: Arc::default(), gate: tokio::sync::watch::Sender::new(false) }
    }
}

impl StoreHandler for Keep {
    type Draft = Vec<u8>;

    fn begin(&self, _: &Announced<'_>) -> Vec<u8> {
        Vec::new()
    }

    async fn store(&self, request: StoreRequest) -> StoreAnswer {
        let uid = request.sop_instance.to_string();
        self.arrivals.lock().unwrap().entry(uid).or_default().push(request);
        self.bell.notify_waiters();
        let _ = self.gate.subscribe().wait_for(|held| !held).await;
        StoreAnswer { status: StoreStatus::Success, comment: None, offending: None }
    }

    async fn released(&self, _association: u64) {}
}

pub struct Pacs {
    pub address: SocketAddr,
    keep: Keep,
    _stop: DropGuard,
    runtime: tokio::runtime::Runtime,
}

impl Pacs {
    pub const AE_TITLE: &'static str = "PACS";

    pub fn start() -> Pacs {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, keep, stop) = (listener.local_addr().unwrap(), Keep::new(), CancellationToken::new());
        let options = ScpOptions::loopback(AeTitle::parse(Pacs::AE_TITLE).unwrap());
        runtime.spawn(scp::serve(listener, options, Arc::new(keep.clone()), stop.clone()));
        Pacs { address, keep, _stop: stop.drop_guard(), runtime }
    }

    /// From now on objects are taken and the answers held back, until this is said again with `false`.
    pub fn hold_answers(&self, hold: bool) {
        self.keep.gate.send_replace(hold);
    }

    /// What arrived so far, by SOP Instance UID.
    pub fn arrivals(&self) -> BTreeMap<String, Vec<StoreRequest>> {
        self.keep.arrivals.lock().unwrap().clone()
    }

    /// Waits until `count` different objects are here.
    pub fn wait_for(&self, count: usize, patience: Duration) -> BTreeMap<String, Vec<StoreRequest>> {
        self.runtime.block_on(async {
            let wait = async {
                loop {
                    let bell = self.keep.bell.notified();
                    if self.keep.arrivals.lock().unwrap().len() >= count {
                        return;
                    }
                    bell.await;
                }
            };
            if tokio::time::timeout(patience, wait).await.is_err() {
                let have = self.keep.arrivals.lock().unwrap().len();
                panic!("the PACS has {have} of {count} objects after {patience:?}");
            }
        });
        self.arrivals()
    }
}
