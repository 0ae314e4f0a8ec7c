//! `model.toml`: text -> raw -> [`ModelPackage`]. Every fault of a file is reported at once, each with its key and
//! what to write instead. Does no I/O.

use std::path::Path;

use super::InferenceError;
use super::labels::{self, Beside};
use super::package::{
    AxisCodes, Channel, Decision, GridRule, InputNeeds, IntensityStep, ModelFile, ModelKind, ModelPackage, Stage,
};
use super::raw::{RawChannel, RawGrid, RawIntensity, RawModel, RawStage};
use super::shape;
use crate::config::Fault;
use crate::dicom::sha256;
use crate::volume::Segment;

/// Reads the text of `folder/model.toml`; `folder` is only named in the result, never opened.
pub fn parse(text: &str, folder: &Path, beside: &Beside<'_>) -> Result<ModelPackage, InferenceError> {
    let file = folder.join("model.toml");
    let (raw, misshapen) = shape::read(text, &folder.file_name().unwrap_or_default().to_string_lossy());
    let broken = misshapen.iter().any(|fault| fault.key.is_empty());
    let mut lines: Vec<(usize, String)> = misshapen.into_iter().map(|fault| (fault.line, in_one_line(fault))).collect();
    let mut faults = Faults::default();
    let package = check(raw, text, folder, beside, &mut faults);
    // Behind broken syntax half of the file may be absent.
    if !broken {
        lines.extend(faults.placed(text));
    }
    if lines.is_empty() {
        return Ok(package);
    }
    lines.sort_by_key(|(line, _)| *line);
    let lines: Vec<String> = lines.iter().map(|(line, told)| format!("{}:{line}: {told}", file.display())).collect();
    Err(InferenceError::Package { file, faults: lines.join("\n") })
}

fn in_one_line(fault: Fault) -> String {
    let key = if fault.key.is_empty() { String::new() } else { format!("{}: ", fault.key) };
    let hint = fault.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let told = format!("{key}found {}, allowed {}{hint}", fault.found, fault.allowed);
    told.replace(char::is_control, " ")
}

/// What is wrong, each with the table or key where it stands.
#[derive(Default)]
pub(super) struct Faults(Vec<(At, String)>);

