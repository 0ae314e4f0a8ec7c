//! `model.toml` of a model package.

use serde_json::{Value, json};

use super::{Key, number, pattern, table, table_of, text, whole, words};

pub fn schema() -> Value {
    let several = |item: Value| json!({ "type": "array", "items": item, "minItems": 1 });
    table(
        &[
            "id",
            "name",
            "version",
            "kind",
            "manufacturer",
            "licence",
            "source",
            "install",
            "memory_mb",
            "input",
            "stage",
        ],
        [
            ("id", pattern("^[a-z0-9-]{1,64}$"), "The name of the package's folder."),
            ("name", short(), "The name that DICOM objects carry."),
            ("version", short(), "The version that DICOM objects carry."),
            ("kind", words(["volume"]), "How the model is run."),
            ("manufacturer", short(), "Who made the model."),
            ("licence", short(), "Under which licence its weights may be used."),
            ("source", json!({ "type": "string" }), "Where the weights come from."),
            ("install", json!({ "type": "string" }), "The command that puts the ONNX files in place."),
            ("memory_mb", whole(1, u64::from(u32::MAX)), "Peak memory of one run, MB."),
            ("input", input(), "What a series must be for the model to make sense."),
            (
                "channel",
                json!({ "type": "array", "items": channel(), "minItems": 2 }),
                "Series that the network sees side by side, as its input's channels; the first gives the grid.",
            ),
            ("stage", several(stage()), "Networks, run in order; the last one's labels are the finding."),
            ("label", several(label()), "What the labels mean; or else `labels`, or `metadata`."),
            ("labels", text(), "A label set of models/terminology, such as totalsegmentator-ct."),
            ("metadata", metadata(), "What the labels mean, as dcmqi or nnunet_serve has it."),
        ],
    )
}

fn metadata() -> Value {
    let part = pattern("^.{1,16}$");
    let name = json!({ "oneOf": [text(), named()] });
    table(
        &[],
        [
            ("path", text(), "dcmqi's JSON (segmentAttributes), a file in the model's folder; no other key beside it."),
            ("algorithm_name", short(), "SegmentAlgorithmName; the model's id where left out."),
            ("algorithm_version", short(), "Instead of `version`."),
            ("manufacturer", short(), "Instead of `manufacturer`."),
            ("manufacturer_model_name", short(), "SegmentAlgorithmName where that is left out."),
            ("series_description", short(), "SeriesDescription of results, where the pipeline has no description."),
            ("body_part_examined", part, "BodyPartExamined, where the source has none."),
            ("clinical_trial_series_id", short(), "ClinicalTrialSeriesID of results."),
            ("clinical_trial_time_point_id", short(), "Checked, not written: it belongs to the study."),
            ("segment_names", json!({ "type": "array", "items": name }), "A segment each, the first being label 1."),
        ],
    )
}

fn named() -> Value {
    let code = || json!({ "type": ["string", "integer"] });
    table(
        &["name"],
        [
            ("name", text(), "What is looked for in models/terminology, or the code's meaning."),
            ("number", whole(1, 255), "The label; the place in the list where left out."),
            ("label", text(), "SegmentLabel."),
            ("tracking_id", text(), "Accepted, not written: tracking identifiers follow from the series."),
            ("code", code(), "Segmented Property Type."),
            ("scheme", text(), "Its coding scheme; SCT where left out."),
            ("category_number", code(), "Code of the Segmented Property Category."),
        ],
    )
}

/// LO (PS3.5 section 6.2).
fn short() -> Value {
    pattern("^(?=.*\\S).{1,64}$")
}

fn input() -> Value {
    let modality = json!({ "type": "array", "items": text() });
    table(
        &["modality", "expects"],
        [
            ("modality", modality, "Modality values that the model was made for."),
            ("expects", json!({ "type": "string" }), "For people: body part, sequence, contrast."),
        ],
    )
}

fn channel() -> Value {
    let steps = json!({ "type": "array", "items": intensity() });
    table(
        &["name"],
        [
            ("name", text(), "As in `inputs` of the study rule that chooses the series."),
            ("intensity", steps, "Its own steps instead of the stage's."),
        ],
    )
}

fn stage() -> Value {
    let digests = json!({ "type": "array", "items": pattern("^[0-9A-Fa-f]{64}$"), "minItems": 1 });
    let cleanup = words(["largest_component", "largest_component_corners", "fill_holes"]);
    table(
        &["name", "file", "sha256", "input", "output", "grid", "decide"],
        [
            ("name", json!({ "type": "string" }), "How later stages call it."),
            ("file", pattern("^[^/\\\\]+\\.onnx$"), "The ONNX file, in the model's folder."),
            ("sha256", digests, "Digests that are accepted for the file."),
            ("input", json!({ "type": "string" }), "Name of the input tensor, [1, channels, a, b, c]."),
            ("output", json!({ "type": "string" }), "Name of the output tensor, [1, classes, a, b, c]."),
            ("grid", grid(), "How the source volume becomes the network's tensor."),
            ("intensity", json!({ "type": "array", "items": intensity() }), "Steps of intensity preparation."),
            ("decide", decide(), "How the output becomes labels."),
            ("cleanup", json!({ "type": "array", "items": cleanup }), "Cleaning of the labels."),
        ],
    )
}

