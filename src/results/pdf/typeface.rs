//! Fonts of a report: which characters a font file can show, and which file each character of a text is set in.
//!
//! Files come from a [`FontSource`]; nothing is read here. No font knows all scripts: every character is set in the
//! first file that has it, the same for the same files, so that a report's bytes do not change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rustybuzz::ttf_parser;

/// Shown for a character that no font has.
pub(super) const REPLACEMENT: char = '\u{fffd}';

/// Where font files are found.
pub trait FontSource: Send + Sync + fmt::Debug {
    /// Files that can show `characters` between them as far as there are any, best first. Of a script with several, the
    /// one that reads best.
    fn faces_for(&self, characters: &BTreeSet<char>) -> Vec<FontFile>;
}

/// One face of a font file, in memory.
#[derive(Clone)]
pub struct FontFile {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) index: u32,
    family: String,
    bold: bool,
}

impl fmt::Debug for FontFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FontFile({})", self.family)
    }
}

impl FontFile {
    /// The faces of a file (a collection has several) that can be embedded; none where it is no font file.
    #[must_use]
    pub fn faces(bytes: Vec<u8>) -> Vec<FontFile> {
        let bytes = Arc::new(bytes);
        let count = ttf_parser::fonts_in_collection(&bytes).unwrap_or(1);
        let face = |index: u32| {
            let face = ttf_parser::Face::parse(&bytes, index).ok()?;
            // Bitmap and colour fonts have no outlines to embed.
            let tables = face.tables();
            (tables.glyf.is_some() || tables.cff.is_some()).then(|| FontFile {
                bytes: bytes.clone(),
                index,
                family: family(&face),
                bold: face.is_bold(),
            })
        };
        (0..count).filter_map(face).collect()
    }

    /// Those of `characters` that it has a glyph for.
    #[must_use]
    pub fn covered(&self, characters: &BTreeSet<char>) -> BTreeSet<char> {
        let Ok(face) = ttf_parser::Face::parse(&self.bytes, self.index) else { return BTreeSet::new() };
        characters.iter().copied().filter(|c| face.glyph_index(*c).is_some()).collect()
    }
}

fn family(face: &ttf_parser::Face<'_>) -> String {
    let mut names = face.names().into_iter().filter(|name| name.name_id == ttf_parser::name_id::FAMILY);
    names.find_map(|name| name.to_string()).unwrap_or_default()
}

/// Whose forms of the ideographs shared by Chinese, Japanese and Korean are used: the end of the family name of the
/// fonts that distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ideographs {
    Japanese,
    Korean,
    Chinese,
}

impl Ideographs {
    /// As the declared character sets say, else the texts themselves: kana is Japanese, hangul is Korean.
    pub fn of(declared: &[String], characters: &BTreeSet<char>) -> Ideographs {
        let declares = |sets: &[&str]| declared.iter().any(|set| sets.iter().any(|end| set.ends_with(end)));
        let holds = |from: char, to: char| characters.range(from..=to).next().is_some();
        if declares(&["IR 13", "IR 87", "IR 159"]) || holds('\u{3040}', '\u{30ff}') {
            Ideographs::Japanese
        } else if declares(&["IR 149"]) || holds('\u{ac00}', '\u{d7a3}') {
            Ideographs::Korean
        } else {
            Ideographs::Chinese
        }
    }

    fn are_in(self, family: &str) -> bool {
        let end = match self {
            Ideographs::Japanese => " JP",
            Ideographs::Korean => " KR",
            Ideographs::Chinese => " SC",
        };
        family.ends_with(end)
    }
}

/// Which file each character of a report is set in.
#[derive(Debug)]
pub(super) struct Typeface {
    pub files: Vec<FontFile>,
    covered: Vec<BTreeSet<char>>,
    /// Index of the file of the plain and of the bold form.
    chosen: BTreeMap<char, [usize; 2]>,
    /// Characters that no file has.
    pub missing: BTreeSet<char>,
}

impl Typeface {
    /// `None` where no file has as much as ASCII.
    pub fn new(files: Vec<FontFile>, characters: &BTreeSet<char>, ideographs: Ideographs) -> Option<Typeface> {
        let covered: Vec<BTreeSet<char>> = files.iter().map(|file| file.covered(characters)).collect();
        let has = |file: usize, c: char| covered[file].contains(&c);
        let find = |c: char, bold: bool| {
            let able = || (0..files.len()).filter(|file| has(*file, c));
            let own = able().find(|file| is_ideograph(c) && !bold && ideographs.are_in(&files[*file].family));
            own.or_else(|| able().find(|file| files[*file].bold == bold)).or_else(|| able().next())
        };
        let found = characters.iter().filter_map(|c| Some((*c, [find(*c, false)?, find(*c, true)?])));
        let mut chosen: BTreeMap<char, [usize; 2]> = found.collect();
        chosen.contains_key(&'e').then_some(())?;
        let missing: BTreeSet<char> = characters.iter().copied().filter(|c| !chosen.contains_key(c)).collect();
        let instead = chosen.get(&REPLACEMENT).or_else(|| chosen.get(&'?')).copied()?;
        chosen.entry(REPLACEMENT).or_insert(instead);
        Some(Typeface { files, covered, chosen, missing })
    }

    /// The text with [`REPLACEMENT`] for what cannot be shown.
    pub fn showable(&self, text: &str) -> String {
        let instead = if self.missing.contains(&REPLACEMENT) { '?' } else { REPLACEMENT };
        text.chars()
            .map(|c| if self.chosen.contains_key(&c) && !self.missing.contains(&c) { c } else { instead })
            .collect()
    }

    /// The file that `c` is set in, after a character set in `before`: marks, signs and spaces stay with what they
    /// belong to where that file has them.
    pub fn file_of(&self, c: char, bold: bool, before: Option<usize>) -> usize {
        let own = self.chosen.get(&c).map_or(0, |both| both[usize::from(bold)]);
        let stays = |file: &usize| !c.is_alphanumeric() && self.covered[*file].contains(&c);
        before.filter(stays).unwrap_or(own)
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}
