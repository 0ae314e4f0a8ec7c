//! How far the elements of a data set reach, walked without building anything (PS3.5 section 7).
//!
//! A length field is a stranger's word: dicom-object makes room for a value before it reads it, and goes as deep as
//! sequences are nested. What was walked here holds no value that is longer than the bytes at hand and no nesting
//! beyond [`DEEPEST`]. It follows the reading of dicom-object, not that of the standard, where they differ.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_encoding::transfer_syntax::TransferSyntax;

/// Sequences within sequences; the deepest of the standard's objects have some ten.
const DEEPEST: usize = 64;
/// All that stands before PixelData; also where a deflated data set that never ends is cut off.
const MOST: usize = 1 << 30;
/// Bytes read at a time.
const STEP: usize = 64 * 1024;
const UNDEFINED: u32 = u32::MAX;
const PIXEL_DATA: (u16, u16) = (tags::PIXEL_DATA.0, tags::PIXEL_DATA.1);
const ITEM: (u16, u16) = (0xfffe, 0xe000);
const ITEM_END: (u16, u16) = (0xfffe, 0xe00d);
const SEQUENCE_END: (u16, u16) = (0xfffe, 0xe0dd);

/// Why a data set is not built. Places are counted from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtentError {
    #[error("the value of the element at byte {0} is longer than what follows")]
    Overrun(usize),
    #[error("sequences are nested more than {DEEPEST} deep at byte {0}")]
    TooDeep(usize),
    #[error("at byte {0} stands a delimiter or an element where none belongs")]
    Stray(usize),
    #[error("more than 1 GiB stands before the pixel data")]
    TooMuch,
    #[error("it cannot be read")]
    Unreadable,
}

/// Checks a whole data set.
pub fn check(bytes: &[u8], syntax: &TransferSyntax) -> Result<(), ExtentError> {
    let mut walk = Walk::new(Cow::Borrowed(bytes), std::io::empty(), syntax);
    walk.run(false).map(drop)
}

/// The data set that begins with `begin` and goes on in `from`, up to PixelData, checked. Copied only where it goes on.
pub fn before_pixels<'b>(
    begin: Cow<'b, [u8]>,
    from: impl Read,
    syntax: &TransferSyntax,
) -> Result<Header<'b>, ExtentError> {
    let mut walk = Walk::new(begin, from, syntax);
    let end = walk.run(true)?;
    let stop = if walk.inside.is_empty() { walk.no_pixels() } else { Vec::new() };
    let bytes = match walk.bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..end]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(end);
            Cow::Owned(bytes)
        }
    };
    Ok(Header { bytes, stop })
}

/// What stands before PixelData.
#[derive(Debug)]
pub struct Header<'b> {
    pub bytes: Cow<'b, [u8]>,
    /// A PixelData without a value for a reader to stop at: dicom-object makes an error with a backtrace of every end
    /// that it runs into, which takes longer than all the rest. Empty where the bytes end inside a sequence.
    pub stop: Vec<u8>,
}

/// Where in a data set PixelData begins, or where it ends without; checked up to there.
pub fn up_to_pixels(bytes: &[u8], syntax: &TransferSyntax) -> Result<usize, ExtentError> {
    Walk::new(Cow::Borrowed(bytes), std::io::empty(), syntax).run(true)
}

/// What the walk is in; the number: where it ends, where that is said.
#[derive(Debug, Clone, Copy)]
enum Inside {
    Sequence(Option<usize>),
    Item(Option<usize>),
    /// Encapsulated pixel data: items of mere bytes.
    Fragments,
}

struct Walk<'b, R> {
    bytes: Cow<'b, [u8]>,
    from: R,
    at: usize,
    inside: Vec<Inside>,
    explicit: bool,
    big_endian: bool,
}

