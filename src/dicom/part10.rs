//! The file form of a DICOM object (PS3.10 section 7): preamble, `DICM`, File Meta Information, data set.
//!
//! The meta group is read here and not by dicom-object, which refuses whole files for an AE title of more
//! than 16 characters or a wrong group length: rules that no reader of a data set needs. The data set itself
//! is never repaired.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::ops::Range;

use dicom_dictionary_std::tags;
use dicom_encoding::{Codec, TransferSyntaxIndex};
use dicom_object::file::ReadPreamble;
use dicom_object::{FileDicomObject, OpenFileOptions};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::{
    Dataset, ExtentError, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Uid, UidError, extent, tables,
};

const PREAMBLE: usize = 128;
/// Where the meta information begins.
const META: usize = PREAMBLE + 4;
/// The meta information is in here; private meta elements of more than this do not occur.
const LONGEST_HEAD: u64 = 64 * 1024;
/// Element numbers of group 0002 and their keywords.
const META_UIDS: [(u16, &str); 3] =
    [(0x0002, "MediaStorageSOPClassUID"), (0x0003, "MediaStorageSOPInstanceUID"), (0x0010, "TransferSyntaxUID")];

/// Why bytes are no DICOM file.
#[derive(Debug, thiserror::Error)]
pub enum Part10Error {
    #[error("it has no DICM prefix, so it is no DICOM file")]
    NoPrefix,
    #[error("{keyword} in its meta information: {fault}")]
    BadUid { keyword: &'static str, fault: UidError },
    #[error("its data set cannot be read: {0}")]
    DataSet(#[source] Box<dicom_object::ReadError>),
    #[error("its data set is not sound: {0}")]
    Extent(#[from] ExtentError),
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// What a file says about itself before its data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// Where the data set begins.
    pub offset: usize,
}

impl Meta {
    /// Do `bytes` begin a Part 10 file?
    #[must_use]
    pub fn is_part10(bytes: &[u8]) -> bool {
        bytes.get(PREAMBLE..META).is_some_and(|prefix| prefix == b"DICM")
    }

    /// Reads the meta information of `bytes`, which may be the first part of a file only.
    pub fn read(bytes: &[u8]) -> Result<Meta, Part10Error> {
        let (texts, offset) = meta_texts(bytes)?;
        let uid = |place: usize| meta_uid(&texts, place);
        Ok(Meta { sop_class: uid(0)?, sop_instance: uid(1)?, transfer_syntax: uid(2)?, offset })
    }

    /// The transfer syntax of a file and where its data set begins; nothing else is asked for.
    pub fn syntax(bytes: &[u8]) -> Result<(Uid, usize), Part10Error> {
        let meta = Meta::read_leniently(bytes)?;
        Ok((meta.transfer_syntax, meta.offset))
    }

    /// As [`Meta::syntax`], of a file without preamble and prefix: what its meta group says or, without one, what its
    /// first element looks like. `None`: it does not begin as a data set does.
    #[must_use]
    pub fn bare_syntax(bytes: &[u8]) -> Option<(Uid, usize)> {
        let (texts, offset) = meta_group(bytes, 0);
        if let Ok(named) = meta_uid(&texts, 2) {
            return Some((named, offset));
        }
        let first = bytes.get(offset..)?.first_chunk::<6>().filter(|first| first.starts_with(&[8, 0]))?;
        let is_explicit = first[4..].iter().all(u8::is_ascii_uppercase);
        let syntax = if is_explicit { tables::EXPLICIT_LITTLE } else { tables::IMPLICIT_LITTLE };
        Some((Uid::parse(syntax).ok()?, offset))
    }

    /// As [`Meta::read`], but asks for the transfer syntax alone: all that the data set needs to be read.
    fn read_leniently(bytes: &[u8]) -> Result<Meta, Part10Error> {
        let (texts, offset) = meta_texts(bytes)?;
        let transfer_syntax = meta_uid(&texts, 2)?;
        let or_unnamed = |place: usize| meta_uid(&texts, place).unwrap_or_else(|_| Uid::derived(&["unnamed"]));
        Ok(Meta { sop_class: or_unnamed(0), sop_instance: or_unnamed(1), transfer_syntax, offset })
    }

    /// Preamble, `DICM` and meta group of a file with this data set. `source_ae`: the sender, where there was one.
    #[must_use]
    pub fn head(&self, source_ae: Option<&str>) -> Vec<u8> {
        part10_head(&self.sop_class, &self.sop_instance, &self.transfer_syntax, source_ae)
    }
}

/// The values of [`META_UIDS`], empty where they are missing, and where the data set begins.
fn meta_texts(bytes: &[u8]) -> Result<([String; 3], usize), Part10Error> {
    if !Meta::is_part10(bytes) {
        return Err(Part10Error::NoPrefix);
    }
    Ok(meta_group(bytes, META))
}

/// The values of [`META_UIDS`] in the meta group that begins at `offset`, and where it ends.
fn meta_group(bytes: &[u8], mut offset: usize) -> ([String; 3], usize) {
    let mut texts = [const { String::new() }; 3];
    while let Some((element, value)) = bytes.get(offset..).and_then(meta_element) {
        if let Some(place) = META_UIDS.iter().position(|(wanted, _)| *wanted == element) {
            texts[place] = String::from_utf8_lossy(&bytes[offset..][value.clone()]).into_owned();
        }
        offset += value.end;
    }
    (texts, offset)
}

fn meta_uid(texts: &[String; 3], place: usize) -> Result<Uid, Part10Error> {
    Uid::parse(&texts[place]).map_err(|fault| Part10Error::BadUid { keyword: META_UIDS[place].1, fault })
}

/// The element number and the place of the value of an element of group 0002 (Explicit VR Little Endian, whole),
/// `None` at the first other element.
fn meta_element(bytes: &[u8]) -> Option<(u16, Range<usize>)> {
    let header = bytes.first_chunk::<8>().filter(|header| header.starts_with(&[2, 0]))?;
    let element = u16::from_le_bytes([header[2], header[3]]);
    let is_long =
        matches!(&header[4..6], b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"SQ" | b"UC" | b"UN" | b"UR" | b"UT");
    let (start, length) = if is_long {
        let long = bytes.first_chunk::<12>()?;
        (12_usize, u32::from_le_bytes([long[8], long[9], long[10], long[11]]) as usize)
    } else {
        (8, usize::from(u16::from_le_bytes([header[6], header[7]])))
    };
    let end = start.checked_add(length)?;
    bytes.get(start..end).map(|_| (element, start..end))
}

/// Everything that stands before the data set of `sop_instance` in a file that this program writes.
/// `source_ae` is the sender's AE title, where there was one.
pub fn part10_head(sop_class: &Uid, sop_instance: &Uid, transfer_syntax: &Uid, source_ae: Option<&str>) -> Vec<u8> {
    head_as_announced(sop_class.as_str(), sop_instance.as_str(), transfer_syntax, source_ae)
}

/// As [`part10_head`], of an object that is kept though the UIDs announced with it are none.
pub fn head_as_announced(
    sop_class: &str,
    sop_instance: &str,
    transfer_syntax: &Uid,
    source_ae: Option<&str>,
) -> Vec<u8> {
    let mut group = MetaGroup::default();
    group.element(0x0001, b"OB\0\0", &[0, 1], 0);
    group.element(0x0002, b"UI", sop_class.as_bytes(), 0);
    group.element(0x0003, b"UI", sop_instance.as_bytes(), 0);
    group.element(0x0010, b"UI", transfer_syntax.as_str().as_bytes(), 0);
    group.element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.as_bytes(), 0);
    group.element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.as_bytes(), b' ');
    if let Some(title) = source_ae {
        group.element(0x0016, b"AE", title.as_bytes(), b' ');
    }
    group.behind_preamble()
}

/// Elements of group 0002, Explicit VR Little Endian, written by hand: it is done for every instance that is received.
#[derive(Default)]
struct MetaGroup(Vec<u8>);

impl MetaGroup {
    /// `vr` with the two reserved bytes where it has a length of 32 bits.
    fn element(&mut self, element: u16, vr: &[u8], value: &[u8], padding: u8) {
        let length = value.len().next_multiple_of(2);
        self.0.extend(2_u16.to_le_bytes());
        self.0.extend(element.to_le_bytes());
        self.0.extend(vr);
        if vr.len() > 2 {
            self.0.extend((length as u32).to_le_bytes());
        } else {
            self.0.extend((length as u16).to_le_bytes());
        }
        self.0.extend(value);
        self.0.resize(self.0.len() + length - value.len(), padding);
    }

