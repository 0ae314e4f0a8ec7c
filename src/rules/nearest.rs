//! Of a series that no rule had anything to do with: the rule that came nearest, and the condition that kept it away.

use serde::Serialize;

use super::explanation::{ConditionExplanation, Explanation, Outcome};

/// The rule with the fewest conditions that do not hold; of several the first in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nearest {
    pub rule: String,
    /// 1-based line of the rule in its file.
    pub line: usize,
    /// How many of its conditions do not hold, and how many it has.
    pub failed: usize,
    pub conditions: usize,
    /// The first that does not hold.
    pub condition: ConditionExplanation,
}

impl Explanation {
    /// The rule that came nearest to matching; `None` where no rule was asked, or one matched.
    #[must_use]
    pub fn nearest(&self) -> Option<Nearest> {
        let asked = self.rules.iter().filter(|rule| rule.outcome == Outcome::NoMatch);
        let near = asked.filter_map(|rule| {
            let condition = rule.conditions.iter().find(|condition| !condition.holds)?;
            let failed = rule.conditions.iter().filter(|condition| !condition.holds).count();
            Some((failed, rule, condition))
        });
        let (failed, rule, condition) = near.min_by_key(|(failed, ..)| *failed)?;
        let (name, conditions, condition) = (rule.name.clone(), rule.conditions.len(), condition.clone());
        Some(Nearest { rule: name, line: rule.line, failed, conditions, condition })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::rules::{RuleSet, SeriesFacts, SeriesSummary};

    #[test]
    fn the_rule_with_the_fewest_failures_is_the_nearest() {
        let text = r#"
            [[rule]]
            name = "far"
            when = { slices = { min = 100 }, sender = "pacs" }
            stop = true
            [[rule]]
            name = "near"
            when = { slices = { min = 1 }, calling_ae = "CT1" }
            stop = true
            [[rule]]
            name = "as near"
            when = { slices = { min = 1 }, called_ae = "X" }
            stop = true
            [[rule]]
            name = "off"
            mode = "off"
            when = {}
            pipeline = "p"
            send_to = "pacs"
        "#;
        let rules = RuleSet::parse(text).unwrap();
        let facts = SeriesFacts { slices: 3, calling_ae: "CT2".into(), sender: "x".into(), ..SeriesFacts::default() };
        let explanation = rules.explain(&SeriesSummary { facts, ..SeriesSummary::default() });
        let nearest = explanation.nearest().unwrap();
        assert_eq!((nearest.rule.as_str(), nearest.failed, nearest.conditions), ("near", 1, 2));
        assert_eq!(nearest.condition.key, "calling_ae");
        assert_eq!(RuleSet::default().explain(&SeriesSummary::default()).nearest(), None);
    }
}
