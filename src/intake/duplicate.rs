//! Whether two copies of an instance are one: their digests say so quickly, their bytes for sure.
//!
//! Only what the ledger takes for a duplicate is compared, so that no cryptographic digest is paid for by
//! every instance.

use super::IntakeError;
use crate::dicom::{Meta, sha256};
use crate::ledger::{ArrivedInstance, Ledger, Recorded};
use crate::spool::{Location, Spool, SpoolError};

/// Finishes what the ledger said to a copy. One that it took for identical is looked at closer: it is recorded after
/// all when other bytes are held. The bytes of a copy that gets no row are still there: see [`discard`].
pub(super) fn settle(
    spool: &Spool,
    ledger: &Ledger,
    row: &ArrivedInstance,
    recorded: Recorded,
) -> Result<Recorded, IntakeError> {
    match recorded {
        Recorded::Identical => really(spool, ledger, row, &Location(row.location.clone())),
        other => Ok(other),
    }
}

/// Removes the bytes of a copy that got no row.
pub(super) fn discard(spool: &Spool, location: &Location) {
    if let Err(fault) = spool.remove(location) {
        tracing::warn!("bytes that no row names stay until the next start: {fault}");
    }
}

/// What a copy is that has the digest of the one held.
fn really(spool: &Spool, ledger: &Ledger, row: &ArrivedInstance, location: &Location) -> Result<Recorded, IntakeError> {
    let file = spool.read(location)?;
    let dataset = data_set(&file).unwrap_or(&file);
    if is_held(spool, ledger, row, dataset)? {
        return Ok(Recorded::Identical);
    }
    let other = ArrivedInstance { digest: sha256(dataset), ..row.clone() };
    Ok(ledger.record_instances(&[other])?.pop().unwrap_or(Recorded::Identical))
}

/// Whether the copy held of the instance of `row` has exactly these bytes as its data set. A held copy that is
/// gone or damaged does not count: the new one takes its place.
fn is_held(spool: &Spool, ledger: &Ledger, row: &ArrivedInstance, dataset: &[u8]) -> Result<bool, IntakeError> {
    let Some(location) = ledger.instance_location(&row.series, &row.sop_instance)? else { return Ok(false) };
    match spool.read(&Location(location)) {
        Ok(held) => Ok(data_set(&held) == Some(dataset)),
        Err(SpoolError::Missing(_) | SpoolError::Damaged(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The data set of a Part 10 file.
pub(super) fn data_set(file: &[u8]) -> Option<&[u8]> {
    file.get(Meta::read(file).ok()?.offset..)
}
