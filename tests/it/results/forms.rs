//! What sets the forms of a SEG apart: overlap, probabilities, run-length encoding.

use std::io::Cursor;

use dicom_dictionary_std::{tags, uids};
use sagittal::dicom::{Dataset, SegForm, SegmentationType, text};
use sagittal::results::{SegDraft, segment_numbers, segmentation, verify};
use sagittal::volume::Segmentation;

use crate::support::findings::{FORMS, context, graded, labelled, overlapping, scattered, source};
use crate::support::phantom::Series;

const BINARY: SegForm = FORMS[0];
const LABELMAP: SegForm = FORMS[1];
const LABELMAP_RLE: SegForm = FORMS[2];
const FRACTIONAL: SegForm = FORMS[3];
const FRACTIONAL_RLE: SegForm = FORMS[4];

/// Written and refereed: the data set, and how many bytes it has.
fn write(series: &Series, finding: &Segmentation, form: SegForm) -> (Dataset, usize) {
    let object = segmentation(&source(series), finding, form, &context()).unwrap();
    let faults = verify::segmentation(&object.bytes, &source(series), Some(finding));
    assert!(faults.is_empty(), "{form:?}: {faults:?}");
    (dicom_object::from_reader(Cursor::new(&object.bytes)).unwrap().into_inner(), object.bytes.len())
}

fn value(dataset: &Dataset, tag: dicom_core::Tag) -> String {
    text(dataset, tag).unwrap_or_default()
}

#[test]
fn segments_may_share_voxels_but_in_a_label_map() {
    let series = Series::new(13, 11, 4);
    let finding = overlapping(&series);
    for (form, overlap) in [(BINARY, "YES"), (FRACTIONAL, "YES"), (LABELMAP, "NO")] {
        assert_eq!(value(&write(&series, &finding, form).0, tags::SEGMENTS_OVERLAP), overlap, "{form:?}");
        let apart = write(&series, &scattered(&series, 3), form).0;
        assert_eq!(value(&apart, tags::SEGMENTS_OVERLAP), "NO", "{form:?}");
    }
}

/// `result-objects.md` L2: where segments overlap, the label map that comes first wins.
#[test]
fn a_label_map_gives_a_shared_voxel_to_the_first_map() {
    let series = Series::new(4, 2, 1);
    let mut finding = labelled(&series, 2, |_, _, i| u8::from(i == 1));
    finding.overlays = vec![finding.labels.mapv(|_| 2)];
    let (dataset, _) = write(&series, &finding, LABELMAP);
    assert_eq!(dataset.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap()[..], [2, 1, 2, 2, 2, 1, 2, 2]);
    assert_eq!(value(&dataset, tags::SOP_CLASS_UID), uids::LABEL_MAP_SEGMENTATION_STORAGE);
}

#[test]
fn probabilities_are_kept_in_full_where_the_form_can() {
    let series = Series::new(13, 11, 4);
    let (shares, occupancy) = (graded(&series), scattered(&series, 2));
    let stated = |finding, form| value(&write(&series, finding, form).0, tags::SEGMENTATION_FRACTIONAL_TYPE);
    for form in [FRACTIONAL, FRACTIONAL_RLE] {
        assert_eq!(stated(&shares, form), "PROBABILITY");
        assert_eq!(stated(&occupancy, form), "OCCUPANCY");
    }
    assert_eq!(stated(&shares, BINARY), "");
    let (dataset, _) = write(&series, &shares, FRACTIONAL);
    let bytes = dataset.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let first: Vec<u8> = shares.probabilities[0].iter().take(13 * 11).copied().collect();
    assert_eq!(bytes[..13 * 11], first[..]);
}

/// A share in one voxel is a segment of a FRACTIONAL object, though no voxel of the labels is.
#[test]
fn segments_below_every_threshold_are_fractional_segments_only() {
    let series = Series::new(6, 6, 2);
    let mut finding = graded(&series);
    finding.probabilities[1].fill(0);
    finding.probabilities[1][[1, 2, 3]] = 40;
    finding.labels.mapv_inplace(|label| label % 2);
    assert_eq!(segment_numbers(&finding, FRACTIONAL).unwrap(), [(1, 1), (2, 2)]);
    assert_eq!(segment_numbers(&finding, BINARY).unwrap(), [(1, 1)]);
    write(&series, &finding, FRACTIONAL);
}

#[test]
fn run_length_encoding_makes_smooth_masks_small() {
    let series = Series::new(128, 128, 6);
    let finding = labelled(&series, 3, |k, j, i| (j / 48 + i / 64 + k / 3) as u8 % 4);
    let [plain, small] = [LABELMAP, LABELMAP_RLE].map(|form| write(&series, &finding, form).1);
    assert!(small * 4 < plain, "{small} bytes of {plain}");
}

/// Each form is an object and a series of its own, so that one never replaces another in a PACS.
#[test]
fn forms_have_their_own_uids() {
    let series = Series::new(8, 8, 2);
    let finding = scattered(&series, 2);
    let object = |form| segmentation(&source(&series), &finding, form, &context()).unwrap();
    let stored = [BINARY, LABELMAP, FRACTIONAL].map(|form| object(form).sop_instance.to_string());
    assert!(stored[0] != stored[1] && stored[1] != stored[2] && stored[0] != stored[2]);
    let syntax = |form: SegForm| object(form).transfer_syntax.to_string();
    for form in FORMS {
        let expected = if form.rle { uids::RLE_LOSSLESS } else { uids::EXPLICIT_VR_LITTLE_ENDIAN };
        assert_eq!(syntax(form), expected, "{form:?}");
    }
}

/// Written piece by piece, the object is the same.
#[test]
fn drafts_write_the_same_bytes_as_often_as_asked() {
    let series = Series::new(21, 17, 9);
    let (finding, source) = (overlapping(&series), source(&series));
    for form in FORMS {
        let draft = SegDraft::new(&source, &finding, form, &context()).unwrap();
        let [mut once, mut twice] = [Vec::new(), Vec::new()];
        draft.write_to(&mut once).unwrap();
        draft.write_to(&mut twice).unwrap();
        assert_eq!(once, twice);
        assert_eq!(once, segmentation(&source, &finding, form, &context()).unwrap().bytes);
    }
}

#[test]
fn binary_is_the_form_of_those_who_do_not_ask() {
    assert_eq!(SegForm::default(), BINARY);
    assert_eq!(SegForm::default().stored, SegmentationType::Binary);
}