    fn behind_preamble(self) -> Vec<u8> {
        let mut length = MetaGroup(Vec::with_capacity(12));
        length.element(0x0000, b"UL", &(self.0.len() as u32).to_le_bytes(), 0);
        [&[0; PREAMBLE][..], b"DICM", &length.0, &self.0].concat()
    }
}

/// Parses a whole file.
pub fn parse(bytes: &[u8]) -> Result<FileDicomObject<Dataset>, Part10Error> {
    let meta = Meta::read_leniently(bytes)?;
    let rest = &bytes[meta.offset..];
    let syntax = TransferSyntaxRegistry.get(meta.transfer_syntax.as_str());
    // What is deflated was checked up to its pixels when it came.
    if let Some(syntax) = syntax.filter(|syntax| !matches!(syntax.codec(), Codec::Dataset(_))) {
        extent::check(rest, syntax)?;
    }
    data_set(OpenFileOptions::new(), &meta, rest)
}

/// Parses the attributes that stand before PixelData; reads no further than needed, and needs no codec.
pub fn parse_header(mut from: impl Read) -> Result<FileDicomObject<Dataset>, Part10Error> {
    let mut begin = Vec::new();
    from.by_ref().take(LONGEST_HEAD).read_to_end(&mut begin)?;
    parse_header_of(&begin, from)
}

/// As [`parse_header`], of a file that begins with `begin`, meta information and all, and goes on in `from`.
pub fn parse_header_of(begin: &[u8], from: impl Read) -> Result<FileDicomObject<Dataset>, Part10Error> {
    let mut meta = Meta::read_leniently(begin)?;
    if TransferSyntaxRegistry.get(meta.transfer_syntax.as_str()).is_none() {
        meta.transfer_syntax = encapsulated(meta.transfer_syntax);
    }
    let rest = &begin[meta.offset..];
    let until_pixels = OpenFileOptions::new().read_until(tags::PIXEL_DATA);
    let Some(syntax) = TransferSyntaxRegistry.get(meta.transfer_syntax.as_str()) else {
        return data_set(until_pixels, &meta, rest.chain(from));
    };
    let header = match syntax.codec() {
        // Inflated here, for what is checked must be what is read.
        Codec::Dataset(Some(inflate)) => {
            meta.transfer_syntax = encapsulated(meta.transfer_syntax);
            let inflating = inflate.adapt_reader(Box::new(rest.chain(from)));
            extent::before_pixels(Cow::Borrowed(&[]), inflating, syntax)?
        }
        _ => extent::before_pixels(Cow::Borrowed(rest), from, syntax)?,
    };
    data_set(until_pixels, &meta, header.bytes.chain(header.stop.as_slice()))
}

/// The attributes before PixelData of a file that is not deflated, and where in `bytes` PixelData begins: for those who
/// read the pixels where they lie.
pub fn parse_around_pixels(bytes: &[u8]) -> Result<(FileDicomObject<Dataset>, usize), Part10Error> {
    let meta = Meta::read_leniently(bytes)?;
    let rest = &bytes[meta.offset..];
    let explicit = TransferSyntaxRegistry.get(tables::EXPLICIT_LITTLE);
    let syntax = TransferSyntaxRegistry.get(meta.transfer_syntax.as_str()).or(explicit);
    let end = syntax.map_or(Err(ExtentError::Unreadable), |syntax| extent::up_to_pixels(rest, syntax))?;
    let object = data_set(OpenFileOptions::new(), &meta, &rest[..end])?;
    Ok((object, meta.offset + end))
}

/// What a transfer syntax without a codec is read as: an encapsulated one has Explicit VR Little Endian attributes
/// (PS3.5 section A.4), and all accepted ones that the registry lacks are encapsulated. The deflated one, inflated, too.
fn encapsulated(syntax: Uid) -> Uid {
    let explicit = Uid::parse(tables::EXPLICIT_LITTLE).ok().filter(|_| tables::is_storage_syntax(syntax.as_str()));
    explicit.unwrap_or(syntax)
}

/// Reads a data set behind a meta group that dicom-object likes.
fn data_set(options: OpenFileOptions, meta: &Meta, rest: impl Read) -> Result<FileDicomObject<Dataset>, Part10Error> {
    let head = meta.head(None);
    options
        .read_preamble(ReadPreamble::Always)
        .from_reader(Cursor::new(head).chain(rest))
        .map_err(|error| Part10Error::DataSet(Box::new(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use dicom_core::{DataElement, VR};
    use dicom_object::FileMetaTableBuilder;

    use super::*;

    /// A file whose meta information names an AE title of 18 characters.
    fn overlong() -> Vec<u8> {
        let mut set = Dataset::new_empty();
        set.put(DataElement::new(tags::MODALITY, VR::CS, "MR"));
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax("1.2.840.10008.1.2.1")
            .media_storage_sop_class_uid("1.2.3")
            .media_storage_sop_instance_uid("1.2.4")
            .source_application_entity_title("SEVENTEEN LETTERS!");
        let mut bytes = Vec::new();
        set.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn an_overlong_entity_title_hinders_nobody() {
        let bytes = overlong();
        assert!(dicom_object::from_reader(bytes.as_slice()).is_err(), "then the meta group need not be read here");
        for object in [parse(&bytes).unwrap(), parse_header(bytes.as_slice()).unwrap()] {
            assert_eq!(crate::dicom::text(&object, tags::MODALITY).as_deref(), Some("MR"));
            assert_eq!(object.meta().media_storage_sop_instance_uid(), "1.2.4");
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(matches!(parse(b""), Err(Part10Error::NoPrefix)));
        assert!(matches!(parse(&[0; 500]), Err(Part10Error::NoPrefix)));
        assert!(matches!(parse(&overlong()[..140]), Err(Part10Error::BadUid { .. })));
    }

    #[test]
    fn a_file_without_prefix_says_by_its_first_bytes_how_it_is_encoded() {
        let check = |bytes: &[u8], expected: Option<(&str, usize)>| {
            let found = Meta::bare_syntax(bytes);
            assert_eq!(found.as_ref().map(|(syntax, offset)| (syntax.as_str(), *offset)), expected, "{bytes:?}");
        };
        check(b"\x08\0\x60\0CS\x02\0MR", Some((tables::EXPLICIT_LITTLE, 0)));
        check(b"\x08\0\x60\0\x02\0\0\0MR", Some((tables::IMPLICIT_LITTLE, 0)));
        let whole = overlong();
        let (syntax, offset) = Meta::syntax(&whole).unwrap();
        check(&whole[META..], Some((syntax.as_str(), offset - META)));
        check(b"no data set", None);
        check(b"", None);
    }

    #[test]
    fn every_accepted_transfer_syntax_has_a_header_that_is_read() {
        for (syntax, name) in tables::TRANSFER_SYNTAXES {
            let uid = |text| Uid::parse(text).unwrap();
            let head = part10_head(&uid("1.2.3"), &uid("1.2.4"), &uid(syntax), None);
            // what the registry cannot read at all is encapsulated
            let known = TransferSyntaxRegistry.get(syntax).is_some();
            let text: &[u8] = if known { b"" } else { b"\x08\0\x60\0CS\x02\0MR" };
            let object = parse_header([&head, text].concat().as_slice());
            let modality = object.map(|object| crate::dicom::text(&object, tags::MODALITY));
            assert_eq!(modality.unwrap().as_deref(), (!known).then_some("MR"), "{name}");
        }
    }

    #[test]
    fn a_data_set_behind_the_head_is_a_file() {
        let uid = |text| Uid::parse(text).unwrap();
        let meta = Meta {
            sop_class: uid("1.2.840.10008.5.1.4.1.1.4"),
            sop_instance: uid("1.2.3"),
            transfer_syntax: uid("1.2.840.10008.1.2"),
            offset: 0,
        };
        let head = meta.head(Some("CT1"));
        let builder = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(meta.sop_class.as_str())
            .media_storage_sop_instance_uid(meta.sop_instance.as_str())
            .transfer_syntax(meta.transfer_syntax.as_str())
            .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
            .implementation_version_name(IMPLEMENTATION_VERSION_NAME)
            .source_application_entity_title("CT1");
        let mut theirs = vec![0; PREAMBLE];
        theirs.extend(b"DICM");
        builder.build().unwrap().write(&mut theirs).unwrap();
        assert_eq!(head, theirs, "as dicom-object writes it");
        let file = dicom_object::from_reader(head.as_slice()).unwrap();
        assert_eq!(file.meta().source_application_entity_title.as_deref().map(str::trim), Some("CT1"));
        assert_eq!(Meta::read(&head).unwrap(), Meta { offset: head.len(), ..meta });
    }
}
