//! `sagittal compare`: two segmentations of one patient, of the same images or of two points of time.
//!
//! Prints structures and numbers, and the dates of the studies; no other attribute of the patient.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Failure;
use super::verify::sources;
use crate::clock::{Clock, SystemClock};
use crate::dicom::SegForm;
use crate::results::compare::{Comparison, Kind, Masks, Row, compare, comparison_report, disagreement};
use crate::results::verify::{self, Fault};
use crate::results::{ResultContext, ResultError, ResultObject, SourceSeries, segmentation};

#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// The segmentation that is compared with: the earlier one, or another model's
    first: PathBuf,
    /// The segmentation that is compared
    second: PathBuf,
    /// Folder with the images of the second, or of both: for volumes of unevenly spaced slices, and for --output
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Writes a report (TID 1500) there, and where both are of the same images, a segmentation of where they disagree
    #[arg(short, long, value_name = "DIR", requires = "source")]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CompareArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let sources = args.source.as_deref().map(sources).transpose()?.unwrap_or_default();
    let [first, second] = [&args.first, &args.second].map(|path| read(path, &sources));
    let (first, second) = (first?, second?);
    let compared = compare(&first, &second).map_err(|error| Failure::Failed(error.to_string()))?;
    if let Some(folder) = &args.output {
        let source = of(&second, &sources).ok_or_else(|| {
            let path = args.second.display();
            Failure::Failed(format!("--source has not the images that {path} was made from; give their folder"))
        })?;
        write_objects(folder, source, &compared, [&first, &second])?;
    }
    if args.json {
        writeln!(out, "{}", value(&compared))?;
    } else {
        print(&compared, out)?;
    }
    Ok(())
}

fn read(path: &Path, sources: &[SourceSeries]) -> Result<Masks, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    let masks = Masks::read(&bytes).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    Ok(match of(&masks, sources) {
        Some(source) => masks.over(source),
        None => masks,
    })
}

/// The images that a segmentation was made from.
fn of<'s>(masks: &Masks, sources: &'s [SourceSeries]) -> Option<&'s SourceSeries> {
    sources.iter().find(|source| masks.source_series.as_ref() == Some(source.series()))
}

/// Nothing is written unless the referee finds all of it sound.
fn write_objects(
    folder: &Path,
    source: &SourceSeries,
    compared: &Comparison,
    masks: [&Masks; 2],
) -> Result<(), Failure> {
    let started = SystemClock.now().utc().unwrap_or_default();
    let context = |number| ResultContext::new("compare", number, "Comparison", started);
    let failed = |error: ResultError| Failure::Failed(error.to_string());
    let mut objects: Vec<ResultObject> = Vec::new();
    if let Some(map) = disagreement(compared, masks, source) {
        match segmentation(source, &map, SegForm::default(), &context(9901)) {
            Ok(object) => {
                sound(&object, &verify::segmentation(&object.bytes, source, Some(&map)))?;
                objects.push(object);
            }
            Err(ResultError::NothingFound) => {
                eprintln!("the two agree in every voxel: there is no map of disagreement");
            }
            Err(error) => return Err(failed(error)),
        }
    }
    let report = comparison_report(source, compared, masks, &context(9902)).map_err(failed)?;
    sound(&report, &verify::comparison_report(&report.bytes, source, &masks))?;
    objects.push(report);
    std::fs::create_dir_all(folder)?;
    for object in objects {
        let path = folder.join(format!("{}-{}.dcm", object.kind, object.sop_instance));
        std::fs::write(&path, &object.bytes)?;
        eprintln!("{}: {}", object.kind, path.display());
    }
    Ok(())
}

fn sound(object: &ResultObject, faults: &[Fault]) -> Result<(), Failure> {
    let Some(first) = faults.first() else { return Ok(()) };
    let (kind, count) = (object.kind, faults.len());
    Err(Failure::Failed(format!("nothing was written: the referee finds {count} faults in the {kind}, first {first}")))
}

fn print(compared: &Comparison, out: &mut dyn Write) -> std::io::Result<()> {
    match (compared.kind, compared.days()) {
        (Kind::SameImages, _) => {
            writeln!(out, "the same images, voxel by voxel; structures by their codes, or else names")?;
        }
        (Kind::TimePoints, days) => {
            let dates = compared.dates.map(|date| date.map_or_else(|| "?".to_owned(), |date| date.to_string()));
            let days = days.map(|days| format!(", {days} days")).unwrap_or_default();
            writeln!(
                out,
                "{} -> {}{days}; structures by their codes, or else names; by volume, nothing is registered",
                dates[0], dates[1]
            )?;
        }
    }
    writeln!(out, "{:32} {:>11} {:>11} {:>11} {:>8} {:>7}", "", "first mL", "second mL", "change mL", "%", "Dice")?;
    for row in &compared.rows {
        let [first, second] = row.volumes.map(|volume| volume / 1000.0);
        let percent = row.percent().map_or_else(String::new, |percent| format!("{percent:+.1}"));
        let dice = dice(row).map_or_else(String::new, |dice| format!("{dice:.4}"));
        let name: String = row.segment.name.chars().take(32).collect();
        writeln!(
            out,
            "{name:32} {first:>11.3} {second:>11.3} {:>+11.3} {percent:>8} {dice:>7}",
            row.difference() / 1000.0
        )?;
    }
    Ok(())
}

fn dice(row: &Row) -> Option<f64> {
    row.overlap.and_then(|overlap| overlap.dice())
}

fn value(compared: &Comparison) -> Value {
    let structure = |row: &Row| {
        json!({
            "name": row.segment.name,
            "code": { "value": row.segment.property.value, "scheme": row.segment.property.scheme,
                      "meaning": row.segment.property.meaning },
            "segment_numbers": row.numbers,
            "volumes_mm3": row.volumes,
            "change_mm3": row.difference(),
            "change_percent": row.percent(),
            "voxels": row.overlap.map(|overlap| overlap.voxels),
            "common_voxels": row.overlap.map(|overlap| overlap.common),
            "dice": dice(row),
        })
    };
    json!({
        "kind": match compared.kind { Kind::SameImages => "same-images", Kind::TimePoints => "time-points" },
        "matched_by": "codes, or else names",
        "registered": false,
        "dates": compared.dates.map(|date| date.map(|date| date.to_string())),
        "days": compared.days(),
        "structures": compared.rows.iter().map(structure).collect::<Vec<_>>(),
    })
}
