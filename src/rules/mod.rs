//! Rules: from a series summary to jobs, and why.
//!
//! A rules file is read into a [`RuleSet`]; all its faults are found in one run. Every matching rule fires,
//! in order, until one says stop or hold. Routing and explanation come from the same evaluation, so they
//! cannot differ. Pure: does no I/O, reads no clock, sees a [`SeriesSummary`] and never a data set. Logs
//! nothing, because what it handles are attribute values.

mod condition;
mod explanation;
mod fault;
mod parse;
mod ruleset;
pub mod section;
mod summary;
#[cfg(test)]
mod tests;

pub use explanation::{ConditionExplanation, Explanation, Found, Outcome, RuleExplanation};
pub use fault::{Fault, Severity, did_you_mean};
pub use parse::{Names, names_in};
pub use ruleset::{Action, FiredRule, Held, Mode, Priority, Routing, Rule, RuleSet};
pub use summary::{AttributeSummary, GEOMETRY_NAMES, Orientation, SeriesFacts, SeriesSummary, SummaryBuilder};
