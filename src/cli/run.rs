//! `sagittal run`: one pipeline on a folder of DICOM files, without a node.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use super::{ConfigFolder, Failure};
use crate::clock::{Clock, Millis, SystemClock};
use crate::config::Pipeline;
use crate::dicom::SeriesKey;
use crate::pipeline::{Analysis, Analyst, Progress};
use crate::results::ResultObject;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pipeline of pipelines.toml
    pipeline: String,
    /// Folder with the DICOM files of one or more series
    folder: PathBuf,
    /// Where the results go, one file an object
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    config: ConfigFolder,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    let pipeline = config.pipelines.get(&args.pipeline).ok_or_else(|| {
        let known: Vec<&str> = config.pipelines.keys().map(String::as_str).collect();
        Failure::Configuration(format!("no pipeline {:?}; pipelines.toml has: {}", args.pipeline, known.join(", ")))
    })?;
    // What is kept for destinations that take nothing better is no use in a folder.
    let pipeline = &Pipeline { fallback: Vec::new(), ..pipeline.clone() };
    std::fs::create_dir_all(&args.output)?;
    let (series, unreadable) = super::rules::series_in(&args.folder)?;
    if series.is_empty() {
        return Err(Failure::Failed(format!("no readable DICOM file in {}", args.folder.display())));
    }
    let clock = SystemClock;
    let analyst = crate::node::analyst(&config.node, Arc::new(clock));
    let mut written = Vec::new();
    let mut failed = Vec::new();
    for (key, files) in &series {
        match analyse(&analyst, pipeline, files, clock.now()) {
            Ok(analysis) => written.extend(write_all(&args.output, key, analysis)?),
            Err(error) => failed.push(format!("series {}: {error}", key.series)),
        }
    }
    report(&written, args.json)?;
    let problems: Vec<String> = unreadable.into_iter().chain(failed.clone()).collect();
    match (problems.is_empty(), written.is_empty() && !failed.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::Failed(problems.join("\n"))),
        (false, false) => Err(Failure::Partial(problems.join("\n"))),
    }
}

fn analyse(
    analyst: &Analyst,
    pipeline: &Pipeline,
    files: &[PathBuf],
    started_at: Millis,
) -> Result<Analysis, crate::pipeline::PipelineError> {
    let bar = ProgressBar::new(1).with_style(
        ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos}/{len} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let watch = |p: Progress| {
        bar.set_length(p.total);
        bar.set_position(p.done);
        bar.set_message(p.stage);
    };
    let analysis = analyst.analyse(pipeline, files, started_at, &watch, &|| false);
    bar.finish_and_clear();
    analysis
}

/// A written result, as printed.
#[derive(Debug, serde::Serialize)]
struct Written {
    kind: &'static str,
    source_series: String,
    sop_instance: String,
    path: PathBuf,
}

fn write_all(folder: &Path, key: &SeriesKey, analysis: Analysis) -> Result<Vec<Written>, Failure> {
    for model in &analysis.nothing_found {
        eprintln!("{model} ran on series {} and found nothing", key.series);
    }
    let write = |object: ResultObject| {
        let path = folder.join(format!("{}-{}.dcm", object.kind, object.sop_instance));
        std::fs::write(&path, &object.bytes)?;
        Ok(Written {
            kind: object.kind,
            source_series: key.series.to_string(),
            sop_instance: object.sop_instance.to_string(),
            path,
        })
    };
    analysis.objects.into_iter().map(write).collect()
}

fn report(written: &[Written], json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(written).map_err(|error| Failure::Failed(error.to_string()))?;
        println!("{text}");
        return Ok(());
    }
    for result in written {
        println!("{} of series {}: {}", result.kind, result.source_series, result.path.display());
    }
    Ok(())
}
