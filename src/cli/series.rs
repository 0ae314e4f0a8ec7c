//! `sagittal series`: what was received, closing a series by hand, what waits or is on hold, and objects as plain files.

use std::path::{Path, PathBuf};

use super::{ConfigFolder, Failure, held};
use crate::dicom::Uid;
use crate::ledger::{ClosedBy, OpenRevision};
use crate::spool::{Location, Spool};

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
    /// List the series that a rule keeps for an operator
    Held {
        #[command(flatten)]
        config: ConfigFolder,
        /// Also those that were released or dropped, when and by whom
        #[arg(long)]
        all: bool,
        #[arg(long)]
        json: bool,
    },
    /// Let a series on hold go on, by the rules behind the one that holds it
    Release {
        /// Series Instance UID
        series: String,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// Take a series off hold for good: nothing is run on it
    Drop {
        /// Series Instance UID
        series: String,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// List the finished series and the studies on which rules wait, and for what
    Waiting {
        #[command(flatten)]
        config: ConfigFolder,
        #[arg(long)]
        json: bool,
    },
    /// Write the instances of a series as DICOM files, one each
    Export {
        /// Series Instance UID
        series: String,
        /// The folder for the files; made when absent, existing files are not overwritten
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        #[command(flatten)]
        config: ConfigFolder,
    },
}

pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { config, json } => list(config, *json),
        Command::Close { series, config } => close(config, series),
        Command::Held { config, all, json } => held::list(config, *all, *json),
        Command::Release { series, config } => held::release(config, series),
        Command::Drop { series, config } => held::drop_held(config, series),
        Command::Waiting { config, json } => held::waiting(config, *json),
        Command::Export { series, output, config } => export(config, series, output),
    }
}

fn list(config: &ConfigFolder, json: bool) -> Result<(), Failure> {
    let ledger = config.ledger_alone()?;
    let (open, fetching) = (ledger.open_revisions()?, ledger.open_retrievals()?);
    let of = |series: &Uid| fetching.iter().find(|retrieval| retrieval.series.as_ref() == Some(series));
    if json {
        let row = |r: &OpenRevision| {
            let (study, series) = (&r.series.study, &r.series.series);
            serde_json::json!({"study": study, "series": series, "revision": r.number, "instances": r.instances, "fetching": of(series)})
        };
        println!("{}", serde_json::Value::Array(open.iter().map(row).collect()));
        return Ok(());
    }
    for revision in open {
        let fetching = of(&revision.series.series).map(|retrieval| {
            let error = retrieval.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            format!(
                "  its rest is being fetched for {}, {} failed tries{error}",
                retrieval.pipeline, retrieval.attempts
            )
        });
        let (series, number, instances) = (&revision.series.series, revision.number, revision.instances);
        println!("{series}  revision {number}  {instances} instances{}", fetching.unwrap_or_default());
    }
    Ok(())
}

fn close(folder: &ConfigFolder, series: &str) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let uid = Uid::parse(series).map_err(|error| failed(&error))?;
    let closed = folder.intake()?.close_series(&uid, ClosedBy::Operator).map_err(|error| failed(&error))?;
    if closed.is_empty() {
        return Err(Failure::Failed("an instance arrived meanwhile; the series stays open".into()));
    }
    for closed in closed {
        println!("revision {} closed, {} jobs", closed.revision, closed.jobs.len());
    }
    Ok(())
}

fn export(folder: &ConfigFolder, series: &str, output: &Path) -> Result<(), Failure> {
    let (config, ledger) = folder.ledger()?;
    let objects = ledger.series_objects(series)?;
    if objects.is_empty() {
        return Err(Failure::Failed(format!("no instance of series {series} was received")));
    }
    let failed = |path: &Path, error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(output).map_err(|error| failed(output, &error))?;
    let spool = Spool::attach(&crate::node::spool_path(&config.node));
    for (instance, location) in &objects {
        let path = output.join(format!("{instance}.dcm"));
        let mut from = spool.open_reader(&Location(location.clone())).map_err(|error| failed(&path, &error))?;
        let copied = std::fs::File::create_new(&path).and_then(|mut file| std::io::copy(&mut from, &mut file));
        copied.map_err(|error| failed(&path, &error))?;
    }
    println!("{} files in {}", objects.len(), output.display());
    Ok(())
}
