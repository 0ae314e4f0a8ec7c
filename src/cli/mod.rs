//! The command line: one file a subcommand, and the exit codes.
//!
//! 0 done; 1 failed; 2 the configuration or the command line is wrong; 3 part of the input was refused or
//! unreadable, the rest is done.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks on its standard streams")]

mod backup;
mod check;
mod commitments;
mod compare;
mod demo;
mod destinations;
mod echo;
mod fetch;
mod held;
mod history;
mod jobs;
pub mod models;
mod notices;
mod pull;
mod quarantine;
mod rules;
mod run;
mod schema;
mod send;
mod series;
mod serve;
mod unmatched;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;
use clap::{Parser, Subcommand};

use crate::clock::SystemClock;
use crate::config::{Config, ConfigFaults, ConfigFiles, NodeConfig};
use crate::delivery::DeliveryError;
use crate::intake::Intake;
use crate::ledger::{Ledger, LedgerError};
use crate::observe::{LogFormat, start_logs};
use crate::spool::Spool;

#[derive(Debug, Parser)]
#[command(
    name = "sagittal",
    version,
    about = "A DICOM network node that puts AI models to work. Research software, not a medical device."
)]
struct Arguments {
    /// How log lines look; `[log]` in node.toml says it for the node, else text
    #[arg(long, global = true, value_enum)]
    log: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node
    Serve(serve::Args),
    /// Check the configuration folder; every fault is reported
    Check(check::CheckArgs),
    /// What the rules do and did with a series, what others would do; those that were in force, and going back to them
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Copy the ledger while the node runs
    Backup(backup::Args),
    /// Print the JSON Schema of a configuration file
    Schema(schema::SchemaArgs),
    /// See and operate jobs
    Jobs {
        #[command(flatten)]
        config: ConfigFolder,
        #[command(flatten)]
        args: jobs::JobsArgs,
    },
    /// See where results go and what each destination takes; ask one whether it answers
    Destinations(destinations::DestinationsArgs),
    /// See received series and close them by hand
    #[command(subcommand)]
    Series(series::Command),
    /// See what was refused and kept, take it after all, or drop it
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// See what peers asked us to commit to, and bring a report once more
    #[command(subcommand)]
    Commitments(commitments::Command),
    /// See who was told what happened, tell them once more, try a recipient
    #[command(subcommand)]
    Notices(notices::Command),
    /// Run a pipeline on a folder of DICOM files, without a node
    Run(run::Args),
    /// Hear the referee on segmentations and structure sets: would they be sent?
    Verify(verify::VerifyArgs),
    /// Compare two segmentations of one patient: two models, or two points of time
    Compare(compare::CompareArgs),
    /// Send DICOM files by C-STORE
    Send(send::SendArgs),
    /// Get a study from a PACS, by C-GET or C-MOVE
    Fetch(fetch::FetchArgs),
    /// Pull a series from an Orthanc by its REST API
    Pull(pull::PullArgs),
    /// Ask a peer whether it is there (C-ECHO)
    Echo(echo::EchoArgs),
    /// See and check model packages
    Models(models::Models),
    /// Show the whole way on a real head: send, segment, receive, look
    Demo(demo::Args),
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// List the rules that were in force: since when, by whom, why
    History(history::HistoryArgs),
    /// Print rules that were in force
    Show(history::ShowArgs),
    /// Make rules that were in force the rules again
    Rollback(history::RollbackArgs),
    /// List series that no rule had anything to do with, and what kept the nearest rule away
    Unmatched(unmatched::UnmatchedArgs),
    #[command(flatten)]
    Tool(rules::RulesCommand),
}

/// Where the configuration folder is.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFolder {
    /// The configuration folder
    #[arg(long = "config", value_name = "DIR", default_value = "config", env = "SAGITTAL_CONFIG", global = true)]
    config_folder: PathBuf,
}

impl ConfigFolder {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config_folder)?)
    }

    fn folder(&self) -> &Path {
        &self.config_folder
    }

    /// The configuration and the ledger it points to.
    fn ledger(&self) -> Result<(Config, Ledger), Failure> {
        let config = self.load()?;
        let ledger = existing_ledger(&config)?;
        Ok((config, ledger))
    }

    /// The receiving half of the node, for acting beside a running one.
    fn intake(&self) -> Result<Intake, Failure> {
        let (config, ledger) = self.ledger()?;
        let spool = Arc::new(Spool::attach(&crate::node::spool_path(&config.node)));
        Ok(Intake::new(spool, ledger, Arc::new(SystemClock), Arc::new(ArcSwap::from_pointee(config))))
    }

    /// The ledger alone, also when the other files of the folder are faulty: a running node goes on without them, and
    /// what it does must be seen.
    fn ledger_alone(&self) -> Result<Ledger, Failure> {
        Ok(self.ledger_and_destinations()?.0)
    }

    /// As [`ConfigFolder::ledger_alone`], with the names of the destinations; none where the files are faulty.
    fn ledger_and_destinations(&self) -> Result<(Ledger, Vec<String>), Failure> {
        let files = ConfigFiles::read(&self.config_folder);
        let config = match files.check() {
            Ok((config, _)) => config,
            Err(faults) => {
                let node = files.check_node()?;
                eprintln!("sagittal: the configuration files are not in force: {faults}");
                Config::without_work(node, files)
            }
        };
        Ok((existing_ledger(&config)?, config.destinations.into_keys().collect()))
    }
}

