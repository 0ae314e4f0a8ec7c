//! `sagittal schema`: JSON Schema of the configuration files, for editors.

use std::io::Write;

use super::Failure;
use crate::config::schema;

/// Exit code 2 for a name that no configuration file has.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// node, destinations, pipelines, rules, rules.test or model; without it the names are listed.
    file: Option<String>,
}

pub fn run(args: &SchemaArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let names = schema::names().join(", ");
    let Some(file) = &args.file else { return Ok(writeln!(out, "{names}")?) };
    let text = schema::of(file.trim_end_matches(".toml"))
        .ok_or_else(|| Failure::Configuration(format!("{file:?} is no configuration file: {names}")))?;
    Ok(out.write_all(text.as_bytes())?)
}
