//! Reports as Encapsulated PDF: the same bytes for the same run, whatever the fonts lack.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use dicom_dictionary_std::tags;
use ndarray::Array3;
use sagittal::dicom::{Dataset, text};
use sagittal::pipeline::FontFolders;
use sagittal::results::{
    EncapsulatedReport, FontFile, FontSource, Letterhead, Paper, ReportMatter, ResultError, ResultObject, report,
    verify,
};
use sagittal::volume::{Segmentation, measure};

use crate::support::findings::{context, graded, labelled, scattered, source};
use crate::support::phantom::Series;

/// A node with the fonts of this machine; `None`, and said so, where it has none.
pub fn letterhead() -> Option<Letterhead> {
    let fonts = Arc::new(FontFolders::new(vec![PathBuf::from("/usr/share/fonts")]));
    if fonts.faces_for(&('!'..='~').collect()).is_empty() {
        eprintln!("SKIPPED: no fonts in /usr/share/fonts; run `make peers`");
        return None;
    }
    Some(Letterhead { node: "SAGITTAL".into(), paper: Paper::A4, fonts })
}

/// The report of a finding, judged; voxels are what the phantom holds, in HU.
pub fn reported(
    series: &Series,
    finding: &Segmentation,
    beside: &[ResultObject],
    letterhead: &Letterhead,
) -> EncapsulatedReport {
    let source = source(series);
    let (slices, rows, columns) = finding.labels.dim();
    let pixels = series.present().into_iter().flat_map(|k| series.pixels(k));
    let values = pixels.map(|value| f32::from(value) - 1024.0).collect();
    let voxels = Array3::from_shape_vec((slices, rows, columns), values).unwrap();
    let measured = measure(finding, Some(&voxels), &source.slabs(series.distance));
    let matter = ReportMatter { finding, measured: &measured, voxels: Some(&voxels), beside };
    let made = report(&source, &matter, letterhead, &context()).unwrap();
    assert_eq!(verify::report(&made.object.bytes, &source, Some(finding)), []);
    made
}

fn dataset(object: &ResultObject) -> Dataset {
    dicom_object::from_reader(Cursor::new(&object.bytes)).unwrap().into_inner()
}

/// `result-objects.md` C5 and E1: fixed identifiers, an even value, its length beside it.
#[test]
fn the_same_run_reports_in_the_same_bytes() {
    let Some(letterhead) = letterhead() else { return };
    let series = Series::new(33, 31, 6);
    let finding = scattered(&series, 3);
    let first = reported(&series, &finding, &[], &letterhead).object;
    assert_eq!(first, reported(&series, &finding, &[], &letterhead).object);
    let dataset = dataset(&first);
    let stored = dataset.element(tags::ENCAPSULATED_DOCUMENT).unwrap().to_bytes().unwrap().len();
    let length: usize = text(&dataset, tags::ENCAPSULATED_DOCUMENT_LENGTH).unwrap().parse().unwrap();
    assert_eq!(stored, length.next_multiple_of(2));
    let letter = Letterhead { paper: Paper::Letter, ..letterhead };
    assert_ne!(first.bytes, reported(&series, &finding, &[], &letter).object.bytes);
}

#[test]
fn nothing_found_and_probabilities_are_reported_too() {
    let Some(letterhead) = letterhead() else { return };
    let series = Series::new(16, 12, 4);
    let nothing = labelled(&series, 3, |_, _, _| 0);
    assert_eq!(reported(&series, &nothing, &[], &letterhead).unshown, 0);
    assert_eq!(reported(&series, &graded(&series), &[], &letterhead).unshown, 0);
}

/// Fonts that know nothing but what is given.
#[derive(Debug)]
struct Few(Vec<FontFile>);

impl FontSource for Few {
    fn faces_for(&self, _: &BTreeSet<char>) -> Vec<FontFile> {
        self.0.clone()
    }
}

#[test]
fn what_no_font_has_is_counted_and_without_any_font_there_is_no_report() {
    let Some(letterhead) = letterhead() else { return };
    let latin = letterhead.fonts.faces_for(&('!'..='~').collect());
    let few = Letterhead { fonts: Arc::new(Few(latin)), ..letterhead.clone() };
    let series = Series::new(9, 7, 3).charset(Some("ISO_IR 192"), "Yamada^Tarou=山田^太郎");
    let finding = scattered(&series, 2);
    assert_eq!(reported(&series, &finding, &[], &few).unshown, 4);
    let none = Letterhead { fonts: Arc::new(Few(Vec::new())), ..letterhead };
    let source = source(&series);
    let matter = ReportMatter { finding: &finding, measured: &[], voxels: None, beside: &[] };
    let refused = report(&source, &matter, &none, &context()).unwrap_err();
    assert!(matches!(refused, ResultError::Font(_)), "{refused}");
}
