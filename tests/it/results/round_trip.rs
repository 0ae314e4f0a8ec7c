//! What is written is what was found, for every size, orientation, order and character set.

use std::io::Cursor;

use dicom_core::header::HasLength;
use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use sagittal::dicom::{Dataset, SegForm, text, texts};
use sagittal::results::{ResultError, ResultObject, SourceSeries, segmentation, verify};
use sagittal::volume::Segmentation;

use crate::support::findings::{FORMS, context, labelled, scattered, segment, source};
use crate::support::phantom::Series;

fn write(series: &Series, finding: &Segmentation) -> ResultObject {
    segmentation(&source(series), finding, SegForm::default(), &context()).unwrap()
}

fn dataset(object: &ResultObject) -> Dataset {
    dicom_object::from_reader(Cursor::new(&object.bytes)).unwrap().into_inner()
}

/// The referee unpacks every voxel with code of its own and compares it with the finding.
fn check(series: &Series, finding: &Segmentation) {
    for form in FORMS {
        let object = segmentation(&source(series), finding, form, &context()).unwrap();
        let faults = verify::segmentation(&object.bytes, &source(series), Some(finding));
        assert!(faults.is_empty(), "{form:?}: {faults:?}");
    }
}

#[test]
fn frames_of_any_size_come_back_exactly() {
    for (columns, rows, slices) in [(5, 5, 2), (1, 1, 3), (127, 127, 4), (513, 511, 2), (64, 32, 1)] {
        let series = Series::new(columns, rows, slices);
        check(&series, &scattered(&series, 3));
    }
}

#[test]
fn every_orientation_and_order_comes_back_exactly() {
    let gap = Series::new(17, 13, 9).without(&[3, 4]);
    let all = [
        Series::mr(17, 13, 6).oblique(),
        Series::new(17, 13, 6).reversed(),
        Series::mr(9, 21, 6).oblique().reversed(),
        gap,
    ];
    for series in all {
        check(&series, &scattered(&series, 4));
    }
}

#[test]
fn a_hundred_and_four_segments_come_back_exactly() {
    let series = Series::new(33, 31, 12);
    let finding = scattered(&series, 104);
    check(&series, &finding);
    let dataset = dataset(&write(&series, &finding));
    assert_eq!(dataset.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap().len(), 104);
    let frames = text(&dataset, tags::NUMBER_OF_FRAMES).unwrap();
    assert!(frames.parse::<usize>().unwrap() > 500, "{frames}");
}

/// `result-objects.md` S2: the known bytes of two 5 x 5 frames.
#[test]
fn bits_run_on_over_frame_boundaries() {
    let series = Series::new(5, 5, 2);
    let finding = labelled(&series, 1, |k, j, i| u8::from((i, j) == (k * 4, k * 4)));
    let bytes = write(&series, &finding).bytes;
    assert_eq!(bytes[bytes.len() - 8..], [0x01, 0, 0, 0, 0, 0, 0x02, 0]);
}

#[test]
fn only_segments_with_voxels_are_listed() {
    let series = Series::new(8, 8, 3);
    let mut finding = labelled(&series, 5, |k, _, i| if k == 1 { [2, 4, 5][i % 3] } else { 0 });
    finding.segments.swap(1, 4);
    let dataset = dataset(&write(&series, &finding));
    let segments = dataset.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap();
    let read = |tag| segments.iter().map(|s| text(s, tag).unwrap()).collect::<Vec<_>>();
    assert_eq!(read(tags::SEGMENT_NUMBER), ["1", "2", "3"]);
    assert_eq!(read(tags::SEGMENT_LABEL), ["Structure 5", "Structure 4", "Structure 2"]);
    assert_eq!(text(&dataset, tags::NUMBER_OF_FRAMES).as_deref(), Some("3"));
}

/// Cornerstone, with which OHIF reads, concludes from the length of the pixel data where frames begin: 3 frames of 81 bits
/// are too few to conclude it rightly.
#[test]
fn empty_frames_tell_unaligned_ones_apart() {
    let series = Series::new(9, 9, 4);
    let finding = labelled(&series, 3, |k, _, i| if k == 1 { i as u8 % 3 + 1 } else { 0 });
    let dataset = dataset(&write(&series, &finding));
    assert_eq!(text(&dataset, tags::NUMBER_OF_FRAMES).as_deref(), Some("9"));
}

#[test]
fn frames_are_segment_by_segment_ascending_along_the_normal() {
    let series = Series::new(4, 4, 4).reversed();
    let finding = labelled(&series, 2, |k, _, i| if i == 0 { 2 } else { u8::from(i == 1 && k > 1) });
    let dataset = dataset(&write(&series, &finding));
    let frames = dataset.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap();
    let index = |f: &Dataset| {
        let content = &f.element(tags::FRAME_CONTENT_SEQUENCE).unwrap().items().unwrap()[0];
        content.element(tags::DIMENSION_INDEX_VALUES).unwrap().to_multi_int::<u32>().unwrap()
    };
    let all: Vec<_> = frames.iter().map(index).collect();
    assert_eq!(all, [[1, 1], [1, 2], [2, 1], [2, 2], [2, 3], [2, 4]].map(Vec::from));
}

