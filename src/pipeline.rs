//! One infer job from stored instances to results: series -> volume -> model stages -> findings -> DICOM
//! objects -> referee. The same function serves the node and `sagittal run`.
//!
//! Decides nothing about retries: a [`PipelineError`] says what happened, the worker what follows.

mod aside;
mod fonts;
mod placeholder;
mod writing;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{Offset, TimeZone};

use crate::clock::Millis;
use crate::config::{Config, Pipeline, ResultKind};
use crate::dicom::ladder::Form;
use crate::dicom::{Uid, sha256};
use crate::inference::{self, Channel, Engine, InferenceError, ModelPackage, ModelStore, Notes};
use crate::ledger::{InstanceRow, JobInput, Ledger, LedgerError, ResultRow};
use crate::results::{Letterhead, ResultContext, ResultError, ResultObject, SourceSeries};
use crate::spool::{Location, Spool, SpoolError};
use crate::volume::{Finding, InstanceSource, SeriesVolume, Volume, VolumeError, read_series};

pub use aside::Unsendable;
pub use fonts::FontFolders;
use writing::Writing;

/// Why a pipeline gave no result.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("pipeline {0:?} is not configured any more; add it to pipelines.toml and `sagittal jobs retry` the job")]
    UnknownPipeline(String),
    #[error("the series cannot become a volume: {0}")]
    Volume(#[from] VolumeError),
    #[error(transparent)]
    Inference(#[from] InferenceError),
    #[error(
        "model {model} needs the input {input:?}, which the job does not have; name it in `inputs` of a study rule, the \
         model's first channel first"
    )]
    MissingInput { model: String, input: String },
    #[error("the result cannot be written: {0}")]
    Result(#[from] ResultError),
    #[error("the referee refuses the {}: {faults}; it is in the quarantine, `sagittal quarantine list`", object.kind)]
    Refused { object: Box<ResultObject>, faults: String },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What can help after a [`PipelineError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The machine was at fault: the same job may succeed later.
    TryAgain,
    /// The device is busy now: later, at no cost.
    Wait,
    /// The work was asked to stop.
    Stopped,
    /// The result itself is wrong: kept for an operator, never sent.
    Inspect,
    /// Trying again gives the same error.
    None,
}

impl PipelineError {
    /// What the job was at when it failed so.
    #[must_use]
    pub const fn stage(&self) -> &'static str {
        match self {
            PipelineError::UnknownPipeline(_)
            | PipelineError::Volume(_)
            | PipelineError::MissingInput { .. }
            | PipelineError::Spool(_)
            | PipelineError::Ledger(_) => "read",
            PipelineError::Inference(_) => "model",
            PipelineError::Result(_) => "write",
            PipelineError::Refused { .. } => "verify",
        }
    }

    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            PipelineError::Inference(InferenceError::Cancelled) => Remedy::Stopped,
            PipelineError::Inference(InferenceError::OutOfMemory { .. }) => Remedy::Wait,
            PipelineError::Inference(error) if error.retryable() => Remedy::TryAgain,
            PipelineError::Spool(_) | PipelineError::Ledger(_) => Remedy::TryAgain,
            PipelineError::Refused { .. } => Remedy::Inspect,
            PipelineError::UnknownPipeline(_)
            | PipelineError::MissingInput { .. }
            | PipelineError::Volume(_)
            | PipelineError::Inference(_)
            | PipelineError::Result(_) => Remedy::None,
        }
    }
}

/// What a pipeline made of a series.
#[derive(Debug)]
pub struct Analysis {
    pub objects: Vec<ResultObject>,
    /// Models that ran and found nothing to show.
    pub nothing_found: Vec<String>,
}

/// The series that a pipeline runs on.
#[derive(Debug)]
pub struct Inputs<'a, S> {
    pub first: &'a [S],
    /// The name of the first, where a rule gave it one.
    pub name: Option<&'a str>,
    pub further: &'a [(String, Vec<S>)],
}

impl<S: InstanceSource> Inputs<'_, S> {
    /// The channels of a model behind its first, in its order; read anew for every model, so that they are not all in
    /// memory.
    fn channels(&self, package: &ModelPackage, pipeline: &Pipeline) -> Result<Vec<Volume>, PipelineError> {
        let lacking = |name: &str| PipelineError::MissingInput { model: package.id.clone(), input: name.to_owned() };
        let Some((first, wanted)) = package.channels.split_first() else { return Ok(Vec::new()) };
        if self.name != Some(&first.name) {
            return Err(lacking(&first.name));
        }
        let find = |channel: &Channel| {
            let instances = self.further.iter().find(|(name, _)| *name == channel.name);
            let (_, instances) = instances.ok_or_else(|| lacking(&channel.name))?;
            Ok(read_series(instances, &pipeline.accept)?.volume)
        };
        wanted.iter().map(find).collect()
    }
}

/// What every pipeline run needs.
#[derive(Debug, Clone)]
pub struct Analyst {
    pub engine: Arc<Engine>,
    /// Folder of the model packages.
    pub models: PathBuf,
    pub series_number_base: u32,
    /// What reports look like.
    pub letterhead: Letterhead,
}

/// How far a pipeline is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Model and what is done at the moment.
    pub stage: String,
    pub done: u64,
    pub total: u64,
}

impl Progress {
    fn of(model: &str, step: &inference::Progress<'_>) -> Progress {
        let doing = match step.step {
            inference::Step::Preparing => "preparing",
            inference::Step::Running => "running",
            inference::Step::Finishing => "finishing",
        };
        let stage = format!("{model}: {doing} {}", step.stage);
        Progress { stage, done: step.index as u64, total: step.count as u64 }
    }
}

/// The stage in which results are written and heard by the referee.
pub const WRITING: &str = "writing the results";

/// Told how far the model stages are.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Sync);
/// Asked between steps whether to stop.
pub type Cancelled<'a> = &'a (dyn Fn() -> bool + Sync);

impl Analyst {
    /// Runs `pipeline` over the instances of one series; `started_at` becomes ContentDate and ContentTime.
    pub fn analyse<S: InstanceSource>(
        &self,
        pipeline: &Pipeline,
        instances: &[S],
        started_at: Millis,
        watch: Watch<'_>,
        cancelled: Cancelled<'_>,
    ) -> Result<Analysis, PipelineError> {
        let inputs = Inputs { first: instances, name: None, further: &[] };
        self.analyse_all(pipeline, inputs, started_at, watch, cancelled)
    }

    /// The same over several named series. Results have the grid of the first and refer to it; a model sees those of the
    /// others that its channels name.
    pub fn analyse_all<S: InstanceSource>(
        &self,
        pipeline: &Pipeline,
        inputs: Inputs<'_, S>,
        started_at: Millis,
        watch: Watch<'_>,
        cancelled: Cancelled<'_>,
    ) -> Result<Analysis, PipelineError> {
        let instances = inputs.first;
        let models = ModelStore::open(&self.models)?;
        // The first network is made while the series is read. What is wrong with it is told when its turn comes.
        let prepare =
            || pipeline.models.first().map(|first| models.load(first).map(|package| self.engine.load(&package)));
        let (series, _) = rayon::join(|| read_series(instances, &pipeline.accept), prepare);
        let series = series?;
        let SeriesVolume { volume, headers, .. } = series;
        let source = SourceSeries::new(headers)?;
        let mut analysis = Analysis { objects: Vec::new(), nothing_found: Vec::new() };
        let seen = [ResultKind::Sr, ResultKind::Sc, ResultKind::Gsps, ResultKind::Pdf];
        let reads_voxels = |kind: &ResultKind| seen.contains(kind);
        let original = (pipeline.results.iter().any(reads_voxels)
            || pipeline.fallback.contains(&Form::SecondaryCapture))
        .then(|| volume.voxels.clone());
        let mut volume = Some(volume);
        for (at, model) in pipeline.models.iter().enumerate() {
            let package = models.load(model)?;
            let last = at + 1 == pipeline.models.len();
            let input = if last { volume.take() } else { volume.clone() };
            let Some(input) = input else { break };
            let told = |step: inference::Progress<'_>| watch(Progress::of(model, &step));
            let further = inputs.channels(&package, pipeline)?;
            for finding in self.engine.run_with(&package, input, further, &told, cancelled)? {
                let Finding::Segmentation(found) = &finding;
                if found.is_empty() {
                    analysis.nothing_found.push(found.algorithm.name.clone());
                }
                let letterhead = &self.letterhead;
                let writing = Writing { pipeline, source: &source, found, original: original.as_ref(), letterhead };
                watch(Progress { stage: WRITING.to_owned(), done: at as u64, total: pipeline.models.len() as u64 });
                analysis.objects.extend(writing.all(&self.context(pipeline, at, &package.notes, started_at))?);
            }
        }
        Ok(analysis)
    }

    /// What the results of the pipeline's model number `model` say about the run.
    fn context(&self, pipeline: &Pipeline, model: usize, notes: &Notes, started_at: Millis) -> ResultContext {
        let number = self.series_number_base + pipeline.index * 10 + model as u32;
        // Without a description of its own, a pipeline is described by its name.
        let own = Some(&pipeline.description).filter(|text| **text != pipeline.name);
        let description = own.or(notes.description.as_ref()).unwrap_or(&pipeline.description);
        ResultContext {
            body_part: notes.body_part.clone(),
            trial_series: notes.trial_series.clone(),
            ..said(&pipeline.name, number, description, started_at)
        }
    }
}

fn said(pipeline: &str, series_number: u32, description: &str, started_at: Millis) -> ResultContext {
    let started_at = started_at.utc().unwrap_or_default();
    ResultContext {
        // The zone of that moment, not of now: a retry after the clocks changed writes the same bytes.
        zone: chrono::Local.offset_from_utc_datetime(&started_at.naive_utc()).fix(),
        ..ResultContext::new(pipeline, series_number, description, started_at)
    }
}

/// An instance in the spool, read when its turn comes.
#[derive(Debug)]
struct Parked<'a> {
    spool: &'a Spool,
    sop_instance: Uid,
    location: Location,
}

impl InstanceSource for Parked<'_> {
    fn name(&self) -> String {
        self.sop_instance.to_string()
    }

    fn bytes(&self) -> std::io::Result<Vec<u8>> {
        self.spool.read(&self.location).map_err(std::io::Error::other)
    }
}

/// What an infer job asks for.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub pipeline: &'a str,
    /// The series that results refer to.
    pub revision: i64,
    /// Of a study rule: `revision` first, under its name, and the others.
    pub inputs: &'a [JobInput],
    /// Geometry verdicts taken instead of the pipeline's.
    pub accept: Option<&'a [String]>,
    /// That nothing was found is told by a report, also where the pipeline writes none.
    pub tells_nothing_found: bool,
}

/// The parts an infer job touches.
#[derive(Debug, Clone)]
pub struct JobRunner {
    pub analyst: Analyst,
    pub ledger: Ledger,
    pub spool: Arc<Spool>,
    pub config: Arc<arc_swap::ArcSwap<Config>>,
}

impl JobRunner {
    /// Runs one infer job and parks its results; the caller tells the ledger. Blocking.
    pub fn infer(
        &self,
        order: &Order<'_>,
        started_at: Millis,
        watch: Watch<'_>,
        cancelled: Cancelled<'_>,
    ) -> Result<Vec<ResultRow>, PipelineError> {
        let config = self.config.load_full();
        let (name, revision) = (order.pipeline, order.revision);
        let mut pipeline =
            config.pipelines.get(name).cloned().ok_or_else(|| PipelineError::UnknownPipeline(name.to_owned()))?;
        if let Some(accept) = order.accept {
            pipeline.accept = accept.to_vec();
        }
        pipeline.tells_nothing_found |= order.tells_nothing_found;
        let first = self.parked(revision)?;
        let further = order.inputs.iter().skip(1).map(|input| Ok((input.name.clone(), self.parked(input.revision)?)));
        let further: Vec<(String, Vec<Parked<'_>>)> = further.collect::<Result<_, PipelineError>>()?;
        let named = order.inputs.first().map(|input| input.name.as_str());
        let inputs = Inputs { first: &first, name: named, further: &further };
        let analysis = self.analyst.analyse_all(&pipeline, inputs, started_at, watch, cancelled);
        let analysis = analysis.inspect_err(|error| self.quarantine(error, name, started_at))?;
        for model in &analysis.nothing_found {
            tracing::info!(revision, model, "ran, nothing found");
        }
        analysis.objects.into_iter().map(|object| self.park(object)).collect()
    }

    fn parked(&self, revision: i64) -> Result<Vec<Parked<'_>>, PipelineError> {
        let park = |row: InstanceRow| Parked {
            spool: &self.spool,
            sop_instance: row.sop_instance,
            location: Location(row.location),
        };
        Ok(self.ledger.revision_instances(revision)?.into_iter().map(park).collect())
    }

    fn park(&self, object: ResultObject) -> Result<ResultRow, PipelineError> {
        let key = crate::dicom::SeriesKey { study: object.study.clone(), series: object.series.clone() };
        let location = self.spool.append(&key, &object.sop_instance, &[&object.bytes])?;
        let digest = sha256(&object.bytes);
        Ok(ResultRow {
            sop_class: object.sop_class,
            sop_instance: object.sop_instance,
            study: object.study,
            series: object.series,
            transfer_syntax: object.transfer_syntax,
            kind: object.kind.to_owned(),
            form: object.form,
            location: location.0,
            length: object.bytes.len() as u64,
            sha256: digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ResultObject {
        let uid = Uid::derived(&["refused"]);
        ResultObject {
            kind: "seg",
            form: None,
            sop_class: uid.clone(),
            sop_instance: uid.clone(),
            study: uid.clone(),
            series: uid.clone(),
            transfer_syntax: uid,
            bytes: Vec::new(),
        }
    }

    #[test]
    fn every_error_has_its_remedy() {
        let check = |error: PipelineError, expected: Remedy| assert_eq!(error.remedy(), expected, "{error}");
        check(PipelineError::UnknownPipeline("x".into()), Remedy::None);
        check(PipelineError::Inference(InferenceError::Cancelled), Remedy::Stopped);
        check(PipelineError::Refused { object: Box::new(object()), faults: "V2".into() }, Remedy::Inspect);
        check(PipelineError::Spool(SpoolError::Missing("x".into())), Remedy::TryAgain);
        check(PipelineError::Result(ResultError::NothingFound), Remedy::None);
    }
}
