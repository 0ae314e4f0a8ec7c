//! What was received, taken out again as plain files, also when the ledger has lost its rows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::support::modality::{self, Outgoing};
use crate::support::phantom;
use crate::support::site::Site;

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
