//! The Pixel Data element at the end of an object, native or in fragments (PS3.5 sections 8, A.4 and annex G), read
//! without the writer's code.

use std::borrow::Cow;

/// Group and element of Pixel Data, VR OB, two reserved bytes.
const OB_PIXELS: [u8; 8] = [0xe0, 0x7f, 0x10, 0x00, b'O', b'B', 0, 0];
const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
const DELIMITER: [u8; 8] = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];

/// What stands behind the last attribute.
pub(in crate::results) enum PixelData<'b> {
    Native(&'b [u8]),
    /// One fragment a frame.
    Fragments(Vec<&'b [u8]>),
}

impl<'b> PixelData<'b> {
    /// Reads the element that `bytes` begins with and that must fill them.
    pub fn read(bytes: &'b [u8]) -> Option<PixelData<'b>> {
        let rest = bytes.strip_prefix(&OB_PIXELS)?;
        let (length, value) = length(rest)?;
        if length == u32::MAX {
            return fragments(value).map(PixelData::Fragments);
        }
        (value.len() == length as usize && length % 2 == 0).then_some(PixelData::Native(value))
    }

    /// Frame `index` of `area` pixels, red, green and blue in turn; `None` where it is missing or cannot be decoded.
    pub fn color_frame(&self, index: usize, area: usize) -> Option<Cow<'b, [u8]>> {
        match self {
            PixelData::Native(bytes) => bytes.get(index * area * 3..(index + 1) * area * 3).map(Cow::Borrowed),
            PixelData::Fragments(all) => unpack_colors(all.get(index)?, area).map(Cow::Owned),
        }
    }

    /// Frame `index` of `area` bytes; `None` where it is missing or cannot be decoded.
    pub fn frame(&self, index: usize, area: usize) -> Option<Cow<'b, [u8]>> {
        match self {
            PixelData::Native(bytes) => bytes.get(index * area..(index + 1) * area).map(Cow::Borrowed),
            PixelData::Fragments(all) => unpack(all.get(index)?, area).map(Cow::Owned),
        }
    }
}

fn length(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length), rest))
}

/// The fragments behind the offset table, up to the delimiter, behind which nothing may stand.
fn fragments(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while let Some(rest) = bytes.strip_prefix(&ITEM) {
        let (length, rest) = length(rest)?;
        let (fragment, rest) = rest.split_at_checked(length as usize)?;
        found.push(fragment);
        bytes = rest;
    }
    if bytes != DELIMITER || found.is_empty() {
        return None;
    }
    found.remove(0);
    Some(found)
}

/// The number that stands at `at`.
fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

/// Three run-length encoded segments of `area` bytes each, interleaved.
fn unpack_colors(fragment: &[u8], area: usize) -> Option<Vec<u8>> {
    if word(fragment, 0)? != 3 || word(fragment, 4)? != 64 || fragment.len() % 2 == 1 {
        return None;
    }
    let [first, second, third] = [64, word(fragment, 8)?, word(fragment, 12)?];
    let parts = [fragment.get(first..second)?, fragment.get(second..third)?, fragment.get(third..)?];
    let [red, green, blue] = parts.map(|part| unpack_segment(part, area));
    let (red, green, blue) = (red?, green?, blue?);
    Some((0..area).flat_map(|at| [red[at], green[at], blue[at]]).collect())
}

/// One run-length encoded segment of `area` bytes behind its header.
fn unpack(fragment: &[u8], area: usize) -> Option<Vec<u8>> {
    if word(fragment, 0)? != 1 || word(fragment, 4)? != 64 || fragment.len() % 2 == 1 {
        return None;
    }
    unpack_segment(fragment.get(64..)?, area)
}

fn unpack_segment(mut rest: &[u8], area: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(area);
    while out.len() < area {
        let (head, tail) = rest.split_first()?;
        let count = usize::from(*head);
        match count {
            ..128 => {
                let (literal, tail) = tail.split_at_checked(count + 1)?;
                out.extend(literal);
                rest = tail;
            }
            128 => rest = tail,
            _ => {
                let (byte, tail) = tail.split_first()?;
                out.resize(out.len() + 257 - count, *byte);
                rest = tail;
            }
        }
    }
    // What is left may only be the byte that makes the length even.
    (out.len() == area && rest.len() <= 1).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_elements_are_read() {
        let native = [&OB_PIXELS[..], &[2, 0, 0, 0, 7, 8]].concat();
        let Some(PixelData::Native(bytes)) = PixelData::read(&native) else { panic!("native pixel data") };
        assert_eq!(bytes, [7, 8]);
        assert!(PixelData::read(&native[..13]).is_none());
        assert!(PixelData::read(&[&native[..], &[0]].concat()).is_none());
    }

    #[test]
    fn runs_and_literals_are_unpacked() {
        let mut fragment = vec![0; 64];
        (fragment[0], fragment[4]) = (1, 64);
        fragment.extend([0xfe, 5, 128, 1, 8, 9]);
        assert_eq!(unpack(&fragment, 5).as_deref(), Some(&[5, 5, 5, 8, 9][..]));
        assert_eq!(unpack(&fragment, 4), None);
        assert_eq!(unpack(&fragment, 9), None);
    }
}
