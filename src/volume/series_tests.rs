//! Series made in memory: order, grid, rescale, bit depths, and every way a series can be refused.
#![allow(clippy::unwrap_used)]

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_object::meta::FileMetaTableBuilder;

use super::*;

struct Bytes(Vec<u8>);

impl InstanceSource for Bytes {
    fn name(&self) -> String {
        "in memory".into()
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        Ok(self.0.clone())
    }
}

/// A 2x3 image (two rows, three columns) at `z`, its pixels 10z, 10z + 1 ...
fn slice(z: i16) -> Dataset {
    let mut set = Dataset::new_empty();
    let mut text = |tag: Tag, vr: VR, value: &str| {
        set.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    };
    text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{}", z + 100));
    text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.9");
    text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("-10\\20\\{z}"));
    text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25");
    text(tags::RESCALE_SLOPE, VR::DS, "2");
    text(tags::RESCALE_INTERCEPT, VR::DS, "-1024.5");
    for (tag, value) in [
        (tags::ROWS, 2),
        (tags::COLUMNS, 3),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        number(&mut set, tag, value);
    }
    let words: Vec<u16> = (0..6).map(|n| (10 * z + n).cast_unsigned() & 0x0fff).collect();
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into())));
    set
}

fn number(set: &mut Dataset, tag: Tag, value: u16) {
    set.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

fn stored(set: Dataset, syntax: &str) -> Bytes {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.4")
        .media_storage_sop_instance_uid("1.2.3");
    let mut bytes = Vec::new();
    set.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    Bytes(bytes)
}

fn read(sets: Vec<Dataset>) -> Result<SeriesVolume, VolumeError> {
    let sources: Vec<Bytes> = sets.into_iter().map(|s| stored(s, "1.2.840.10008.1.2.1")).collect();
    read_series(&sources, &["regular"])
}

fn refused(sets: Vec<Dataset>) -> String {
    read(sets).unwrap_err().to_string()
}

#[test]
fn slices_are_sorted_along_the_normal_and_rescaled() {
    for syntax in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"] {
        let sources: Vec<Bytes> = [4, -2, 2, 0].into_iter().map(|z| stored(slice(z), syntax)).collect();
        let found = read_series(&sources, &["regular"]).unwrap();
        assert_eq!(found.volume.sources, [1, 3, 2, 0], "{syntax}");
        let grid = &found.volume.grid;
        assert_eq!((grid.size, grid.origin), ([3, 2, 4], [-10.0, 20.0, -2.0]));
        assert_eq!(grid.axes, [[0.25, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 2.0]]);
        for ((k, j, i), value) in found.volume.voxels.indexed_iter() {
            let raw = 10.0 * (2.0 * k as f32 - 2.0) + (3 * j + i) as f32;
            assert!((value - (2.0 * raw - 1024.5)).abs() < 1e-6, "{syntax} {k} {j} {i} {value}");
        }
        let positions: Vec<f64> =
            found.headers.iter().map(|h| decimals(h, tags::IMAGE_POSITION_PATIENT).unwrap()[2]).collect();
        assert_eq!(positions, [-2.0, 0.0, 2.0, 4.0]);
        assert!(found.headers.iter().all(|h| h.get(tags::PIXEL_DATA).is_none()));
    }
}

