//! `sagittal serve`: the node, until it is told to stop.

use std::sync::Arc;

use super::{ConfigFolder, Failure};
use crate::clock::SystemClock;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFolder,
}

/// Prints `ready dicom=ADDRESS` on standard output once it listens; ends on SIGINT or SIGTERM.
pub async fn run(args: Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    tracing::info!("research software, not a medical device");
    let running =
        crate::node::start(config, Arc::new(SystemClock)).await.map_err(|error| Failure::Failed(error.to_string()))?;
    let tls = running.tls_address().map(|address| format!(" dicom-tls={address}")).unwrap_or_default();
    println!("ready dicom={}{tls}", running.address());
    stop_signal().await?;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Returns when the process is asked to end.
pub(super) async fn stop_signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = term.recv() => {}
    }
    Ok(())
}
