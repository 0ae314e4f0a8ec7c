//! `sagittal serve`: the node, until it is told to stop.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFolder, Failure};
use crate::clock::SystemClock;
use crate::config::ConfigFiles;
use crate::observe::LogFormat;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFolder,
}

impl Args {
    /// How the node logs; of a configuration that cannot be read: as one that says nothing of it.
    pub(super) fn logging(&self) -> (LogFormat, &'static str) {
        let node = ConfigFiles::read(self.config.folder()).check_node();
        let log = node.map(|node| node.log).unwrap_or_default();
        (if log.json { LogFormat::Json } else { LogFormat::Text }, log.level)
    }
}

/// Prints `ready dicom=ADDRESS` on standard output once it listens; ends on SIGINT or SIGTERM,
/// reads the configuration and the certificates of the TLS port again on SIGHUP.
pub async fn run(args: Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    // From here on SIGHUP no longer ends the process.
    let mut hangup = signal(SignalKind::hangup())?;
    tracing::info!("research software, not a medical device");
    let running =
        crate::node::start(config, Arc::new(SystemClock)).await.map_err(|error| Failure::Failed(error.to_string()))?;
    let tls = running.tls_address().map(|address| format!(" dicom-tls={address}")).unwrap_or_default();
    let http = running.http_address().map(|address| format!(" http={address}")).unwrap_or_default();
    println!("ready dicom={}{tls}{http}", running.address());
    let stopping = stop_signal();
    tokio::pin!(stopping);
    loop {
        tokio::select! {
            outcome = &mut stopping => break outcome?,
            _ = hangup.recv() => {
                running.reload();
                running.reload_certificates();
            }
        }
    }
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Returns when the process is asked to end.
pub(super) async fn stop_signal() -> Result<(), Failure> {
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = term.recv() => {}
    }
    Ok(())
}