#[test]
fn eight_and_thirty_two_bits_are_read() {
    let mut bytes = slice(0);
    for (tag, value) in
        [(tags::BITS_ALLOCATED, 8), (tags::BITS_STORED, 8), (tags::HIGH_BIT, 7), (tags::PIXEL_REPRESENTATION, 0)]
    {
        number(&mut bytes, tag, value);
    }
    bytes.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(vec![0, 1, 127, 128, 254, 255].into())));
    let mut longs = slice(0);
    for (tag, value) in [(tags::BITS_ALLOCATED, 32), (tags::BITS_STORED, 32), (tags::HIGH_BIT, 31)] {
        number(&mut longs, tag, value);
    }
    let cells = [70_000_i32, -70_000, 0, 1, 2, 3].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    longs.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(cells.into())));
    let values = |set| {
        let found = read_series(&[stored(set, "1.2.840.10008.1.2.1")], &["single-slice"]).unwrap();
        found.volume.voxels.iter().map(|v| f64::midpoint(f64::from(*v), 1024.5)).collect::<Vec<f64>>()
    };
    assert_eq!(values(bytes), [0.0, 1.0, 127.0, 128.0, 254.0, 255.0]);
    assert_eq!(values(longs), [70_000.0, -70_000.0, 0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn a_series_that_is_no_volume_is_refused_by_name() {
    let with = |change: &dyn Fn(&mut Dataset)| {
        let mut set = slice(2);
        change(&mut set);
        refused(vec![slice(0), set])
    };
    let twice = with(&|s| {
        s.put(DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::DS, PrimitiveValue::from("-10\\20\\0")));
    });
    assert!(twice.contains("1.2.3.100") && twice.contains("1.2.3.102") && twice.contains("same position"), "{twice}");
    let size = with(&|s| number(s, tags::ROWS, 1));
    assert!(size.contains("1.2.3.102 is 3x1"), "{size}");
    let short = with(&|s| {
        s.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![1, 2].into())));
    });
    assert!(short.contains("1.2.3.102 holds 4 bytes") && short.contains("12"), "{short}");
    let none = with(&|s| {
        s.remove_element(tags::PIXEL_DATA);
    });
    assert!(none.contains("1.2.3.102 has no PixelData"), "{none}");
    let frames = with(&|s| {
        s.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, PrimitiveValue::from("3")));
    });
    assert!(frames.contains("3 frames without functional groups"), "{frames}");
    assert!(with(&|s| number(s, tags::SAMPLES_PER_PIXEL, 3)).contains("grey-scale"));
    let mut vast = slice(0);
    number(&mut vast, tags::ROWS, 65_535);
    number(&mut vast, tags::COLUMNS, 65_535);
    let vast = refused(vec![vast; 2]);
    assert!(vast.contains("1.2.3.100 holds 12 bytes") || vast.contains("do not fit in memory"), "{vast}");
    assert!(with(&|s| number(s, tags::BITS_STORED, 17)).contains("17 stored"));
    let plane = with(&|s| {
        s.remove_element(tags::IMAGE_POSITION_PATIENT);
    });
    assert!(plane.contains("no image plane (ImagePositionPatient (0020,0032) is missing"), "{plane}");
    assert!(plane.contains("no-geometry") && plane.contains("1.2.3.102"), "{plane}");
}

#[test]
fn gaps_are_refused_unless_accepted() {
    let message = refused(vec![slice(0), slice(1), slice(2), slice(4)]);
    assert!(message.contains("missing-slices") && message.contains("accepts regular"), "{message}");
    let sources: Vec<Bytes> = [0, 1, 2, 4].into_iter().map(|z| stored(slice(z), "1.2.840.10008.1.2.1")).collect();
    let found = read_series(&sources, &["regular", "missing-slices"]).unwrap();
    assert!((found.volume.grid.axes[2][2] - 4.0 / 3.0).abs() < 1e-12);
}

#[test]
fn damaged_streams_are_errors() {
    assert!(matches!(read_series::<Bytes>(&[], &["regular"]), Err(VolumeError::Empty)));
    let text = read_series(&[Bytes(b"no DICOM at all, but long enough to be read as one".to_vec())], &["regular"]);
    assert!(matches!(text, Err(VolumeError::NotDicom { .. })));
    let whole = stored(slice(0), "1.2.840.10008.1.2.1").0;
    for length in (0..whole.len()).step_by(7) {
        let cut = read_series(&[Bytes(whole[..length].to_vec())], &["single-slice"]);
        assert!(cut.is_err(), "{length} of {} bytes were read as a volume", whole.len());
    }
}
