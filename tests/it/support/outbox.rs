//! A node with results that wait to be delivered, made without a model: ledger and spool are filled before it starts. Its
//! clock stands still until the test moves it.

use std::sync::Arc;
use std::time::Duration;

use sagittal::clock::{Clock, TestClock};
use sagittal::config::Config;
use sagittal::delivery::Object;
use sagittal::dicom::ladder::Form;
use sagittal::dicom::sha256;
use sagittal::dicom::{SeriesKey, Uid};
use sagittal::ledger::{
    ArrivedInstance, ClosedBy, Closing, JobDetail, JobFilter, JobKind, Ledger, NewInferJob, ResultRow, Verdict,
};
use sagittal::node::{self, Running};
use sagittal::spool::Spool;

use super::site::Site;

/// When every outbox is made, by its clock.
const START: i64 = 1_700_000_000_000;

pub struct Outbox {
    pub site: Site,
    pub clock: TestClock,
}

impl Outbox {
    /// One deliver job for each of `destinations` (names, and the text of destinations.toml) with all of `results`.
    pub fn new(names: &[&str], destinations: &str, results: &[Object]) -> Outbox {
        let outbox = Outbox::empty(destinations);
        let (ledger, spool) = outbox.open(Arc::new(outbox.clock.clone()));
        fill(&ledger, &spool, names, results, 3);
        outbox
    }

    /// Nothing to deliver yet.
    pub fn empty(destinations: &str) -> Outbox {
        let site = Site::new(([127, 0, 0, 1], 1).into());
        site.write("destinations.toml", destinations);
        site.write("rules.toml", "");
        let outbox = Outbox { site, clock: TestClock::at(START) };
        std::fs::create_dir_all(outbox.config().node.data).unwrap();
        outbox
    }

    /// Ledger and spool, while no node runs on them.
    pub fn open(&self, clock: Arc<dyn Clock>) -> (Ledger, Spool) {
        let config = self.config();
        let spool = Spool::open(&node::spool_path(&config.node)).unwrap();
        (node::open_ledger(&config, clock).unwrap(), spool)
    }

    pub fn config(&self) -> Config {
        Config::load(&self.site.config()).unwrap()
    }

    /// Hours since the outbox was made, by its clock.
    pub fn clock_hours(&self) -> f64 {
        (self.clock.now().0 - START) as f64 / 3_600_000.0
    }

    pub async fn start(&self) -> Running {
        node::start(self.config(), Arc::new(self.clock.clone())).await.unwrap()
    }
}

/// The series 1.2.`series`, analysed: `results` wait to be delivered to each of `names`.
pub fn fill(ledger: &Ledger, spool: &Spool, names: &[&str], results: &[Object], series: usize) {
    let uid = |text: &str| Uid::parse(text).unwrap();
    let key = SeriesKey { study: uid("1.2"), series: uid(&format!("1.2.{series}")) };
    let source = uid(&format!("1.2.9.{series}"));
    let arrived = ArrivedInstance {
        series: key.clone(),
        sop_class: uid("1.2.840.10008.5.1.4.1.1.4"),
        location: spool.append(&key, &source, &[&results[0].bytes]).unwrap().0,
        sop_instance: source,
        transfer_syntax: results[0].transfer_syntax.clone(),
        length: results[0].bytes.len() as u64,
        digest: "0".to_owned(),
        calling_ae: "A".to_owned(),
        called_ae: "B".to_owned(),
        sender: "cli".to_owned(),
    };
    ledger.record_instances(&[arrived]).unwrap();
    let open = ledger.series_revision(&key).unwrap().unwrap();
    let job = NewInferJob {
        rule: "every MR".to_owned(),
        pipeline: "threshold".to_owned(),
        destinations: names.iter().map(|name| (*name).to_owned()).collect(),
        ..NewInferJob::default()
    };
    let closing = Closing {
        revision: open.id,
        arrivals: open.arrivals,
        by: ClosedBy::Operator,
        geometry: "\"regular\"".to_owned(),
        summary: "{}".to_owned(),
        explanation: "{}".to_owned(),
        rules_revision: "r1".to_owned(),
        verdict: Verdict { jobs: vec![job], ..Verdict::default() },
        study_rules: false,
    };
    ledger.close_revision(&closing).unwrap();
    let claim = ledger.claim(JobKind::Infer, "test", Duration::from_mins(1), 1, &[]).unwrap().remove(0);
    let rows: Vec<ResultRow> = results
        .iter()
        .map(|object| ResultRow {
            sop_class: object.sop_class.clone(),
            sop_instance: object.sop_instance.clone(),
            study: key.study.clone(),
            series: key.series.clone(),
            transfer_syntax: object.transfer_syntax.clone(),
            kind: "seg".to_owned(),
            form: Form::ALL.iter().copied().find(|form| form.sop_class() == object.sop_class.as_str()),
            location: spool.append(&key, &object.sop_instance, &[&object.bytes]).unwrap().0,
            length: object.bytes.len() as u64,
            sha256: sha256(&object.bytes),
        })
        .collect();
    assert!(ledger.complete_infer(&claim, &rows).unwrap());
}

/// The only delivery to `destination` once it `is`.
pub async fn delivery_that(ledger: &Ledger, destination: &str, is: impl Fn(&JobDetail) -> bool) -> JobDetail {
    let filter =
        JobFilter { kind: Some(JobKind::Deliver), destination: Some(destination.to_owned()), ..JobFilter::default() };
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    let mut look = tokio::time::interval(Duration::from_millis(10));
    loop {
        look.tick().await;
        let job = ledger.jobs(&filter).unwrap().remove(0);
        let detail = ledger.job(job.id).unwrap().unwrap();
        if is(&detail) {
            return detail;
        }
        assert!(tokio::time::Instant::now() < deadline, "{detail:#?}");
    }
}
