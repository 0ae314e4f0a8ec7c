//! Texts with code extensions, as people read them (PS3.5 sections 6.1.2.4 and 6.1.2.5; ISO/IEC 2022).
//!
//! dicom-rs decodes a data set with the first of its character sets and leaves escape sequences where they stand; results
//! copy texts so, byte for byte. Here such a text becomes Unicode, to be shown. Never used for what is written as DICOM.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

use super::{Dataset, text, texts};

const ESCAPE: u8 = 0x1b;

/// The final bytes of the escape sequences that bring a repertoire into the upper half, and what they bring.
const UPPER: &[(&[u8], &str)] = &[
    (b"-A", "ISO_IR 100"),
    (b"-B", "ISO_IR 101"),
    (b"-C", "ISO_IR 109"),
    (b"-D", "ISO_IR 110"),
    (b"-F", "ISO_IR 126"),
    (b"-G", "ISO_IR 127"),
    (b"-H", "ISO_IR 138"),
    (b"-L", "ISO_IR 144"),
    (b"-M", LATIN_5),
    (b"-T", "ISO_IR 166"),
    (b")I", "ISO_IR 13"),
    (b"$)C", "ISO_IR 149"),
    (b"$)A", "ISO 2022 IR 58"),
];
/// Latin-5, which dicom-rs reads as Latin-1.
const LATIN_5: &str = "ISO_IR 148";
/// Where Latin-5 differs from Latin-1.
const TURKISH: [(char, char); 6] = [('Ð', 'Ğ'), ('Ý', 'İ'), ('Þ', 'Ş'), ('ð', 'ğ'), ('ý', 'ı'), ('þ', 'ş')];

/// What the lower half holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lower {
    Ascii,
    /// JIS X 0201 Romaji.
    Roman,
    /// JIS X 0208 or JIS X 0212: two bytes a character, behind this escape sequence.
    Kanji(&'static [u8]),
}

const LOWER: &[(&[u8], Lower)] = &[
    (b"(B", Lower::Ascii),
    (b"(J", Lower::Roman),
    (b"$B", Lower::Kanji(b"\x1b$B")),
    (b"$@", Lower::Kanji(b"\x1b$B")),
    (b"$(D", Lower::Kanji(b"\x1b$(D")),
];

/// The first value of a text attribute in Unicode, `None` when absent or empty.
#[must_use]
pub fn readable(dataset: &Dataset, tag: Tag) -> Option<String> {
    let declared = texts(dataset, tags::SPECIFIC_CHARACTER_SET);
    Some(unicode(&text(dataset, tag)?, declared.first().map_or("", String::as_str)))
}

/// `text` as dicom-rs decoded it under the character set `first`, with its escape sequences carried out.
fn unicode(text: &str, first: &str) -> String {
    let base = if first.ends_with("IR 148") { LATIN_5 } else { first };
    if !text.contains(char::from(ESCAPE)) {
        return if base == LATIN_5 { turkish(text) } else { text.to_owned() };
    }
    let codec = SpecificCharacterSet::from_code(first).unwrap_or(SpecificCharacterSet::ISO_IR_6);
    // What cannot be turned back into its bytes was no text of these repertoires: shown without the sequences.
    let Ok(bytes) = codec.encode(text) else { return text.replace(char::from(ESCAPE), "") };
    let mut reader = Reader { base, lower: Lower::Ascii, upper: base, run: Vec::new(), text: String::new() };
    reader.read(&bytes);
    reader.text
}

fn turkish(text: &str) -> String {
    text.chars().map(|c| TURKISH.iter().find(|(latin_1, _)| *latin_1 == c).map_or(c, |(_, latin_5)| *latin_5)).collect()
}

struct Reader<'a> {
    base: &'a str,
    lower: Lower,
    upper: &'a str,
    /// Bytes of one repertoire that are not decoded yet.
    run: Vec<u8>,
    text: String,
}

