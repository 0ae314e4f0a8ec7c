//! `model.toml`: text -> [`RawModel`], key by key, so that every key that is absent, unknown or of another type is told
//! in one run, each with its line, what is allowed there and a hint.
//!
//! Judges the form alone; what the values have to be is for `manifest`. What is absent or of another type is replaced
//! by something `manifest` lets pass. Does no I/O.

use toml::de::DeValue;

use super::package::{Cleanup, Decision};
use super::raw::{
    RawChannel, RawGrid, RawInput, RawIntensity, RawLabel, RawMetadata, RawModel, RawNamed, RawSegmentName, RawStage,
    TextOrNumber,
};
use crate::config::Fault;
use crate::config::section::{self, Entry, Section};
use crate::dicom::Code;

/// A digest that stands for one that could not be read.
const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What could be read of a model in the folder `folder`, and the faults of the form in the order of the file.
pub(super) fn read(text: &str, folder: &str) -> (RawModel, Vec<Fault>) {
    section::read("model.toml", text, |root| model(root, folder))
}

fn model(root: &Section<'_>, folder: &str) -> RawModel {
    let word = |key| needed(root, key, TEXT, text).unwrap_or_else(|| "-".to_owned());
    let labels = || ["label", "labels", "metadata"].into_iter().filter_map(|key| root.get(key));
    let empty = |entry: &Entry<'_>| entry.value().as_array().is_some_and(|items| items.is_empty());
    RawModel {
        id: needed(root, "id", TEXT, text).unwrap_or_else(|| folder.to_owned()),
        name: word("name"),
        version: word("version"),
        kind: needed(root, "kind", TEXT, text).unwrap_or_else(|| "volume".to_owned()),
        manufacturer: word("manufacturer"),
        licence: word("licence"),
        source: word("source"),
        install: word("install"),
        memory_mb: needed(root, "memory_mb", "MB, a whole number", whole).unwrap_or(1),
        input: input(root).unwrap_or(RawInput { modality: Vec::new(), expects: String::new() }),
        channel: root.get("channel").map(|channels| tables(&channels, "channel", channel)).unwrap_or_default(),
        stage: needed(root, "stage", "one or more [[stage]]", |stages| Some(tables(stages, "stage", stage))),
        descriptions: labels().filter(|entry| !empty(entry)).count(),
        label: root.get("label").map(|labels| tables(&labels, "label", label)).unwrap_or_default(),
        labels: root.get("labels").and_then(|set| text(&set)),
        metadata: root.section("metadata").and_then(|table| metadata(&table)),
    }
}

fn input(root: &Section<'_>) -> Option<RawInput> {
    let table = root.required("input", "a table with modality and expects")?.section()?;
    let modality = needed(&table, "modality", TEXTS, |entry| list(entry, TEXTS, text));
    let expects = needed(&table, "expects", TEXT, text);
    table.finish();
    Some(RawInput { modality: modality?, expects: expects? })
}

fn channel(table: &Section<'_>, position: usize) -> RawChannel {
    RawChannel {
        name: needed(table, "name", TEXT, text).unwrap_or_else(|| format!("#{position}")),
        intensity: steps(table).unwrap_or_default(),
    }
}

fn stage(table: &Section<'_>, position: usize) -> RawStage {
    let name = needed(table, "name", TEXT, text);
    let file = needed(table, "file", TEXT, text);
    let sha256 = needed(table, "sha256", TEXTS, |entry| list(entry, TEXTS, text));
    let tensor = |key| needed(table, key, "the name of a tensor of the network", text).unwrap_or_default();
    let (input, output) = (tensor("input"), tensor("output"));
    let grid = needed(table, "grid", "a table with kind", grid);
    let intensity = steps(table);
    let decide = needed(table, "decide", "a table with kind", decision);
    let cleanup = table.get("cleanup").and_then(|entry| list(&entry, "a list", |step| step.choice(&CLEANUPS)));
    RawStage {
        whole: name.is_some() && grid.is_some() && intensity.is_some() && decide.is_some(),
        name: name.unwrap_or_else(|| format!("#{position}")),
        file: file.unwrap_or_else(|| "-.onnx".to_owned()),
        sha256: sha256.unwrap_or_else(|| vec![DIGEST.to_owned()]),
        input,
        output,
        grid,
        intensity,
        decide,
        cleanup: cleanup.unwrap_or_default(),
    }
}

const CLEANUPS: [(&str, Cleanup); 3] = [
    ("largest_component", Cleanup::LargestComponent { corners: false }),
    ("largest_component_corners", Cleanup::LargestComponent { corners: true }),
    ("fill_holes", Cleanup::FillHoles),
];