#[test]
fn nothing_found_is_an_answer_of_its_own() {
    let series = Series::new(8, 8, 3);
    let result = segmentation(&source(&series), &labelled(&series, 2, |_, _, _| 0), SegForm::default(), &context());
    assert!(matches!(result, Err(ResultError::NothingFound)), "{result:?}");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let series = Series::new(8, 6, 4);
    let finding = labelled(&series, 1, |_, _, i| u8::from(i > 4));
    let refused = |change: &dyn Fn(&mut Segmentation)| {
        let mut finding = finding.clone();
        change(&mut finding);
        segmentation(&source(&series), &finding, SegForm::default(), &context()).unwrap_err()
    };
    let mismatch = |e: ResultError| matches!(e, ResultError::GridMismatch { .. });
    assert!(mismatch(refused(&|f| f.grid.origin[2] += 1.0)));
    assert!(mismatch(refused(&|f| f.grid.axes.swap(0, 1))));
    assert!(mismatch(refused(&|f| f.grid.axes[2] = f.grid.axes[2].map(|v| -v))));
    assert!(mismatch(refused(&|f| f.grid.axes[2] = f.grid.axes[2].map(|v| v * 1.2))));
    assert!(mismatch(refused(&|f| f.grid.size = [8, 6, 5])));
    assert!(matches!(refused(&|f| f.labels[[0, 0, 0]] = 9), ResultError::UndescribedLabel { label: 9 }));
    assert!(matches!(refused(&|f| f.segments.push(segment(1))), ResultError::BadLabel { label: 1 }));
    assert!(matches!(refused(&|f| f.segments[0].property.value.clear()), ResultError::BadCode { .. }));
}

#[test]
fn sources_that_are_no_stack_are_refused() {
    let series = Series::new(8, 6, 3);
    let refused = |files: &[Vec<u8>]| SourceSeries::from_part10(files).unwrap_err();
    let with = |file: Vec<u8>| [series.instances(), vec![file]].concat();
    assert!(matches!(refused(&[]), ResultError::NoSource));
    assert!(matches!(refused(&with(b"not DICOM".to_vec())), ResultError::Missing { slice: 3, .. }));
    let other = series.clone().named("study", "other series");
    assert!(matches!(refused(&with(other.instance(0))), ResultError::MixedSeries { slice: 3 }));
    let twice = refused(&with(series.instance(1)));
    assert!(matches!(twice, ResultError::Geometry { verdict: "duplicate-positions" }), "{twice}");
    let nowhere = series.clone().lacking(tags::IMAGE_POSITION_PATIENT);
    assert!(matches!(refused(&nowhere.instances()), ResultError::Missing { slice: 0, .. }));
    let unframed = refused(&series.clone().lacking(tags::FRAME_OF_REFERENCE_UID).instances());
    assert_eq!(unframed.to_string(), "source slice 0: FrameOfReferenceUID is no usable UID: the UID is empty");
}

#[test]
fn the_same_run_writes_the_same_bytes() {
    let series = Series::new(16, 16, 4);
    let finding = scattered(&series, 2);
    let first = write(&series, &finding);
    assert_eq!(first, write(&series, &finding));
    let mut retrained = finding.clone();
    retrained.algorithm.digest = "f".repeat(64);
    let other = write(&series, &retrained);
    assert_ne!(first.sop_instance, other.sop_instance);
    assert_ne!(first.series, other.series);
    let late = Series::new(16, 16, 5);
    let reopened = write(&late, &scattered(&late, 2));
    assert_ne!(first.sop_instance, reopened.sop_instance);
    assert_eq!(first.series, reopened.series);
}

/// PS3.5 section 6.1.2.3: the bytes of a text mean what Specific Character Set says.
#[test]
fn names_keep_their_bytes_in_every_character_set() {
    let check = |charset: Option<&'static str>, name: &str, bytes: &[u8]| {
        let series = Series::new(6, 6, 2).charset(charset, name);
        let finding = scattered(&series, 1);
        let object = write(&series, &finding);
        let original = series.instance(0);
        let holds = |file: &[u8]| file.windows(bytes.len()).any(|w| w == bytes);
        assert!(holds(&original), "{charset:?}: the phantom itself");
        assert!(holds(&object.bytes), "{charset:?}");
        let faults = verify::segmentation(&object.bytes, &source(&series), Some(&finding));
        assert!(faults.is_empty(), "{charset:?}: {faults:?}");
        let declared = charset.map(|c| c.split('\\').map(|s| s.trim().to_owned()).collect::<Vec<_>>());
        assert_eq!(texts(&dataset(&object), tags::SPECIFIC_CHARACTER_SET), declared.unwrap_or_default());
    };
    check(Some("ISO_IR 192"), "Müller^Jörg", "Müller^Jörg".as_bytes());
    check(Some("ISO_IR 100"), "Müller^Jörg", b"M\xfcller^J\xf6rg");
    check(Some("ISO_IR 144"), "Люкceмбypг", b"\xbb\xee\xdace\xdc\xd1yp\xd3");
    check(Some("GB18030"), "Wang^XiaoDong=王^小东", b"\xcd\xf5^\xd0\xa1\xb6\xab");
    check(None, "Mueller^Joerg", b"Mueller^Joerg");
    // Undeclared or extended repertoires are carried byte for byte.
    check(None, "M\u{fc}ller^J\u{f6}rg", b"M\xfcller^J\xf6rg");
    check(Some("\\ISO 2022 IR 87"), "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B", b"\x1b$B;3ED\x1b(B^");
    check(Some("\\ISO 2022 IR 149"), "Hong^Gildong=\u{1b}$)C\u{fb}\u{f3}^", b"\x1b$)C\xfb\xf3^");
}

