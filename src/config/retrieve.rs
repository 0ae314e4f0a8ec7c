//! `retrieve` of a pipeline: what a PACS is asked for that did not come by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use super::quantity::duration;
use crate::dicom::AeTitle;
use crate::rules::did_you_mean;
use crate::rules::section::Entry;

const KNOWN: &str = "the AE title of a [peer.<title>] in node.toml or of a DICOM destination";
/// Earlier studies that are fetched at most.
const MOST_PRIORS: u64 = 20;
const GIVE_UP_AFTER: Duration = Duration::from_hours(1);

/// `retrieve` of a pipeline: what a PACS is asked for that did not come by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// AE title of a `[peer.<title>]` or of a DICOM destination.
    pub from: AeTitle,
    /// The rest of the series itself.
    pub series: bool,
    /// At most so many earlier studies of the patient.
    pub priors: u32,
    /// How long it is tried; then the pipeline does without.
    pub give_up_after: Duration,
}

/// `peers`: AE titles whose address is known; `None`: which ones is not known.
pub(super) fn read(entry: &Entry<'_>, peers: Option<&BTreeSet<&str>>) -> Option<Fetch> {
    let section = entry.section()?;
    let from = section.required("from", KNOWN).and_then(|e| source(&e, peers));
    let series = section.get("series").map_or(Some(false), |e| e.boolean());
    let priors = section.get("priors").map_or(Some(0), |e| e.whole(1, MOST_PRIORS));
    let give_up_after = section.get("give_up_after").map_or(Some(GIVE_UP_AFTER), |e| duration(&e, 0.0, 86400.0));
    section.finish();
    let (series, priors) = (series?, priors?);
    if !series && priors == 0 {
        return entry.refuse("series = true, priors from 1 on, or both", None);
    }
    Some(Fetch { from: from?, series, priors: priors as u32, give_up_after: give_up_after? })
}

fn source(entry: &Entry<'_>, peers: Option<&BTreeSet<&str>>) -> Option<AeTitle> {
    let title = entry.parsed(|text| AeTitle::parse(text).map_err(|error| error.to_string()))?;
    match peers.filter(|peers| !peers.contains(title.as_str())) {
        None => Some(title),
        Some(peers) => entry.refuse(KNOWN, did_you_mean(title.as_str(), peers.iter().copied())),
    }
}
