//! What rules can ask beside the attributes: values computed of the whole series and of its way here.

use chrono::{DateTime, SecondsFormat};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::scale::Scale;
use super::summary::{GEOMETRY_NAMES, Orientation, SeriesSummary};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Computed {
    Orientation,
    Slices,
    SpacingBetweenSlices,
    SliceGap,
    Geometry,
    Contrast,
    CallingAe,
    CalledAe,
    Sender,
    ReceivedAt,
    TimeOfDay,
    Weekday,
}

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What is known of a series and not made of something else that is asked for.
pub const GIVEN_NAMES: [&str; 8] =
    ["orientation", "slices", "spacing_between_slices", "geometry", "calling_ae", "called_ae", "sender", "received_at"];

/// Whether a contrast agent was given: `yes` by an attribute of the agent, `hint` by a description only.
const CONTRAST: [&str; 3] = ["yes", "hint", "no"];
/// What scanners write into ContrastBolusAgent when there is none.
const NO_AGENT: [&str; 9] = ["none", "no", "n", "0", "without", "ohne", "sans", "null", "na"];
const WITH: [&str; 12] =
    ["c+", "+c", "gd", "+gd", "gad", "gado", "gadolinium", "contrast", "km", "+km", "ce", "postcontrast"];
const WITHOUT: [&str; 8] = ["pre", "precontrast", "noncontrast", "native", "nativ", "without", "ohne", "unenhanced"];

impl Computed {
    pub const NAMES: [(&'static str, Computed); 12] = [
        ("orientation", Computed::Orientation),
        ("slices", Computed::Slices),
        ("spacing_between_slices", Computed::SpacingBetweenSlices),
        ("slice_gap", Computed::SliceGap),
        ("geometry", Computed::Geometry),
        ("contrast", Computed::Contrast),
        ("calling_ae", Computed::CallingAe),
        ("called_ae", Computed::CalledAe),
        ("sender", Computed::Sender),
        ("received_at", Computed::ReceivedAt),
        ("time_of_day", Computed::TimeOfDay),
        ("weekday", Computed::Weekday),
    ];

    /// All values there are; empty where they cannot be listed.
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Computed::Orientation => &Orientation::NAMES,
            Computed::Geometry => &GEOMETRY_NAMES,
            Computed::Contrast => &CONTRAST,
            Computed::Weekday => &WEEKDAYS,
            _ => &[],
        }
    }

    /// How the values compare, `None` for texts.
    #[must_use]
    pub fn scale(self) -> Option<Scale> {
        match self {
            Computed::Slices | Computed::SpacingBetweenSlices | Computed::SliceGap => Some(Scale::Number),
            Computed::ReceivedAt => Some(Scale::Moment),
            Computed::TimeOfDay => Some(Scale::Time),
            _ => None,
        }
    }

    /// The value as text, `None` when it is not known.
    #[must_use]
    pub fn value(self, summary: &SeriesSummary) -> Option<String> {
        let facts = &summary.facts;
        let known = |text: &String| Some(text.clone()).filter(|text| !text.trim().is_empty());
        let local = || {
            let utc = DateTime::from_timestamp_millis(facts.received_at?)?;
            Some(utc.naive_utc() + chrono::Duration::seconds(facts.utc_offset.into()))
        };
        match self {
            Computed::Orientation => summary.orientation.map(|orientation| orientation.name().to_owned()),
            Computed::Slices => Some(facts.slices.to_string()),
            Computed::SpacingBetweenSlices => facts.spacing_between_slices.map(micrometres),
            Computed::SliceGap => slice_gap(summary).map(micrometres),
            Computed::Geometry => known(&facts.geometry),
            Computed::Contrast => Some(contrast(summary).to_owned()),
            Computed::CallingAe => known(&facts.calling_ae),
            Computed::CalledAe => known(&facts.called_ae),
            Computed::Sender => known(&facts.sender),
            Computed::ReceivedAt => {
                let at = DateTime::from_timestamp_millis(facts.received_at?)?;
                Some(at.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
            Computed::TimeOfDay => Some(local()?.format("%H:%M:%S").to_string()),
            Computed::Weekday => Some(local()?.format("%A").to_string().to_lowercase()),
        }
    }
}

/// Millimetres rounded to a micrometre: differences of positions carry noise that nobody writes in a rule.
fn micrometres(mm: f64) -> String {
    ((mm * 1000.0).round() / 1000.0).to_string()
}

/// Millimetres between the end of one slice and the start of the next; below 0 where they overlap.
fn slice_gap(summary: &SeriesSummary) -> Option<f64> {
    let thickness: f64 = summary.values(tags::SLICE_THICKNESS).next()?.parse().ok()?;
    Some(summary.facts.spacing_between_slices? - thickness)
}

fn contrast(summary: &SeriesSummary) -> &'static str {
    let is_agent = |text: &str| !text.trim().is_empty() && !NO_AGENT.contains(&text.trim().to_lowercase().as_str());
    let is_amount = |text: &str| text.trim().parse().is_ok_and(|amount: f64| amount > 0.0);
    let amounts = [tags::CONTRAST_BOLUS_VOLUME, tags::CONTRAST_BOLUS_TOTAL_DOSE];
    let words = |tag: Tag| summary.values(tag).flat_map(words_of).collect::<Vec<String>>();
    let described: Vec<String> = [tags::SERIES_DESCRIPTION, tags::PROTOCOL_NAME].into_iter().flat_map(words).collect();
    let among = |list: &[&str]| described.iter().any(|word| list.contains(&word.as_str()));
    if summary.values(tags::CONTRAST_BOLUS_AGENT).any(is_agent)
        || amounts.into_iter().any(|tag| summary.values(tag).any(is_amount))
    {
        "yes"
    } else if among(&WITH) && !among(&WITHOUT) {
        "hint"
    } else {
        "no"
    }
}

fn words_of(text: &str) -> Vec<String> {
    let lower = text.to_lowercase().replace("non-contrast", "noncontrast").replace("w/o", "without");
    lower.split(|c: char| !c.is_alphanumeric() && c != '+').map(str::to_owned).collect()
}