#[test]
fn a_label_outside_the_character_set_turns_the_object_to_utf8() {
    let latin = Series::new(6, 6, 2).charset(Some("ISO_IR 100"), "Müller^Jörg");
    let mut finding = scattered(&latin, 1);
    finding.segments[0].name = "脳".into();
    let object = write(&latin, &finding);
    assert_eq!(texts(&dataset(&object), tags::SPECIFIC_CHARACTER_SET), ["ISO_IR 192"]);
    assert!(verify::segmentation(&object.bytes, &source(&latin), Some(&finding)).is_empty());
    let extended = Series::new(6, 6, 2).charset(Some("\\ISO 2022 IR 149"), "Hong=\u{1b}$)C\u{fb}\u{f3}");
    let refused = segmentation(&source(&extended), &finding, SegForm::default(), &context());
    assert!(matches!(refused, Err(ResultError::Unencodable { .. })), "{refused:?}");
}

#[test]
fn what_the_source_lacks_is_empty_and_what_it_was_through_is_told() {
    let series = Series::new(6, 6, 2)
        .lacking(tags::PATIENT_BIRTH_DATE)
        .lacking(tags::STUDY_ID)
        .lacking(tags::TIMEZONE_OFFSET_FROM_UTC)
        .with(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES")
        .with(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01")
        .with(tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, "12.5");
    let finding = scattered(&series, 1);
    let dataset = dataset(&write(&series, &finding));
    assert!(dataset.element(tags::PATIENT_BIRTH_DATE).unwrap().is_empty());
    assert!(dataset.element(tags::STUDY_ID).unwrap().is_empty());
    assert!(dataset.get(tags::TIMEZONE_OFFSET_FROM_UTC).is_none());
    assert_eq!(text(&dataset, tags::PATIENT_IDENTITY_REMOVED).as_deref(), Some("YES"));
    assert_eq!(text(&dataset, tags::LOSSY_IMAGE_COMPRESSION).as_deref(), Some("01"));
    assert_eq!(text(&dataset, tags::LOSSY_IMAGE_COMPRESSION_RATIO).as_deref(), Some("12.5"));
    assert_eq!(text(&dataset, tags::CONTENT_DATE).as_deref(), Some("20261106"));
    check(&series, &finding);
}

/// `result-objects.md` C7: times are local to the source's offset, here one hour east of Greenwich.
#[test]
fn times_are_in_the_sources_offset() {
    let series = Series::new(6, 6, 2);
    let dataset = dataset(&write(&series, &scattered(&series, 1)));
    let utc = context().started_at.format("%H").to_string().parse::<u32>().unwrap();
    let hour = text(&dataset, tags::CONTENT_TIME).unwrap()[..2].parse::<u32>().unwrap();
    assert_eq!(hour, (utc + 1) % 24);
}

/// `result-objects.md` S12 and C14: legal decimals keep their bytes, overlong ones are rounded to 16 characters.
#[test]
fn positions_keep_their_text_unless_it_is_illegal() {
    let position = |z: &str| PrimitiveValue::Strs(["-125.000", "1e1", z].map(String::from).to_vec().into());
    let check = |z: &str, expected: &str| {
        let series = Series::new(6, 6, 1).with(tags::IMAGE_POSITION_PATIENT, VR::DS, position(z));
        let mut finding = scattered(&series, 1);
        finding.grid.origin = [-125.0, 10.0, z.parse().unwrap()];
        let object = write(&series, &finding);
        let frames = dataset(&object).take(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap();
        let plane = frames.items().unwrap()[0].element(tags::PLANE_POSITION_SEQUENCE).unwrap().items().unwrap();
        assert_eq!(texts(&plane[0], tags::IMAGE_POSITION_PATIENT), ["-125.000", "1e1", expected]);
        assert!(verify::segmentation(&object.bytes, &source(&series), Some(&finding)).is_empty());
    };
    check("+5.50", "+5.50");
    check("-142.505487236053", "-142.50548723605");
}
