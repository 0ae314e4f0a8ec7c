//! From fired rules to jobs: rules that fire the same pipeline share one.

use serde::Serialize;

use super::ruleset::{FiredRule, Inform, Priority};

/// One run of a pipeline on a series or a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedJob {
    pub pipeline: String,
    /// The rules that asked for it, in their order.
    pub rules: Vec<String>,
    /// All that they name, each once, in their order.
    pub destinations: Vec<String>,
    /// The highest that they name.
    pub priority: Priority,
    /// Results are kept and nothing is sent, because all of the rules are shadows.
    pub shadow: bool,
    /// Of the rules that are no shadows.
    pub inform: Inform,
}

impl PlannedJob {
    /// One job a pipeline; results go to the destinations of all its rules. `usual`: the priority of rules that name none.
    #[must_use]
    pub fn merge(fired: &[FiredRule], usual: Priority) -> Vec<PlannedJob> {
        let mut jobs: Vec<PlannedJob> = Vec::new();
        for rule in fired {
            let priority = rule.priority.unwrap_or(usual);
            let inform = if rule.shadow { Inform::default() } else { rule.inform };
            let Some(job) = jobs.iter_mut().find(|job| job.pipeline == rule.pipeline) else {
                jobs.push(PlannedJob {
                    pipeline: rule.pipeline.clone(),
                    rules: vec![rule.name.clone()],
                    destinations: rule.destinations.clone(),
                    priority,
                    shadow: rule.shadow,
                    inform,
                });
                continue;
            };
            job.rules.push(rule.name.clone());
            job.priority = job.priority.min(priority);
            job.shadow &= rule.shadow;
            job.inform = job.inform.or(inform);
            let more = rule.destinations.iter().filter(|name| !job.destinations.contains(name)).cloned();
            let more: Vec<String> = more.collect();
            job.destinations.extend(more);
        }
        jobs
    }

    /// The same work with the same consequences, whichever rules asked for it.
    #[must_use]
    pub fn does_the_same(&self, other: &PlannedJob) -> bool {
        let sorted = |job: &PlannedJob| {
            let mut names = job.destinations.clone();
            names.sort();
            names
        };
        (&self.pipeline, self.priority, self.shadow, self.inform)
            == (&other.pipeline, other.priority, other.shadow, other.inform)
            && sorted(self) == sorted(other)
    }
}
