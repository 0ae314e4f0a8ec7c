//! `sagittal models list|check`: which model packages there are, and whether each could run.
//!
//! Writes to the stream it is given; never changes a package.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::SystemClock;
use crate::inference::{Engine, EngineOptions, FileState, InferenceError, ModelPackage, ModelStore};

/// Model packages.
#[derive(Debug, clap::Args)]
pub struct Models {
    #[command(subcommand)]
    action: Action,
    /// Folder of the packages.
    #[arg(long = "models", value_name = "DIR", global = true, default_value = "models")]
    folder: PathBuf,
    /// Print one JSON array.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Every package: version, kind, licence, and which files are missing.
    List,
    /// Verifies every file's sha256 and, where ONNX Runtime is installed, loads each network.
    Check {
        /// Only this package.
        id: Option<String>,
        /// ONNX Runtime's library or folder, when it is not where it is looked for.
        #[arg(long)]
        onnxruntime: Option<PathBuf>,
    },
}

/// What a package's line says.
struct Row {
    id: String,
    package: Option<ModelPackage>,
    /// One word or a phrase for the state.
    state: String,
    faults: Vec<String>,
}

/// Runs the command; `true` when no package has a fault. A package that is not installed is a fault for `check` only.
pub fn run(command: &Models, out: &mut dyn Write) -> Result<bool, InferenceError> {
    let store = ModelStore::open(&command.folder)?;
    let rows = match &command.action {
        Action::List => store.ids()?.into_iter().map(|id| listed(&store, id)).collect(),
        Action::Check { id, onnxruntime } => check(&store, id.as_deref(), onnxruntime.clone())?,
    };
    let written = if command.json { write_json(&rows, out) } else { write_text(&rows, out) };
    written.map_err(|source| InferenceError::Io { file: PathBuf::from("standard output"), source })?;
    Ok(rows.iter().all(|r| r.faults.is_empty()))
}

fn listed(store: &ModelStore, id: String) -> Row {
    match store.load(&id) {
        Ok(package) => {
            let missing: Vec<String> = package
                .files()
                .iter()
                .filter(|(_, state)| *state == FileState::Missing)
                .map(|(file, _)| file.file_name().unwrap_or_default().to_string_lossy().into_owned())
                .collect();
            let state = if missing.is_empty() {
                "installed".to_owned()
            } else {
                format!("missing {} ({})", missing.join(", "), package.install)
            };
            Row { id, package: Some(package), state, faults: Vec::new() }
        }
        Err(error) => Row { id, package: None, state: "faulty".to_owned(), faults: vec![error.to_string()] },
    }
}

fn check(store: &ModelStore, only: Option<&str>, onnxruntime: Option<PathBuf>) -> Result<Vec<Row>, InferenceError> {
    let ids = match only {
        Some(id) => vec![store.load(id)?.id],
        None => store.ids()?,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let clock = Arc::new(SystemClock);
    let engine = Engine::new(EngineOptions { onnxruntime, threads, session_ttl: Duration::ZERO, clock });
    let runtime = engine.runtime();
    Ok(ids.into_iter().map(|id| checked(listed(store, id), &engine, &runtime)).collect())
}

fn checked(mut row: Row, engine: &Engine, runtime: &Result<(), InferenceError>) -> Row {
    let Some(package) = &row.package else { return row };
    let refused = package.stages.iter().filter_map(|stage| package.verify(stage).err());
    row.faults = refused.map(|e| e.to_string()).collect();
    match runtime {
        _ if !row.faults.is_empty() => "refused".clone_into(&mut row.state),
        Err(missing) => row.state = format!("sha256 verified; not loaded: {missing}"),
        Ok(()) => match engine.load(package) {
            Ok(()) => "verified and loaded".clone_into(&mut row.state),
            Err(error) => {
                "refused".clone_into(&mut row.state);
                row.faults.push(error.to_string());
            }
        },
    }
    engine.evict_idle();
    row
}

fn write_json(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let value: Vec<Value> = rows.iter().map(row_json).collect();
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

fn row_json(row: &Row) -> Value {
    let package = row.package.as_ref();
    json!({
        "id": row.id,
        "name": package.map(|p| &p.name),
        "version": package.map(|p| &p.version),
        "kind": package.map(|p| p.kind.name()),
        "licence": package.map(|p| &p.licence),
        "installed": package.map(|p| p.files().iter().all(|(_, s)| *s == FileState::Present)),
        "state": row.state,
        "faults": row.faults,
    })
}

fn write_text(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "no model packages (a package is a folder with a model.toml)");
    }
    let width = rows.iter().map(|r| r.id.len()).max().unwrap_or(0);
    for row in rows {
        let facts = row.package.as_ref().map(|p| format!("{:8} {:8} {:10} ", p.version, p.kind.name(), p.licence));
        writeln!(out, "{:width$}  {}{}", row.id, facts.unwrap_or_default(), row.state)?;
        for fault in row.faults.iter().flat_map(|f| f.lines()) {
            writeln!(out, "{:width$}  ! {fault}", "")?;
        }
    }
    Ok(())
}
