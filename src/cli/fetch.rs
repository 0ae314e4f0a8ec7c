//! `sagittal fetch --from HOST:PORT --called AE --study UID`: gets a study from a PACS, into the running node or into
//! a folder.
//!
//! Into the node means by C-STORE to where it listens, so that what is fetched takes the way of everything that
//! arrives.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigFolder, Failure};
use crate::delivery::fetch::{self, Fetched, Wanted};
use crate::delivery::scu::{Peer, Scu, proposals};
use crate::delivery::{DeliveryError, Object};
use crate::dicom::{AeTitle, AeTitleError, Uid, UidError, tables};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// Over our own association (C-GET)
    Get,
    /// The peer sends to the node, which it must know by its AE title (C-MOVE)
    Move,
}

#[derive(Debug, clap::Args)]
pub struct FetchArgs {
    #[command(flatten)]
    config: ConfigFolder,
    /// Host and port of the peer
    #[arg(long, value_name = "HOST:PORT", value_parser = super::send::host_and_port)]
    from: (String, u16),
    /// AE title of the peer
    #[arg(long, default_value = "ANY-SCP", value_parser = ae_title)]
    called: AeTitle,
    /// Our AE title; left out, the node's
    #[arg(long, value_parser = ae_title)]
    calling: Option<AeTitle>,
    /// Study Instance UID
    #[arg(long, value_parser = uid)]
    study: Uid,
    /// Series Instance UID; left out, the whole study
    #[arg(long, value_parser = uid)]
    series: Option<Uid>,
    #[arg(long, value_enum, default_value = "get")]
    via: Via,
    /// Write files here instead of giving the objects to the running node
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Seconds to wait for each answer
    #[arg(long = "timeout", default_value_t = 60, value_name = "SECONDS")]
    seconds: u64,
}

fn ae_title(text: &str) -> Result<AeTitle, AeTitleError> {
    AeTitle::parse(text)
}

fn uid(text: &str) -> Result<Uid, UidError> {
    Uid::parse(text)
}

/// Fetches; an error when something did not come.
pub async fn run(args: FetchArgs) -> Result<(), Failure> {
    let timeout = Duration::from_secs(args.seconds);
    let node = match &args.to {
        Some(_) => None,
        None => Some(args.config.load()?.node),
    };
    let own = node.as_ref().map(|node| node.reception.ae_title.clone());
    let calling = args.calling.or_else(|| own.clone());
    let calling = calling.ok_or_else(|| Failure::Configuration("--calling is needed beside --to".to_owned()))?;
    let (host, port) = args.from;
    let peer = Peer { host, port, called: args.called, calling: calling.clone(), tls: None };
    let wanted = Wanted { study: args.study, series: args.series };
    let fetched = match (args.via, args.to, node) {
        (Via::Move, None, Some(node)) => fetch::by_move(&peer, timeout, &wanted, &node.reception.ae_title).await?,
        (Via::Move, ..) => {
            return Err(Failure::Configuration(
                "C-MOVE sends to the node: leave --to out, or use --via get".to_owned(),
            ));
        }
        (Via::Get, Some(folder), _) => {
            let keep = async |object: Object| write(&folder, &object);
            get(&peer, timeout, &wanted, keep).await?
        }
        (Via::Get, None, node) => {
            let Some(node) = node else { return Ok(()) };
            let host = node.listen.ip().to_string();
            let own = Peer { host, port: node.listen.port(), called: node.reception.ae_title, calling, tls: None };
            get(&peer, timeout, &wanted, async |object: Object| store(&own, timeout, &object).await).await?
        }
    };
    println!("{} instances fetched, {} failed", fetched.completed, fetched.failed);
    match fetched {
        Fetched { failed: 0, completed: 0 } => Err(Failure::Failed(format!("{peer} has nothing of {}", wanted.study))),
        Fetched { failed: 0, .. } => Ok(()),
        Fetched { failed, .. } => Err(Failure::Partial(format!("{failed} instances did not come; see above"))),
    }
}

async fn get(
    peer: &Peer,
    timeout: Duration,
    wanted: &Wanted,
    mut keep: impl AsyncFnMut(Object) -> Result<(), String>,
) -> Result<Fetched, DeliveryError> {
    let (instances, mut classes) = fetch::find(peer, timeout, wanted).await?;
    if instances == 0 {
        return Ok(Fetched::default());
    }
    if classes.is_empty() {
        classes = tables::STORAGE_CLASSES.iter().map(|(uid, _)| (*uid).to_owned()).collect();
    }
    let noting = async |object: Object| {
        let instance = object.sop_instance.clone();
        let kept = keep(object).await;
        if let Err(reason) = &kept {
            println!("{instance}: {reason}");
        }
        kept
    };
    fetch::by_get(peer, timeout, wanted, &classes, noting).await
}

fn write(folder: &std::path::Path, object: &Object) -> Result<(), String> {
    let path = folder.join(format!("{}.dcm", object.sop_instance));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &object.bytes));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

async fn store(node: &Peer, timeout: Duration, object: &Object) -> Result<(), String> {
    let send = async {
        let mut scu = Scu::connect(node, timeout, &proposals([(&object.sop_class, &object.transfer_syntax)])).await?;
        scu.store(object).await?;
        scu.release().await;
        Ok::<(), DeliveryError>(())
    };
    send.await.map_err(|error| error.to_string())
}