/// One of several tables that `tag` tells apart, each with its own keys, all required.
fn one_of(tag: &'static str, kinds: Vec<(&'static str, Vec<Key>)>) -> Value {
    let kind = |(name, keys): (&'static str, Vec<Key>)| {
        let mut required = vec![tag];
        required.extend(keys.iter().map(|key| key.0));
        let mut all: Vec<Key> = vec![(tag, json!({ "const": name }), "")];
        all.extend(keys);
        table_of(&required, all)
    };
    json!({ "oneOf": kinds.into_iter().map(kind).collect::<Vec<_>>() })
}

fn axes() -> Value {
    pattern("^(?=.*[LR])(?=.*[AP])(?=.*[IS])[LRAPIS]{3}$")
}

fn grid() -> Value {
    let size = || whole(16, 1024);
    let number = |least: f64, most: f64| json!({ "type": "number", "minimum": least, "maximum": most });
    one_of(
        "kind",
        vec![
            (
                "conform",
                vec![
                    ("axes", axes(), "Directions of the three axes, such as LIA."),
                    ("size", size(), "Voxels along each axis."),
                    ("spacing", number(0.1, 10.0), "Millimetres."),
                ],
            ),
            (
                "crop",
                vec![
                    ("around", text(), "The earlier stage whose labels are cropped to."),
                    ("margin", whole(0, 1024), "Voxels around them."),
                ],
            ),
            (
                "resize",
                vec![
                    ("axes", axes(), "Directions of the three axes, such as RAS."),
                    ("size", size(), "Voxels along each axis."),
                ],
            ),
            (
                "part",
                vec![
                    ("around", text(), "The earlier stage that found the part."),
                    ("size", size(), "Voxels along each axis."),
                    ("occupancy", number(0.0, 1.0), "Share of mask voxels that an edge plane exceeds."),
                    ("scale", number(0.5, 4.0), "Factor on the length of the part."),
                ],
            ),
        ],
    )
}

fn intensity() -> Value {
    let quantile = || json!({ "type": "number", "minimum": 0, "maximum": 1 });
    one_of(
        "step",
        vec![
            ("bytes", vec![("quantile", quantile(), "Becomes 255.")]),
            ("fixed_window", vec![("low", number(), "Becomes 0."), ("high", number(), "Becomes 1.")]),
            ("min_max", vec![]),
            ("window", vec![("low", quantile(), "Becomes 0."), ("high", quantile(), "Becomes 1.")]),
            ("window_of", vec![("stage", text(), "The earlier stage whose window is taken.")]),
            ("standardise", vec![("mean", number(), "The mean."), ("deviation", number(), "The deviation.")]),
        ],
    )
}

fn decide() -> Value {
    one_of(
        "kind",
        vec![
            ("argmax", vec![("classes", whole(2, 256), "Channels of the output.")]),
            (
                "threshold",
                vec![
                    ("classes", whole(1, 256), "Channels of the output."),
                    ("channel", whole(0, 255), "The one that is looked at, from 0."),
                    ("above", number(), "Label 1 where it exceeds this."),
                ],
            ),
        ],
    )
}

fn label() -> Value {
    let short = |most: u32| pattern(&format!("^.{{1,{most}}}$"));
    let code = || {
        table(
            &["value", "scheme", "meaning"],
            [
                ("value", short(16), "Code Value."),
                ("scheme", short(16), "Coding Scheme Designator, such as SCT."),
                ("meaning", short(64), "Code Meaning."),
            ],
        )
    };
    let color = json!({ "type": "array", "items": whole(0, 255), "minItems": 3, "maxItems": 3 });
    let described = table_of(
        &["value"],
        vec![
            ("value", whole(1, 255), "The label; labels ascend."),
            ("structure", text(), "A structure of models/terminology; what else is given replaces what it says."),
            ("name", short(64), "SegmentLabel."),
            ("category", code(), "Segmented Property Category; Anatomical Structure where left out."),
            ("code", code(), "Segmented Property Type."),
            ("modifier", code(), "Segmented Property Type Modifier, such as a side."),
            ("region", code(), "Anatomic Region."),
            ("region_modifier", code(), "The region's side."),
            ("color", color, "Red, green, blue."),
        ],
    );
    let mut label = described;
    label["anyOf"] = json!([{ "required": ["structure"] }, { "required": ["name", "code", "color"] }]);
    label
}
