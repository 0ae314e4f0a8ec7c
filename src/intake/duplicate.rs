//! Whether two copies of an instance are one: their digests say so quickly, their bytes for sure.
//!
//! Only what the ledger takes for a duplicate is compared, so that no cryptographic digest is paid for by
//! every instance.

use super::IntakeError;
use crate::dicom::Meta;
use crate::ledger::{ArrivedInstance, Ledger};
use crate::spool::{Location, Spool, SpoolError};

/// Whether the copy held of the instance of `row` has exactly these bytes as its data set. A held copy that is
/// gone or damaged does not count: the new one takes its place.
pub(super) fn is_held(
    spool: &Spool,
    ledger: &Ledger,
    row: &ArrivedInstance,
    dataset: &[u8],
) -> Result<bool, IntakeError> {
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
