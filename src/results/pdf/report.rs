//! What a report says, as texts: whose images, what was found in them, by which model. Knows nothing of pages.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::name;
use super::plate::Plates;
use crate::dicom::{readable, texts};
use crate::results::modules::moment;
use crate::results::{Letterhead, ResultContext, SourceSeries};
use crate::volume::{Measured, Segment, Segmentation, Values};

pub(super) const TITLE: &str = "AI analysis report";
pub(super) const DISCLAIMER: &str = "AI result - not for diagnostic use. Research software, not a medical device.";
/// Shown where an attribute is empty.
const NONE: &str = "–";

/// A heading's or a value's name, and what stands there.
pub(super) type Field = (&'static str, String);

/// One structure that the model looks for.
#[derive(Debug)]
pub(super) struct Row {
    pub label: u8,
    pub color: [u8; 3],
    pub name: String,
    /// One text for each of [`Report::columns`]; none where it was not found.
    pub values: Vec<String>,
    pub touches_border: bool,
}

/// A report before it has pages.
#[derive(Debug)]
pub(super) struct Report {
    /// The patient in a line, repeated on every page.
    pub patient: String,
    /// The name as it is shown: alphabetic, ideographic, phonetic.
    pub names: Vec<String>,
    pub study: Vec<Field>,
    pub series: Vec<Field>,
    pub verdict: String,
    /// Headings of the numbers of a row.
    pub columns: Vec<&'static str>,
    pub rows: Vec<Row>,
    pub notes: Vec<String>,
    pub model: Vec<Field>,
    /// The node and its program, at the foot of every page.
    pub node: String,
    pub plates: Option<Plates>,
    /// Of the values of the source's voxels.
    pub unit: Unit,
}

impl Report {
    pub fn of(
        source: &SourceSeries,
        finding: &Segmentation,
        measured: &[Measured],
        plates: Option<Plates>,
        letterhead: &Letterhead,
        context: &ResultContext,
    ) -> Report {
        let unit = Unit::of(source);
        let names = name::groups(&readable(source.header(), tags::PATIENT_NAME).unwrap_or_default());
        let found = finding.segments.iter().filter(|segment| measurement(measured, segment).is_some()).count();
        Report {
            patient: patient_line(source, &names),
            study: study(source),
            series: series(source),
            verdict: verdict(finding, found),
            columns: columns(finding, measured, unit),
            rows: rows(finding, measured),
            notes: notes(finding, measured, unit),
            model: model(finding, source, context),
            node: format!("{}, Sagittal {}", letterhead.node, context.node_version),
            names,
            plates,
            unit,
        }
    }

    /// Every text of the report, so that fonts can be found for it.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let fields = [&self.study, &self.series, &self.model].into_iter().flatten().map(|(_, value)| value);
        let rows = self.rows.iter().flat_map(|row| row.values.iter().chain([&row.name]));
        let own = [&self.patient, &self.verdict, &self.node].into_iter().chain(&self.names).chain(&self.notes);
        own.chain(fields).chain(rows).map(String::as_str)
    }
}

/// What the voxels' values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Hounsfield,
    /// Without a unit that means the same on another scanner.
    Signal,
}

impl Unit {
    fn of(source: &SourceSeries) -> Unit {
        let is_ct = crate::dicom::text(source.header(), tags::MODALITY).as_deref() == Some("CT");
        if is_ct { Unit::Hounsfield } else { Unit::Signal }
    }

    pub fn suffix(self) -> &'static str {
        if self == Unit::Hounsfield { " HU" } else { "" }
    }
}

fn field(source: &SourceSeries, tag: Tag) -> Option<String> {
    readable(source.header(), tag).filter(|value| !value.is_empty())
}

fn or_none(value: Option<String>) -> String {
    value.unwrap_or_else(|| NONE.into())
}

