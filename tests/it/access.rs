//! Several AE titles on one node: whom each takes, which rules see the series, how urgent it is.

use std::sync::Arc;
use std::time::Duration;

use sagittal::clock::SystemClock;
use sagittal::config::Config;
use sagittal::dicom::Uid;
use sagittal::ledger::{JobFilter, JobKind, JobRow, Ledger, Priority};
use sagittal::node;

use crate::support::modality::{Outgoing, send_to};
use crate::support::site::Site;
use crate::support::{phantom, soon};

const NODE: &str = r#"[node]
ae_title = "SAGITTAL"

[receive]
listen = "127.0.0.1:0"

[ae."CT-AI"]
allow = ["MODALITY"]
classes = ["CT Image Storage"]
rules = ["head CT"]
priority = "urgent"

[ae."MR-AI"]
allow = ["MODALITY"]
classes = ["MR Image Storage"]

[ae."PACS-AI"]
allow = ["PACS"]

[completion]
quiet = "4 s"
quiet_after_release = "0 s"
"#;

const RULES: &str = r#"[[rule]]
name = "every CT"
when.Modality = "CT"
pipeline = "threshold"
send_to = ["folder"]

[[rule]]
name = "head CT"
when.Modality = "CT"
pipeline = "threshold"
send_to = ["folder"]
"#;

/// A new CT series sent to `called`: its UID, and how many of its instances were stored.
async fn sent(called: &'static str, address: std::net::SocketAddr, study: &str) -> (Uid, usize) {
    let phantom = phantom::Series::new(16, 16, 3).named(study, "series");
    let instances: Vec<Outgoing> = phantom.instances().iter().map(|bytes| Outgoing::of_part10(bytes)).collect();
    let stored = tokio::task::spawn_blocking(move || send_to(called, address, &instances).len());
    (phantom.series_uid(), soon(stored).await.unwrap())
}

async fn infer_job(ledger: &Ledger, series: Uid) -> JobRow {
    let filter = JobFilter { kind: Some(JobKind::Infer), series: Some(series), ..JobFilter::default() };
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    soon(async {
        loop {
            tick.tick().await;
            if let Some(job) = ledger.jobs(&filter).unwrap().pop() {
                return job;
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_ae_title_has_its_own_senders_classes_rules_and_priority() {
    let site = Site::new(([127, 0, 0, 1], 1).into());
    site.write("node.toml", NODE);
    site.write("rules.toml", RULES);
    let running = node::start(Config::load(&site.config()).unwrap(), Arc::new(SystemClock)).await.unwrap();
    let address = running.address();

    let (own, stored) = sent("SAGITTAL", address, "to the node").await;
    assert_eq!(stored, 3);
    let (urgent, stored) = sent("CT-AI", address, "to CT-AI").await;
    assert_eq!(stored, 3);
    assert_eq!(sent("MR-AI", address, "CT to MR-AI").await.1, 0, "a class that is not on the list");
    assert_eq!(sent("PACS-AI", address, "MODALITY to PACS-AI").await.1, 0, "a sender that is not on the list");
    assert_eq!(sent("NOBODY", address, "to nobody").await.1, 0, "a title that is none of ours");

    let job = infer_job(running.ledger(), own).await;
    assert_eq!((job.rule.as_str(), job.priority), ("every CT, head CT", Priority::Routine));
    let job = infer_job(running.ledger(), urgent).await;
    assert_eq!((job.rule.as_str(), job.priority), ("head CT", Priority::Urgent));
    soon(running.stop()).await;
}