/// Finds the word that `key` of a table has to be, which decides over its other keys.
fn word_of(table: &Section<'_>, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
    let pairs: Vec<(&str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
    table.required(key, &words.join(", "))?.choice(&pairs)
}

fn grid(entry: &Entry<'_>) -> Option<RawGrid> {
    let table = &entry.section()?;
    let kind = word_of(table, "kind", &["conform", "crop", "resize", "part"])?;
    let axes = || needed(table, "axes", TEXT, text).unwrap_or_else(|| "RAS".to_owned());
    let size = || needed(table, "size", "voxels, a whole number", count).unwrap_or(16);
    let real = |key, instead| needed(table, key, "a number", number).unwrap_or(instead);
    let around = || needed(table, "around", "the name of an earlier stage", text);
    let read = match kind {
        "conform" => Some(RawGrid::Conform { axes: axes(), size: size(), spacing: real("spacing", 1.0) }),
        "resize" => Some(RawGrid::Resize { axes: axes(), size: size() }),
        "crop" => {
            let (around, margin) = (around(), needed(table, "margin", "voxels, a whole number", count));
            around.map(|around| RawGrid::Crop { around, margin: margin.unwrap_or(0) })
        }
        _ => {
            let (around, size) = (around(), size());
            let (occupancy, scale) = (real("occupancy", 0.0), real("scale", 1.0));
            around.map(|around| RawGrid::Part { around, size, occupancy, scale })
        }
    };
    table.finish();
    read
}

/// The steps of intensity, none where the key is absent; `None` where they cannot be judged.
fn steps(table: &Section<'_>) -> Option<Vec<RawIntensity>> {
    table.get("intensity").map_or(Some(Vec::new()), |entry| list(&entry, "a list of tables with step", step))
}

fn step(entry: &Entry<'_>) -> Option<RawIntensity> {
    let table = &entry.section()?;
    let step = word_of(table, "step", &["bytes", "fixed_window", "min_max", "window", "window_of", "standardise"])?;
    let real = |key| needed(table, key, "a number", number);
    let pair = |a, b| {
        let (a, b) = (real(a), real(b));
        a.zip(b)
    };
    let read = match step {
        "bytes" => real("quantile").map(|quantile| RawIntensity::Bytes { quantile }),
        "fixed_window" => pair("low", "high").map(|(low, high)| RawIntensity::FixedWindow { low, high }),
        "min_max" => Some(RawIntensity::MinMax),
        "window" => pair("low", "high").map(|(low, high)| RawIntensity::Window { low, high }),
        "window_of" => {
            needed(table, "stage", "the name of an earlier stage", text).map(|stage| RawIntensity::WindowOf { stage })
        }
        _ => pair("mean", "deviation").map(|(mean, deviation)| RawIntensity::Standardise { mean, deviation }),
    };
    table.finish();
    read
}

fn decision(entry: &Entry<'_>) -> Option<Decision> {
    let table = &entry.section()?;
    let kind = word_of(table, "kind", &["argmax", "threshold"])?;
    let classes = needed(table, "classes", "a whole number", count);
    let read = if kind == "argmax" {
        classes.map(|classes| Decision::Argmax { classes })
    } else {
        let channel = needed(table, "channel", "a whole number", count);
        let above = needed(table, "above", "a number", number);
        classes.zip(channel).zip(above).map(|((classes, channel), above)| Decision::Threshold {
            classes,
            channel,
            above: above as f32,
        })
    };
    table.finish();
    read
}

fn label(table: &Section<'_>, _: usize) -> RawLabel {
    let code = |key, instead: &Code| given(table, key, code, || instead.clone());
    let any = Code::new("0", "99", "-");
    let mut read = RawLabel {
        value: needed(table, "value", "a whole number from 1 to 255", |e| Some(e.whole(0, 255)? as u8)),
        structure: table.get("structure").and_then(|entry| text(&entry)),
        name: given(table, "name", text, || "-".to_owned()),
        category: code("category", &any),
        code: code("code", &any),
        modifier: code("modifier", &any),
        region: code("region", &any),
        region_modifier: code("region_modifier", &any),
        color: given(table, "color", color, || [0; 3]),
    };
    // A structure of another type leaves open what the other keys have to say.
    if read.structure.is_none() && table.get("structure").is_some() {
        read.name.get_or_insert_with(|| "-".to_owned());
        read.code.get_or_insert(any);
        read.color.get_or_insert([0; 3]);
    }
    read
}

fn code(entry: &Entry<'_>) -> Option<Code> {
    let table = entry.section()?;
    let [value, scheme, meaning] = ["value", "scheme", "meaning"].map(|key| needed(&table, key, TEXT, text));
    table.finish();
    Some(Code::new(&value?, &scheme?, &meaning?))
}

fn color(entry: &Entry<'_>) -> Option<[u8; 3]> {
    const ALLOWED: &str = "three whole numbers from 0 to 255: [red, green, blue]";
    let parts = list(entry, ALLOWED, |part| part.whole(0, 255))?;
    <[u64; 3]>::try_from(parts).map_or_else(|_| entry.refuse(ALLOWED, None), |parts| Some(parts.map(|part| part as u8)))
}

/// `None` where a key is not as it should be.
pub(super) fn metadata(table: &Section<'_>) -> Option<RawMetadata> {
    let word = |key| given(table, key, |entry| text(entry).map(Some), || None);
    let names = given(table, "segment_names", |names| list(names, "a list", segment_name).map(Some), || None);
    let texts = [
        word("path"),
        word("algorithm_name"),
        word("algorithm_version"),
        word("manufacturer"),
        word("manufacturer_model_name"),
        word("series_description"),
        word("body_part_examined"),
        word("clinical_trial_series_id"),
        word("clinical_trial_time_point_id"),
    ];
    table.finish();
    let sound = texts.iter().all(|text| *text != Some(None));
    let segment_names = names.unwrap_or_else(|| Some(Vec::new())).filter(|_| sound)?;
    let [
        path,
        algorithm_name,
        algorithm_version,
        manufacturer,
        manufacturer_model_name,
        series_description,
        body_part_examined,
        clinical_trial_series_id,
        clinical_trial_time_point_id,
    ] = texts.map(Option::flatten);
    Some(RawMetadata {
        path,
        algorithm_name,
        algorithm_version,
        manufacturer,
        manufacturer_model_name,
        series_description,
        body_part_examined,
        clinical_trial_series_id,
        clinical_trial_time_point_id,
        segment_names,
    })
}

fn segment_name(entry: &Entry<'_>) -> Option<RawSegmentName> {
    if let DeValue::String(name) = entry.value() {
        return Some(RawSegmentName::Name(name.clone().into_owned()));
    }
    let table = &entry.section()?;
    let word = |key| table.get(key).and_then(|entry| text(&entry));
    let named = RawNamed {
        name: word("name").unwrap_or_default(),
        number: table.get("number").and_then(|entry| whole(&entry)),
        label: word("label"),
        tracking_id: word("tracking_id"),
        code: table.get("code").and_then(|entry| text_or_number(&entry)),
        scheme: word("scheme"),
        category_number: table.get("category_number").and_then(|entry| text_or_number(&entry)),
    };
    table.finish();
    Some(RawSegmentName::Full(named))
}

fn text_or_number(entry: &Entry<'_>) -> Option<TextOrNumber> {
    match entry.value() {
        DeValue::String(text) => Some(TextOrNumber::Text(text.clone().into_owned())),
        _ => entry.whole(0, u64::from(u32::MAX)).map(TextOrNumber::Number),
    }
}

const TEXT: &str = "text between quotes";
const TEXTS: &str = "a list of texts";

/// Any text; how long it may be is for `manifest` to say.
fn text(entry: &Entry<'_>) -> Option<String> {
    match entry.value() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        _ => entry.refuse(TEXT, None),
    }
}

