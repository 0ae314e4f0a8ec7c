//! `sagittal destinations`: where results go, what each destination is known to take, and whether it answers.
//!
//! `list` and `show` read the configuration and the ledger beside a running node; `test` also talks to the destination and
//! sends no object. What an association tells is kept for the ladder of result forms. Shows no secret.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::jobs::{aligned, section, time};
use super::{ConfigFolder, Failure};
use crate::config::{Confirm, Destination, DestinationKind, Login, WebPeer};
use crate::delivery::Delivery;
use crate::dicom::{Learned, ladder, tables};
use crate::ledger::{CapabilityRow, Circuit, JobFilter, JobKind, JobState, Ledger};

#[derive(Debug, clap::Args)]
pub struct DestinationsArgs {
    #[command(flatten)]
    pub config: ConfigFolder,
    #[command(subcommand)]
    pub command: DestinationsCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum DestinationsCommand {
    /// List destinations, with what waits for each and what became of the latest deliveries
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one destination: how it is reached, how it confirms, what it is known to take
    Show {
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask a destination whether it is there and what it takes; sends no object
    Test {
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Deliveries looked at for the counts of a list.
const LATEST: u32 = 1000;

/// Runs the subcommand; `test` fails when the destination does.
pub async fn run(args: DestinationsArgs) -> Result<(), Failure> {
    let (config, ledger) = args.config.ledger()?;
    let named = |name: &str| {
        let known = || config.destinations.keys().cloned().collect::<Vec<_>>().join(", ");
        let found = config.destinations.get(name);
        found.ok_or_else(|| Failure::Configuration(format!("no destination {name:?}; there are {}", known())))
    };
    let mut out = io::stdout();
    match &args.command {
        DestinationsCommand::List { json } => list(&config.destinations, &ledger, *json, &mut out),
        DestinationsCommand::Show { name, json } => show(named(name)?, &ledger, *json, &mut out),
        DestinationsCommand::Test { name, json } => test(named(name)?, &ledger, *json, &mut out).await,
    }
}

fn list(
    destinations: &std::collections::BTreeMap<String, Destination>,
    ledger: &Ledger,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut rows = vec![
        ["NAME", "KIND", "WHERE", "CONFIRMS BY", "WAITING", "DELIVERED", "GIVEN UP", "CIRCUIT"].map(str::to_owned),
    ];
    let (mut values, circuits) = (Vec::new(), ledger.circuits()?);
    for destination in destinations.values() {
        let [waiting, delivered, given_up] = counts(ledger, &destination.name)?;
        let (kind, place, confirms) = described(destination);
        let circuit = circuits.iter().find(|circuit| circuit.destination == destination.name);
        values.push(json!({
            "name": destination.name, "kind": kind, "where": place, "confirms_by": confirms,
            "waiting": waiting, "delivered": delivered, "given_up": given_up, "circuit": circuit,
        }));
        let counted = [waiting, delivered, given_up].map(|count| count.to_string());
        let [waiting, delivered, given_up] = counted;
        let circuit = circuit.map_or_else(|| "closed".to_owned(), state_of);
        rows.push([destination.name.clone(), kind.to_owned(), place, confirms, waiting, delivered, given_up, circuit]);
    }
    if as_json {
        Ok(writeln!(out, "{:#}", Value::from(values))?)
    } else {
        Ok(out.write_all(aligned(&rows).as_bytes())?)
    }
}

fn state_of(circuit: &Circuit) -> String {
    match (circuit.opened_at, circuit.probe_at) {
        (Some(since), Some(probe)) => format!("open since {}, next probe {}", time(since), time(probe)),
        _ => format!("closed, {} failures", circuit.failures),
    }
}

/// Of the latest deliveries: waiting, delivered, given up.
fn counts(ledger: &Ledger, name: &str) -> Result<[usize; 3], Failure> {
    let filter = JobFilter {
        kind: Some(JobKind::Deliver),
        destination: Some(name.to_owned()),
        limit: Some(LATEST),
        ..JobFilter::default()
    };
    let jobs = ledger.jobs(&filter)?;
    let count = |states: &[JobState]| jobs.iter().filter(|job| states.contains(&job.state)).count();
    let waiting = [JobState::Available, JobState::Running, JobState::Retryable, JobState::Held];
    Ok([count(&waiting), count(&[JobState::Completed]), count(&[JobState::Discarded])])
}

/// Kind, where it is, how it confirms.
fn described(destination: &Destination) -> (&'static str, String, String) {
    match &destination.kind {
        DestinationKind::Dicom { host, port, called, confirm, tls, .. } => {
            let tls = if tls.is_some() { ", TLS" } else { "" };
            let confirms = match confirm {
                Confirm::None => "none",
                Confirm::Query => "query (C-FIND)",
                Confirm::Commitment { .. } => "storage commitment",
            };
            ("dicom", format!("{called}@{host}:{port}{tls}"), confirms.to_owned())
        }
        DestinationKind::Orthanc(peer) => {
            let confirms = if peer.query { "query (lookup by UID)" } else { "its answer" };
            ("orthanc", place(&peer.at), confirms.to_owned())
        }
        DestinationKind::DicomWeb { at, query } => {
            ("dicomweb", place(at), if *query { "query (QIDO-RS)" } else { "none" }.to_owned())
        }
        DestinationKind::Folder { path } => ("folder", path.display().to_string(), "the file itself".to_owned()),
        DestinationKind::ReportOnly => ("report-only", "-".to_owned(), "nothing is sent".to_owned()),
    }
}

fn place(at: &WebPeer) -> String {
    match &at.login {
        Login::Nobody => at.url.clone(),
        Login::Basic { username, .. } => format!("{} as {username}", at.url),
        Login::Token(_) => format!("{} with a token", at.url),
    }
}

fn show(destination: &Destination, ledger: &Ledger, as_json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let known = ledger.capabilities(Some(&destination.name))?;
    let (kind, place, confirms) = described(destination);
    let rungs = rungs(&known);
    if as_json {
        let ladder: serde_json::Map<String, Value> =
            rungs.iter().map(|(form, takes)| (form.clone(), json!(takes))).collect();
        let value = json!({
            "name": destination.name, "kind": kind, "where": place, "confirms_by": confirms,
            "timeout_s": destination.timeout.as_secs(), "concurrency": destination.concurrency,
            "takes": known, "ladder": ladder,
        });
        return Ok(writeln!(out, "{value:#}")?);
    }
    let mut facts = vec![
        ["destination".to_owned(), format!("{} ({kind})", destination.name)],
        ["where".to_owned(), place],
        ["confirms by".to_owned(), confirms],
        ["timeout".to_owned(), format!("{:?}", destination.timeout)],
        ["at a time".to_owned(), destination.concurrency.to_string()],
    ];
    let is_dicom = matches!(destination.kind, DestinationKind::Dicom { .. });
    facts.extend(
        rungs.into_iter().filter(|_| is_dicom).map(|(form, takes)| [format!("takes {form}"), takes.to_owned()]),
    );
    let text =
        aligned(&facts) + &section("accepted and refused", ["", "SOP CLASS", "TRANSFER SYNTAX", "SEEN"], rows(&known));
    Ok(out.write_all(text.as_bytes())?)
}

/// What is known of each form of a segmentation.
fn rungs(known: &[CapabilityRow]) -> Vec<(String, &'static str)> {
    let learned: Vec<Learned> = known.iter().map(|row| row.learned.clone()).collect();
    let rung = |form: ladder::Form| {
        let takes = match ladder::takes(&learned, form.sop_class()) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        (form.word().to_owned(), takes)
    };
    ladder::LADDER.into_iter().map(rung).collect()
}

fn rows(known: &[CapabilityRow]) -> impl Iterator<Item = [String; 4]> + '_ {
    let name = |uid: &str| tables::name_of(uid).unwrap_or(uid).to_owned();
    known.iter().map(move |row| {
        let word = if row.learned.accepted { "accepted" } else { "refused" };
        [word.to_owned(), name(&row.learned.sop_class), name(&row.learned.transfer_syntax), time(row.seen_at)]
    })
}

async fn test(destination: &Destination, ledger: &Ledger, as_json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let delivery = Delivery::new()?;
    let start = tokio::time::Instant::now();
    let (said, record) = delivery.probe(destination).await;
    let ms = start.elapsed().as_millis();
    ledger.learn(&destination.name, &record.learned)?;
    if as_json {
        let error = said.as_ref().err().map(ToString::to_string);
        let value = json!({
            "name": destination.name, "ok": said.is_ok(), "said": said.as_ref().ok(), "error": error,
            "milliseconds": ms, "takes": record.learned,
        });
        writeln!(out, "{value:#}")?;
        return said.map(drop).map_err(|error| Failure::Failed(error.to_string()));
    }
    writeln!(out, "{}: {} in {ms} ms", destination.name, said?)?;
    let known = ledger.capabilities(Some(&destination.name))?;
    Ok(out.write_all(
        section("accepted and refused", ["", "SOP CLASS", "TRANSFER SYNTAX", "SEEN"], rows(&known)).as_bytes(),
    )?)
}
