//! `pipelines.toml`.

use serde_json::Value;

use super::destinations::NAME;
use super::{ae_title, boolean, duration, named, one_or_more, pattern, table, whole, words};
use crate::config::results::{DRAWINGS, FALLBACKS, FORMS, LAYOUTS, ResultKind, SHOWN};
use crate::rules::GEOMETRY_NAMES;

pub fn schema() -> Value {
    let model = pattern("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$");
    let each = table(
        &["models"],
        [
            ("models", one_or_more(model, 1), "Ids of models, folders in `models`; each gives its part of the result."),
            ("accept", one_or_more(words(GEOMETRY_NAMES), 1), "What the geometry check may have found."),
            ("retrieve", retrieve(), "What a PACS is asked for before the series count as finished."),
            ("description", pattern("^[^\\\\\\x00-\\x1f]{1,64}$"), "SeriesDescription of the results."),
            (
                "results",
                one_or_more(words(ResultKind::ALL.map(ResultKind::name)), 1),
                "What is written of each finding.",
            ),
            ("seg", seg(), "How a SEG stores its segments."),
            ("sc", sc(), "What Secondary Captures show, and how."),
        ],
    );
    table(&[], [("pipeline", named(NAME, each), "Which models run on a series, one table each; the order counts.")])
}

fn retrieve() -> Value {
    table(
        &["from"],
        [
            ("from", ae_title(), "AE title of a [peer.<title>] in node.toml or of a DICOM destination."),
            ("series", boolean(), "Fetch what the PACS holds of the series and the node does not."),
            ("priors", whole(1, 20), "Fetch so many earlier studies of the patient at most, the latest first."),
            ("give_up_after", duration(), "How long it is tried; then the pipeline does without."),
        ],
    )
}

fn seg() -> Value {
    let form = words(FORMS.iter().map(|(name, _)| *name));
    let fallback = one_or_more(words(FALLBACKS.iter().map(|(name, _)| *name)), 0);
    table(
        &[],
        [
            ("form", form, "binary is what every viewer opens."),
            ("fallback", fallback, "Written, too, for destinations that do not take the form."),
        ],
    )
}

fn sc() -> Value {
    let layout = words(LAYOUTS.iter().map(|(name, _)| *name));
    let draw = words(DRAWINGS.iter().map(|(name, _)| *name));
    let images = words(SHOWN.iter().map(|(name, _)| *name));
    table(
        &[],
        [
            ("layout", layout, "Into how many images the pictures go."),
            ("draw", draw, "What is drawn over the source images."),
            ("images", images, "Which source images are shown."),
            ("burn_in", boolean(), "Whether legend and notice stand below the pictures."),
            ("rle", boolean(), "Whether the pictures are run-length encoded."),
        ],
    )
}
