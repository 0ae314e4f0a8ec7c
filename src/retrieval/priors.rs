//! Earlier studies of a patient: which of those that a PACS has, and of each the series that can be compared.
//!
//! Chosen by PatientID, StudyDate and Modality; what an input of a rule takes of them is the rule's business.

use std::collections::BTreeSet;

use dicom_dictionary_std::tags;

use super::{RetrievalError, Retriever, Source, blocking, wanted};
use crate::delivery::find::{Finder, FoundSeries, FoundStudy, Patient};
use crate::dicom::{SeriesKey, Uid};
use crate::intake::IntakeError;
use crate::ledger::ClosedBy;
use crate::rules::SeriesSummary;

/// What earlier studies are looked for by.
#[derive(Debug, Default, PartialEq, Eq)]
struct Current {
    patient: String,
    issuer: Option<String>,
    /// The earliest StudyDate of the study's series, `YYYYMMDD`.
    date: Option<String>,
    modalities: BTreeSet<String>,
}

impl Current {
    fn of(series: &[SeriesSummary]) -> Current {
        let values = |tag| series.iter().flat_map(move |summary| summary.values(tag)).filter(|value| !value.is_empty());
        Current {
            patient: values(tags::PATIENT_ID).next().unwrap_or_default().to_owned(),
            issuer: values(tags::ISSUER_OF_PATIENT_ID).next().map(str::to_owned),
            date: values(tags::STUDY_DATE).min().map(str::to_owned),
            modalities: values(tags::MODALITY).map(str::to_owned).collect(),
        }
    }

    /// The other studies that are not later, the latest first; of two of one day the order is that of their UIDs.
    fn earlier(&self, study: &Uid, mut found: Vec<FoundStudy>) -> Vec<FoundStudy> {
        found.retain(|other| other.study != *study && self.date.as_ref().is_none_or(|date| other.date <= *date));
        found.sort_by(|a, b| b.date.cmp(&a.date).then_with(|| a.study.as_str().cmp(b.study.as_str())));
        found
    }

    /// The series of a modality that the study has, too; a peer that tells none has all fetched.
    fn comparable(&self, found: Vec<FoundSeries>) -> Vec<SeriesKey> {
        let fits = |series: &FoundSeries| series.modality.as_ref().is_none_or(|m| self.modalities.contains(m));
        found.into_iter().filter(fits).map(|series| series.key).collect()
    }
}

impl Retriever {
    /// Fetches earlier studies of the patient of `study`; the number of instances that came.
    pub(super) async fn bring_priors(
        &self,
        source: &Source,
        mut finder: Finder,
        study: &Uid,
    ) -> Result<u64, RetrievalError> {
        let current = self.current(study).await?;
        let mut series = Vec::new();
        if !current.patient.is_empty() {
            let patient = Patient { id: &current.patient, issuer: current.issuer.as_deref() };
            let mut left = source.fetch.priors;
            for earlier in current.earlier(study, finder.studies(patient).await?) {
                let comparable = current.comparable(finder.series(&earlier.study).await?);
                left -= u32::from(!comparable.is_empty());
                series.extend(comparable);
                if left == 0 {
                    break;
                }
            }
        }
        let mut fetched = 0;
        for key in &series {
            let found = finder.instances(&wanted(key)).await?;
            self.mark(key).await?;
            fetched += self.complete(source, key, &found).await?;
            self.close(key).await?;
        }
        finder.end().await;
        Ok(fetched)
    }

    async fn current(&self, study: &Uid) -> Result<Current, RetrievalError> {
        let (ledger, study) = (self.ledger.clone(), study.clone());
        let members = blocking(move || Ok(ledger.study_members(&study)?)).await?;
        let summaries: Vec<SeriesSummary> =
            members.iter().map(|member| serde_json::from_str(&member.summary)).collect::<Result<_, _>>()?;
        Ok(Current::of(&summaries))
    }

    /// A series of which nothing is here yet comes as one of an earlier study.
    async fn mark(&self, key: &SeriesKey) -> Result<(), RetrievalError> {
        let (ledger, key) = (self.ledger.clone(), key.clone());
        blocking(move || {
            if ledger.series_objects(key.series.as_str())?.is_empty() {
                ledger.mark_priors(&[key])?;
            }
            Ok(())
        })
        .await
    }

    /// All that the PACS has is here: there is nothing to wait for.
    async fn close(&self, key: &SeriesKey) -> Result<(), RetrievalError> {
        let (ledger, intake, key) = (self.ledger.clone(), self.intake.clone(), key.clone());
        blocking(move || {
            if !ledger.is_prior(&key)? {
                return Ok(());
            }
            match intake.close_now(&key, ClosedBy::ExpectedCount) {
                Ok(_) | Err(IntakeError::NothingOpen(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use dicom_core::{DataElement, VR};

    use super::*;
    use crate::dicom::Dataset;
    use crate::rules::SeriesFacts;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn summary(date: &str, modality: &str) -> SeriesSummary {
        let mut set = Dataset::new_empty();
        for (tag, vr, value) in
            [(tags::PATIENT_ID, VR::LO, "P1"), (tags::STUDY_DATE, VR::DA, date), (tags::MODALITY, VR::CS, modality)]
        {
            set.put(DataElement::new(tag, vr, value));
        }
        SeriesSummary::of([&set], SeriesFacts::default())
    }

    #[test]
    fn the_latest_of_the_earlier_studies_come_first_and_of_them_what_can_be_compared() {
        let current = Current::of(&[summary("20260102", "MR"), summary("20260102", "PR")]);
        assert_eq!((current.patient.as_str(), current.date.as_deref()), ("P1", Some("20260102")));
        let found = [("1.1", "20240101"), ("1.2", "20260102"), ("1.3", "20270101"), ("1.4", ""), ("1.5", "20250101")];
        let found = found.map(|(study, date)| FoundStudy { study: uid(study), date: date.to_owned() });
        let earlier: Vec<_> = current.earlier(&uid("1.2"), found.to_vec()).into_iter().map(|f| f.study).collect();
        assert_eq!(earlier, ["1.5", "1.1", "1.4"].map(uid), "neither itself nor a later one");
        let of = |series: &str, modality: Option<&str>| FoundSeries {
            key: SeriesKey { study: uid("1.1"), series: uid(series) },
            modality: modality.map(str::to_owned),
        };
        let series = vec![of("1.1.1", Some("MR")), of("1.1.2", Some("CT")), of("1.1.3", None)];
        let comparable: Vec<_> = current.comparable(series).into_iter().map(|key| key.series).collect();
        assert_eq!(comparable, ["1.1.1", "1.1.3"].map(uid));
    }
}
