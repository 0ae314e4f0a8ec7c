//! Rules: from a series summary to jobs, and why.
//!
//! A rules file is read into a [`RuleSet`]; all its faults are found in one run. Every matching rule fires,
//! in order, until one says stop or hold. Routing and explanation come from the same evaluation, so they
//! cannot differ. Pure: does no I/O, reads no clock, sees a [`SeriesSummary`] and never a data set. Logs
//! nothing, because what it handles are attribute values.
//!
//! The node asks at three moments. A finished series: [`RuleSet::decide_in`] gives what fires at once, what holds,
//! and the rules that wait, each with the time when it is to be decided again at the latest. That time, or another
//! series of the study: `decide_in` again; the caller drops rules it has already made jobs of. A finished series or
//! the time of a waiting study rule: [`RuleSet::decide_study`] with all finished series of the study and of earlier
//! ones; it fires with the chosen inputs, waits until a time, or has given up. What is read from files or from the
//! history is decided with no time at all, as if all waiting were over.

mod cases;
mod computed;
mod condition;
mod explanation;
mod fault;
mod glob;
mod jobs;
mod lint;
mod nearest;
mod operator;
mod parse;
#[cfg(test)]
mod personal_tests;
#[cfg(test)]
mod properties;
pub mod quantity;
mod replay;
mod ruleset;
mod scale;
pub mod section;
mod study;
#[cfg(test)]
mod study_tests;
mod study_tree;
mod subject;
mod summary;
#[cfg(test)]
mod tests;
mod timing;
#[cfg(test)]
mod timing_tests;

pub use cases::{CaseResult, check_cases};
pub use computed::{Computed, GIVEN_NAMES};
pub use explanation::{ConditionExplanation, Explanation, Found, Outcome, RuleExplanation};
pub use fault::{Fault, Severity, did_you_mean};
pub use jobs::PlannedJob;
pub use lint::{Matches, PipelineNeeds, lint, stale};
pub use nearest::Nearest;
pub use parse::{Names, geometry_names, keywords, names_in, notified_in};
pub use replay::{HoldChange, JobChange, Past, Place, Profile, Replay, Report, RuleCount};
pub use ruleset::{Action, FiredRule, Held, Inform, Mode, Priority, Routing, Rule, RuleSet, Scope, WaitingRule};
pub use study::{
    Choose, ChosenInput, Input, InputExplanation, MemberExplanation, Partial, StudyMember, StudyNow, StudyRouting,
    StudyRuleDecision, StudyScope, StudyVerdict,
};
pub use summary::{AttributeSummary, GEOMETRY_NAMES, Orientation, SeriesFacts, SeriesSummary, SummaryBuilder};
pub use timing::{Situation, Then, WaitFor};
