//! Why a study rule fired, waits or has given up, as a tree for people. Holds attribute values, as every explanation does.

use std::fmt;

use super::explanation::{mark, moment, write_conditions};
use super::ruleset::Mode;
use super::study::{InputExplanation, MemberExplanation, StudyRouting, StudyRuleDecision, StudyVerdict};

impl StudyVerdict {
    /// The rule fires or may still fire.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, StudyVerdict::Fires { .. } | StudyVerdict::Waits { .. })
    }
}

impl fmt::Display for StudyVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StudyVerdict::Fires { job, inputs, missing } => {
                match job.destinations.join(", ") {
                    to if to.is_empty() => write!(f, "fires: {}, kept, sent nowhere", job.pipeline)?,
                    to => write!(f, "fires: {} -> {to}", job.pipeline)?,
                }
                let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
                write!(f, "; with {}", names.join(", "))?;
                if missing.is_empty() { Ok(()) } else { write!(f, "; without {}", missing.join(", ")) }
            }
            StudyVerdict::Waits { missing, until } if missing.is_empty() => {
                write!(f, "waits for the study to be quiet, until {}", moment(*until))
            }
            StudyVerdict::Waits { missing, until } => {
                write!(f, "waits until {} at the latest: {} is missing", moment(*until), missing.join(", "))
            }
            StudyVerdict::GivenUp { missing } => write!(f, "has given up: {} did not come", missing.join(", ")),
            StudyVerdict::NoMatch => f.write_str("does not match"),
            StudyVerdict::Off => f.write_str("switched off"),
        }
    }
}

impl fmt::Display for StudyRouting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| write_rule(f, rule))
    }
}

fn write_rule(f: &mut fmt::Formatter<'_>, rule: &StudyRuleDecision) -> fmt::Result {
    let shadow = if rule.mode == Mode::Shadow { " [shadow]" } else { "" };
    let mark = mark(rule.verdict.is_alive());
    writeln!(f, "{mark} {}{shadow} (line {}): {}", rule.name, rule.line, rule.verdict)?;
    let told = rule.when.iter().filter(|member| !member.conditions.is_empty());
    told.clone().try_for_each(|member| write_member(f, member, "  ", "series "))?;
    rule.inputs.iter().try_for_each(|input| write_input(f, input))
}

fn write_input(f: &mut fmt::Formatter<'_>, input: &InputExplanation) -> fmt::Result {
    let chosen = input.chosen.as_deref().unwrap_or("nothing");
    writeln!(f, "  {} {} ({}): {chosen}", mark(input.chosen.is_some()), input.name, input.choose.name())?;
    input.candidates.iter().try_for_each(|candidate| write_member(f, candidate, "     ", ""))
}

fn write_member(f: &mut fmt::Formatter<'_>, member: &MemberExplanation, indent: &str, what: &str) -> fmt::Result {
    let late = if member.late { ", too long after the first input" } else { "" };
    writeln!(f, "{indent}{} {what}{}{late}", mark(member.holds && !member.late), member.member)?;
    write_conditions(f, &member.conditions, &format!("{indent}  "))
}