fn patient_line(source: &SourceSeries, names: &[String]) -> String {
    let of = |what: &str, tag: Tag| field(source, tag).map(|value| format!("{what} {value}"));
    let born = field(source, tags::PATIENT_BIRTH_DATE).map(|date| format!("born {}", day(&date)));
    let parts = [names.first().cloned(), of("ID", tags::PATIENT_ID), born, of("accession", tags::ACCESSION_NUMBER)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ·  ")
}

fn study(source: &SourceSeries) -> Vec<Field> {
    let issuer = field(source, tags::ISSUER_OF_PATIENT_ID).map(|issuer| format!(" ({issuer})")).unwrap_or_default();
    let id = field(source, tags::PATIENT_ID).map(|id| id + &issuer);
    let sex = field(source, tags::PATIENT_SEX).map(|sex| match sex.as_str() {
        "M" => "male".into(),
        "F" => "female".into(),
        "O" => "other".into(),
        _ => sex,
    });
    let born = field(source, tags::PATIENT_BIRTH_DATE).map(|date| day(&date));
    let time = field(source, tags::STUDY_TIME).map(|time| clock(&time)).unwrap_or_default();
    let performed = field(source, tags::STUDY_DATE).map(|date| format!("{} {time}", day(&date)).trim_end().to_owned());
    vec![
        ("Patient ID", or_none(id)),
        ("Study date", or_none(performed)),
        ("Birth date", or_none(born)),
        ("Accession number", or_none(field(source, tags::ACCESSION_NUMBER))),
        ("Sex", or_none(sex)),
        ("Study", or_none(field(source, tags::STUDY_DESCRIPTION))),
    ]
}

fn series(source: &SourceSeries) -> Vec<Field> {
    let number = field(source, tags::SERIES_NUMBER).map(|number| format!("{number}: ")).unwrap_or_default();
    let description = field(source, tags::SERIES_DESCRIPTION);
    let described = format!("{number}{}", description.as_deref().unwrap_or(NONE));
    let plane = &source.slices()[0].plane;
    let images = format!("{} of {} x {} pixels", source.slices().len(), plane.columns, plane.rows);
    vec![
        ("Series", described),
        ("Modality", or_none(field(source, tags::MODALITY))),
        ("Images", images),
        ("Body part", or_none(field(source, tags::BODY_PART_EXAMINED))),
    ]
}

fn verdict(finding: &Segmentation, found: usize) -> String {
    let all = finding.segments.len();
    match (found, all) {
        (0, _) => "Nothing found: the model ran and marked no voxel.".into(),
        (_, 1) => format!("Found: {}", finding.segments[0].name),
        (found, all) if found == all => format!("All {all} structures found"),
        (found, all) => format!("{found} of {all} structures found"),
    }
}

fn measurement<'m>(measured: &'m [Measured], segment: &Segment) -> Option<&'m Measured> {
    measured.iter().find(|measured| measured.label == segment.label)
}

fn columns(finding: &Segmentation, measured: &[Measured], unit: Unit) -> Vec<&'static str> {
    let mut columns = vec!["Volume\nmL", "Long axis\nmm", "Short axis\nmm"];
    if !finding.thresholds.is_empty() {
        columns.push("Threshold\noutput >");
    }
    if !finding.probabilities.is_empty() {
        columns.push("Probability\nmean %");
    }
    if measured.iter().any(|measured| measured.values.is_some()) {
        columns.extend(match unit {
            Unit::Hounsfield => ["Mean\nHU", "SD\nHU", "Median\nHU", "5–95 %\nHU"],
            Unit::Signal => ["Mean\nsignal", "SD\nsignal", "Median\nsignal", "5–95 %\nsignal"],
        });
    }
    columns
}

/// Those that were found first, in the model's order.
fn rows(finding: &Segmentation, measured: &[Measured]) -> Vec<Row> {
    let row = |(place, segment): (usize, &Segment)| {
        let own = measurement(measured, segment);
        Row {
            label: segment.label,
            color: segment.color,
            name: segment.name.clone(),
            values: own.map(|own| values(finding, own, place)).unwrap_or_default(),
            touches_border: own.is_some_and(|own| own.touches_border),
        }
    };
    let (found, absent): (Vec<Row>, Vec<Row>) =
        finding.segments.iter().enumerate().map(row).partition(|row| !row.values.is_empty());
    found.into_iter().chain(absent).collect()
}

/// One text for each of [`columns`].
fn values(finding: &Segmentation, measured: &Measured, place: usize) -> Vec<String> {
    let mut values = vec![
        volume(measured.volume),
        format!("{:.1}", measured.caliper.long),
        format!("{:.1}", measured.caliper.short),
    ];
    if !finding.thresholds.is_empty() {
        values.push(finding.thresholds.get(&measured.label).map_or_else(|| NONE.into(), f32::to_string));
    }
    values.extend(probability(finding, place, measured.label).map(|share| format!("{:.0}", share * 100.0)));
    if let Some(Values { mean, deviation, median, percentiles: [low, high], .. }) = measured.values {
        let [mean, deviation, median, low, high] = [mean, deviation, median, low, high].map(number);
        values.extend([mean, deviation, median, format!("{low} – {high}")]);
    }
    values
}

/// Millilitres of so many mm3, with three digits at least where there are as many.
fn volume(cubic_millimetres: f64) -> String {
    let ml = cubic_millimetres / 1000.0;
    match ml {
        100.0.. => format!("{ml:.1}"),
        1.0.. => format!("{ml:.2}"),
        _ => format!("{ml:.4}"),
    }
}

fn number(value: f64) -> String {
    let text = if value.abs() < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    if matches!(text.as_str(), "-0" | "-0.0") { text[1..].to_owned() } else { text }
}

/// The mean probability of the structure within its own voxels.
fn probability(finding: &Segmentation, place: usize, label: u8) -> Option<f64> {
    let shares = finding.probabilities.get(place)?;
    let (mut sum, mut count) = (0_u64, 0_u64);
    for layer in finding.layers() {
        for (_, share) in layer.iter().zip(shares).filter(|(own, _)| **own == label) {
            (sum, count) = (sum + u64::from(*share), count + 1);
        }
    }
    (count > 0).then(|| sum as f64 / count as f64 / 255.0)
}

