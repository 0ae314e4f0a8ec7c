//! Conditions of a rule and groups of them: whether they hold for a series.
//!
//! A condition on an attribute on which the instances differ holds when it holds for every one of the
//! different values. There is one verdict, [`Clause::holds`]; an explanation shows it beside what was found.

use std::collections::HashMap;

use super::computed::Computed;
use super::explanation::ConditionExplanation;
use super::operator::{Expected, Operator};
use super::subject::{Subject, Values, View};

/// A condition, or groups of them.
#[derive(Debug, Clone)]
pub enum Clause {
    Condition(Condition),
    Group(Word, Vec<Vec<Clause>>),
}

/// How many groups of conditions must hold as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Any,
    All,
    /// None of them.
    Not,
}

#[derive(Debug, Clone)]
pub struct Condition {
    /// As written in the rule.
    pub key: String,
    pub subject: Subject,
    pub operator: Operator,
    /// A series without a value also passes.
    pub missing: bool,
    /// What is asked, in words: written once, shown for every series.
    expected: String,
    /// The number of the subject among all that the rules ask for.
    slot: usize,
}

impl Word {
    pub const NAMES: [(&'static str, Word); 3] = [("any", Word::Any), ("all", Word::All), ("not", Word::Not)];

    fn key(self) -> &'static str {
        Word::NAMES[self as usize].0
    }

    fn expected(self) -> &'static str {
        ["one of the alternatives", "all of these", "none of these"][self as usize]
    }
}

/// Whether all of `clauses` hold.
pub fn all_hold(clauses: &[Clause], view: &View<'_>) -> bool {
    clauses.iter().all(|clause| clause.holds(view))
}

/// Every one of `clauses` with what was found and the verdict of [`Clause::holds`].
pub fn explain_all(clauses: &[Clause], view: &View<'_>) -> Vec<ConditionExplanation> {
    clauses.iter().map(|clause| clause.explain(view)).collect()
}

/// Gives equal subjects of `clauses` the same number, new ones the next.
pub fn number(clauses: &mut [Clause], slots: &mut HashMap<Subject, usize>) {
    for clause in clauses {
        match clause {
            Clause::Condition(condition) => {
                let next = slots.len();
                condition.slot = *slots.entry(condition.subject.clone()).or_insert(next);
            }
            Clause::Group(_, groups) => groups.iter_mut().for_each(|clauses| number(clauses, slots)),
        }
    }
}

impl Clause {
    /// The geometry is one of `names`.
    pub fn accept(names: &[String]) -> Clause {
        let operator = Operator::Equals(names.iter().map(|name| Expected::text(name)).collect());
        Clause::Condition(Condition::new("accept", Subject::Computed(Computed::Geometry), operator, false))
    }

    /// The one verdict: routing asks for it alone, an explanation shows it.
    pub fn holds(&self, view: &View<'_>) -> bool {
        match self {
            Clause::Condition(condition) => condition.holds(view),
            Clause::Group(word, groups) => {
                let mut verdicts = groups.iter().map(|clauses| all_hold(clauses, view));
                match word {
                    Word::Any => verdicts.any(|holds| holds),
                    Word::All => verdicts.all(|holds| holds),
                    Word::Not => verdicts.all(|holds| !holds),
                }
            }
        }
    }

    fn explain(&self, view: &View<'_>) -> ConditionExplanation {
        let holds = self.holds(view);
        match self {
            Clause::Condition(condition) => ConditionExplanation {
                key: condition.key.clone(),
                found: Some(view.with(condition.slot, &condition.subject, Values::found)),
                expected: condition.expected.clone(),
                holds,
                alternatives: Vec::new(),
            },
            Clause::Group(word, groups) => ConditionExplanation {
                key: word.key().to_owned(),
                found: None,
                expected: word.expected().to_owned(),
                holds,
                alternatives: groups.iter().map(|clauses| explain_all(clauses, view)).collect(),
            },
        }
    }
}

impl Condition {
    pub fn new(key: &str, subject: Subject, operator: Operator, missing: bool) -> Condition {
        let expected = format!("{operator}{}", if missing { ", or missing" } else { "" });
        Condition { key: key.to_owned(), subject, operator, missing, expected, slot: usize::MAX }
    }

    /// The same subject asked something else.
    pub fn asking(&self, operator: Operator) -> Condition {
        Condition::new(&self.key, self.subject.clone(), operator, self.missing)
    }

    fn holds(&self, view: &View<'_>) -> bool {
        let holds_for = |values: &[String]| (values.is_empty() && self.missing) || self.operator.holds(values);
        view.with(self.slot, &self.subject, |values| match values {
            Values::Missing => holds_for(&[]),
            Values::Agreed(values) => holds_for(values),
            Values::Differs { more: true, .. } if !self.operator.asks_presence_only() => false,
            Values::Differs { distinct, .. } => distinct.iter().all(|values| holds_for(values)),
        })
    }
}
