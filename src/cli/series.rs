//! `sagittal series`: what was received, and closing a series by hand.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{ConfigFolder, Failure};
use crate::clock::SystemClock;
use crate::intake::Intake;
use crate::spool::Spool;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the series whose revision is still open
    List {
        #[command(flatten)]
        config: ConfigFolder,
        #[arg(long)]
        json: bool,
    },
    /// Close a series now and route it, whatever its timers say
    Close {
        /// Series Instance UID
        series: String,
        #[command(flatten)]
        config: ConfigFolder,
    },
}

pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { config, json } => list(config, *json),
        Command::Close { series, config } => close(config, series),
    }
}

fn list(config: &ConfigFolder, json: bool) -> Result<(), Failure> {
    let (_, ledger) = config.ledger()?;
    let open = ledger.open_revisions()?;
    if json {
        let rows: Vec<_> = open
            .iter()
            .map(|r| serde_json::json!({"study": r.series.study, "series": r.series.series, "revision": r.number, "instances": r.instances}))
            .collect();
        println!("{}", serde_json::Value::Array(rows));
        return Ok(());
    }
    for revision in open {
        println!("{}  revision {}  {} instances", revision.series.series, revision.number, revision.instances);
    }
    Ok(())
}

fn close(folder: &ConfigFolder, series: &str) -> Result<(), Failure> {
    let (config, ledger) = folder.ledger()?;
    let open = ledger.open_revisions()?;
    let key = open.into_iter().map(|r| r.series).find(|key| key.series.as_str() == series).ok_or_else(|| {
        Failure::Failed(format!("no open revision of series {series}; `sagittal series list` shows the open ones"))
    })?;
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let spool = Spool::attach(&crate::node::spool_path(&config.node));
    let intake = Intake::new(Arc::new(spool), ledger, Arc::new(SystemClock), Arc::new(ArcSwap::from_pointee(config)));
    match intake.close_now(&key).map_err(|error| failed(&error))? {
        Some(closed) => println!("revision {} closed, {} jobs", closed.revision, closed.jobs.len()),
        None => return Err(Failure::Failed("an instance arrived meanwhile; the series stays open".into())),
    }
    Ok(())
}