fn notes(finding: &Segmentation, measured: &[Measured], unit: Unit) -> Vec<String> {
    let mut notes = vec![
        "Volume: voxels counted, their depth taken from the positions of the images. Long axis: the longest distance \
         within one image; short axis: across it."
            .to_owned(),
    ];
    if !finding.thresholds.is_empty() {
        notes.push("Threshold: a voxel counts where the model's output for the structure is above.".into());
    }
    if measured.iter().any(|measured| measured.values.is_some()) {
        let values = match unit {
            Unit::Hounsfield => "Hounsfield units",
            Unit::Signal => "values as stored, which have no unit that can be compared between examinations",
        };
        notes.push(format!("Statistics of the original voxels, not resampled: {values}. SD: standard deviation."));
    }
    if measured.iter().any(|measured| measured.touches_border) {
        notes.push("† reaches the border of the images and may go on outside: its measures are lower limits.".into());
    }
    notes
}

fn model(finding: &Segmentation, source: &SourceSeries, context: &ResultContext) -> Vec<Field> {
    let algorithm = &finding.algorithm;
    let (date, time) = moment(context.started_at, source, context);
    let by = if algorithm.manufacturer.is_empty() { String::new() } else { format!(", {}", algorithm.manufacturer) };
    let digest: String = algorithm.digest.chars().take(16).collect();
    vec![
        ("Model", format!("{} {}{by}", algorithm.name, algorithm.version)),
        ("Weights (SHA-256)", if digest.is_empty() { NONE.into() } else { digest + "…" }),
        ("Analysed", format!("{} {}", day(&date), clock(&time))),
        ("Pipeline", context.series_description.clone()),
        ("Study UID", source.study().to_string()),
        ("Series UID", source.series().to_string()),
    ]
}

/// A date (DA) as ISO 8601 writes it; what is none stays as it is.
fn day(date: &str) -> String {
    let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
    if is_date { format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]) } else { date.to_owned() }
}

/// Hours and minutes of a time (TM).
fn clock(time: &str) -> String {
    let is_time = time.len() >= 4 && time.bytes().take(4).all(|b| b.is_ascii_digit());
    if is_time { format!("{}:{}", &time[..2], &time[2..4]) } else { String::new() }
}

/// The character sets that the source declares.
pub(super) fn declared(source: &SourceSeries) -> Vec<String> {
    texts(source.header(), tags::SPECIFIC_CHARACTER_SET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::{Code, Plane};
    use crate::volume::{Algorithm, Grid, Slab, measure};

    /// Two voxels in labels 1 and 2.
    fn finding(thresholds: &[(u8, f32)]) -> Segmentation {
        let code = Code::new("1", "99X", "x");
        let segment = |label| Segment {
            label,
            name: String::new(),
            category: code.clone(),
            property: code.clone(),
            modifier: None,
            region: None,
            region_modifier: None,
            color: [0; 3],
        };
        let none = String::new();
        let algorithm =
            Algorithm { name: none.clone(), version: none.clone(), manufacturer: none.clone(), digest: none };
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let grid = Grid { size: [2, 1, 1], origin: [0.0; 3], axes };
        let labels = ndarray::arr3(&[[[1, 2]]]);
        let found = Segmentation::of_labels(labels, grid, [1, 2].map(segment).into(), algorithm);
        Segmentation { thresholds: thresholds.iter().copied().collect(), ..found }
    }

    #[test]
    fn thresholds_have_a_column_where_the_model_states_one() {
        let [row, column] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        let (position, spacing) = ([0.0; 3], [1.0; 2]);
        let plane = Plane { position, row, column, spacing, rows: 1, columns: 2, frame_of_reference: None };
        let table = |finding: &Segmentation| {
            let measured = measure(finding, None, &[Slab { plane: &plane, thickness: 1.0 }]);
            let thresholds = |row: Row| row.values.get(3).cloned();
            let headings = columns(finding, &measured, Unit::Signal);
            (headings.len(), rows(finding, &measured).into_iter().map(thresholds).collect::<Vec<_>>())
        };
        assert_eq!(table(&finding(&[])), (3, vec![None, None]));
        let stated = [Some("0.5".to_owned()), Some(NONE.to_owned())];
        assert_eq!(table(&finding(&[(1, 0.5)])), (4, stated.into()));
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        assert_eq!([1_432_123.0, 12_345.6, 12.34, 0.05].map(volume), ["1432.1", "12.35", "0.0123", "0.0001"]);
        assert_eq!([-812.4, 34.56, -0.01, 0.0].map(number), ["-812", "34.6", "0.0", "0.0"]);
    }

    #[test]
    fn dates_and_times_read_well_and_nothing_is_lost() {
        assert_eq!(["20261121", "2026", ""].map(day), ["2026-11-21", "2026", ""]);
        assert_eq!(["101500.123", "1015", "x"].map(clock), ["10:15", "10:15", ""]);
    }
}
