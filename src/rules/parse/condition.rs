//! From the table `when` of a rule to its conditions.

use super::operator::condition;
use super::subject::subject;
use crate::rules::condition::{Clause, Condition, Word};
use crate::rules::section::{Entry, Section};

/// `None` when one of the conditions has a fault; all of them are read.
pub fn clauses(section: &Section<'_>) -> Option<Vec<Clause>> {
    let read: Vec<Option<Clause>> = section.entries().iter().map(|(key, entry)| clause(key, entry)).collect();
    read.into_iter().collect()
}

/// A table of conditions, or a list of such tables.
pub fn groups(entry: &Entry<'_>) -> Option<Vec<Vec<Clause>>> {
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one table of conditions", None);
    }
    let read: Vec<Option<Vec<Clause>>> = items.iter().map(|item| clauses(&item.section()?)).collect();
    read.into_iter().collect()
}

fn clause(key: &str, entry: &Entry<'_>) -> Option<Clause> {
    if let Some((_, word)) = Word::NAMES.iter().find(|(name, _)| *name == key) {
        return Some(Clause::Group(*word, groups(entry)?));
    }
    let subject = subject(key, entry)?;
    if subject.is_personal() {
        entry.mark_personal();
    }
    let (operator, missing) = condition(&subject, entry)?;
    Some(Clause::Condition(Condition::new(key, subject, operator, missing)))
}