fn number(entry: &Entry<'_>) -> Option<f64> {
    entry.number()
}

fn whole(entry: &Entry<'_>) -> Option<u64> {
    entry.whole(0, u64::from(u32::MAX))
}

fn count(entry: &Entry<'_>) -> Option<usize> {
    whole(entry).and_then(|number| usize::try_from(number).ok())
}

/// The key has to be there.
fn needed<T>(
    table: &Section<'_>,
    key: &'static str,
    allowed: &str,
    read: impl FnOnce(&Entry<'_>) -> Option<T>,
) -> Option<T> {
    read(&table.required(key, allowed)?)
}

/// The key may be absent; `instead` stands where it cannot be read.
fn given<T>(
    table: &Section<'_>,
    key: &'static str,
    read: impl FnOnce(&Entry<'_>) -> Option<T>,
    instead: impl FnOnce() -> T,
) -> Option<T> {
    table.get(key).map(|entry| read(&entry).unwrap_or_else(instead))
}

/// All items are read; `None` when one of them cannot be.
fn list<T>(entry: &Entry<'_>, allowed: &str, read: impl Fn(&Entry<'_>) -> Option<T>) -> Option<Vec<T>> {
    if !matches!(entry.value(), DeValue::Array(_)) {
        return entry.refuse(allowed, None);
    }
    let items: Vec<Option<T>> = entry.items().iter().map(read).collect();
    items.into_iter().collect()
}

/// The tables `[[name]]`, each called by its position, from 1.
fn tables<T>(entry: &Entry<'_>, name: &str, read: impl Fn(&Section<'_>, usize) -> T) -> Vec<T> {
    let hint = || Some(format!("write [[{name}]] in double brackets, once for each"));
    if !matches!(entry.value(), DeValue::Array(_)) {
        return entry.refuse("a list of tables", hint()).unwrap_or_default();
    }
    let one = |(position, item): (usize, &Entry<'_>)| {
        let table = item.section()?.called(format!("{name}[{position}]"));
        let value = read(&table, position);
        table.finish();
        Some(value)
    };
    (1..).zip(&entry.items()).filter_map(one).collect()
}
