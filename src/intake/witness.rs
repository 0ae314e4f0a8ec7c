//! What an audit trail asks about instances that were taken: of which studies and patients they are.
//!
//! The only place that gives a patient's name away; nothing of it is logged.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use dicom_dictionary_std::tags;

use super::{Intake, arrive};
use crate::dicom::{self, SeriesKey};
use crate::spool::Location;

/// PatientID and PatientName.
pub type Patient = (String, String);

impl Intake {
    /// The studies that an open association has brought instances of, with their patients. Blocking.
    #[must_use]
    pub fn fed(&self, association: u64) -> Vec<(String, Option<Patient>)> {
        let fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner).get(&association).cloned();
        // a series of each study
        let studies: BTreeMap<String, SeriesKey> =
            fed.into_iter().flatten().map(|series| (series.study.to_string(), series)).collect();
        if !studies.is_empty() && self.committer.flush().is_err() {
            return Vec::new();
        }
        studies.into_iter().map(|(study, series)| (study, self.patient_of(&series))).collect()
    }

    /// The patient of a series that is held. Blocking.
    #[must_use]
    pub fn patient_of(&self, series: &SeriesKey) -> Option<Patient> {
        let objects = self.ledger.series_objects(series.series.as_str()).ok()?;
        let (_, location) = objects.into_iter().next()?;
        let header = arrive::read_header(self.spool.open_reader(&Location(location)).ok()?).ok()?;
        let text = |tag| dicom::text(&header, tag).unwrap_or_default();
        Some((text(tags::PATIENT_ID), text(tags::PATIENT_NAME)))
    }
}