impl<'b, R: Read> Walk<'b, R> {
    fn new(bytes: Cow<'b, [u8]>, from: R, syntax: &TransferSyntax) -> Walk<'b, R> {
        let explicit = syntax.uid() != super::tables::IMPLICIT_LITTLE;
        let big_endian = syntax.endianness() == dicom_encoding::Endianness::Big;
        Walk { bytes, from, at: 0, inside: Vec::new(), explicit, big_endian }
    }

    /// Walks to the end, or to PixelData; where that is.
    fn run(&mut self, stop_at_pixels: bool) -> Result<usize, ExtentError> {
        loop {
            self.leave_what_ended()?;
            // Like dicom-object: a data set may end before any element.
            if !self.reaches(self.at + 4)? {
                return Ok(self.bytes.len());
            }
            let tag = (self.short(self.at), self.short(self.at + 2));
            if stop_at_pixels && self.inside.is_empty() && tag >= PIXEL_DATA && tag.0 != ITEM.0 {
                return Ok(self.at);
            }
            match self.inside.last() {
                Some(Inside::Sequence(_)) => self.enter_item(tag)?,
                Some(Inside::Fragments) => self.pass_fragment(tag)?,
                Some(Inside::Item(_)) | None => self.pass_element(tag)?,
            }
        }
    }

    fn leave_what_ended(&mut self) -> Result<(), ExtentError> {
        while let Some(Inside::Sequence(Some(end)) | Inside::Item(Some(end))) = self.inside.last() {
            if self.at > *end {
                return Err(ExtentError::Overrun(self.at));
            }
            if self.at < *end {
                return Ok(());
            }
            self.inside.pop();
        }
        Ok(())
    }

    fn enter_item(&mut self, tag: (u16, u16)) -> Result<(), ExtentError> {
        let length = self.length_at(self.at + 4)?;
        self.at += 8;
        match tag {
            ITEM => {
                let end = self.end_of(length)?;
                self.enter(Inside::Item(end))
            }
            SEQUENCE_END => {
                self.inside.pop();
                Ok(())
            }
            _ => Err(ExtentError::Stray(self.at - 8)),
        }
    }

    fn pass_fragment(&mut self, tag: (u16, u16)) -> Result<(), ExtentError> {
        let length = self.length_at(self.at + 4)?;
        self.at += 8;
        match tag {
            ITEM if length != UNDEFINED => self.pass(length),
            SEQUENCE_END => {
                self.inside.pop();
                Ok(())
            }
            _ => Err(ExtentError::Stray(self.at - 8)),
        }
    }

    fn pass_element(&mut self, tag: (u16, u16)) -> Result<(), ExtentError> {
        match tag {
            ITEM_END => {
                self.length_at(self.at + 4)?;
                self.at += 8;
                self.inside.pop();
                return Ok(());
            }
            ITEM | SEQUENCE_END => return Err(ExtentError::Stray(self.at)),
            _ => {}
        }
        let (is_sequence, length) = self.header(tag)?;
        match length {
            UNDEFINED if tag == PIXEL_DATA => self.enter(Inside::Fragments),
            UNDEFINED => self.enter(Inside::Sequence(None)),
            length if is_sequence => {
                let end = self.end_of(length)?;
                self.enter(Inside::Sequence(end))
            }
            length => self.pass(length),
        }
    }

    /// Passes the header of an element: is it a sequence, and how long is its value?
    fn header(&mut self, tag: (u16, u16)) -> Result<(bool, u32), ExtentError> {
        if !self.explicit {
            let length = self.length_at(self.at + 4)?;
            self.at += 8;
            let entry = StandardDataDictionary.by_tag(dicom_core::Tag(tag.0, tag.1));
            return Ok((entry.is_some_and(|entry| entry.vr().relaxed() == VR::SQ), length));
        }
        if !self.reaches(self.at + 8)? {
            return Err(ExtentError::Overrun(self.at));
        }
        let vr = VR::from_binary([self.bytes[self.at + 4], self.bytes[self.at + 5]]).unwrap_or(VR::UN);
        if is_short(vr) {
            let length = self.short(self.at + 6);
            self.at += 8;
            return Ok((false, u32::from(length)));
        }
        let length = self.length_at(self.at + 8)?;
        self.at += 12;
        Ok((vr == VR::SQ, length))
    }

    fn enter(&mut self, inside: Inside) -> Result<(), ExtentError> {
        if self.inside.len() == 2 * DEEPEST {
            return Err(ExtentError::TooDeep(self.at));
        }
        self.inside.push(inside);
        Ok(())
    }

    fn pass(&mut self, length: u32) -> Result<(), ExtentError> {
        self.at = self.end_of(length)?.ok_or(ExtentError::Stray(self.at))?;
        Ok(())
    }

    /// Where a value of `length` bytes ends, which are at hand; `None`: a delimiter says.
    fn end_of(&mut self, length: u32) -> Result<Option<usize>, ExtentError> {
        if length == UNDEFINED {
            return Ok(None);
        }
        let end = self.at + length as usize;
        if self.reaches(end)? { Ok(Some(end)) } else { Err(ExtentError::Overrun(self.at)) }
    }

    /// Are there `end` bytes? Reads as far as needed, and never more room than bytes came.
    fn reaches(&mut self, end: usize) -> Result<bool, ExtentError> {
        let missing = end.saturating_sub(self.bytes.len());
        if missing == 0 {
            return Ok(true);
        }
        let mut more = Vec::new();
        let read = self.from.by_ref().take(missing.max(STEP) as u64).read_to_end(&mut more);
        // What is deflated may end in the middle, which is an end all the same.
        if read.is_err_and(|error| error.kind() != ErrorKind::UnexpectedEof) {
            return Err(ExtentError::Unreadable);
        }
        if !more.is_empty() {
            self.bytes.to_mut().extend_from_slice(&more);
        }
        if self.bytes.len() > MOST && !more.is_empty() {
            return Err(ExtentError::TooMuch);
        }
        Ok(end <= self.bytes.len())
    }

    /// The header of a PixelData of no length.
    fn no_pixels(&self) -> Vec<u8> {
        let number = |value: u16| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let tag = [number(PIXEL_DATA.0), number(PIXEL_DATA.1)].concat();
        let (vr, length): (&[u8], _) = if self.explicit { (b"OW\0\0", [0; 4]) } else { (b"", [0; 4]) };
        [&tag, vr, &length].concat()
    }

    fn short(&self, at: usize) -> u16 {
        let bytes = [self.bytes[at], self.bytes[at + 1]];
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn length_at(&mut self, at: usize) -> Result<u32, ExtentError> {
        if !self.reaches(at + 4)? {
            return Err(ExtentError::Overrun(self.at));
        }
        let (first, second) = (u32::from(self.short(at)), u32::from(self.short(at + 2)));
        Ok(if self.big_endian { first << 16 | second } else { second << 16 | first })
    }
}

/// Has this VR a length of 16 bits (PS3.5 table 7.1-2)?
fn is_short(vr: VR) -> bool {
    use VR::{AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, PN, SH, SL, SS, ST, TM, UI, UL, US};
    matches!(vr, AE | AS | AT | CS | DA | DS | DT | FL | FD | IS | LO | LT | PN | SH | SL | SS | ST | TM | UI | UL | US)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
    use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

    use super::*;

    const EXPLICIT: &str = "1.2.840.10008.1.2.1";
    const IMPLICIT: &str = "1.2.840.10008.1.2";

    fn outcome(syntax: &str, bytes: &[u8]) -> Result<(), ExtentError> {
        check(bytes, TransferSyntaxRegistry.get(syntax).unwrap())
    }

    /// (0008,1115) of undefined length holding `depth` sequences within each other.
    fn nested(depth: usize) -> Vec<u8> {
        let open = [&[8, 0, 0x15, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255][..], &[0xfe, 0xff, 0, 0xe0], &[255; 4]];
        let close = [&[0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0][..], &[0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]].concat();
        [open.concat().repeat(depth), close.repeat(depth)].concat()
    }

    #[test]
    fn lengths_and_depths_that_fit_are_passed() {
        assert_eq!(outcome(EXPLICIT, &[8, 0, 0x60, 0, b'C', b'S', 2, 0, b'M', b'R']), Ok(()));
        assert_eq!(outcome(EXPLICIT, &nested(DEEPEST)), Ok(()));
        assert_eq!(outcome(EXPLICIT, &nested(DEEPEST + 1)), Err(ExtentError::TooDeep(1292)));
        assert_eq!(outcome(EXPLICIT, &[]), Ok(()));
    }

    #[test]
    fn what_reaches_beyond_the_bytes_is_refused() {
        let check = |syntax: &str, bytes: &[u8]| {
            let refused = outcome(syntax, bytes);
            assert!(matches!(refused, Err(ExtentError::Overrun(_))), "{bytes:02x?}: {refused:?}");
        };
        check(EXPLICIT, &[8, 0, 0x60, 0, b'C', b'S', 4, 0, b'M', b'R']);
        check(EXPLICIT, &[9, 0, 0x10, 0, b'O', b'B', 0, 0, 254, 255, 255, 255, 1]);
        check(EXPLICIT, &[8, 0, 0x60, 0, b'C', b'S']);
        check(IMPLICIT, &[8, 0, 0x60, 0, 0xf0, 0xff, 0xff, 0x7f, 0]);
        // An item that is longer than its sequence, and an element that is longer than its item.
        let item = [0xfe, 0xff, 0, 0xe0, 16, 0, 0, 0];
        check(IMPLICIT, &[&[8, 0, 0x15, 0x11, 8, 0, 0, 0][..], &item].concat());
        let element = [8, 0, 0x60, 0, 9, 0, 0, 0];
        check(IMPLICIT, &[&[8, 0, 0x15, 0x11, 24, 0, 0, 0][..], &item, &element, &[0; 9]].concat());
    }

    #[test]
    fn the_header_ends_at_the_pixels_and_reads_no_further() {
        let head = [8, 0, 0x60, 0, b'C', b'S', 2, 0, b'M', b'R'];
        let pixels = [0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0, 255, 255, 255, 127];
        let bytes = [&head[..], &pixels].concat();
        let syntax = TransferSyntaxRegistry.get(EXPLICIT).unwrap();
        for (begin, rest) in [bytes.split_at(3), bytes.split_at(bytes.len())] {
            let header = before_pixels(Cow::Borrowed(begin), rest, syntax).unwrap();
            assert_eq!(
                (header.bytes.as_ref(), header.stop.as_slice()),
                (&head[..], &[&pixels[..8], &[0; 4]].concat()[..])
            );
        }
        assert_eq!(outcome(EXPLICIT, &bytes), Err(ExtentError::Overrun(22)));
    }
}
