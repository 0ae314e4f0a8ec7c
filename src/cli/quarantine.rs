//! `sagittal quarantine`: what was refused and kept, why, from whom; taking it after all, or dropping it.
//!
//! Beside a running node the node itself takes an object again: it alone writes to its spool. Shows UIDs and AE
//! titles, never a patient attribute.

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use super::jobs::time;
use super::{ConfigFolder, Failure, history};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::intake::{Custody, Intake, Retry};
use crate::ledger::Ledger;
use crate::spool::{Quarantined, Spool, SpoolError};

/// A node looks for wishes twice a second; one that takes a minute is stuck.
const PACE: Duration = Duration::from_millis(50);
const LOOKS: u32 = 1200;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the objects that were refused and kept
    List {
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// Show one object: why it was refused, when, and from whom it came
    Show {
        /// As `list` prints it
        name: String,
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// Take objects after all, as if they arrived now; what is refused again stays
    Retry {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Believe the SOP class and instance UIDs of the data set, whatever the sender announced
        #[arg(long)]
        trust_data_set: bool,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// Remove objects for good
    Drop {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        config: ConfigFolder,
    },
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { json, config } => list(&spool_beside(&config.load()?), *json),
        Command::Show { name, json, config } => show(&spool_beside(&config.load()?), name, *json),
        Command::Retry { names, trust_data_set, config } => {
            let how = if *trust_data_set { Retry::AsDataSet } else { Retry::AsAnnounced };
            retry(config, names, how)
        }
        Command::Drop { names, config } => {
            let (config, ledger) = config.ledger()?;
            let spool = spool_beside(&config);
            each(names, |name| {
                spool.drop_quarantined(name)?;
                told(&ledger, name, "dropped")
            })
        }
    }
}

fn spool_beside(config: &Config) -> Spool {
    Spool::attach(&crate::node::spool_path(&config.node))
}

fn list(spool: &Spool, as_json: bool) -> Result<(), Failure> {
    let objects = spool.quarantined()?;
    if as_json {
        println!("{}", Value::Array(objects.iter().map(as_value).collect()));
        return Ok(());
    }
    for object in &objects {
        let line = match Custody::of(object) {
            Some(c) => format!("{}  {} at {}  {}  {}", time(c.at), c.calling, c.sender, c.status, c.reason),
            None => "without a note".to_owned(),
        };
        println!("{}  {line}", object.name);
    }
    Ok(())
}

fn show(spool: &Spool, name: &str, as_json: bool) -> Result<(), Failure> {
    let found = spool.quarantined()?.into_iter().find(|object| object.name == name);
    let object = found.ok_or_else(|| SpoolError::NotQuarantined(name.to_owned()))?;
    if as_json {
        println!("{}", as_value(&object));
        return Ok(());
    }
    println!("{name}: {} bytes", object.length);
    let Some(custody) = Custody::of(&object) else {
        println!("  the note beside it is gone or cannot be read");
        return Ok(());
    };
    println!("  refused          {} with {}: {}", time(custody.at), custody.status, custody.reason);
    println!("  from             {} at {}, calling {}", custody.calling, custody.sender, custody.called);
    println!("  SOP class        {}", custody.sop_class);
    println!("  SOP instance     {}", custody.sop_instance);
    println!("  transfer syntax  {}", custody.transfer_syntax);
    if let Some((at, reason)) = custody.retried {
        println!("  tried again      {}, in vain: {reason}", time(at));
    }
    Ok(())
}

fn as_value(object: &Quarantined) -> Value {
    let mut value = Custody::of(object).and_then(|custody| serde_json::to_value(custody).ok()).unwrap_or(json!({}));
    value["name"] = json!(object.name);
    value["length"] = json!(object.length);
    value
}

fn retry(folder: &ConfigFolder, names: &[String], how: Retry) -> Result<(), Failure> {
    let (config, ledger) = folder.ledger()?;
    let Ok(_lock) = crate::node::lock(&config.node.data) else {
        let spool = spool_beside(&config);
        return each(names, |name| told(&ledger, name, wish(&spool, name, how)?));
    };
    let spool = Arc::new(Spool::open(&crate::node::spool_path(&config.node))?);
    let intake = Intake::new(spool, ledger.clone(), Arc::new(SystemClock), Arc::new(ArcSwap::from_pointee(config)));
    each(names, |name| match intake.retry(name, how) {
        Ok(_) => told(&ledger, name, "taken"),
        Err(error) => Err(Failure::Failed(format!("{name} stays in the quarantine: {error}"))),
    })
}

/// The audit trail has who did it.
fn told(ledger: &Ledger, name: &str, done: &'static str) -> Result<&'static str, Failure> {
    ledger.note_action(&history::user(), &format!("object {name} of the quarantine {done}"))?;
    Ok(done)
}

/// Asks the running node, and waits for what it says.
fn wish(spool: &Spool, name: &str, how: Retry) -> Result<&'static str, Failure> {
    spool.wish_retry(name, how.word())?;
    let mut looks = 0;
    while spool.wishes()?.iter().any(|(wished, _)| wished == name) {
        looks += 1;
        if looks > LOOKS {
            spool.forget_wish(name)?;
            return Err(Failure::Failed(format!("the node did not look at {name}; its log says why")));
        }
        sleep(PACE);
    }
    let left = spool.quarantined()?.into_iter().find(|object| object.name == name);
    let Some(object) = left else { return Ok("taken") };
    let reason = Custody::of(&object).and_then(|custody| custody.retried).map(|(_, reason)| reason);
    let reason = reason.unwrap_or_else(|| "the node's log says why".to_owned());
    Err(Failure::Failed(format!("{name} stays in the quarantine: {reason}")))
}

/// Does `work` for every name; one failure does not keep the others back.
fn each(names: &[String], work: impl Fn(&str) -> Result<&'static str, Failure>) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for name in names {
        match work(name) {
            Ok(done) => println!("{name}: {done}"),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    match failures.len() {
        0 => Ok(()),
        n if n == names.len() => Err(Failure::Failed(failures.join("\n"))),
        _ => Err(Failure::Partial(failures.join("\n"))),
    }
}