#[derive(Clone, Copy)]
pub(super) enum At {
    Key(&'static str),
    /// Position among the tables of this name.
    Table(&'static str, usize),
}

impl Faults {
    pub fn push(&mut self, at: At, text: String) {
        self.0.push((at, text));
    }

    /// Each with its line.
    fn placed(self, text: &str) -> Vec<(usize, String)> {
        let table = toml::de::DeTable::parse(text).ok();
        let start = |at: At| {
            let table = table.as_ref()?.get_ref();
            match at {
                At::Key(key) => table.get_key_value(key).map(|(name, _)| name.span().start),
                At::Table(key, position) => Some(table.get(key)?.get_ref().as_array()?.get(position)?.span().start),
            }
        };
        self.0.into_iter().map(|(at, told)| (line_at(text, start(at).unwrap_or(0)), told)).collect()
    }
}

/// 1-based.
pub(super) fn line_at(text: &str, position: usize) -> usize {
    text.get(..position).unwrap_or_default().matches('\n').count() + 1
}

fn check(mut raw: RawModel, text: &str, folder: &Path, beside: &Beside<'_>, faults: &mut Faults) -> ModelPackage {
    check_identity(&raw, folder, faults);
    // What a file beside model.toml says of the labels counts as much as what stands in it.
    let from_elsewhere =
        raw.labels.is_some() || raw.metadata.is_some() || raw.label.iter().any(|l| l.structure.is_some());
    let (segments, labelled, notes) = labels::read(&mut raw, beside, faults);
    let mut names: Vec<String> = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    let staged = raw.stage.is_some();
    let mut whole = true;
    for (position, stage) in raw.stage.into_iter().flatten().enumerate() {
        let (name, at) = (stage.name.clone(), At::Table("stage", position));
        whole &= stage.whole;
        if names.contains(&name) {
            faults.push(at, format!("stage `{name}`: two stages have this name; name each differently"));
        }
        let before = Before { names: &names, stages: &stages, whole };
        let checked = check_stage(stage, &before, &mut |text| faults.push(at, text));
        if whole {
            check_order(&checked, stages.first(), &mut |text| faults.push(at, text));
        }
        stages.push(checked);
        names.push(name);
    }
    if staged && whole {
        check_outputs(&stages, &segments, labelled, faults);
    }
    let channels = check_channels(raw.channel, &stages, faults);
    ModelPackage {
        id: raw.id,
        name: raw.name,
        version: notes.version.clone().unwrap_or(raw.version),
        manufacturer: notes.manufacturer.clone().unwrap_or(raw.manufacturer),
        licence: raw.licence,
        source: raw.source,
        install: raw.install,
        kind: ModelKind::Volume,
        memory: raw.memory_mb * 1_000_000,
        input: InputNeeds { modality: raw.input.modality, expects: raw.input.expects },
        channels,
        stages,
        folder: folder.to_owned(),
        manifest_sha256: if from_elsewhere {
            sha256(format!("{text}{segments:?}").as_bytes())
        } else {
            sha256(text.as_bytes())
        },
        segments,
        notes,
    }
}

/// Several series go into one network.
fn check_channels(raw: Vec<RawChannel>, stages: &[Stage], faults: &mut Faults) -> Vec<Channel> {
    if raw.len() == 1 || (raw.len() > 1 && stages.len() > 1) {
        faults
            .push(At::Key("channel"), "channel: give two or more [[channel]], to a model of one [[stage]]".to_owned());
    }
    let mut channels: Vec<Channel> = Vec::new();
    for (position, channel) in raw.into_iter().enumerate() {
        let (place, at) = (At::Table("channel", position), format!("channel `{}`", channel.name));
        if channel.name.trim().is_empty() || channels.iter().any(|known| known.name == channel.name) {
            faults.push(place, format!("{at}: give every channel a name of its own, as in `inputs` of the study rule"));
        }
        let none = Before { names: &[], stages: &[], whole: true };
        let own = check_intensity(channel.intensity, &none, &mut |text| faults.push(place, format!("{at}: {text}")));
        let usual = || stages.first().map(|stage| stage.intensity.clone()).unwrap_or_default();
        let intensity = if own.is_empty() { usual() } else { own };
        channels.push(Channel { name: channel.name, intensity });
    }
    channels
}

fn check_identity(raw: &RawModel, folder: &Path, faults: &mut Faults) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if raw.id.is_empty() || raw.id.len() > 64 || !raw.id.chars().all(plain) {
        faults.push(At::Key("id"), format!("id = \"{}\": use 1 to 64 of a-z, 0-9 and -", raw.id));
    }
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    if folder != raw.id.as_str() {
        faults.push(At::Key("id"), format!("id = \"{}\": the folder is called `{folder}`; give both one name", raw.id));
    }
    if raw.kind != ModelKind::Volume.name() {
        faults.push(At::Key("kind"), format!("kind = \"{}\": this version runs only kind = \"volume\"", raw.kind));
    }
    let required = [("name", &raw.name), ("version", &raw.version), ("manufacturer", &raw.manufacturer)];
    for (key, text) in required.into_iter().chain([("licence", &raw.licence)]) {
        if text.trim().is_empty() || text.chars().count() > 64 {
            faults.push(At::Key(key), format!("{key}: give 1 to 64 characters, DICOM objects carry it"));
        }
    }
    if raw.memory_mb == 0 {
        faults.push(At::Key("memory_mb"), "memory_mb = 0: give the peak memory of one run in MB".to_owned());
    }
}

/// The stages before one.
struct Before<'a> {
    names: &'a [String],
    stages: &'a [Stage],
    /// This and those before could be read; else nothing is said of what one asks of another.
    whole: bool,
}

impl Before<'_> {
    /// Of the stage called `name`, where it `fits`.
    fn position(&self, name: &str, fits: impl Fn(&Stage) -> bool) -> Option<usize> {
        self.names.iter().position(|known| known == name).filter(|&at| self.stages.get(at).is_some_and(fits))
    }
}

