//! Rules of whole studies, applied to series at hand: those of files, or those that the ledger remembers. All waiting is over.

use std::collections::BTreeSet;

use super::RulesError;
use crate::config::Config;
use crate::dicom::{SeriesKey, Uid};
use crate::ledger::{ClosedRevision, Ledger, LedgerError};
use crate::rules::{Scope, SeriesSummary, StudyMember, StudyNow, StudyRouting};

/// A series with what the rules see of it.
pub(super) type Seen<'a> = (&'a SeriesKey, &'a SeriesSummary);

/// What the rules of whole studies say of each study of `series`. Other studies of the same patient are earlier ones where a
/// rule asks for such. Nothing where there is no such rule.
pub(super) fn decide(config: &Config, series: &[Seen<'_>]) -> Vec<(Uid, StudyRouting)> {
    if !config.rules.rules().iter().any(|rule| matches!(rule.scope, Scope::Study(_))) {
        return Vec::new();
    }
    let studies: BTreeSet<&Uid> = series.iter().map(|(key, _)| &key.study).collect();
    studies.into_iter().map(|study| (study.clone(), decide_one(config, study, series))).collect()
}

fn decide_one(config: &Config, study: &Uid, series: &[Seen<'_>]) -> StudyRouting {
    let own = || series.iter().filter(|(key, _)| key.study == *study);
    let patient = own().find_map(|(_, summary)| summary.patient());
    let earlier = series.iter().filter(|(key, summary)| {
        let same = || patient.is_some() && summary.patient() == patient;
        key.study != *study && same()
    });
    let all = own().map(|series| (series, false)).chain(earlier.map(|series| (series, true)));
    let members = all.map(|((key, summary), prior)| {
        let seen = config.node.profile_of(&summary.facts.called_ae).rules.as_ref();
        StudyMember { id: key.series.as_str(), summary, prior, seen }
    });
    config.rules.decide_study(&members.collect::<Vec<_>>(), StudyNow::default())
}

/// What the rules of today say of a study that was received.
pub(super) fn of_today(config: &Config, ledger: &Ledger, study: &Uid) -> Result<Option<StudyRouting>, RulesError> {
    let mut known = read(ledger.study_members(study)?)?;
    let patient = known.iter().find_map(|(_, summary)| summary.patient());
    let patient = patient.map(|(id, issuer)| (id.to_owned(), issuer.map(str::to_owned)));
    if let Some((id, issuer)) = patient {
        known.extend(read(ledger.patient_members(&id, issuer.as_deref(), study)?)?);
    }
    let series: Vec<Seen<'_>> = known.iter().map(|(key, summary)| (key, summary)).collect();
    Ok(decide(config, &series).into_iter().find(|(of, _)| of == study).map(|(_, routing)| routing))
}

fn read(revisions: Vec<ClosedRevision>) -> Result<Vec<(SeriesKey, SeriesSummary)>, RulesError> {
    let unreadable = |source| LedgerError::Unreadable { column: "revisions.summary", source };
    let read = |revision: ClosedRevision| {
        let summary = serde_json::from_str(&revision.summary).map_err(unreadable)?;
        Ok((revision.series, summary))
    };
    revisions.into_iter().map(read).collect()
}
