//! `sagittal models list|check|terms`: which model packages there are, whether each could run, and the names for what they
//! find.
//!
//! Writes to the stream it is given; never changes a package.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::SystemClock;
use crate::dicom::Code;
use crate::inference::{Engine, EngineOptions, FileState, InferenceError, ModelPackage, ModelStore, Terminology};
use crate::volume::Segment;

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
    /// Structures by the keys that `structure` in a model.toml takes, with their codes.
    Terms {
        /// Only those of a label set, with their label numbers: what `labels` in a model.toml takes.
        set: Option<String>,
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
        Action::Terms { set } => {
            let terms = terms(&store.terminology()?, set.as_deref());
            let written =
                if command.json { writeln!(out, "{}", Value::Array(terms)) } else { write_terms(&terms, out) };
            return written.map(|()| true).map_err(on_standard_output);
        }
        Action::List => store.ids()?.into_iter().map(|id| listed(&store, id)).collect(),
        Action::Check { id, onnxruntime } => check(&store, id.as_deref(), onnxruntime.clone())?,
    };
    let written = if command.json { write_json(&rows, out) } else { write_text(&rows, out) };
    written.map_err(on_standard_output)?;
    Ok(rows.iter().all(|r| r.faults.is_empty()))
}

fn on_standard_output(source: io::Error) -> InferenceError {
    InferenceError::Io { file: PathBuf::from("standard output"), source }
}

/// Structures as they are printed: of one set with their labels, or all with the sets that have them.
fn terms(all: &Terminology, set: Option<&str>) -> Vec<Value> {
    let place =
        |key: &str, name: &str| all.labels().find(|label| label.set == name && label.key == key).map(|l| l.label);
    let row = |(key, structure): (&str, &Segment)| {
        let label = set.map(|name| place(key, name));
        let code = |code: &Code| json!({ "value": code.value, "scheme": code.scheme, "meaning": code.meaning });
        label.is_none_or(|label| label.is_some()).then(|| {
            json!({
                "key": key, "label": label, "name": structure.name, "category": code(&structure.category),
                "code": code(&structure.property), "modifier": structure.modifier.as_ref().map(code),
                "region": structure.region.as_ref().map(code),
                "region_modifier": structure.region_modifier.as_ref().map(code), "color": structure.color,
            })
        })
    };
    let mut rows: Vec<Value> = all.structures().filter_map(row).collect();
    rows.sort_by_key(|row| row["label"].as_u64());
    rows
}

fn write_terms(rows: &[Value], out: &mut dyn Write) -> io::Result<()> {
    for row in rows {
        let text = |key: &str, part: &str| row[key][part].as_str().unwrap_or_default().to_owned();
        let label = row["label"].as_u64().map(|label| format!("{label:>3}  ")).unwrap_or_default();
        let further = ["modifier", "region", "region_modifier"].map(|key| text(key, "meaning"));
        let further = further.iter().filter(|meaning| !meaning.is_empty()).map(|meaning| format!(", {meaning}"));
        let key = row["key"].as_str().unwrap_or_default();
        let (scheme, value, meaning) = (text("code", "scheme"), text("code", "value"), text("code", "meaning"));
        writeln!(out, "{label}{key:30}  {scheme} {value:15}  {meaning}{}", further.collect::<String>())?;
    }
    Ok(())
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
