//! Questions to a PACS by C-FIND, Study Root (PS3.4 annex C): which studies a patient has, what series and instances a
//! study has, and how many. Decides nothing, brings nothing.

use std::time::Duration;

use dicom_dictionary_std::tags;

use super::DeliveryError;
use super::contexts::{Chosen, Proposal};
use super::query::{Identifier, ask, service};
use super::scu::{Peer, Scu};
use crate::dicom::{Dataset, SeriesKey, Uid, services, tables, text, uid_of};

/// What is wanted: a study, or one series of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub study: Uid,
    pub series: Option<Uid>,
}

/// An instance that a peer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundInstance {
    pub sop_instance: Uid,
    /// `None`: the peer does not tell it.
    pub sop_class: Option<Uid>,
}

/// A study of a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundStudy {
    pub study: Uid,
    /// StudyDate, `YYYYMMDD`; empty when the peer does not tell it.
    pub date: String,
}

/// A series of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSeries {
    pub key: SeriesKey,
    pub modality: Option<String>,
}

/// Whose studies are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Patient<'a> {
    pub id: &'a str,
    /// IssuerOfPatientID (0010,0021).
    pub issuer: Option<&'a str>,
}

/// An association for questions, of one peer.
pub struct Finder {
    scu: Scu,
    context: Chosen,
}

impl Finder {
    pub async fn connect(peer: &Peer, timeout: Duration) -> Result<Finder, DeliveryError> {
        let scu = Scu::connect(peer, timeout, &[Proposal::of(&services::FIND)]).await?;
        let context = service(&scu, tables::STUDY_ROOT_FIND)?;
        Ok(Finder { scu, context })
    }

    pub async fn end(self) {
        self.scu.release().await;
    }

    /// The instances of what is wanted.
    pub async fn instances(&mut self, wanted: &Wanted) -> Result<Vec<FoundInstance>, DeliveryError> {
        let series = match &wanted.series {
            Some(series) => vec![series.clone()],
            // the instance level needs one
            None => self.series(&wanted.study).await?.into_iter().map(|found| found.key.series).collect(),
        };
        let mut instances = Vec::new();
        for series in &series {
            let keys = Identifier::at("IMAGE").in_series(&wanted.study, series);
            let found = self.ask(&keys.asking_for(&[tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID])).await?;
            instances.extend(found.iter().filter_map(|set| {
                let sop_instance = uid_of(set, tags::SOP_INSTANCE_UID).ok()?;
                Some(FoundInstance { sop_instance, sop_class: uid_of(set, tags::SOP_CLASS_UID).ok() })
            }));
        }
        Ok(instances)
    }

    pub async fn series(&mut self, study: &Uid) -> Result<Vec<FoundSeries>, DeliveryError> {
        let keys = Identifier::at("SERIES").in_study(study).asking_for(&[tags::SERIES_INSTANCE_UID, tags::MODALITY]);
        let found = self.ask(&keys).await?;
        let series = |set: &Dataset| {
            let key = SeriesKey { study: study.clone(), series: uid_of(set, tags::SERIES_INSTANCE_UID).ok()? };
            Some(FoundSeries { key, modality: text(set, tags::MODALITY) })
        };
        Ok(found.iter().filter_map(series).collect())
    }

    /// The studies of `patient`. What a peer finds by a wild card in an ID, or of a patient of another issuer, is no match.
    pub async fn studies(&mut self, patient: Patient<'_>) -> Result<Vec<FoundStudy>, DeliveryError> {
        let asked = [tags::STUDY_INSTANCE_UID, tags::STUDY_DATE, tags::ISSUER_OF_PATIENT_ID];
        let keys = Identifier::at("STUDY").with(tags::PATIENT_ID, patient.id).asking_for(&asked);
        let found = self.ask(&keys).await?;
        let same = |set: &&Dataset| {
            let issuer = text(set, tags::ISSUER_OF_PATIENT_ID);
            text(set, tags::PATIENT_ID).as_deref() == Some(patient.id)
                && issuer.as_deref().is_none_or(|found| patient.issuer.is_none_or(|ours| ours == found))
        };
        let study = |set: &Dataset| {
            let date = text(set, tags::STUDY_DATE).unwrap_or_default();
            Some(FoundStudy { study: uid_of(set, tags::STUDY_INSTANCE_UID).ok()?, date })
        };
        Ok(found.iter().filter(same).filter_map(study).collect())
    }

    /// How many instances of a series the peer holds: as it says, or else by counting them.
    pub async fn count(&mut self, study: &Uid, series: &Uid) -> Result<u64, DeliveryError> {
        let number = tags::NUMBER_OF_SERIES_RELATED_INSTANCES;
        let found = self.ask(&Identifier::at("SERIES").in_series(study, series).asking_for(&[number])).await?;
        if let Some(said) = found.iter().find_map(|set| set.get(number)?.to_int::<u64>().ok()) {
            return Ok(said);
        }
        let keys = Identifier::at("IMAGE").in_series(study, series).asking_for(&[tags::SOP_INSTANCE_UID]);
        Ok(self.ask(&keys).await?.len() as u64)
    }

    async fn ask(&mut self, keys: &Identifier) -> Result<Vec<Dataset>, DeliveryError> {
        ask(&mut self.scu, &self.context, keys).await
    }
}
