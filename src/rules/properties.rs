//! What holds for all rules and all series: random ones of the whole language, from fixed seeds.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use super::tests::{RUN, head};
use super::*;

/// A key of conditions, values that it may be compared with, and the ends of ranges, ascending.
type Subject = (&'static str, &'static [&'static str], &'static [&'static str]);

const SUBJECTS: [Subject; 18] = [
    ("Modality", &["'MR'", "'ct'", "3"], &[]),
    ("SeriesDescription", &["'Anat T1w MPRAGE'", "'t2'"], &[]),
    ("SliceThickness", &["1", "'1.0'", "2.5"], &["0.5", "1", "2"]),
    ("BodyPartExamined", &["'HEAD'", "'FOOT'"], &[]),
    ("ConvolutionKernel", &["'B31s'", "'b40S'"], &[]),
    ("SliceLocation", &["0", "7"], &["-1", "0", "2"]),
    ("PixelSpacing", &["0.7", "0.8"], &["0.6", "0.7", "0.9"]),
    ("ImageType", &["'ORIGINAL'", "'LOCALIZER'", "'M'"], &[]),
    ("'ImageType[2]'", &["'PRIMARY'", "'SECONDARY'"], &[]),
    ("RepetitionTime", &["9"], &["1", "9"]),
    ("PatientAge", &["45", "'540M'", "'6M'"], &["2", "'18Y'", "45"]),
    ("StudyDate", &["'2023-11-14'", "2024-01-01"], &["2023-01-01", "'20231114'"]),
    ("'0040,0275.0040,0009'", &["'A'", "'C'"], &[]),
    ("'0019,xx0c(SIEMENS MR HEADER)'", &["1000", "'0'"], &[]),
    ("slices", &["3", "4"], &["1", "3", "5"]),
    ("orientation", &["'sagittal'", "'axial'"], &[]),
    ("time_of_day", &["'23:13:20'"], &["'06:00'", "'22:30'"]),
    ("weekday", &["'tuesday'", "'sunday'"], &[]),
];

const EFFECTS: [&str; 6] = [
    RUN,
    "pipeline = 'p'\nsend_to = 'd'\nstop = true",
    "pipeline = 'p'\nstop = true\nmode = 'shadow'",
    "pipeline = 'p'\nmode = 'off'",
    "hold = 'why'",
    "stop = true",
];

struct Author(fastrand::Rng);

impl Author {
    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.0.usize(..of.len())]
    }

    /// Up to `most` texts, joined.
    fn list(&mut self, most: usize, mut text: impl FnMut(&mut Author) -> String) -> String {
        let texts: Vec<String> = (0..self.0.usize(1..=most)).map(|_| text(self)).collect();
        texts.join(", ")
    }

    /// What is asked of a subject, as TOML writes it.
    fn operator(&mut self, (key, values, ends): Subject, depth: usize) -> String {
        let subject = (key, values, ends);
        match self.0.usize(..if depth == 0 { 7 } else { 12 }) {
            0 | 1 => self.one(values).to_owned(),
            2 => format!("[{}]", self.list(3, |author| author.one(values).to_owned())),
            3 => format!("{{ glob = '{}' }}", self.one(&["*1*", "m?", "*a*", "{B,Anat}*", "[!0-9]*"])),
            4 => format!("{{ regex = '{}' }}", self.one(&["(?i)^m", "[0-9]$", "T1|B4"])),
            5 if !ends.is_empty() => {
                let (from, to) = (self.0.usize(..ends.len()), self.0.usize(..ends.len()));
                format!("{{ min = {}, max = {} }}", ends[from.min(to)], ends[from.max(to)])
            }
            6 if !ends.is_empty() => format!("{{ {} = {} }}", self.one(&["min", "max"]), self.one(ends)),
            5 | 6 => format!("{{ present = {} }}", self.0.bool()),
            word => {
                let word = ["not", "some", "every", "any", "all"][word - 7];
                let inner = |author: &mut Author| author.operator(subject, depth - 1);
                let inner =
                    if matches!(word, "any" | "all") { format!("[{}]", self.list(3, inner)) } else { inner(self) };
                format!("{{ {word} = {inner} }}")
            }
        }
    }

    /// Conditions under different keys.
    fn conditions(&mut self, depth: usize) -> Vec<String> {
        let mut subjects = SUBJECTS;
        self.0.shuffle(&mut subjects);
        let chosen = self.0.usize(1..3);
        let mut all: Vec<String> = subjects[..chosen]
            .iter()
            .map(|subject| match self.operator(*subject, 2) {
                table if table.starts_with('{') && self.0.u8(..4) == 0 => {
                    format!("{} = {}, missing = true }}", subject.0, table.trim_end_matches('}').trim_end())
                }
                operator => format!("{} = {operator}", subject.0),
            })
            .collect();
        for word in ["any", "all", "not"] {
            if depth > 0 && self.0.u8(..3) == 0 {
                let groups = self.list(3, |author| format!("{{ {} }}", author.conditions(depth - 1).join(", ")));
                all.push(format!("{word} = [{groups}]"));
            }
        }
        all
    }

    /// The head, with other slices, and with attributes left out or changed.
    fn series(&mut self) -> SeriesSummary {
        let mut summary = head();
        summary.facts.slices = self.0.usize(1..6);
        summary.facts.received_at = self.0.bool().then_some(1_700_000_000_000 + self.0.i64(..604_800_000));
        summary.orientation = [None, Some(Orientation::Axial), Some(Orientation::Sagittal)][self.0.usize(..3)];
        summary.attributes.retain(|_, _| self.0.u8(..5) > 0);
        for attribute in summary.attributes.values_mut() {
            match self.0.u8(..12) {
                0 => attribute.distinct.push(Vec::new()),
                1 => attribute.distinct.push(vec!["1".to_owned(), "other".to_owned()]),
                2 => attribute.more = true,
                _ => {}
            }
        }
        summary
    }

    fn rules(&mut self) -> RuleSet {
        let mut text = String::new();
        for name in 0..self.0.usize(1..7) {
            let (when, effect) = (self.conditions(2).join(", "), self.one(&EFFECTS));
            writeln!(text, "[[rule]]\nname = '{name}'\nwhen = {{ {when} }}\n{effect}").unwrap();
        }
        RuleSet::parse(&text).unwrap_or_else(|faults| panic!("{text}: {}", faults[0]))
    }
}

fn author(seed: u64) -> Author {
    Author(fastrand::Rng::with_seed(seed))
}

/// Whether one rule of these conditions matches.
fn matches(when: &str, summary: &SeriesSummary) -> bool {
    let text = format!("[[rule]]\nname = 'r'\nwhen = {{ {when} }}\n{RUN}");
    let rules = RuleSet::parse(&text).unwrap_or_else(|faults| panic!("{text}: {}", faults[0]));
    let matches = rules.explain(summary).rules[0].matches;
    assert_eq!(matches, rules.route(summary).fired.len() == 1, "{when}");
    matches
}

/// A verdict of an explanation, of groups put together anew from what stands below them.
fn read(condition: &ConditionExplanation) -> bool {
    let mut groups = condition.alternatives.iter().map(|group| group.iter().all(read));
    match condition.key.as_str() {
        "any" => groups.any(|holds| holds),
        "all" => groups.all(|holds| holds),
        "not" => !groups.any(|holds| holds),
        _ => condition.holds,
    }
}

/// What the explanation says, read as a person would read it, without the outcomes.
fn routing_read_from(explanation: &Explanation, rules: &RuleSet) -> Vec<String> {
    let mut fired = Vec::new();
    for (explained, rule) in explanation.rules.iter().zip(rules.rules()) {
        if rule.mode == Mode::Off || !explained.conditions.iter().all(read) {
            continue;
        }
        match &rule.action {
            Action::Run { .. } => fired.push(rule.name.clone()),
            Action::Hold { reason } => return [fired, vec![format!("hold {reason}")]].concat(),
            Action::Nothing => return fired,
        }
        if rule.stop && rule.mode == Mode::Live {
            return fired;
        }
    }
    fired
}

#[test]
fn explanation_and_routing_never_differ() {
    let (mut author, mut matching) = (author(7), 0);
    for _ in 0..400 {
        let (rules, summary) = (author.rules(), author.series());
        let (explanation, routing) = (rules.explain(&summary), rules.route(&summary));
        let mut routed: Vec<String> = routing.fired.iter().map(|f| f.name.clone()).collect();
        routed.extend(routing.held.map(|held| format!("hold {}", held.reason)));
        assert_eq!(routed, routing_read_from(&explanation, &rules), "{explanation}");
        for rule in &explanation.rules {
            assert_eq!(rule.matches, rule.conditions.iter().all(read), "{explanation}");
            matching += usize::from(rule.matches);
        }
    }
    assert!(matching > 100, "{matching} rules that match are too few to show anything");
}

#[test]
fn the_order_of_conditions_does_not_count() {
    let mut author = author(11);
    for _ in 0..400 {
        let (mut conditions, summary) = (author.conditions(2), author.series());
        let before = matches(&conditions.join(", "), &summary);
        author.0.shuffle(&mut conditions);
        assert_eq!(matches(&conditions.join(", "), &summary), before, "{conditions:?}");
    }
}

#[test]
fn not_not_is_nothing_and_so_are_groups_of_one() {
    let mut author = author(13);
    for _ in 0..400 {
        let (when, summary) = (author.conditions(1).join(", "), author.series());
        let plain = matches(&when, &summary);
        for same in [
            format!("not = {{ not = {{ {when} }} }}"),
            format!("any = [{{ {when} }}]"),
            format!("all = [{{ {when} }}]"),
            format!("not = {{ any = [{{ not = {{ {when} }} }}] }}"),
        ] {
            assert_eq!(matches(&same, &summary), plain, "{same}");
        }
        assert_eq!(matches(&format!("not = {{ {when} }}"), &summary), !plain, "not {when}");
    }
}

#[test]
fn not_not_of_an_operator_is_the_operator() {
    let mut author = author(17);
    for _ in 0..800 {
        let subject = SUBJECTS[author.0.usize(..SUBJECTS.len())];
        let (operator, summary) = (author.operator(subject, 2), author.series());
        let key = subject.0;
        let twice = format!("{key} = {{ not = {{ not = {operator} }} }}");
        assert_eq!(matches(&twice, &summary), matches(&format!("{key} = {operator}"), &summary), "{twice}");
    }
}
