//! Quantities with their unit: durations such as `30 s`, sizes such as `2 GiB`.

use std::time::Duration;

use super::section::{Entry, number_of};

const DURATION_UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86400.0)];
const SIZE_UNITS: [(&str, f64); 8] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// A duration from `least` to `most` seconds.
pub fn duration(entry: &Entry<'_>, least: f64, most: f64) -> Option<Duration> {
    let allowed = format!(
        "a duration from {} to {} with its unit (ms, s, min, h, d), such as \"30 s\"",
        spelled(least, &DURATION_UNITS),
        spelled(most, &DURATION_UNITS)
    );
    quantity(entry, &DURATION_UNITS, least..=most, &allowed).map(Duration::from_secs_f64)
}

/// A duration as it stands on a command line.
///
/// # Errors
/// What is allowed.
pub fn span(text: &str) -> Result<Duration, String> {
    let seconds = parse(text, &DURATION_UNITS).filter(|seconds| *seconds <= 1e12);
    let allowed = "a number with ms, s, min, h or d, such as 30d";
    seconds.map(Duration::from_secs_f64).ok_or_else(|| allowed.to_owned())
}

/// A size from `least` to `most` bytes.
pub fn size(entry: &Entry<'_>, least: f64, most: f64) -> Option<u64> {
    let allowed = format!(
        "a size from {} to {} with its unit (B, kB, MB, GB, KiB, MiB, GiB, TiB), such as \"2 GiB\"",
        spelled(least, &SIZE_UNITS),
        spelled(most, &SIZE_UNITS)
    );
    quantity(entry, &SIZE_UNITS, least..=most, &allowed).map(|bytes| bytes as u64)
}

fn quantity(
    entry: &Entry<'_>,
    units: &[(&str, f64)],
    range: std::ops::RangeInclusive<f64>,
    allowed: &str,
) -> Option<f64> {
    let Some(text) = entry.value().as_str() else {
        let hint = number_of(entry.value()).map(|_| "write the unit, between quotes".to_owned());
        return entry.refuse(allowed, hint);
    };
    parse(text, units).filter(|value| range.contains(value)).or_else(|| entry.refuse(allowed, None))
}

/// `<number> <unit>` in the unit whose factor is 1; the space may be left out.
fn parse(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    Some(number.parse::<f64>().ok()? * factor)
}

/// In the largest unit that gives a whole number.
fn spelled(value: f64, units: &[(&str, f64)]) -> String {
    let whole = |factor: f64| value >= factor && (value / factor).fract().abs() < 1e-9;
    let best = units.iter().filter(|(_, factor)| whole(*factor)).max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or_else(|| value.to_string(), |(unit, factor)| format!("{} {unit}", value / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_a_number_and_a_unit() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(parse(text, &DURATION_UNITS), expected, "{text}");
        check("30s", Some(30.0));
        check("5 s", Some(5.0));
        check(" 2min ", Some(120.0));
        check("1.5 h", Some(5400.0));
        check("500 ms", Some(0.5));
        check("30", None);
        check("s", None);
        check("-5 s", None);
        check("5 m", None);
        check("1.2.3 s", None);
        assert_eq!(parse("2 GiB", &SIZE_UNITS), Some(2_147_483_648.0));
        assert_eq!(parse("64kB", &SIZE_UNITS), Some(64_000.0));
    }

    #[test]
    fn limits_are_spelled_in_the_largest_whole_unit() {
        let check = |value: f64, expected: &str| assert_eq!(spelled(value, &DURATION_UNITS), expected);
        check(90.0, "90 s");
        check(0.25, "250 ms");
        check(7200.0, "2 h");
        assert_eq!(spelled(4096.0, &SIZE_UNITS), "4 KiB");
    }
}
