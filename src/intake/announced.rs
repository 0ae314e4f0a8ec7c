//! How many instances a series has by its own headers: NumberOfSeriesRelatedInstances (0020,1209), else ImagesInAcquisition
//! (0020,1002). An acquisition may be a part of a series, so the count is a second sign beside the end of an association,
//! never one of its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dicom_dictionary_std::tags;

use super::{IntakeError, arrive};
use crate::dicom::text;
use crate::ledger::{Ledger, OpenRevision};
use crate::spool::{Location, Spool};

/// By open revision, so that its header is read once.
#[derive(Debug, Default)]
pub(super) struct Announced {
    known: Mutex<HashMap<i64, Option<u64>>>,
}

impl Announced {
    /// Forgets all but these.
    pub fn keep(&self, open: &[OpenRevision]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|revision, _| open.iter().any(|open| open.id == *revision));
    }

    /// Of a revision whose association was released; others need no count.
    pub fn of(&self, ledger: &Ledger, spool: &Spool, open: &OpenRevision) -> Option<u64> {
        open.released_at?;
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&open.id) {
            return *known;
        }
        // what cannot be read is told when the revision is closed
        let count = read(ledger, spool, open.id).ok().flatten();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(open.id, count);
        count
    }
}

fn read(ledger: &Ledger, spool: &Spool, revision: i64) -> Result<Option<u64>, IntakeError> {
    let Some(row) = ledger.revision_instances(revision)?.pop() else { return Ok(None) };
    let header = arrive::read_header(spool.open_reader(&Location(row.location))?)?;
    let count = |tag| text(&header, tag)?.trim().parse().ok().filter(|count| *count > 0);
    Ok(count(tags::NUMBER_OF_SERIES_RELATED_INSTANCES).or_else(|| count(tags::IMAGES_IN_ACQUISITION)))
}
