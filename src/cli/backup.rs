//! `sagittal backup`: a copy of the ledger, while the node runs.

use std::path::PathBuf;

use super::{ConfigFolder, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The copy, a file that does not exist yet
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFolder,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    if args.file.exists() {
        return Err(Failure::Failed(format!("{} exists already; name another file", args.file.display())));
    }
    args.config.ledger_alone()?.backup(&args.file)?;
    println!("{} holds the ledger as it is now", args.file.display());
    Ok(())
}
