//! `sagittal demo`: a real head as a DICOM series, sent to a node of its own, and the SEG that comes back.
//!
//! Everything goes over DICOM on loopback: the series to the node, the result to a destination that this
//! command embeds. The series is synthetic in all but its voxels: no patient, no date of a real visit.

mod head;
mod pacs;
mod site;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::send::{self, PeerArgs, SendArgs, TlsArgs};
use super::{Failure, serve};
use crate::clock::SystemClock;
use crate::dicom::AeTitle;
use crate::node::Running;
use crate::results;
use crate::volume::{self, Segment, Segmentation, Sheet};
use pacs::{Pacs, Received};
use summary::{Kept, Part, Summary};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// T1 head as NIfTI (.nii or .nii.gz)
    #[arg(long)]
    head: PathBuf,
    /// SeriesDescription of the series made of it
    #[arg(long, default_value = "T1 3D head")]
    description: String,
    /// Folder of the model packages
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// Folder for everything the demo makes
    #[arg(long, default_value = "demo-out")]
    out: PathBuf,
    /// Leave the node running, to send series of your own to it
    #[arg(long)]
    keep: bool,
}

/// Longest wait for the result: a slow machine needs a minute or two.
const PATIENCE: Duration = Duration::from_mins(20);

pub async fn run(args: Args) -> Result<(), Failure> {
    println!("Sagittal demo. Research software, not a medical device.");
    let out = clean(&args.out)?;
    let files = head::write_head(&args.head, &args.description, &out.join("sent")).map_err(failed)?;
    println!("1. wrote {} DICOM slices of {:?} into {}", files.len(), args.description, out.join("sent").display());

    let mut pacs = Pacs::start(&out.join("received")).await?;
    let config = site::write(&out.join("site"), &args.models, pacs.address())?;
    let node = crate::node::start(config, Arc::new(SystemClock)).await.map_err(failed)?;
    println!("2. node SAGITTAL listens on {}, its destination on {}", node.address(), pacs.address());

    send::run(shipment(&node, &out.join("sent"))?).await?;
    println!("3. sent {} instances by C-STORE, each one acknowledged after it was synced to disk", files.len());
    let sent = Instant::now();
    let received = follow(&node, &mut pacs).await?;
    let turnaround = sent.elapsed();

    let kept =
        args.keep.then(|| Kept { address: node.address(), ae_title: "SAGITTAL".into(), results: out.join("received") });
    let summary = look(&out, &received, &args.description, &files, turnaround, kept)?;
    println!("\n{summary}");
    if args.keep {
        serve::stop_signal().await?;
    }
    node.stop().await;
    Ok(())
}

/// The output folder without what an earlier demo left in it; anything else in it stays.
fn clean(out: &Path) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(out)?;
    let out = out.canonicalize()?;
    for folder in ["sent", "received", "site"].map(|name| out.join(name)) {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
    }
    Ok(out)
}

/// What `sagittal send` would be told.
fn shipment(node: &Running, folder: &Path) -> Result<SendArgs, Failure> {
    let title = |text: &str| AeTitle::parse(text).map_err(failed);
    let address = (node.address().ip().to_string(), node.address().port());
    let peer =
        PeerArgs { address, called: title("SAGITTAL")?, calling: title("DEMO")?, seconds: 60, tls: TlsArgs::default() };
    Ok(SendArgs { peer, paths: vec![folder.to_owned()], json: false })
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// Shows how far the node is until the first result arrives at the destination or a job fails for good.
async fn follow(node: &Running, pacs: &mut Pacs) -> Result<Received, Failure> {
    let bar = ProgressBar::new(1).with_message("waiting for the series to be quiet").with_style(
        ProgressStyle::with_template("4. {spinner} {msg} [{bar:24}] {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut progress = node.progress();
    let deadline = Instant::now() + PATIENCE;
    loop {
        tokio::select! {
            received = pacs.next() => {
                bar.finish_and_clear();
                return received.ok_or_else(|| Failure::Failed("the embedded destination ended".into()));
            }
            changed = progress.changed() => {
                if changed.is_ok() {
                    show(&bar, &progress.borrow_and_update());
                }
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                bar.tick();
                given_up(node)?;
            }
        }
        if Instant::now() > deadline {
            return Err(Failure::Failed(format!("no result after {} minutes", PATIENCE.as_secs() / 60)));
        }
    }
}

fn show(bar: &ProgressBar, running: &crate::worker::Running) {
    if running.job.is_some() {
        bar.set_length(running.total.max(1));
        bar.set_position(running.done);
        bar.set_message(running.stage.clone());
    }
}

fn given_up(node: &Running) -> Result<(), Failure> {
    use crate::ledger::{JobFilter, JobState};
    let filter = JobFilter { states: vec![JobState::Discarded, JobState::Held], ..JobFilter::default() };
    match node.ledger().jobs(&filter)?.into_iter().next() {
        None => Ok(()),
        Some(job) => Err(Failure::Failed(format!("job {} failed: {}", job.id, job.last_error.unwrap_or_default()))),
    }
}

/// Reads the SEG as any receiver would, measures it and draws it over the anatomy.
fn look(
    out: &Path,
    received: &Received,
    series: &str,
    sent: &[PathBuf],
    turnaround: Duration,
    kept: Option<Kept>,
) -> Result<Summary, Failure> {
    let segmentation = results::read::segmentation(&std::fs::read(&received.path)?).map_err(failed)?;
    let shown = volume::read_series(sent, &["regular"]).map_err(failed)?.volume;
    let sheet = Sheet { title: segmentation.algorithm.name.clone(), ..Sheet::default() };
    let picture = volume::contact_sheet(&shown, &segmentation, &sheet).map_err(failed)?;
    let path = out.join("contact-sheet.png");
    std::fs::write(&path, picture.png().map_err(failed)?)?;
    Ok(Summary {
        series: series.to_owned(),
        slices: sent.len(),
        segmentation: received.path.clone(),
        parts: parts(&segmentation),
        contact_sheet: path,
        turnaround,
        kept,
    })
}

/// Volume of each segment, mL.
fn parts(segmentation: &Segmentation) -> Vec<Part> {
    let millilitres = segmentation.grid.voxel_volume() / 1000.0;
    let count = |label: u8| segmentation.labels.iter().filter(|voxel| **voxel == label).count();
    let part = |s: &Segment| Part { name: s.name.clone(), millilitres: count(s.label) as f64 * millilitres };
    segmentation.segments.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_a_demo_made_is_removed() {
        let out = tempfile::tempdir().unwrap();
        for name in ["sent", "received", "thesis"] {
            std::fs::create_dir(out.path().join(name)).unwrap();
        }
        clean(out.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["thesis"]);
    }
}
