//! Rules: from a series summary to jobs, and why. Pure.

use serde::{Deserialize, Serialize};

/// What rules see of a series: agreed attribute values and computed ones. Never a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesSummary {}

/// Checked rules in order, and the digest of the text they came from.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {}
