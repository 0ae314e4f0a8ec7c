//! Series of DICOM files: which files are whose, and what the rules would do with them if they were received.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use serde_json::json;

use super::{ExplainArgs, RulesError, study};
use crate::config::Config;
use crate::dicom::part10::{self, Part10Error};
use crate::dicom::{Dataset, GeometryVerdict, Plane, SeriesKey, Uid, UidError, check_geometry, frames, uid_of};
use crate::rules::{Explanation, SeriesFacts, SeriesSummary, StudyRouting, SummaryBuilder};

/// Applies the rules to the files at `path` as the node would to received series, and prints the explanations.
pub(super) fn explain(args: &ExplainArgs, path: &Path, out: &mut dyn Write) -> Result<(), RulesError> {
    let config = Config::load(&args.config)?;
    let files = files_under(path)?;
    if files.is_empty() {
        return Err(RulesError::Empty(path.to_owned()));
    }
    let mut gathered: BTreeMap<SeriesKey, Gathered> = BTreeMap::new();
    let mut unreadable: Vec<(PathBuf, Unusable)> = Vec::new();
    for file in &files {
        match read_head(file) {
            Ok((key, dataset)) => gathered.entry(key).or_default().add(&dataset),
            Err(reason) => unreadable.push((file.clone(), reason)),
        }
    }
    let facts = SeriesFacts {
        calling_ae: args.calling_ae.clone(),
        called_ae: args.called_ae.clone().unwrap_or_else(|| config.node.reception.ae_title.to_string()),
        sender: args.sender.clone(),
        ..SeriesFacts::default()
    };
    let explained: Vec<Explained> =
        gathered.into_iter().map(|(key, series)| series.explain(key, &facts, &config)).collect();
    let series: Vec<study::Seen<'_>> = explained.iter().map(|series| (&series.key, &series.summary)).collect();
    let all = Answer { studies: study::decide(&config, &series), series: &explained, unreadable: &unreadable };
    if args.json { all.print_json(out) } else { all.print_tree(out) }?;
    match unreadable.len() {
        0 => Ok(()),
        count => Err(RulesError::Unreadable { count, total: files.len() }),
    }
}

/// One series while its files are read: no data set is kept.
#[derive(Default)]
struct Gathered {
    summary: SummaryBuilder,
    planes: Vec<Option<Plane>>,
}

struct Explained {
    key: SeriesKey,
    instances: usize,
    verdict: GeometryVerdict,
    summary: SeriesSummary,
    explanation: Explanation,
}

impl Gathered {
    fn add(&mut self, dataset: &Dataset) {
        self.summary.add(dataset);
        self.planes.extend(frames::planes(dataset));
    }

    fn explain(self, key: SeriesKey, facts: &SeriesFacts, config: &Config) -> Explained {
        let instances = self.summary.instances();
        let verdict = check_geometry(&self.planes);
        let summary = self.summary.finish(facts.clone().with_geometry(&verdict, self.planes.len()));
        let seen = config.node.profile_of(&facts.called_ae).rules.as_ref();
        let (_, explanation) = config.rules.decide_among(&summary, seen);
        Explained { key, instances, verdict, summary, explanation }
    }
}

/// Why a file is no part of any series. Says nothing of its values.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// Without the causes, which may repeat the value that could not be read.
    #[error("not readable: {0}")]
    NotDicom(#[from] Part10Error),
    #[error("StudyInstanceUID: {0}")]
    Study(UidError),
    #[error("SeriesInstanceUID: {0}")]
    Series(UidError),
}

/// Everything before the pixel data, and the series it belongs to.
fn read_head(file: &Path) -> Result<(SeriesKey, Dataset), Unusable> {
    let object = part10::parse_header(std::fs::File::open(file).map_err(Part10Error::from)?)?;
    let dataset = object.into_inner();
    let study = uid_of(&dataset, tags::STUDY_INSTANCE_UID).map_err(Unusable::Study)?;
    let series = uid_of(&dataset, tags::SERIES_INSTANCE_UID).map_err(Unusable::Series)?;
    Ok((SeriesKey { study, series }, dataset))
}

/// Files of each series below `path`.
pub type SeriesFiles = BTreeMap<SeriesKey, Vec<PathBuf>>;

/// The readable DICOM files below `path` by series, and a line for each of the others.
pub fn series_in(path: &Path) -> Result<(SeriesFiles, Vec<String>), RulesError> {
    let (mut series, mut unreadable) = (SeriesFiles::new(), Vec::new());
    for file in files_under(path)? {
        match read_head(&file) {
            Ok((key, _)) => series.entry(key).or_default().push(file),
            Err(reason) => unreadable.push(format!("{}: {reason}", file.display())),
        }
    }
    Ok((series, unreadable))
}

/// The file itself, or all files of the folder and its subfolders, sorted; links to folders are not followed.
pub fn files_under(path: &Path) -> Result<Vec<PathBuf>, RulesError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| RulesError::Folder { path, source }
    };
    if !std::fs::metadata(path).map_err(at(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry.map_err(at(&folder))?;
            let kind = entry.file_type().map_err(at(&folder))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() || entry.path().is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.instances == 1 { "" } else { "s" };
        write!(f, "series {}: {} instance{plural}, {}", self.key.series, self.instances, self.verdict.name())?;
        if let Some(orientation) = self.summary.orientation {
            write!(f, ", {}", orientation.name())?;
        }
        if let Some(spacing) = self.summary.facts.spacing_between_slices {
            write!(f, ", {spacing:.3} mm apart")?;
        }
        write!(f, "\n{}", self.explanation)
    }
}

