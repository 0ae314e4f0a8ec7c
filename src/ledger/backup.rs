//! A copy of the ledger while it is in use.

use std::path::Path;

use super::{Ledger, LedgerError, lock};

impl Ledger {
    /// Writes the committed state of this moment to `path`, which must not exist. Other processes go on meanwhile; this one's
    /// writes wait.
    pub fn backup(&self, path: &Path) -> Result<(), LedgerError> {
        // outside of a transaction, which VACUUM refuses; SQLite takes it for a write, which the reader may not
        lock(&self.inner.writer).execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }
}
