//! Whole series: very long ones, and what was received taken out again as plain files, also when the ledger has lost its
//! rows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use sagittal::ledger::{ClosedBy, JobFilter, JobKind};

use crate::support::modality::{self, Outgoing};
use crate::support::phantom;
use crate::support::site::{Site, until};

/// More than any scanner makes in one series today.
const MANY: usize = 10_000;
const ASSOCIATIONS: usize = 8;

/// SOP Instance UIDs and data sets of the files in a folder.
fn exported(site: &Site, series: &str, folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let output = site.command(&["series", "export", series, "-o", folder.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.map(|bytes| Outgoing::of_part10(&bytes)).map(|o| (o.sop_instance, o.dataset)).collect()
}

#[test]
fn a_series_is_exported_as_it_came_even_after_the_ledger_was_lost() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let site = Site::new(nobody);
    let phantom = phantom::Series::new(16, 16, 5).named("exported", "series");
    let sent: Vec<Outgoing> = phantom.instances().iter().map(|bytes| Outgoing::of_part10(bytes)).collect();
    let series = phantom.series_uid().to_string();
    let expected: BTreeMap<_, _> = sent.iter().map(|o| (o.sop_instance.clone(), o.dataset.clone())).collect();

    let node = site.start();
    assert_eq!(modality::send(node.address, &sent).len(), 5);
    assert_eq!(modality::send(node.address, &sent[..2]).len(), 2, "the same bytes again are welcome");
    assert_eq!(exported(&site, &series, &site.folder.path().join("first")), expected);
    node.kill();

    // all that a power cut can take from the ledger, and more
    let data = site.spool().parent().unwrap().to_owned();
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    let node = site.start();
    assert_eq!(exported(&site, &series, &site.folder.path().join("second")), expected);
    let mut again = site.command(&["series", "export", &series, "-o", "second"]);
    let refused = again.current_dir(site.folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "existing files are not overwritten");
    assert!(node.stop().success());
}

/// One series of 10,000 slices over several associations at once: one revision, all instances, an ordinary geometry, and
/// its job is made; memory stays that of a node, not that of the series.
#[test]
fn a_series_of_ten_thousand_instances_is_one_revision() {
    let site = Site::new(SocketAddr::from(([127, 0, 0, 1], 9)));
    let node = std::fs::read_to_string(site.config().join("node.toml")).unwrap();
    site.write("node.toml", &node.replace("\"10 s\"", "\"1 h\"").replace("\"200 ms\"", "\"4 s\""));
    // Its job is to be made, not to be run.
    site.write("pipelines.toml", "[pipeline.threshold]\nmodels = [\"threshold\"]\naccept = [\"no-geometry\"]\n");
    let phantom = phantom::Series::new(4, 4, MANY).named("long", "series");
    let sent: Vec<Outgoing> = phantom.instances().iter().map(|bytes| Outgoing::of_part10(bytes)).collect();

    let node = site.start();
    let address = node.address;
    let taken: usize = std::thread::scope(|scope| {
        let parts: Vec<_> =
            sent.chunks(MANY / ASSOCIATIONS).map(|part| scope.spawn(|| modality::send(address, part))).collect();
        parts.into_iter().map(|part| part.join().unwrap().len()).sum()
    });
    assert_eq!(taken, MANY);
    let series = phantom.series_uid().to_string();
    let filter = JobFilter { series: Some(phantom.series_uid()), ..JobFilter::default() };
    let (ledger, mut jobs) = (site.ledger(), Vec::new());
    until("the job of the series", || {
        jobs = ledger.jobs(&filter).unwrap();
        !jobs.is_empty()
    });
    assert_eq!((jobs.len(), jobs[0].kind, jobs[0].revision), (1, JobKind::Infer, 1));
    assert!(ledger.open_revisions().unwrap().is_empty());
    assert_eq!(ledger.series_objects(&series).unwrap().len(), MANY);
    let explained = site.command(&["rules", "explain", &series]).output().unwrap();
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("regular") && explained.contains("10000"), "{explained}");
    let peak = node.peak_memory();
    assert!(peak < 600 << 20, "{} MB", peak >> 20);
    assert!(node.stop().success());
}

/// Headers may say how many images there are; with the end of the association that is enough, whatever the quiet times.
#[test]
fn a_series_that_says_how_many_images_it_has_is_finished_when_they_are_there() {
    let site = Site::new(SocketAddr::from(([127, 0, 0, 1], 9)));
    let node = std::fs::read_to_string(site.config().join("node.toml")).unwrap();
    site.write("node.toml", &node.replace("\"10 s\"", "\"1 h\"").replace("\"200 ms\"", "\"1 h\""));
    let series = |name: &str| phantom::Series::new(8, 8, 5).named("announced", name);
    let sent = |series: &phantom::Series| -> Vec<Outgoing> {
        series.instances().iter().map(|bytes| Outgoing::of_part10(bytes)).collect()
    };
    let counted = |name: &str, count: &str| series(name).with(tags::IMAGES_IN_ACQUISITION, VR::IS, count);
    let short = counted("short", "5");
    // an acquisition may be a part of a series
    let part = counted("part", "3").with(tags::NUMBER_OF_SERIES_RELATED_INSTANCES, VR::IS, "5");
    let whole = counted("whole", "5");
    let node = site.start();
    for incomplete in [&short, &part] {
        assert_eq!(modality::send(node.address, &sent(incomplete)[..3]).len(), 3);
    }
    for part in sent(&whole).chunks(3) {
        assert_eq!(modality::send(node.address, part).len(), part.len());
    }
    let ledger = site.ledger();
    let decided = |series: &phantom::Series| ledger.decisions_of_series(series.series_uid().as_str()).unwrap();
    until("the whole series is finished", || !decided(&whole).is_empty());
    assert_eq!(decided(&whole)[0].closed_by, ClosedBy::ExpectedCount);
    assert_eq!(decided(&whole)[0].instances, 5, "not when the first part of it was there");
    assert!(
        decided(&short).is_empty() && decided(&part).is_empty(),
        "what came before it and lacks two is not finished"
    );
    assert_eq!(modality::send(node.address, &sent(&part)[3..]).len(), 2);
    until("the other one is finished, too", || !decided(&part).is_empty());
    assert!(decided(&short).is_empty());
    assert!(node.stop().success());
}