fn must_have_run(node: &NodeConfig) -> Result<(), Failure> {
    let path = crate::node::ledger_path(node);
    if path.exists() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{} does not exist: this node has never run", path.display())))
}

/// The ledger that a configuration points to; a command never makes one.
fn existing_ledger(config: &Config) -> Result<Ledger, Failure> {
    must_have_run(&config.node)?;
    Ok(crate::node::open_ledger_as(Some(history::user()), config, Arc::new(SystemClock))?)
}

/// How a command ends when it does not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Configuration(String),
    #[error("{0}")]
    Partial(String),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Failed(_) => 1,
            Failure::Configuration(_) => 2,
            Failure::Partial(_) => 3,
        }
    }
}

impl From<ConfigFaults> for Failure {
    fn from(faults: ConfigFaults) -> Failure {
        Failure::Configuration(faults.to_string())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl Failure {
    fn of_code(code: u8, text: String) -> Failure {
        match code {
            2 => Failure::Configuration(text),
            3 => Failure::Partial(text),
            _ => Failure::Failed(text),
        }
    }
}

impl From<check::CheckError> for Failure {
    fn from(error: check::CheckError) -> Failure {
        Failure::of_code(error.exit_code(), error.to_string())
    }
}

impl From<rules::RulesError> for Failure {
    fn from(error: rules::RulesError) -> Failure {
        Failure::of_code(error.exit_code(), error.to_string())
    }
}

impl From<send::SendError> for Failure {
    fn from(error: send::SendError) -> Failure {
        match error {
            send::SendError::Incomplete { .. } => Failure::Partial(error.to_string()),
            _ => Failure::Failed(error.to_string()),
        }
    }
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Failed(error.to_string())
    }
}

/// Parses, runs, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (format, level) = match &arguments.command {
        Command::Serve(args) => args.logging(),
        // A command answers on standard output and speaks up when something is wrong.
        _ => (LogFormat::Text, "warn"),
    };
    start_logs(arguments.log.unwrap_or(format), level);
    match run_command(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sagittal: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run_command(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => block_on(serve::run(args)),
        Command::Check(args) => Ok(check::run(&args, &mut io::stdout().lock())?),
        Command::Rules(RulesCommand::History(args)) => history::list(&args, &mut io::stdout().lock()),
        Command::Rules(RulesCommand::Show(args)) => history::show(&args, &mut io::stdout().lock()),
        Command::Rules(RulesCommand::Rollback(args)) => history::rollback(&args, &mut io::stdout().lock()),
        Command::Rules(RulesCommand::Unmatched(args)) => unmatched::run(&args, &mut io::stdout().lock()),
        Command::Rules(RulesCommand::Tool(command)) => Ok(rules::run(&command, &mut io::stdout().lock())?),
        Command::Backup(args) => backup::run(&args),
        Command::Schema(args) => schema::run(&args, &mut io::stdout().lock()),
        Command::Jobs { config, args } => {
            let (ledger, destinations) = config.ledger_and_destinations()?;
            jobs::run(&args, &ledger, &destinations)
                .map_err(|error| Failure::of_code(error.exit_code(), error.to_string()))
        }
        Command::Destinations(args) => block_on(destinations::run(args)),
        Command::Series(command) => series::run(&command),
        Command::Quarantine(command) => quarantine::run(&command),
        Command::Commitments(command) => commitments::run(&command),
        Command::Notices(command) => block_on(notices::run(command)),
        Command::Run(args) => run::run(&args),
        Command::Verify(args) => verify::run(&args, &mut io::stdout().lock()),
        Command::Compare(args) => compare::run(&args, &mut io::stdout().lock()),
        Command::Send(args) => block_on(async { Ok(send::run(args).await?) }),
        Command::Fetch(args) => block_on(fetch::run(args)),
        Command::Pull(args) => block_on(pull::run(args)),
        Command::Echo(args) => block_on(async { Ok(echo::run(args).await?) }),
        Command::Models(command) => match models::run(&command, &mut io::stdout().lock()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Failed("a model package has a fault, see above".into())),
            Err(error) => Err(Failure::Failed(error.to_string())),
        },
        Command::Demo(args) => block_on(demo::run(args)),
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_can_be_parsed() {
        // clap looks at a subcommand only when it is asked for; this looks at all of them.
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_commands_of_the_readme_are_accepted() {
        let check = |line: &str| {
            let parsed = Arguments::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
        };
        let readme = include_str!("../../README.md");
        let lines: Vec<&str> = readme.lines().filter_map(|l| l.strip_prefix("target/release/")).collect();
        assert!(lines.len() >= 5, "{lines:?}");
        for line in lines {
            check(line.split('#').next().unwrap_or_default().trim());
        }
    }
}
