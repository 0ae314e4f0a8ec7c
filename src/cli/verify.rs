//! `sagittal verify`: the referee that hears every result before it is sent, on objects of whatever origin.
//!
//! Prints rules and attributes, never a patient's values.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Failure;
use super::rules::{files_under, series_in};
use crate::dicom::part10;
use crate::results::SourceSeries;
use crate::results::verify::{self, Verdict};

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Files, or folders of them: segmentations, label maps, structure sets, measurement reports, comparisons, captures
    /// and outlines
    #[arg(required = true, value_name = "OBJECTS")]
    objects: Vec<PathBuf>,
    /// Folder with the images that they were made from
    #[arg(long, value_name = "DIR")]
    source: PathBuf,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// An object and what the referee says of it.
struct Row {
    path: PathBuf,
    verdict: Verdict,
}

pub fn run(args: &VerifyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let sources = sources(&args.source)?;
    let mut paths = Vec::new();
    for path in &args.objects {
        paths.extend(files_under(path)?);
    }
    let files = paths.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let judged = files.iter().map(|bytes| verify::object(bytes, &sources, &files));
    let rows: Vec<Row> = paths.into_iter().zip(judged).map(|(path, verdict)| Row { path, verdict }).collect();
    if args.json {
        writeln!(out, "{}", Value::Array(rows.iter().map(Row::as_value).collect()))?;
    } else {
        rows.iter().try_for_each(|row| row.print(out))?;
    }
    let faulty =
        rows.iter().filter(|row| matches!(&row.verdict, Verdict::Judged(faults) if !faults.is_empty())).count();
    let others = rows.iter().filter(|row| matches!(row.verdict, Verdict::NotJudged(_))).count();
    match (faulty, others) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::Partial(format!("{others} of {} objects could not be judged", rows.len()))),
        _ => Err(Failure::Failed(format!("{faulty} of {} objects must not be sent", rows.len()))),
    }
}

/// Every series of the folder that results can be made over.
pub(super) fn sources(folder: &Path) -> Result<Vec<SourceSeries>, Failure> {
    let (series, _) = series_in(folder)?;
    let mut sources = Vec::with_capacity(series.len());
    let mut refused = Vec::new();
    for (key, files) in &series {
        let read = |path: &PathBuf| -> Result<_, Failure> {
            let file = part10::parse_header(std::fs::File::open(path)?);
            file.map(dicom_object::FileDicomObject::into_inner)
                .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
        };
        let headers = files.iter().map(read).collect::<Result<_, _>>()?;
        match SourceSeries::sorted(headers) {
            Ok(source) => sources.push(source),
            Err(error) => refused.push(format!("series {}: {error}", key.series)),
        }
    }
    if sources.is_empty() {
        let why = if refused.is_empty() { "no readable DICOM file".to_owned() } else { refused.join("; ") };
        return Err(Failure::Failed(format!("{} holds no series of images: {why}", folder.display())));
    }
    Ok(sources)
}

impl Row {
    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let path = self.path.display();
        match &self.verdict {
            Verdict::NotJudged(why) => writeln!(out, "{path}: not judged: {why}"),
            Verdict::Judged(faults) if faults.is_empty() => writeln!(out, "{path}: sound"),
            Verdict::Judged(faults) => {
                writeln!(out, "{path}: {} fault{}", faults.len(), if faults.len() == 1 { "" } else { "s" })?;
                faults.iter().try_for_each(|fault| writeln!(out, "  {fault}"))
            }
        }
    }

    fn as_value(&self) -> Value {
        let (verdict, faults) = match &self.verdict {
            Verdict::NotJudged(why) => return json!({ "path": self.path, "verdict": "not-judged", "reason": why }),
            Verdict::Judged(faults) => (if faults.is_empty() { "sound" } else { "faulty" }, faults),
        };
        let faults: Vec<Value> = faults.iter().map(|f| json!({ "rule": f.rule, "message": f.message })).collect();
        json!({ "path": self.path, "verdict": verdict, "faults": faults })
    }
}