fn check_stage(raw: RawStage, before: &Before<'_>, told: &mut impl FnMut(String)) -> Stage {
    let at = format!("stage `{}`", raw.name);
    let mut say = |text: String| told(format!("{at}: {text}"));
    let path = Path::new(&raw.file);
    if path.file_name().is_none_or(|n| n != raw.file.as_str()) || path.extension().is_none_or(|e| e != "onnx") {
        say(format!("file = \"{}\": give a plain name ending in .onnx, in the model's folder", raw.file));
    }
    let sha256: Vec<String> = raw.sha256.iter().map(|s| s.to_ascii_lowercase()).collect();
    let digest = |s: &String| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit());
    if sha256.is_empty() || !sha256.iter().all(digest) {
        say("sha256: give a list of digests of 64 hexadecimal digits (`sha256sum FILE`)".to_owned());
    }
    let cropped = raw.grid.as_ref().map(|grid| matches!(grid, RawGrid::Crop { .. }));
    if cropped.zip(raw.intensity.as_ref()).is_some_and(|(cropped, steps)| cropped != steps.is_empty()) {
        say("intensity: a crop takes over the tensor it crops (leave it out); every other grid needs it".to_owned());
    }
    let grid = raw.grid.unwrap_or(RawGrid::Resize { axes: "RAS".to_owned(), size: 16 });
    let grid = check_grid(grid, before, &mut say);
    let intensity = check_intensity(raw.intensity.unwrap_or_default(), before, &mut say);
    let decision = raw.decide.unwrap_or(Decision::Argmax { classes: 2 });
    if !matches!(decision, Decision::Argmax { classes: 2..=256 } | Decision::Threshold { classes: 1..=256, .. }) {
        say("decide.classes: argmax needs 2 to 256, threshold 1 to 256".to_owned());
    }
    if matches!(decision, Decision::Threshold { classes, channel, .. } if channel >= classes) {
        say("decide.channel: channels count from 0 and end before `classes`".to_owned());
    }
    Stage {
        cleanup: raw.cleanup,
        name: raw.name,
        file: ModelFile { name: raw.file, sha256 },
        input: raw.input,
        output: raw.output,
        grid,
        intensity,
        decision,
    }
}

fn check_grid(raw: RawGrid, before: &Before<'_>, say: &mut impl FnMut(String)) -> GridRule {
    let grid = match raw {
        RawGrid::Conform { axes, size, spacing } => GridRule::Conform { axes: check_axes(&axes, say), size, spacing },
        RawGrid::Resize { axes, size } => GridRule::Resize { axes: check_axes(&axes, say), size },
        RawGrid::Crop { around, margin } => {
            let conform = |g: &GridRule| matches!(g, GridRule::Conform { .. });
            GridRule::Crop { around: earlier(&around, before, "conform", conform, say), margin }
        }
        RawGrid::Part { around, size, occupancy, scale } => {
            let resize = |g: &GridRule| matches!(g, GridRule::Resize { .. });
            let around = earlier(&around, before, "resize", resize, say);
            GridRule::Part { around, size, occupancy, scale }
        }
    };
    let size = match grid {
        GridRule::Conform { size, .. } | GridRule::Resize { size, .. } | GridRule::Part { size, .. } => size,
        GridRule::Crop { .. } => 16,
    };
    if !(16..=1024).contains(&size) {
        say(format!("grid.size = {size}: give 16 to 1024 voxels"));
    }
    if matches!(grid, GridRule::Conform { spacing, .. } if !(0.1..=10.0).contains(&spacing)) {
        say("grid.spacing: give 0.1 to 10 mm".to_owned());
    }
    if matches!(grid, GridRule::Part { occupancy, scale, .. } if !(0.0..1.0).contains(&occupancy) || !(0.5..=4.0).contains(&scale))
    {
        say("grid.occupancy needs 0 to 1, grid.scale 0.5 to 4".to_owned());
    }
    grid
}

