//! `sagittal notices`: what recipients were told or are still to be told, and trying whether one can be.
//!
//! Shows job ids, rules and UIDs, as a notice without patient data does.

use serde_json::Value;

use super::jobs::time;
use super::{ConfigFolder, Failure};
use crate::clock::{Clock, SystemClock};
use crate::herald::{self, HeraldError};
use crate::ledger::{NoticeFilter, NoticeRow};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the newest notices and what became of them
    List {
        /// Only those that nobody took yet, given up or not
        #[arg(long)]
        untold: bool,
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// Try notices once more, now, also those that were given up
    Retry {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// Tell a recipient of [notify] that this is a trial
    Test {
        #[arg(value_name = "RECIPIENT")]
        recipient: String,
        #[command(flatten)]
        config: ConfigFolder,
    },
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { untold, limit, json, config } => {
            let filter = if untold { NoticeFilter::Untold } else { NoticeFilter::All };
            list(&config.ledger_alone()?.notices(filter, limit)?, json)
        }
        Command::Retry { ids, config } => {
            let ledger = config.ledger_alone()?;
            for id in ids {
                if !ledger.notice_retry(id)? {
                    let known = "`sagittal notices list --untold` shows those that wait or were given up";
                    return Err(Failure::Failed(format!("no notice {id} is still to be told; {known}")));
                }
                println!("{id} is due now");
            }
            Ok(())
        }
        Command::Test { recipient, config } => {
            herald::test(&config.load()?.node, SystemClock.now(), &recipient).await?;
            println!("{recipient} took it");
            Ok(())
        }
    }
}

impl From<HeraldError> for Failure {
    fn from(error: HeraldError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

fn list(rows: &[NoticeRow], json: bool) -> Result<(), Failure> {
    if json {
        let rows: Vec<Value> = rows.iter().map(as_json).collect();
        let text = serde_json::to_string_pretty(&rows).map_err(|error| Failure::Failed(error.to_string()))?;
        println!("{text}");
        return Ok(());
    }
    for row in rows {
        println!("{}  {}  {}  {}  {}", row.id, time(row.made_at), row.recipient, text(row), said(row));
    }
    Ok(())
}

fn body(row: &NoticeRow) -> Value {
    serde_json::from_str(&row.body).unwrap_or_default()
}

fn as_json(row: &NoticeRow) -> Value {
    let mut value = serde_json::to_value(row).unwrap_or_default();
    value["body"] = body(row);
    value
}

fn text(row: &NoticeRow) -> String {
    body(row)["text"].as_str().unwrap_or_default().to_owned()
}

fn said(row: &NoticeRow) -> String {
    let why = || row.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    match (row.told_at, row.given_up_at) {
        (Some(at), _) => format!("told {}", time(at)),
        (None, Some(at)) => format!("given up {} after {} tries{}", time(at), row.attempts, why()),
        (None, None) => format!("to be told, {} tries so far{}", row.attempts, why()),
    }
}
