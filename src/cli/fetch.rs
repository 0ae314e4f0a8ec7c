//! `sagittal fetch --from PACS --study UID`: gets a study or a series from a PACS, into the running node or into a
//! folder.
//!
//! Into the node means by C-STORE to where it listens, from the PACS itself or from here: what is fetched takes the
//! way of everything that arrives.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{ConfigFolder, Failure};
use crate::config::{Config, KnownPeer, Retrieve};
use crate::delivery::fetch::{self, Fetched, Keeper};
use crate::delivery::find::{Finder, Wanted};
use crate::delivery::scu::{Peer, Scu};
use crate::delivery::{DeliveryError, Object};
use crate::dicom::{AeTitle, AeTitleError, Uid, UidError};

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
    /// AE title of a [peer.<title>] or of a destination; or HOST:PORT with --called
    #[arg(long, value_name = "PACS")]
    from: String,
    /// AE title of the peer, where --from is HOST:PORT
    #[arg(long, value_parser = ae_title)]
    called: Option<AeTitle>,
    /// Our AE title; left out, the node's
    #[arg(long, value_parser = ae_title)]
    calling: Option<AeTitle>,
    /// Study Instance UID
    #[arg(long, value_parser = uid)]
    study: Uid,
    /// Series Instance UID; left out, the whole study
    #[arg(long, value_parser = uid)]
    series: Option<Uid>,
    /// Left out: as the peer's `retrieve` says
    #[arg(long, value_enum)]
    via: Option<Via>,
    /// Write files here instead of giving the objects to the running node
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Where the running node listens, when it is not as configured
    #[arg(long, value_name = "HOST:PORT", value_parser = super::send::host_and_port)]
    node: Option<(String, u16)>,
    /// Print for programs
    #[arg(long)]
    json: bool,
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

/// The peer to be asked, and how it is configured to give.
struct Source {
    peer: Peer,
    retrieve: Retrieve,
    timeout: Duration,
    wanted: Wanted,
}

/// Where the objects go.
enum Target {
    /// C-STORE to the running node, in the name of the peer.
    Node(Peer),
    Folder(PathBuf),
}

/// Fetches; an error when something did not come.
pub async fn run(args: FetchArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let source = source(&args, &config)?;
    let target = target(&args, &config, &source.peer);
    let mut finder = Finder::connect(&source.peer, source.timeout).await?;
    let instances = finder.instances(&source.wanted).await?;
    finder.end().await;
    let found = instances.len();
    if found == 0 {
        return Err(Failure::Failed(format!("{} has nothing of {}", source.peer, wanted_text(&source.wanted))));
    }
    let bar = progress(found, args.json);
    let (fetched, faults) = match (source.retrieve, target) {
        (Retrieve::Move, Target::Node(_)) => {
            let seen = |so_far: Fetched| bar.set_position(u64::from(so_far.completed));
            let destination = &config.node.reception.ae_title;
            let moved = fetch::by_move(&source.peer, source.timeout, &source.wanted, destination, seen).await?;
            (moved, Vec::new())
        }
        (Retrieve::Move, Target::Folder(_)) => {
            let text = "C-MOVE sends to the node: leave --to out, or use --via get".to_owned();
            return Err(Failure::Configuration(text));
        }
        (Retrieve::Get, target) => get(&source, &fetch::classes_of(&instances), &target, &bar).await?,
    };
    bar.finish_and_clear();
    say(&args, &source, found, fetched, &faults);
    // A peer that counts nothing has still said that all went well.
    let completed = if fetched == Fetched::default() { found } else { usize::from(fetched.completed) };
    match found.saturating_sub(completed) {
        0 if fetched.failed == 0 => Ok(()),
        missing => {
            let missing = missing.max(usize::from(fetched.failed));
            let hint = "the peer's log says why; with --via the other way may do";
            Err(Failure::Partial(format!("{missing} of {found} instances did not come; {hint}")))
        }
    }
}

