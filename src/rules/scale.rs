//! How values of an attribute compare: as numbers, ages, dates or times (PS3.5 section 6.2), whichever its value
//! representation says; in the forms of DICOM and in those that people write in a rule.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use dicom_core::VR;

/// What the values of an attribute measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As written: DS, IS, US ..., and any text that happens to be a number.
    Number,
    /// AS, in days: `045Y`; a bare number in a rule is years.
    Age,
    /// DA, in days: `20260301`, `2026-03-01`.
    Date,
    /// TM, in seconds of the day: `140530.5`, `14:05`.
    Time,
    /// DT, in seconds: `20260301140530+0100`, `2026-03-01T14:05:30+01:00`.
    Moment,
}

const DAYS_A_YEAR: f64 = 365.25;

impl Scale {
    #[must_use]
    pub fn of(vr: VR) -> Scale {
        match vr {
            VR::AS => Scale::Age,
            VR::DA => Scale::Date,
            VR::TM => Scale::Time,
            VR::DT => Scale::Moment,
            _ => Scale::Number,
        }
    }

    /// The place of a value on the scale, `None` when it is no value of this kind.
    #[must_use]
    pub fn read(self, text: &str) -> Option<f64> {
        let text = text.trim();
        match self {
            Scale::Number => text.parse().ok().filter(|n: &f64| n.is_finite()),
            Scale::Age => age(text),
            Scale::Date => date(text).map(|date| f64::from(date.num_days_from_ce())),
            Scale::Time => time(text),
            Scale::Moment => moment(text),
        }
    }

    /// The place of a bare number of a rule; only numbers and ages have one.
    #[must_use]
    pub fn number(self, number: f64) -> Option<f64> {
        match self {
            Scale::Number => Some(number),
            Scale::Age => Some(number * DAYS_A_YEAR),
            Scale::Date | Scale::Time | Scale::Moment => None,
        }
    }

    /// What may be written in a rule.
    #[must_use]
    pub fn allowed(self) -> &'static str {
        match self {
            Scale::Number => "a number",
            Scale::Age => "a number of years, or an age such as \"18Y\", \"6M\", \"2W\" or \"3D\"",
            Scale::Date => "a date such as \"2026-03-01\"",
            Scale::Time => "a time such as \"14:05\"",
            Scale::Moment => "a date and time such as \"2026-03-01T14:05:00Z\"",
        }
    }
}

fn age(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let days = match unit {
        "D" | "d" => 1.0,
        "W" | "w" => 7.0,
        "M" | "m" => DAYS_A_YEAR / 12.0,
        "Y" | "y" => DAYS_A_YEAR,
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    number.parse::<f64>().ok().filter(|_| digits).map(|number| number * days)
}

/// With the dots of ACR-NEMA, too.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    let formats = ["%Y%m%d", "%Y-%m-%d", "%Y.%m.%d"];
    formats.into_iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok())
}

/// Seconds of the day; minutes and seconds may be left out.
pub(super) fn time(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "0"));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !all_digits || !matches!(whole.len(), 2 | 4 | 6) {
        return None;
    }
    let part = |at: usize| whole.get(at..at + 2).map_or(Some(0), |two| two.parse::<u32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    (hours < 24 && minutes < 60 && seconds <= 60).then(|| f64::from(hours * 3600 + minutes * 60 + seconds) + fraction)
}

/// Seconds since 1970-01-01; a value without an offset from UTC is taken as UTC.
fn moment(text: &str) -> Option<f64> {
    let seconds = |at: NaiveDateTime| at.and_utc().timestamp() as f64 + f64::from(at.nanosecond()) / 1e9;
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(seconds(at.naive_utc()));
    }
    let zone = text.char_indices().skip(4).filter(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at).last();
    let is_zone = |zone: &str| zone.len() == 5 && zone[1..].bytes().all(|b| b.is_ascii_digit());
    let (local, offset) = match zone.and_then(|at| text.split_at_checked(at)).filter(|(_, zone)| is_zone(zone)) {
        Some((local, zone)) => {
            let (hours, minutes): (i32, i32) = (zone[1..3].parse().ok()?, zone[3..].parse().ok()?);
            (local, (hours * 60 + minutes) * if zone.starts_with('-') { -60 } else { 60 })
        }
        None => (text, 0),
    };
    let (day, rest) = local.split_once('T').or_else(|| local.split_at_checked(8)).unwrap_or((local, ""));
    let (day, rest) = if local.contains('-') && !local.contains('T') { (local, "") } else { (day, rest) };
    let day = date(day)?.and_hms_opt(0, 0, 0)?;
    let time = if rest.is_empty() { 0.0 } else { time(rest)? };
    Some(seconds(day) + time - f64::from(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_the_forms_of_dicom_and_of_people_are_the_same() {
        let check = |scale: Scale, same: &[&str]| {
            let read: Vec<Option<f64>> = same.iter().map(|text| scale.read(text)).collect();
            assert!(read[0].is_some() && read.iter().all(|value| *value == read[0]), "{same:?} {read:?}");
        };
        check(Scale::Number, &["1", " 1.00", "1e0"]);
        check(Scale::Age, &["045Y", "45y", "540M"]);
        check(Scale::Age, &["2W", "014D"]);
        check(Scale::Date, &["20260301", "2026-03-01", "2026.03.01"]);
        check(Scale::Time, &["1405", "14:05", "140500", "14:05:00.000"]);
        check(Scale::Moment, &["20260301140500", "2026-03-01T14:05:00Z", "20260301150500+0100", "2026-03-01T14:05"]);
        check(Scale::Moment, &["2026-03-01", "20260301", "20260301000000.0"]);
        check(Scale::Moment, &["20260301090500-0500", "20260301140500"]);
    }

    #[test]
    fn order_is_that_of_life() {
        let check = |scale: Scale, ordered: &[&str]| {
            let read: Vec<f64> = ordered.iter().filter_map(|text| scale.read(text)).collect();
            assert!(read.len() == ordered.len() && read.is_sorted_by(|a, b| a < b), "{ordered:?} {read:?}");
        };
        check(Scale::Age, &["6D", "001W", "001M", "011M", "1Y", "018Y", "100Y"]);
        check(Scale::Time, &["00", "0659", "065959.5", "07:00", "235959"]);
        check(Scale::Date, &["19991231", "2000-01-01", "20260301"]);
    }

    #[test]
    fn what_is_no_value_has_no_place() {
        let check = |scale: Scale, text: &str| assert_eq!(scale.read(text), None, "{text}");
        for text in ["", "Y", "45", "45X", "-1Y", "ÄY"] {
            check(Scale::Age, text);
        }
        for text in ["", "2026", "20261301", "2026-3"] {
            check(Scale::Date, text);
        }
        for text in ["", "1", "24", "1260", "12:0x", "123", "12.x"] {
            check(Scale::Time, text);
        }
        for text in ["", "x", "20260301x", "inf", "2026-03-01T"] {
            check(Scale::Number, text);
        }
        assert_eq!(Scale::Number.read("inf"), None);
        assert_eq!(Scale::Moment.read("20260301 1405"), None);
    }
}