impl Reader<'_> {
    fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            let kanji = matches!(self.lower, Lower::Kanji(_));
            if *byte == ESCAPE {
                self.flush();
                rest = self.switch(behind);
            } else if !kanji && matches!(byte, b'^' | b'=' | b'\\' | b'\r' | b'\n' | b'\t' | 0x0c) {
                self.flush();
                (self.lower, self.upper) = (Lower::Ascii, self.base);
                self.text.push(char::from(*byte));
            } else {
                let same_half = self.run.last().is_none_or(|last| (*last < 0x80) == (*byte < 0x80));
                if !same_half && !kanji {
                    self.flush();
                }
                self.run.push(*byte);
            }
        }
        self.flush();
    }

    /// Carries out the escape sequence that `rest` begins with; the bytes behind it.
    fn switch<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        if let Some((sequence, lower)) = LOWER.iter().find(|(sequence, _)| rest.starts_with(sequence)) {
            self.lower = *lower;
            return &rest[sequence.len()..];
        }
        if let Some((sequence, upper)) = UPPER.iter().find(|(sequence, _)| rest.starts_with(sequence)) {
            self.upper = upper;
            return &rest[sequence.len()..];
        }
        rest
    }

    fn flush(&mut self) {
        let run = std::mem::take(&mut self.run);
        let Some(first) = run.first() else { return };
        let decoded = match (*first < 0x80, self.lower) {
            (true, Lower::Ascii) => decode("ISO_IR 6", &run),
            (true, Lower::Roman) => decode("ISO_IR 6", &run).replace('\\', "¥").replace('~', "‾"),
            (true, Lower::Kanji(escape)) => decode("ISO_IR 87", &[escape, run.as_slice(), b"\x1b(B"].concat()),
            (false, _) if self.upper == LATIN_5 => turkish(&decode("ISO_IR 100", &run)),
            (false, _) => decode(self.upper, &run),
        };
        self.text.push_str(&decoded);
    }
}

fn decode(set: &str, bytes: &[u8]) -> String {
    let codec = SpecificCharacterSet::from_code(set).unwrap_or(SpecificCharacterSet::ISO_IR_100);
    codec.decode(bytes).unwrap_or_else(|_| "\u{fffd}".repeat(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PS3.5 annexes H, I and K: the standard's own examples, and what other hospitals send.
    #[test]
    fn escape_sequences_are_carried_out() {
        let check = |first: &str, text: &str, expected: &str| assert_eq!(unicode(text, first), expected, "{first:?}");
        check(
            "",
            "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B=\u{1b}$B$d$^$@\u{1b}(B^\u{1b}$B$?$m$&\u{1b}(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        );
        check("", "Hong^Gildong=\u{1b}$)C\u{fb}\u{f3}^\u{1b}$)C\u{d1}\u{ce}\u{d4}\u{d7}", "Hong^Gildong=洪^吉洞");
        check("ISO 2022 IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ=\u{1b}$B;3ED\u{1b}(J^\u{1b}$BB@O:\u{1b}(J", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎");
        check("", "Wang^XiaoDong=\u{1b}$)A\u{cd}\u{f5}^\u{1b}$)A\u{d0}\u{a1}\u{b6}\u{ab}", "Wang^XiaoDong=王^小东");
        check("", "Latin^\u{1b}-F\u{c4}\u{e9}\u{ef}\u{ed}^plain", "Latin^Διον^plain");
        check("ISO_IR 148", "\u{c7}elik^Ay\u{fe}e", "Çelik^Ayşe");
        check("ISO 2022 IR 148", "Ay\u{fe}e^\u{1b}-A\u{fe}", "Ayşe^þ");
        check("ISO_IR 192", "Müller^Jörg", "Müller^Jörg");
        check("", "Mueller^Joerg", "Mueller^Joerg");
    }

    #[test]
    fn no_bytes_are_a_panic() {
        for text in ["\u{1b}", "\u{1b}$", "\u{1b}$B;", "\u{1b}$)C\u{fb}", "\u{1b}$B\u{1b}$)Ca\u{fb}", "a\u{1b}(B山"] {
            assert!(!unicode(text, "").contains('\u{1b}'), "{text:?}");
        }
    }
}