/// All that is said of the files.
struct Answer<'a> {
    series: &'a [Explained],
    /// What the rules of whole studies say.
    studies: Vec<(Uid, StudyRouting)>,
    unreadable: &'a [(PathBuf, Unusable)],
}

impl Answer<'_> {
    fn print_tree(&self, out: &mut dyn Write) -> std::io::Result<()> {
        self.series.iter().try_for_each(|explained| writeln!(out, "{explained}"))?;
        for (study, routing) in &self.studies {
            writeln!(out, "study {study}, rules of the whole study:\n{routing}")?;
        }
        if !self.unreadable.is_empty() {
            writeln!(out, "not read:")?;
        }
        self.unreadable.iter().try_for_each(|(path, reason)| writeln!(out, "  {}: {reason}", path.display()))
    }

    fn print_json(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let series = self.series.iter().map(|s| {
            json!({
                "study": s.key.study, "series": s.key.series, "instances": s.instances, "geometry": s.verdict,
                "summary": s.summary, "explanation": s.explanation,
            })
        });
        let studies = self.studies.iter().map(|(study, routing)| json!({ "study": study, "explanation": routing }));
        let unreadable = self
            .unreadable
            .iter()
            .map(|(path, reason)| json!({ "path": path.display().to_string(), "reason": reason.to_string() }));
        let (series, studies, unreadable): (Vec<_>, Vec<_>, Vec<_>) =
            (series.collect(), studies.collect(), unreadable.collect());
        writeln!(out, "{:#}", json!({ "series": series, "studies": studies, "unreadable": unreadable }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_object::FileMetaTableBuilder;

    /// A slice of a 1 mm T1 head; `study` may be no UID.
    fn write_slice(path: &Path, study: &str, number: usize) {
        let text = |tag, vr, value: &str| {
            let values: Vec<String> = value.split('\\').map(str::to_owned).collect();
            DataElement::new(tag, vr, PrimitiveValue::Strs(values.into()))
        };
        let instance = format!("1.2.3.{}", number + 1);
        let dataset = Dataset::from_element_iter([
            text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.4"),
            text(tags::SOP_INSTANCE_UID, VR::UI, &instance),
            text(tags::MODALITY, VR::CS, "MR"),
            text(tags::SERIES_DESCRIPTION, VR::LO, "sag T1"),
            text(tags::STUDY_INSTANCE_UID, VR::UI, study),
            text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3"),
            text(tags::PATIENT_NAME, VR::PN, "SECRET^NAME"),
            text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("{number}\\0\\0")),
            text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\-1"),
            text(tags::PIXEL_SPACING, VR::DS, "1\\1"),
            DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(2_u16)),
            DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(2_u16)),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from([0_u8; 8])),
        ]);
        let meta = FileMetaTableBuilder::new().transfer_syntax("1.2.840.10008.1.2.1");
        dataset.with_meta(meta).unwrap().write_to_file(path).unwrap();
    }

    fn explain_folder(folder: &Path, json: bool) -> (Result<(), RulesError>, String) {
        let args = ExplainArgs {
            target: folder.to_str().unwrap().to_owned(),
            config: Path::new(env!("CARGO_MANIFEST_DIR")).join("config"),
            json,
            now: false,
            calling_ae: "MR1".into(),
            called_ae: None,
            sender: "cli".into(),
        };
        let mut out = Vec::new();
        let result = crate::cli::rules::run(&crate::cli::rules::RulesCommand::Explain(args), &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_folder_is_explained_series_by_series() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deeper")).unwrap();
        for number in 0..60 {
            let place = if number % 2 == 0 { "a" } else { "deeper/a" };
            write_slice(&folder.path().join(format!("{place}{number}.dcm")), "1.2", number);
        }
        let (result, printed) = explain_folder(folder.path(), false);
        assert!(result.is_ok(), "{printed}");
        for line in [
            "series 1.2.3: 60 instances, regular, sagittal, 1.000 mm apart",
            "✓ brain T1 (line ",
            "fires: brain-mask -> orthanc",
            "✓ slices: at least 60; found \"60\"",
            "✗ ImageType: \"LOCALIZER\"; found missing",
        ] {
            assert!(printed.contains(line), "{line}\n{printed}");
        }
        let (_, printed) = explain_folder(folder.path(), true);
        let answer: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(answer["series"][0]["explanation"]["rules"][1]["outcome"]["pipeline"], "brain-mask");
        assert_eq!(answer["series"][0]["geometry"]["verdict"], "regular");
    }

    #[test]
    fn what_cannot_be_read_is_listed_without_its_values() {
        let folder = tempfile::tempdir().unwrap();
        write_slice(&folder.path().join("good.dcm"), "1.2", 0);
        write_slice(&folder.path().join("no-study.dcm"), "SECRET", 1);
        std::fs::write(folder.path().join("notes.txt"), "SECRET notes ".repeat(20)).unwrap();
        let (result, printed) = explain_folder(folder.path(), false);
        let error = result.unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (3, "2 of 3 files could not be read, see above"));
        let listed = printed.split("not read:\n").nth(1).unwrap();
        assert!(listed.contains("no-study.dcm: StudyInstanceUID: the UID holds a character"), "{printed}");
        assert!(listed.contains("notes.txt: not readable: it has no DICM prefix"), "{printed}");
        assert!(!printed.contains("SECRET"), "{printed}");
        assert!(printed.starts_with("series 1.2.3: 1 instance, single-slice"), "{printed}");
    }

    #[test]
    fn a_path_without_files_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(explain_folder(folder.path(), false).0, Err(RulesError::Empty(_))));
        let absent = folder.path().join("absent");
        assert!(matches!(explain_folder(&absent, false).0, Err(RulesError::NoSuchTarget(_))));
    }
}
