//! Font files on this machine, for reports: those of Noto first, script by script, then whatever the folders hold.
//!
//! A file is read when some text needs it and kept from then on; a machine whose reports are all in Latin script reads two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::results::{FontFile, FontSource};

/// In this order, by the names of their files without the ending; the others follow. `-Bold` goes with the first.
const FIRST: &[&str] = &[
    "NotoSans-Regular",
    "NotoSans-Bold",
    "NotoSansHebrew-Regular",
    "NotoSansArabic-Regular",
    "NotoSansThai-Regular",
    "NotoSansDevanagari-Regular",
    "DejaVuSans",
    "DejaVuSans-Bold",
    "LiberationSans-Regular",
    "LiberationSans-Bold",
    "NotoSansCJK-Regular",
];
/// How deep the folders are looked through.
const DEPTH: usize = 5;

/// Folders with font files, looked through again for every report, so that a font that was installed is used.
#[derive(Debug)]
pub struct FontFolders {
    folders: Vec<PathBuf>,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    paths: Vec<PathBuf>,
    read: BTreeMap<PathBuf, Vec<FontFile>>,
    /// Characters that none of `paths` has.
    nowhere: BTreeSet<char>,
}

impl FontFolders {
    #[must_use]
    pub fn new(folders: Vec<PathBuf>) -> FontFolders {
        FontFolders { folders, shelf: Mutex::default() }
    }

    /// Whether a report can be set at all: some font has the letters of ASCII, and a sign for what no font has.
    #[must_use]
    pub fn suffice(&self) -> bool {
        let needed = BTreeSet::from(['e', '?']);
        let faces = self.faces_for(&needed);
        faces.iter().flat_map(|face| face.covered(&needed)).collect::<BTreeSet<char>>() == needed
    }
}

impl FontSource for FontFolders {
    fn faces_for(&self, characters: &BTreeSet<char>) -> Vec<FontFile> {
        let mut paths = Vec::new();
        self.folders.iter().for_each(|folder| fonts_in(folder, DEPTH, &mut paths));
        paths.sort_by_cached_key(|path| (rank(path), path.clone()));
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.paths != paths {
            *shelf = Shelf { paths, ..Shelf::default() };
        }
        shelf.faces_for(characters)
    }
}

impl Shelf {
    fn faces_for(&mut self, characters: &BTreeSet<char>) -> Vec<FontFile> {
        let mut lacking: BTreeSet<char> = characters.difference(&self.nowhere).copied().collect();
        let (mut found, mut bold): (Vec<FontFile>, bool) = (Vec::new(), false);
        for path in self.paths.clone() {
            let ranked_bold = stem(&path).ends_with("-Bold");
            if lacking.is_empty() && (bold || found.is_empty() || !ranked_bold || rank(&path) >= FIRST.len()) {
                // Nothing is missing but, at most, the bold form of the first.
                if bold || rank(&path) >= FIRST.len() {
                    break;
                }
                continue;
            }
            let faces = self.read.entry(path.clone()).or_insert_with(|| faces_of(&path));
            let covered: BTreeSet<char> = faces.iter().flat_map(|face| face.covered(characters)).collect();
            if covered.intersection(&lacking).next().is_some() || (ranked_bold && !bold) {
                found.extend(faces.iter().cloned());
                lacking.retain(|c| !covered.contains(c));
                bold |= ranked_bold;
            }
        }
        self.nowhere.extend(lacking);
        found
    }
}

fn faces_of(path: &Path) -> Vec<FontFile> {
    match std::fs::read(path) {
        Ok(bytes) => FontFile::faces(bytes),
        Err(error) => {
            tracing::debug!(path = %path.display(), "a font file cannot be read: {error}");
            Vec::new()
        }
    }
}

fn fonts_in(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        if path.is_dir() && depth > 0 {
            fonts_in(&path, depth - 1, found);
        } else if matches!(ending.as_str(), "ttf" | "otf" | "ttc" | "otc") {
            found.push(path);
        }
    }
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// The place in [`FIRST`]; behind these upright text fonts without serifs, then the rest.
fn rank(path: &Path) -> usize {
    let stem = stem(path);
    let other =
        ["Bold", "Italic", "Oblique", "Serif", "Mono", "Condensed", "Symbols", "Math", "Emoji", "UI", "Display"];
    let behind = FIRST.len() + usize::from(other.iter().any(|word| stem.contains(word)));
    FIRST.iter().position(|first| *first == stem).unwrap_or(behind)
}
