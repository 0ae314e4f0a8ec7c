//! The demo's destination: a C-STORE SCP in this process that keeps what it gets as files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cli::Failure;
use crate::dicom::{AeTitle, StoreStatus};
use crate::scp::{self, Announced, ScpOptions, StoreAnswer, StoreHandler, StoreRequest};

/// One object that arrived.
#[derive(Debug)]
pub(super) struct Received {
    pub path: PathBuf,
}

/// The listening destination; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Pacs {
    address: SocketAddr,
    arrivals: mpsc::Receiver<Received>,
    _stop: DropGuard,
}

impl Pacs {
    /// Called AE title of the destination.
    pub(super) const AE_TITLE: &'static str = "DEMOPACS";

    pub(super) async fn start(folder: &Path) -> Result<Pacs, Failure> {
        std::fs::create_dir_all(folder)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = mpsc::channel(64);
        let title = AeTitle::parse(Pacs::AE_TITLE).map_err(|error| Failure::Failed(error.to_string()))?;
        let stop = CancellationToken::new();
        let handler = Arc::new(Keep { folder: folder.to_owned(), sender });
        tokio::spawn(scp::serve(listener, ScpOptions::loopback(title), handler, stop.clone()));
        Ok(Pacs { address, arrivals, _stop: stop.drop_guard() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next object.
    pub(super) async fn next(&mut self) -> Option<Received> {
        self.arrivals.recv().await
    }
}

#[derive(Debug)]
struct Keep {
    folder: PathBuf,
    sender: mpsc::Sender<Received>,
}

impl StoreHandler for Keep {
    type Draft = Vec<u8>;

    fn begin(&self, _: &Announced<'_>) -> Vec<u8> {
        Vec::new()
    }

    async fn store(&self, request: StoreRequest) -> StoreAnswer {
        let path = self.folder.join(format!("{}.dcm", request.sop_instance));
        let status = match write(&path, &request) {
            Ok(()) => StoreStatus::Success,
            Err(error) => {
                tracing::error!(path = %path.display(), "the demo's destination cannot keep an object: {error}");
                StoreStatus::OutOfResources
            }
        };
        if status == StoreStatus::Success {
            // The command may have stopped listening (KEEP=1): the file is there all the same.
            let _ = self.sender.try_send(Received { path });
        }
        StoreAnswer { status, comment: None, offending: None }
    }

    async fn released(&self, _association: u64) {}
}

fn write(path: &Path, request: &StoreRequest) -> Result<(), Box<dyn std::error::Error>> {
    let head = crate::dicom::part10_head(
        &request.sop_class,
        &request.sop_instance,
        &request.transfer_syntax,
        Some(&request.calling),
    );
    std::fs::write(path, [head.as_slice(), &request.dataset].concat())?;
    Ok(())
}
