//! A page of metrics in the Prometheus text format, version 0.0.4. Pure: values in, text out.

use std::fmt::{Display, Write};

use crate::ledger::Histogram;

/// The media type of a page.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a family behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A name and a value.
pub type Label<'a> = (&'static str, &'a str);

#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family; its samples follow. A family without samples says that nothing happened yet.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        // writing to a String does not fail
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
        Family { page: self, name }
    }

    #[must_use]
    pub fn text(self) -> String {
        self.0
    }
}

/// The family that samples are added to.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, None, value);
    }

    pub fn histogram(&mut self, labels: &[Label<'_>], histogram: &Histogram) {
        for (bound, count) in histogram.cumulative() {
            self.line("_bucket", labels, Some(&bound.to_string()), count);
        }
        self.line("_bucket", labels, Some("+Inf"), histogram.count());
        self.line("_sum", labels, None, histogram.sum);
        self.line("_count", labels, None, histogram.count());
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], bound: Option<&str>, value: impl Display) {
        let bound = bound.map(|bound| ("le", bound));
        let labels: Vec<String> =
            labels.iter().copied().chain(bound).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.page.0, "{}{suffix}{labels} {value}", self.name);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::default();
        page.family("x", Kind::Gauge, "What it is.").sample(&[("a", "b\\c\"d\ne"), ("f", "g")], 1.5);
        let expected = "# HELP x What it is.\n# TYPE x gauge\nx{a=\"b\\\\c\\\"d\\ne\",f=\"g\"} 1.5\n";
        assert_eq!(page.text(), expected);
    }

    #[test]
    fn a_histogram_ends_with_everything() {
        let mut page = Page::default();
        page.family("x", Kind::Histogram, "h").histogram(&[("a", "b")], &Histogram::default());
        let text = page.text();
        assert!(text.contains("x_bucket{a=\"b\",le=\"0.01\"} 0\n"), "{text}");
        assert!(text.ends_with("x_bucket{a=\"b\",le=\"+Inf\"} 0\nx_sum{a=\"b\"} 0\nx_count{a=\"b\"} 0\n"), "{text}");
    }
}
