//! The folder of model packages. Reads `model.toml` files and hashes networks; never loads one.

use std::path::{Path, PathBuf};

use super::package::{ModelPackage, Stage};
use super::{Beside, InferenceError, Terminology, parse, session};

/// `models/`, one folder a package.
#[derive(Debug, Clone)]
pub struct ModelStore {
    folder: PathBuf,
}

/// State of one network file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    Missing,
    Present,
}

impl ModelStore {
    /// The store in `folder`, which must be readable.
    pub fn open(folder: &Path) -> Result<ModelStore, InferenceError> {
        std::fs::read_dir(folder).map_err(|source| InferenceError::Io { file: folder.to_owned(), source })?;
        Ok(ModelStore { folder: folder.to_owned() })
    }

    /// Ids of the packages, sorted: every folder that holds a `model.toml`.
    pub fn ids(&self) -> Result<Vec<String>, InferenceError> {
        let folder = &self.folder;
        let entries =
            std::fs::read_dir(folder).map_err(|source| InferenceError::Io { file: folder.clone(), source })?;
        let packages = entries.flatten().filter(|e| e.path().join("model.toml").is_file());
        let mut ids: Vec<String> = packages.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        ids.sort();
        Ok(ids)
    }

    /// Reads and checks one package.
    pub fn load(&self, id: &str) -> Result<ModelPackage, InferenceError> {
        let known = self.ids()?;
        // An id that is listed names a folder here, and cannot lead out of the store.
        if !known.iter().any(|k| k == id) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(InferenceError::UnknownModel { id: id.to_owned(), folder: self.folder.clone(), known });
        }
        let folder = self.folder.join(id);
        let text = read_text(folder.join("model.toml"))?;
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        parse(&text, &folder, &Beside { terms: &self.terminology()?, read: &read })
    }

    /// What is shipped, and what the files of `terminology/` in this folder add to it, in the order of their names.
    pub fn terminology(&self) -> Result<Terminology, InferenceError> {
        let mut terms = Terminology::shipped()?;
        let Ok(entries) = std::fs::read_dir(self.folder.join("terminology")) else { return Ok(terms) };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|kind| kind == "toml"));
        files.sort();
        for file in files {
            terms.add(&read_text(file.clone())?, &file)?;
        }
        Ok(terms)
    }
}

fn read_text(file: PathBuf) -> Result<String, InferenceError> {
    std::fs::read_to_string(&file).map_err(|source| InferenceError::Io { file, source })
}

impl ModelPackage {
    /// Each network file and whether it is there.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, FileState)> {
        let state = |file: &PathBuf| if file.is_file() { FileState::Present } else { FileState::Missing };
        self.stages.iter().map(|s| self.file(s)).map(|f| (f.clone(), state(&f))).collect()
    }

    /// Hashes a stage's file: its SHA-256, or why it is refused.
    pub fn verify(&self, stage: &Stage) -> Result<String, InferenceError> {
        session::read_verified(self, stage).map(|(_, sha256)| sha256)
    }
}
