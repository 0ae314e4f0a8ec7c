//! `sagittal commitments`: requests for storage commitment, whether their reports were taken, and why not.
//!
//! Shows UIDs and AE titles, never a patient attribute.

use super::jobs::time;
use super::{ConfigFolder, Failure, history};
use crate::ledger::CommitmentRow;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the newest requests and what became of their reports
    List {
        /// Only those whose report nobody took yet
        #[arg(long)]
        waiting: bool,
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFolder,
    },
    /// Bring reports once more, now, also those that were given up
    Retry {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        #[command(flatten)]
        config: ConfigFolder,
    },
}

pub fn run(command: &Command) -> Result<(), Failure> {
    let failed = |error: crate::ledger::LedgerError| Failure::Failed(error.to_string());
    match command {
        Command::List { waiting, limit, json, config } => {
            let rows = config.ledger_alone()?.commitments(*waiting, *limit).map_err(failed)?;
            list(&rows, *json)
        }
        Command::Retry { ids, config } => {
            let ledger = config.ledger_alone()?;
            for id in ids {
                if !ledger.commitment_retry(*id).map_err(failed)? {
                    let known = "`sagittal commitments list --waiting` shows those that wait";
                    return Err(Failure::Failed(format!("no report of request {id} waits; {known}")));
                }
                ledger.note_action(&history::user(), &format!("commitment report {id} tried again"))?;
                println!("{id} is due now");
            }
            Ok(())
        }
    }
}

fn list(rows: &[CommitmentRow], json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(rows).map_err(|error| Failure::Failed(error.to_string()))?;
        println!("{text}");
        return Ok(());
    }
    for row in rows {
        let (asked, peer) = (time(row.requested_at), &row.calling_ae);
        println!("{}  {asked}  {peer}  {} instances  {}", row.id, row.instances, said(row));
    }
    Ok(())
}

fn said(row: &CommitmentRow) -> String {
    let why = || row.last_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    match (row.reported_at, row.given_up_at) {
        (Some(at), _) => format!("reported {}", time(at)),
        (None, Some(at)) => format!("given up {} after {} tries{}", time(at), row.attempts, why()),
        (None, None) => format!("to be reported, {} tries so far{}", row.attempts, why()),
    }
}
