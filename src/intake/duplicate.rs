//! Whether two copies of an instance are one: their digests say so quickly, their bytes for sure.
//!
//! Only what the ledger takes for a duplicate is compared, so that no cryptographic digest is paid for by
//! every instance.

use super::IntakeError;
use crate::dicom::Meta;
use crate::ledger::{ArrivedInstance, Ledger, Recorded};
use crate::spool::{Location, Spool, SpoolError, sha256};

/// Looks closer at a copy that the ledger took for identical: its bytes are removed when they are held already,
/// else the copy is recorded after all.
pub(super) fn settle(spool: &Spool, ledger: &Ledger, row: &ArrivedInstance) -> Result<Recorded, IntakeError> {
    let location = Location(row.location.clone());
    let file = spool.read(&location)?;
    let dataset = data_set(&file).unwrap_or(&file);
    if !is_held(spool, ledger, row, dataset)? {
        let other = ArrivedInstance { digest: sha256(dataset), ..row.clone() };
        let recorded = ledger.record_instances(&[other])?.pop();
        if let Some(recorded @ (Recorded::New { .. } | Recorded::Replaced { .. })) = recorded {
            return Ok(recorded);
        }
    }
    if let Err(fault) = spool.remove(&location) {
        tracing::warn!("bytes that no row names stay until the next start: {fault}");
    }
    Ok(Recorded::Identical)
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
