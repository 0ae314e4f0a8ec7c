//! The keys of a rule that say what it waits for.

use super::condition::groups;
use crate::rules::quantity::duration;
use crate::rules::section::Entry;
use crate::rules::timing::{Then, WaitFor};

pub fn wait_for(entry: &Entry<'_>) -> Option<WaitFor> {
    let section = entry.section()?;
    let slices = section.get("slices").map_or(Some(None), |e| Some(Some(e.whole(1, 100_000)? as usize)));
    let series = section.get("series").map_or(Some(Vec::new()), |e| groups(&e));
    let timeout = section.required("for", "how long to wait, such as \"10 min\"");
    let timeout = timeout.and_then(|e| duration(&e, 1.0, 2_592_000.0));
    let then = section.get("then").map_or(Some(Then::Skip), |e| e.choice(&Then::NAMES));
    section.finish();
    if section.get("slices").is_none() && section.get("series").is_none() {
        section.lacks("slices", "nothing to wait for", "slices = a number, series = [conditions], or both", None);
        return None;
    }
    Some(WaitFor { slices: slices?, series: series?, timeout: timeout?, then: then? })
}
