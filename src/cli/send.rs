//! `sagittal send HOST:PORT FILE|DIR...`: sends DICOM files by C-STORE, over one association.
//!
//! A few files are read ahead of the one that is on its way; what is no DICOM file is skipped and counted.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use crate::delivery::scu::{MAX_CONTEXTS, Peer, Scu, proposals};
use crate::delivery::{DeliveryError, Object};
use crate::dicom::{AeTitle, AeTitleError, Answer, Meta, Verdict};
use crate::tls::{ClientFiles, Identity};

/// The meta information is in here; private meta elements of more than this do not occur.
const HEAD: u64 = 64 * 1024;
/// A file of media, not an object to be stored.
const MEDIA_DIRECTORY: &str = "1.2.840.10008.1.3.10";

#[derive(Debug, clap::Args)]
pub struct SendArgs {
    #[command(flatten)]
    pub peer: PeerArgs,
    /// DICOM files, or folders searched for them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// Print a summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// Whom to talk to, for every command that associates.
#[derive(Debug, clap::Args)]
pub struct PeerArgs {
    /// Host and port of the peer
    #[arg(value_name = "HOST:PORT", value_parser = host_and_port)]
    pub address: (String, u16),
    /// AE title of the peer
    #[arg(long, default_value = "ANY-SCP", value_parser = ae_title)]
    pub called: AeTitle,
    /// Our AE title
    #[arg(long, default_value = "SAGITTAL", value_parser = ae_title)]
    pub calling: AeTitle,
    /// Seconds to wait for each answer
    #[arg(long = "timeout", default_value_t = 30, value_name = "SECONDS")]
    pub seconds: u64,
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// A connection secured with TLS; without these it is plain TCP.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsArgs {
    /// Secure the connection with TLS; the file holds the certificates that sign the peer's, PEM
    #[arg(id = "tls-ca", long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Our certificate, for a peer that asks who we are, PEM
    #[arg(id = "tls-certificate", long, value_name = "FILE", requires_all = ["tls-ca", "tls-key"])]
    pub certificate: Option<PathBuf>,
    /// The private key of our certificate, PEM
    #[arg(id = "tls-key", long, value_name = "FILE", requires = "tls-certificate")]
    pub key: Option<PathBuf>,
    /// The name in the peer's certificate, where it is not the host
    #[arg(id = "tls-name", long, value_name = "NAME", requires = "tls-ca")]
    pub name: Option<String>,
}

impl TlsArgs {
    fn files(&self, host: &str) -> Option<ClientFiles> {
        let identity = match (self.certificate.clone(), self.key.clone()) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            _ => None,
        };
        let server_name = self.name.clone().unwrap_or_else(|| host.to_owned());
        Some(ClientFiles { ca: self.ca.clone()?, identity, server_name })
    }
}

impl PeerArgs {
    #[must_use]
    pub fn peer(&self) -> Peer {
        let (host, port) = self.address.clone();
        let tls = self.tls.files(&host);
        Peer { host, port, called: self.called.clone(), calling: self.calling.clone(), tls }
    }

    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("no DICOM file among the {0} files named; give Part 10 files or folders that hold some")]
    Nothing(usize),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error("{failed} of {total} files were not stored; the first: {}: {first}", path.display())]
    Incomplete { failed: usize, total: usize, path: PathBuf, first: String },
}

pub(super) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("write HOST:PORT, for example localhost:11112")?;
    let port = port.parse().map_err(|_| format!("{port:?} is no port; ports are 1 to 65535"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err("the host is missing".to_owned()) } else { Ok((host.to_owned(), port)) }
}

fn ae_title(text: &str) -> Result<AeTitle, AeTitleError> {
    AeTitle::parse(text)
}

/// A file to be sent and what it says about itself.
struct Item {
    path: PathBuf,
    meta: Meta,
}

