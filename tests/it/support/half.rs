//! The receiving half of a node, without the network: what arrives is put into its hands, and time is what the test says.

use std::sync::Arc;

use arc_swap::ArcSwap;
use sagittal::clock::Clock;
use sagittal::config::Config;
use sagittal::dicom::{SeriesKey, Uid};
use sagittal::intake::{Arrival, Intake, rebuild};
use sagittal::ledger::{ClosedBy, JobDetail, JobFilter, JobKind, JobRow, Ledger};
use sagittal::reload::Reloader;
use sagittal::spool::{Spool, SpoolOptions};

use super::modality::Outgoing;
use super::phantom;
use super::site::Site;

pub struct Half {
    pub intake: Intake,
    pub ledger: Ledger,
    pub spool: Arc<Spool>,
    pub reloader: Reloader,
}

impl Half {
    /// As a node starts on what another one left, however that one ended.
    pub fn open(site: &Site, clock: Arc<dyn Clock>) -> Half {
        let config = Config::load(&site.config()).unwrap();
        std::fs::create_dir_all(&config.node.data).unwrap();
        let ledger = sagittal::node::open_ledger(&config, clock.clone()).unwrap();
        let options = SpoolOptions { reserve: 0, ..SpoolOptions::default() };
        let spool = Arc::new(Spool::open_with(&sagittal::node::spool_path(&config.node), options).unwrap());
        rebuild(&spool, &ledger).unwrap();
        let config = Arc::new(ArcSwap::from_pointee(config));
        let reloader = Reloader::start(config.clone(), ledger.clone()).unwrap();
        Half { intake: Intake::new(spool.clone(), ledger.clone(), clock, config), ledger, spool, reloader }
    }

    /// The instances arrive, by no association.
    pub fn take(&self, series: &phantom::Series) {
        let uid = |text: &str| Uid::parse(text).unwrap();
        for instance in series.instances() {
            let outgoing = Outgoing::of_part10(&instance);
            let arrival = Arrival {
                calling: "MODALITY",
                called: "SAGITTAL",
                sender: "cli",
                association: None,
                sop_class: &uid(&outgoing.sop_class),
                sop_instance: &uid(&outgoing.sop_instance),
                transfer_syntax: &uid("1.2.840.10008.1.2.1"),
            };
            self.intake.take(&arrival, &outgoing.dataset).unwrap();
        }
    }

    pub fn close(&self, series: &phantom::Series) {
        let key = SeriesKey { study: series.study_uid(), series: series.series_uid() };
        self.intake.close_now(&key, ClosedBy::Operator).unwrap().unwrap();
    }

    /// The instances arrive, and the series is closed.
    pub fn receive(&self, series: &phantom::Series) {
        self.take(series);
        self.close(series);
    }

    /// What a node does all the time.
    pub fn look(&self) {
        self.intake.close_due().unwrap();
        self.intake.decide_due().unwrap();
    }

    /// Infer jobs, oldest first.
    pub fn jobs(&self) -> Vec<JobRow> {
        let filter = JobFilter { kind: Some(JobKind::Infer), limit: Some(1000), ..JobFilter::default() };
        let mut jobs = self.ledger.jobs(&filter).unwrap();
        jobs.sort_by_key(|job| job.id);
        jobs
    }

    /// The rules of the infer jobs, oldest first.
    pub fn rules(&self) -> Vec<String> {
        self.jobs().into_iter().map(|job| job.rule).collect()
    }

    /// The newest infer job in full.
    pub fn last_job(&self) -> JobDetail {
        self.ledger.job(self.jobs().last().unwrap().id).unwrap().unwrap()
    }
}
