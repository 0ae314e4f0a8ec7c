//! The ledger's events as the audit trail tells them.

use std::collections::BTreeMap;

use super::Herald;
use crate::config::{Destination, DestinationKind};
use crate::dicom::SeriesKey;
use crate::ledger::{EventRow, Happened, JobDetail, LedgerError};
use crate::observe::audit::{Event, Patient, Peer, Study, Transfer};

const NOBODY: &str = "the node";

impl Herald {
    /// `None` for what the trail does not tell: an analysis that failed moved nothing.
    pub(super) fn audited(&self, row: &EventRow) -> Result<Option<Event>, LedgerError> {
        let who = row.who.clone().unwrap_or_else(|| NOBODY.to_owned());
        Ok(match row.what {
            Happened::Acted => Some(Event::Acted { who, what: row.detail.clone() }),
            Happened::Rules => Some(Event::Configured { who, what: row.detail.clone() }),
            Happened::Held
            | Happened::SeriesHeld
            | Happened::RuleGaveUp
            | Happened::Unreachable
            | Happened::Reachable => None,
            Happened::Delivered | Happened::GivenUp => {
                let job = row.job.map(|job| self.ledger.job(job)).transpose()?.flatten();
                let failure = (row.what == Happened::GivenUp).then(|| row.detail.clone());
                job.and_then(|job| self.sent(&job, failure))
            }
        })
    }

    fn sent(&self, job: &JobDetail, failure: Option<String>) -> Option<Event> {
        let name = job.job.destination.as_deref()?;
        let peer =
            self.config.load().destinations.get(name).map_or_else(
                || Peer { title: name.to_owned(), address: None },
                |destination| peer_of(name, destination),
            );
        let source = SeriesKey { study: job.job.study.clone(), series: job.job.series.clone() };
        let patient = self.intake.patient_of(&source).map(|(id, name)| Patient { id, name });
        let mut studies: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for result in &job.results {
            let classes = studies.entry(result.study.to_string()).or_default();
            *classes.entry(result.sop_class.to_string()).or_default() += 1;
        }
        let study = |(uid, classes): (String, BTreeMap<String, u64>)| Study {
            uid,
            patient: patient.clone(),
            classes: classes.into_iter().collect(),
        };
        Some(Event::Sent(Transfer { peer, studies: studies.into_iter().map(study).collect(), failure }))
    }
}

fn peer_of(name: &str, destination: &Destination) -> Peer {
    match &destination.kind {
        DestinationKind::Dicom { host, called, .. } => Peer { title: called.to_string(), address: Some(host.clone()) },
        DestinationKind::Orthanc(peer) => web(name, &peer.at.url),
        DestinationKind::DicomWeb { at, .. } => web(name, &at.url),
        DestinationKind::Folder { .. } | DestinationKind::ReportOnly => Peer { title: name.to_owned(), address: None },
    }
}

fn web(name: &str, url: &str) -> Peer {
    let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next());
    Peer { title: name.to_owned(), address: host.map(str::to_owned) }
}
