//! `pipelines.toml`: which models make which results, one table each, in the order of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::destination::check_name;
use super::results::{self, ResultKind};
use super::retrieve::{self, Fetch};
use crate::dicom::ladder::Form;
use crate::dicom::{CaptureForm, SegForm};
use crate::rules::section::{Entry, Section};
use crate::rules::{Severity, did_you_mean, geometry_names};

/// One `[pipeline.<name>]`.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    /// Position in the file, from 0: series number of results is base + index.
    pub index: u32,
    /// Model ids run on the series, each giving its findings.
    pub models: Vec<String>,
    /// Geometry verdicts accepted, by `GeometryVerdict::name`; default `regular`.
    pub accept: Vec<String>,
    /// SeriesDescription of the results, at most 64 characters.
    pub description: String,
    /// What is fetched before its series count as finished.
    pub retrieve: Option<Fetch>,
    /// What is written of each finding, in this order; default SEG alone.
    pub results: Vec<ResultKind>,
    pub seg: SegForm,
    /// Other forms of the segmentation that are kept for destinations that do not take the first, best first.
    pub fallback: Vec<Form>,
    pub sc: CaptureForm,
    /// A report says so where nothing was found, also when none is among `results`; rules ask for it.
    pub tells_nothing_found: bool,
}

/// Reads all pipelines that are free of faults, and the names of all, faulty ones included. `peers`: AE titles whose
/// address is known; `None`: which ones is not known.
pub(super) fn read(
    root: &Section<'_>,
    models: Option<&Path>,
    peers: Option<&BTreeSet<&str>>,
) -> (BTreeMap<String, Pipeline>, Vec<String>) {
    let entries = root.section("pipeline").map(|all| all.entries()).unwrap_or_default();
    let names = entries.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut pipelines = BTreeMap::new();
    for (index, (name, entry)) in (0..).zip(&entries) {
        if let Some(pipeline) = read_one(name, index, entry, models, peers) {
            pipelines.insert(pipeline.name.clone(), pipeline);
        }
    }
    (pipelines, names)
}

fn read_one(
    name: &str,
    index: u32,
    entry: &Entry<'_>,
    folder: Option<&Path>,
    peers: Option<&BTreeSet<&str>>,
) -> Option<Pipeline> {
    let named = check_name(name, entry);
    let section = entry.section()?;
    let models = section.required("models", "a list of model ids").and_then(|e| read_models(&e, folder));
    let accept = match section.get("accept") {
        Some(entry) => geometry_names(&entry),
        None => Some(vec!["regular".to_owned()]),
    };
    let description = match section.get("description") {
        Some(entry) => entry.parsed(description),
        None => Some(name.to_owned()),
    };
    let retrieve = match section.get("retrieve") {
        Some(entry) => retrieve::read(&entry, peers).map(Some),
        None => Some(None),
    };
    let results = match section.get("results") {
        Some(entry) => results::read_kinds(&entry),
        None => Some(vec![ResultKind::Seg]),
    };
    let seg = results::read_seg(&section);
    let sc = results::read_capture(&section);
    section.finish();
    let seg = seg?;
    Some(Pipeline {
        name: named?,
        index,
        models: models?,
        accept: accept?,
        description: description?,
        results: results?,
        seg: seg.form,
        fallback: seg.fallback,
        sc: sc?,
        tells_nothing_found: false,
        retrieve: retrieve?,
    })
}

/// SeriesDescription is an LO (PS3.5 section 6.2).
fn description(text: &str) -> Result<String, String> {
    let fits = text.chars().count() <= 64 && !text.contains(|c: char| c.is_control() || c == '\\');
    if fits { Ok(text.to_owned()) } else { Err("at most 64 characters on one line, no backslash".to_owned()) }
}

fn read_models(entry: &Entry<'_>, folder: Option<&Path>) -> Option<Vec<String>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one model id", None);
    }
    let mut models: Vec<String> = Vec::with_capacity(items.len());
    for item in &items {
        match item.parsed(model_id) {
            Some(id) if models.contains(&id) => {
                item.refuse::<()>("every model once", None);
            }
            Some(id) => {
                if let Some(folder) = folder {
                    warn_unless_installed(item, &id, folder);
                }
                models.push(id);
            }
            None => {}
        }
    }
    (models.len() == items.len()).then_some(models)
}

/// A model id names a folder: nothing that could lead out of the models folder.
fn model_id(text: &str) -> Result<String, String> {
    let fits = text.len() <= 64
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits { Ok(text.to_owned()) } else { Err("a model id: letters, digits, -, _ and .".to_owned()) }
}

fn warn_unless_installed(entry: &Entry<'_>, id: &str, folder: &Path) {
    if folder.join(id).join("model.toml").is_file() {
        return;
    }
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    let hint = did_you_mean(id, names.iter().map(String::as_str)).unwrap_or_else(|| {
        format!("install the model as {}: until then, jobs of this pipeline cannot run", folder.join(id).display())
    });
    let allowed = "the name of a folder in models with a model.toml";
    entry.report(Severity::Warning, &format!("\"{id}\", which is not installed"), allowed, Some(hint));
}
