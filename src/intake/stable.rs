//! A program that holds the whole series, such as an Orthanc, says that nothing more comes: the series is closed when all
//! of it is here, whatever the quiet times say.

use super::{Closed, Intake, IntakeError};
use crate::dicom::Uid;
use crate::ledger::ClosedBy;

/// What became of the word that a series is complete.
#[derive(Debug)]
pub enum Stable {
    Closed(Vec<Closed>),
    /// Fewer instances are here than were announced: it is closed when the last one comes.
    Waits {
        there: u64,
    },
}

impl Intake {
    /// `instances`: how many the series has, where that was said. Blocking.
    ///
    /// # Errors
    /// [`IntakeError::NothingOpen`] when nothing of the series has come, or it is finished already.
    pub fn stable_series(&self, series: &Uid, instances: Option<u64>) -> Result<Stable, IntakeError> {
        self.committer.flush()?;
        let open = self.ledger.open_revisions()?.into_iter().filter(|revision| revision.series.series == *series);
        let lacking: Vec<_> = open.filter(|open| instances.is_some_and(|count| open.instances < count)).collect();
        let Some(there) = lacking.iter().map(|open| open.instances).min() else {
            return Ok(Stable::Closed(self.close_series(series, ClosedBy::StableSeries)?));
        };
        for open in &lacking {
            self.ledger.announce(open.id, instances.unwrap_or_default())?;
        }
        Ok(Stable::Waits { there })
    }
}
