//! `pipelines.toml`.

use serde_json::Value;

use super::destinations::NAME;
use super::{named, one_or_more, pattern, table, words};
use crate::config::results::{FORMS, ResultKind};
use crate::rules::GEOMETRY_NAMES;

pub fn schema() -> Value {
    let model = pattern("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$");
    let each = table(
        &["models"],
        [
            ("models", one_or_more(model, 1), "Ids of models, folders in `models`; each gives its part of the result."),
            ("accept", one_or_more(words(GEOMETRY_NAMES), 1), "What the geometry check may have found."),
            ("description", pattern("^[^\\\\\\x00-\\x1f]{1,64}$"), "SeriesDescription of the results."),
            (
                "results",
                one_or_more(words(ResultKind::ALL.map(ResultKind::name)), 1),
                "What is written of each finding.",
            ),
            ("seg", seg(), "How a SEG stores its segments."),
        ],
    );
    table(&[], [("pipeline", named(NAME, each), "Which models run on a series, one table each; the order counts.")])
}

fn seg() -> Value {
    let form = words(FORMS.iter().map(|(name, _)| *name));
    table(&[], [("form", form, "binary is what every viewer opens.")])
}
