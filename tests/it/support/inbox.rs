//! A running receiver that keeps what it gets in memory.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sagittal::dicom::{AeTitle, StoreStatus};
use sagittal::scp::{Announced, ScpOptions, StoreAnswer, StoreHandler, StoreRequest, serve};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// SOP Instance UIDs with a meaning.
pub const PANICS: &str = "1.2.3.666";
pub const FULL: &str = "1.2.3.777";
pub const SLOW: &str = "1.2.3.888";

#[derive(Debug, Default)]
pub struct Inbox {
    pub requests: Mutex<Vec<StoreRequest>>,
    pub released: Mutex<Vec<u64>>,
    /// A slow object has arrived; it is answered after `go`.
    pub arrived: Notify,
    pub go: Notify,
}

impl StoreHandler for Inbox {
    type Draft = Vec<u8>;

    fn begin(&self, _: &Announced<'_>) -> Vec<u8> {
        Vec::new()
    }

    async fn store(&self, request: StoreRequest) -> StoreAnswer {
        match request.sop_instance.as_str() {
            PANICS => panic!("this handler was told to panic"),
            FULL => return StoreAnswer::failure(StoreStatus::OutOfResources, "disk full"),
            SLOW => {
                self.arrived.notify_one();
                self.go.notified().await;
            }
            _ => {}
        }
        self.requests.lock().unwrap().push(request);
        StoreAnswer::SUCCESS
    }

    async fn released(&self, association: u64) {
        self.released.lock().unwrap().push(association);
    }
}

/// A receiver on a free port; stopped by [`Receiver::stop`].
pub struct Receiver {
    pub address: SocketAddr,
    pub inbox: Arc<Inbox>,
    pub shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

/// Options with time limits that no working machine needs, for AE title SAGITTAL.
pub fn options() -> ScpOptions {
    ScpOptions {
        max_pdu: 65536,
        max_associations: 8,
        max_object: 64 << 20,
        idle_timeout: Duration::from_mins(2),
        artim_timeout: Duration::from_mins(2),
        ..ScpOptions::loopback(AeTitle::parse("SAGITTAL").unwrap())
    }
}

impl Receiver {
    pub async fn start(options: ScpOptions) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inbox = Arc::new(Inbox::default());
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, options, Arc::clone(&inbox), shutdown.clone()));
        Receiver { address, inbox, shutdown, serving }
    }

    pub fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// Stops, waits for the last association, and gives what came.
    pub async fn stop(self) -> Vec<StoreRequest> {
        self.shutdown.cancel();
        super::soon(self.serving).await.unwrap();
        std::mem::take(&mut self.inbox.requests.lock().unwrap())
    }
}