/// Sends everything that is DICOM; an error when something was not stored.
pub async fn run(args: SendArgs) -> Result<(), SendError> {
    let Gathered { items, failures, skipped } = gather(&args.paths)?;
    let total = items.len() + failures.len();
    let mut sent = Sent { failures, warned: Vec::new() };
    if total == 0 {
        return Err(SendError::Nothing(skipped));
    }
    let peer = args.peer.peer();
    let bar = progress(items.len(), args.json);
    let start = tokio::time::Instant::now();
    for batch in batches(items) {
        send(&peer, args.peer.timeout(), batch, &bar, &mut sent).await?;
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let failed = sent.failures.len();
    if args.json {
        let summary = serde_json::json!({
            "peer": peer.to_string(),
            "stored": total - failed,
            "skipped": skipped,
            "seconds": seconds,
            "warnings": told(&sent.warned),
            "failures": told(&sent.failures),
        });
        println!("{summary:#}");
    } else {
        let warned =
            if sent.warned.is_empty() { String::new() } else { format!(", {} with a warning", sent.warned.len()) };
        println!("{} of {total} files stored at {peer} in {seconds:.1} s{warned}, {skipped} skipped", total - failed);
        sent.warned.iter().for_each(|(path, remark)| println!("{}: {remark}", path.display()));
    }
    match sent.failures.into_iter().next() {
        None => Ok(()),
        Some((path, first)) => Err(SendError::Incomplete { failed, total, path, first }),
    }
}

/// Sends `items` over one association; the next file is read while the peer thinks about the last one.
async fn send(
    peer: &Peer,
    timeout: Duration,
    items: Vec<Item>,
    bar: &ProgressBar,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let contexts = proposals(items.iter().map(|item| (&item.meta.sop_class, &item.meta.transfer_syntax)));
    let mut scu = Scu::connect(peer, timeout, &contexts).await?;
    let mut files = read_ahead(items);
    while let Some((path, read)) = files.recv().await {
        let bytes = read.map_err(|source| SendError::Read { path: path.clone(), source })?;
        let stored = match Object::from_part10(&path.display().to_string(), bytes) {
            Ok(object) => scu.store(&object).await,
            Err(error) => Err(error),
        };
        match stored.and_then(|verdict| scu.accepted(&verdict).map(|()| verdict)) {
            Ok(verdict) if verdict.answer == Answer::Warned => sent.warned.push((path, remark(&verdict))),
            Ok(_) => {}
            Err(error) if error.is_about_one_object() => sent.failures.push((path, error.to_string())),
            Err(error) => return Err(error.into()),
        }
        bar.inc(1);
    }
    scu.release().await;
    Ok(())
}

/// Files read ahead: enough to hide the disk, few enough for any memory.
const AHEAD: usize = 4;

/// Reads files in order on a thread of its own; ends when nobody listens any more.
fn read_ahead(items: Vec<Item>) -> mpsc::Receiver<(PathBuf, io::Result<Vec<u8>>)> {
    let (to, from) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        for Item { path, .. } in items {
            let read = fs::read(&path);
            if to.blocking_send((path, read)).is_err() {
                return;
            }
        }
    });
    from
}

fn remark(verdict: &Verdict) -> String {
    let comment = verdict.comment.as_deref().unwrap_or("no comment");
    format!("stored with status {:04x} ({comment})", verdict.status.unwrap_or_default())
}

/// What became of the files that were not simply stored, with the reason.
#[derive(Default)]
struct Sent {
    failures: Vec<(PathBuf, String)>,
    /// Stored, with a remark of the peer's.
    warned: Vec<(PathBuf, String)>,
}

fn told(files: &[(PathBuf, String)]) -> Vec<serde_json::Value> {
    files.iter().map(|(path, reason)| serde_json::json!({ "file": path, "reason": reason })).collect()
}

/// What was found below the paths named.
#[derive(Default)]
struct Gathered {
    items: Vec<Item>,
    /// DICOM files that cannot be sent, with the reason.
    failures: Vec<(PathBuf, String)>,
    /// Files that are no DICOM objects.
    skipped: usize,
}

fn gather(paths: &[PathBuf]) -> Result<Gathered, SendError> {
    let mut files = Vec::new();
    for path in paths {
        walk(path, &mut files).map_err(|source| SendError::Read { path: path.clone(), source })?;
    }
    let mut found = Gathered::default();
    for path in files {
        let head = head(&path).map_err(|source| SendError::Read { path: path.clone(), source })?;
        if !Meta::is_part10(&head) {
            found.skipped += 1;
            continue;
        }
        match Meta::read(&head) {
            Ok(meta) if meta.sop_class.as_str() == MEDIA_DIRECTORY => found.skipped += 1,
            Ok(meta) => found.items.push(Item { path, meta }),
            Err(error) => found.failures.push((path, error.to_string())),
        }
    }
    Ok(found)
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside = fs::read_dir(path)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    inside.sort();
    inside.iter().try_for_each(|path| walk(path, files))
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As few associations as the number of contexts allows: each (class, syntax) pair may need two.
fn batches(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut batches: Vec<Vec<Item>> = Vec::new();
    let mut pairs = BTreeSet::new();
    for item in items {
        let pair = (item.meta.sop_class.clone(), item.meta.transfer_syntax.clone());
        if batches.is_empty() || (!pairs.contains(&pair) && pairs.len() == MAX_CONTEXTS / 2) {
            pairs.clear();
            batches.push(Vec::new());
        }
        pairs.insert(pair);
        if let Some(batch) = batches.last_mut() {
            batch.push(item);
        }
    }
    batches
}

fn progress(total: usize, quiet: bool) -> ProgressBar {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total as u64) };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} files, {per_sec}, {eta} left");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::dicom::Uid;

    #[test]
    fn addresses_are_host_and_port() {
        let check = |text: &str, expected: Option<(&str, u16)>| {
            let got = host_and_port(text).ok();
            assert_eq!(got, expected.map(|(host, port)| (host.to_owned(), port)), "{text}");
        };
        check("localhost:104", Some(("localhost", 104)));
        check("[::1]:11112", Some(("::1", 11112)));
        check("localhost", None);
        check(":104", None);
        check("host:99999", None);
    }

    #[test]
    fn many_kinds_of_objects_take_several_associations() {
        let item = |n: usize| {
            let uid = Uid::parse(&format!("1.2.{n}")).unwrap();
            let meta = Meta { sop_class: uid.clone(), sop_instance: uid.clone(), transfer_syntax: uid, offset: 0 };
            Item { path: PathBuf::from("x"), meta }
        };
        let sizes = |count: usize, kinds: usize| {
            let batches = batches((0..count).map(|n| item(n % kinds)).collect());
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(300, 3), vec![300]);
        assert_eq!(sizes(100, 100), vec![64, 36]);
    }
}