fn source(args: &FetchArgs, config: &Config) -> Result<Source, Failure> {
    let calling = args.calling.clone().unwrap_or_else(|| config.node.reception.ae_title.clone());
    let (peer, retrieve) = match (config.peer(&args.from), super::send::host_and_port(&args.from)) {
        (Some(KnownPeer { host, port, tls, retrieve, .. }), _) => {
            let called = ae_title(&args.from).map_err(|error| Failure::Configuration(error.to_string()))?;
            (Peer { host, port, called, calling, tls }, retrieve)
        }
        (None, Ok((host, port))) => {
            let missing =
                || Failure::Configuration("--called, the AE title of the peer, is needed beside HOST:PORT".into());
            let called = args.called.clone().ok_or_else(missing)?;
            (Peer { host, port, called, calling, tls: None }, Retrieve::Get)
        }
        (None, Err(_)) => {
            let text = format!("no peer {0}: add [peer.{0}] to node.toml, or give HOST:PORT and --called", args.from);
            return Err(Failure::Configuration(text));
        }
    };
    let retrieve = match args.via {
        Some(Via::Get) => Retrieve::Get,
        Some(Via::Move) => Retrieve::Move,
        None => retrieve,
    };
    let wanted = Wanted { study: args.study.clone(), series: args.series.clone() };
    Ok(Source { peer, retrieve, timeout: Duration::from_secs(args.seconds), wanted })
}

fn target(args: &FetchArgs, config: &Config, peer: &Peer) -> Target {
    if let Some(folder) = &args.to {
        return Target::Folder(folder.clone());
    }
    let configured = || (config.node.listen.ip().to_string(), config.node.listen.port());
    let (host, port) = args.node.clone().unwrap_or_else(configured);
    // Rules and permissions see the PACS as the sender, whichever way its objects come.
    Target::Node(Peer {
        host,
        port,
        called: config.node.reception.ae_title.clone(),
        calling: peer.called.clone(),
        tls: None,
    })
}

/// By C-GET; also the instances that were not kept, with the reason.
async fn get(
    source: &Source,
    classes: &BTreeSet<String>,
    target: &Target,
    bar: &ProgressBar,
) -> Result<(Fetched, Vec<(Uid, String)>), Failure> {
    let node = match target {
        Target::Node(peer) => {
            Some(Scu::connect(peer, source.timeout, &fetch::storage_proposals(classes)).await.map_err(not_let_in)?)
        }
        Target::Folder(_) => None,
    };
    let mut taker = Taker { target, node, bar, faults: Vec::new() };
    let fetched = fetch::by_get(&source.peer, source.timeout, &source.wanted, classes, &mut taker).await?;
    if let Some(node) = taker.node {
        node.release().await;
    }
    Ok((fetched, taker.faults))
}

/// What comes by C-GET, on its way to where it is wanted.
struct Taker<'a> {
    target: &'a Target,
    node: Option<Scu>,
    bar: &'a ProgressBar,
    faults: Vec<(Uid, String)>,
}

impl Keeper for Taker<'_> {
    async fn keep(&mut self, object: Object) -> Result<(), String> {
        let kept = match (self.target, &mut self.node) {
            (Target::Folder(folder), _) => write(folder, &object),
            (Target::Node(_), Some(node)) => node.store(&object).await.map(drop).map_err(|error| error.to_string()),
            (Target::Node(_), None) => Ok(()),
        };
        self.bar.inc(1);
        kept.inspect_err(|reason| self.faults.push((object.sop_instance.clone(), reason.clone())))
    }
}

fn not_let_in(error: DeliveryError) -> Failure {
    let hint = "the objects go to the running node in the name of the PACS: `allow` must list it (--node HOST:PORT, if it \
                listens elsewhere)";
    Failure::Failed(format!("{error}; {hint}"))
}

fn write(folder: &Path, object: &Object) -> Result<(), String> {
    let path = folder.join(format!("{}.dcm", object.sop_instance));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &object.bytes));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn say(args: &FetchArgs, source: &Source, found: usize, fetched: Fetched, faults: &[(Uid, String)]) {
    if args.json {
        let faults = faults.iter().map(|(uid, reason)| serde_json::json!({ "instance": uid, "reason": reason }));
        let summary = serde_json::json!({
            "peer": source.peer.to_string(),
            "study": source.wanted.study,
            "series": source.wanted.series,
            "via": if source.retrieve == Retrieve::Get { "get" } else { "move" },
            "found": found,
            "completed": fetched.completed,
            "failed": fetched.failed,
            "failures": faults.collect::<Vec<_>>(),
        });
        return println!("{summary:#}");
    }
    for (instance, reason) in faults {
        println!("{instance}: {reason}");
    }
    println!("{} of {found} instances fetched from {}, {} failed", fetched.completed, source.peer, fetched.failed);
}

fn wanted_text(wanted: &Wanted) -> String {
    match &wanted.series {
        Some(series) => format!("series {series} of study {}", wanted.study),
        None => format!("study {}", wanted.study),
    }
}

fn progress(found: usize, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} instances")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(found as u64).with_style(style)
}