/// The first stage prepares the volume, every later one looks closer at a part of it.
fn check_order(stage: &Stage, first: Option<&Stage>, told: &mut impl FnMut(String)) {
    let (fits, allowed) = match (first.map(|f| f.grid), stage.grid) {
        (None, grid) => (matches!(grid, GridRule::Conform { .. } | GridRule::Resize { .. }), "conform or resize"),
        (Some(GridRule::Conform { .. }), grid) => (matches!(grid, GridRule::Crop { .. }), "crop"),
        (Some(_), grid) => (matches!(grid, GridRule::Part { .. }), "part"),
    };
    if !fits {
        told(format!("stage `{}`: grid.kind: here only {allowed} is possible", stage.name));
    }
}

fn check_axes(text: &str, say: &mut impl FnMut(String)) -> AxisCodes {
    let letters: Vec<char> = text.chars().collect();
    let pairs = ["LR", "AP", "IS"];
    let complete = pairs.iter().all(|p| letters.iter().filter(|&&c| p.contains(c)).count() == 1);
    if letters.len() == 3 && complete {
        return AxisCodes([letters[0], letters[1], letters[2]]);
    }
    say(format!("grid.axes = \"{text}\": give three letters, one each of L/R, A/P and I/S, such as \"LIA\""));
    AxisCodes(['R', 'A', 'S'])
}

/// Index of an earlier stage whose grid is of the `kind` that `fits` tells.
fn earlier(
    wanted: &str,
    before: &Before<'_>,
    kind: &str,
    fits: impl Fn(&GridRule) -> bool,
    say: &mut impl FnMut(String),
) -> usize {
    let found = before.position(wanted, |stage| fits(&stage.grid));
    if before.whole && found.is_none() {
        say(format!(
            "`{wanted}` is no earlier stage with grid.kind = \"{kind}\"; put such a [[stage]] before this one"
        ));
    }
    found.unwrap_or(0)
}

fn check_intensity(raw: Vec<RawIntensity>, before: &Before<'_>, say: &mut impl FnMut(String)) -> Vec<IntensityStep> {
    let mut steps = Vec::new();
    for step in raw {
        let step = match step {
            RawIntensity::Bytes { quantile } => IntensityStep::Bytes { quantile },
            RawIntensity::FixedWindow { low, high } => IntensityStep::FixedWindow { low, high },
            RawIntensity::MinMax => IntensityStep::MinMax,
            RawIntensity::Window { low, high } => IntensityStep::Window { low, high },
            RawIntensity::WindowOf { stage } => {
                let of = before.position(&stage, has_window);
                if before.whole && of.is_none() {
                    say(format!("intensity: `{stage}` is no earlier stage with a `window` step"));
                }
                IntensityStep::WindowOf { of: of.unwrap_or(0) }
            }
            RawIntensity::Standardise { mean, deviation } => IntensityStep::Standardise { mean, deviation },
        };
        if !sensible(step) {
            say("intensity: quantiles lie in 0 to 1, low below high; a deviation is positive".to_owned());
        }
        steps.push(step);
    }
    steps
}

fn has_window(stage: &Stage) -> bool {
    stage.intensity.iter().any(|s| matches!(s, IntensityStep::Window { .. }))
}

fn sensible(step: IntensityStep) -> bool {
    match step {
        IntensityStep::Bytes { quantile } => quantile > 0.0 && quantile <= 1.0,
        IntensityStep::Window { low, high } => low >= 0.0 && low < high && high <= 1.0,
        IntensityStep::FixedWindow { low, high } => low.is_finite() && high.is_finite() && low < high,
        IntensityStep::Standardise { mean, deviation } => mean.is_finite() && deviation > 0.0,
        IntensityStep::MinMax | IntensityStep::WindowOf { .. } => true,
    }
}

fn check_outputs(stages: &[Stage], segments: &[Segment], labelled: At, faults: &mut Faults) {
    let Some(last) = stages.last() else {
        faults.push(At::Key("stage"), "stage: a model needs at least one [[stage]]".to_owned());
        return;
    };
    let highest = segments.iter().map(|segment| usize::from(segment.label)).max().unwrap_or(0);
    let allowed = match last.decision {
        Decision::Argmax { classes } => classes.saturating_sub(1),
        Decision::Threshold { .. } => 1,
    };
    if highest > allowed {
        let told = "gives labels up to";
        faults.push(
            labelled,
            format!("label {highest}: stage `{}` {told} {allowed} only; drop the label or correct decide", last.name),
        );
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
