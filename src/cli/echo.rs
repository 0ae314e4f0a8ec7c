//! `sagittal echo HOST:PORT`: is the peer there, and does it know us? (C-ECHO)
#![allow(clippy::print_stdout)]

use super::send::PeerArgs;
use crate::delivery::{DeliveryError, scu};

#[derive(Debug, clap::Args)]
pub struct EchoArgs {
    #[command(flatten)]
    pub peer: PeerArgs,
}

/// Verifies the peer; the error says what to check.
pub async fn run(args: EchoArgs) -> Result<(), DeliveryError> {
    let peer = args.peer.peer();
    let start = tokio::time::Instant::now();
    scu::echo(&peer, args.peer.timeout()).await?;
    println!("{peer} answered in {} ms", start.elapsed().as_millis());
    Ok(())
}
