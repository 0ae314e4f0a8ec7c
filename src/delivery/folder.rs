//! Delivery into a folder: `<folder>/<study>/<series>/<sop instance>.dcm`.
//!
//! Atomic and durable: a reader sees the whole file or none, and a confirmed file survives a power cut.
//! Names are made of checked UIDs only.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::attempt::{Consignment, Outcome, Record};
use super::{DeliveryError, Object};
use crate::dicom::Answer;

/// Writes what `consignment` holds below `root`, which is made when absent. A file that is there and whole stays.
pub(super) async fn deliver(
    root: PathBuf,
    consignment: Consignment<'_>,
    record: &mut Record,
) -> Result<Outcome, DeliveryError> {
    for object in consignment.objects {
        let (root, copy) = (root.clone(), object.clone());
        blocking(root.clone(), move || write(&root, &copy)).await?;
        record.note(&object.sop_instance, Answer::Stored);
    }
    Ok(Outcome::Confirmed)
}

/// Can a file be written below `root`?
pub(super) async fn probe(root: PathBuf) -> Result<String, DeliveryError> {
    let path = root.clone();
    blocking(root, move || {
        let draft = path.join(format!(".probe.{:016x}", fastrand::u64(..)));
        let failed = |source| DeliveryError::Folder { action: "write into", path: path.clone(), source };
        fs::create_dir_all(&path).map_err(failed)?;
        store(&draft, b"").and_then(|()| fs::remove_file(&draft)).map_err(failed)?;
        Ok("can be written".to_owned())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, DeliveryError> + Send + 'static,
) -> Result<T, DeliveryError> {
    let done = tokio::task::spawn_blocking(work).await;
    let source = |error| io::Error::other(format!("the writing thread failed: {error}"));
    done.map_err(|error| DeliveryError::Folder { action: "write into", path, source: source(error) })?
}

fn write(root: &Path, object: &Object) -> Result<(), DeliveryError> {
    let key = object.series()?;
    let (study, name) = (root.join(key.study.as_str()), format!("{}.dcm", object.sop_instance));
    let series = study.join(key.series.as_str());
    let target = series.join(&name);
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| DeliveryError::Folder { action, path, source }
    };
    fs::create_dir_all(&series).map_err(failed("make", &series))?;
    if fs::read(&target).is_ok_and(|there| there == object.bytes) {
        return sync(&[&series, &study, root]);
    }
    remove_drafts(&series, &name).map_err(failed("tidy", &series))?;
    let draft = series.join(format!(".{name}.{:016x}", fastrand::u64(..)));
    let stored = store(&draft, &object.bytes).and_then(|()| fs::rename(&draft, &target));
    if stored.is_err() {
        let _ = fs::remove_file(&draft);
    }
    stored.map_err(failed("write", &target))?;
    sync(&[&series, &study, root])
}

/// Makes the entries of `folders` durable.
fn sync(folders: &[&Path]) -> Result<(), DeliveryError> {
    folders.iter().try_for_each(|folder| {
        let failed = |source| DeliveryError::Folder { action: "sync", path: folder.to_path_buf(), source };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    })
}

/// Removes what an attempt left that was killed in the middle.
fn remove_drafts(series: &Path, name: &str) -> io::Result<()> {
    let begin = format!(".{name}.");
    for entry in fs::read_dir(series)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::delivery::part10::tests::object;
    use crate::dicom::tables;

    #[tokio::test]
    async fn a_file_appears_under_its_uids_and_a_resend_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let object = object(tables::EXPLICIT_LITTLE);
        let target = folder.path().join("1.2/1.2.3/1.2.3.4.dcm");
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target.with_file_name(".1.2.3.4.dcm.00ff"), b"half a").unwrap();
        for _ in 0..2 {
            let (objects, mut record) = ([object.clone()], Record::default());
            let done = deliver(folder.path().to_owned(), Consignment::new(&objects), &mut record).await;
            let outcome = done.unwrap();
            assert_eq!(outcome, Outcome::Confirmed);
            assert_eq!(fs::read(&target).unwrap(), object.bytes);
        }
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"x").unwrap();
        let objects = [object(tables::EXPLICIT_LITTLE)];
        let done = deliver(file.clone(), Consignment::new(&objects), &mut Record::default()).await;
        let error = done.unwrap_err();
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        assert!(!error.is_permanent());
    }
}
