//! `sagittal pull SERIES --from DESTINATION`: a series of an Orthanc, by its REST API, becomes a revision.
//!
//! It takes the way of everything that arrives: by C-STORE to where the node listens, in the name of that Orthanc, so that
//! rules and permissions see who it is from.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ConfigFolder, Failure};
use crate::config::{Config, Destination};
use crate::delivery::fetch::storage_proposals;
use crate::delivery::pull::{Held, Puller};
use crate::delivery::scu::{Peer, Scu};
use crate::delivery::{Delivery, DeliveryError};
use crate::dicom::Uid;
use crate::intake::{Intake, IntakeError, Stable};
use crate::ledger::Ledger;

const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// Series Instance UID, or Orthanc's id of the series
    series: String,
    /// A destination of kind "orthanc"
    #[arg(long, value_name = "DESTINATION")]
    from: String,
    #[command(flatten)]
    config: ConfigFolder,
    /// Where the running node listens, when it is not as configured
    #[arg(long, value_name = "HOST:PORT", value_parser = super::send::host_and_port)]
    node: Option<(String, u16)>,
    /// Print for programs
    #[arg(long)]
    json: bool,
    /// Seconds to wait for each answer, and for the series to be finished
    #[arg(long = "timeout", default_value_t = 60, value_name = "SECONDS")]
    seconds: u64,
}

/// Pulls; an error when something did not come.
pub async fn run(args: PullArgs) -> Result<(), Failure> {
    let (config, ledger) = args.config.ledger()?;
    let from = orthanc(&config, &args.from)?;
    let delivery = Delivery::new()?;
    let no_orthanc = || Failure::Configuration(format!("destination {:?} is not of kind \"orthanc\"", args.from));
    let puller = delivery.puller(from).await?.ok_or_else(no_orthanc)?;
    let none = || Failure::Failed(format!("{} has no series {}", args.from, args.series));
    let held = puller.series(&args.series).await?.ok_or_else(none)?;
    store(&args, &config, &puller, &held).await?;
    let (intake, series, count) = (args.config.intake()?, held.series.clone(), held.instances.len());
    let attempts = args.seconds * 1000 / LOOK.as_millis() as u64;
    for _ in 0..=attempts {
        if let Some(revision) = finished(&intake, &ledger, &series, count as u64)? {
            say(&args, &series, count, revision);
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    let text = format!("series {series} was sent and is not finished after {} s; `sagittal series list`", args.seconds);
    Err(Failure::Failed(text))
}

fn orthanc<'c>(config: &'c Config, name: &str) -> Result<&'c Destination, Failure> {
    config.destinations.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.destinations.keys().map(String::as_str).collect();
        Failure::Configuration(format!("no destination {name:?}; destinations.toml has: {}", known.join(", ")))
    })
}

/// Brings every instance to the node.
async fn store(args: &PullArgs, config: &Config, puller: &Puller<'_>, held: &Held) -> Result<(), Failure> {
    let configured = || (config.node.listen.ip().to_string(), config.node.listen.port());
    let (host, port) = args.node.clone().unwrap_or_else(configured);
    let called = config.node.reception.ae_title.clone();
    let peer = Peer { host, port, called, calling: puller.title().await?, tls: None };
    let timeout = Duration::from_secs(args.seconds);
    let mut node: Option<Scu> = None;
    let mut classes = BTreeSet::new();
    for id in &held.instances {
        let object = puller.instance(id).await?;
        let is_new = classes.insert(object.sop_class.to_string());
        if let Some(before) = node.take_if(|_| is_new) {
            before.release().await;
        }
        let mut scu = match node.take() {
            Some(scu) => scu,
            None => Scu::connect(&peer, timeout, &storage_proposals(&classes)).await.map_err(|e| not_let_in(&e))?,
        };
        let verdict = scu.store(&object).await?;
        scu.accepted(&verdict)?;
        node = Some(scu);
    }
    if let Some(node) = node {
        node.release().await;
    }
    Ok(())
}

fn not_let_in(error: &DeliveryError) -> Failure {
    let hint = "the objects go to the running node in the name of the Orthanc: `allow` must list it (--node HOST:PORT, if \
                the node listens elsewhere)";
    Failure::Failed(format!("{error}; {hint}"))
}

/// The number of the revision that holds the series as Orthanc does; `None`: not yet.
fn finished(intake: &Intake, ledger: &Ledger, series: &Uid, count: u64) -> Result<Option<i64>, Failure> {
    match intake.stable_series(series, Some(count)) {
        Ok(Stable::Waits { .. }) => Ok(None),
        Ok(Stable::Closed(closed)) => Ok(closed.last().map(|closed| closed.revision)),
        // The node was faster, or nothing is new; or nothing is in the ledger yet.
        Err(IntakeError::NothingOpen(_)) => {
            let newest = ledger.decisions_of_series(series.as_str())?.pop();
            Ok(newest.filter(|revision| revision.instances >= count).map(|revision| revision.number))
        }
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

fn say(args: &PullArgs, series: &Uid, instances: usize, revision: i64) {
    if args.json {
        return println!("{}", serde_json::json!({"series": series, "instances": instances, "revision": revision}));
    }
    println!("{instances} instances of series {series}: revision {revision}");
}
