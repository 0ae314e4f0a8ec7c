//! The sheet's layout, proportions and colours, on a volume whose voxels are far from cubes.
#![allow(clippy::unwrap_used)]

use ndarray::Array3;

use super::*;
use crate::dicom::Code;
use crate::volume::{Algorithm, Segment};

fn subject() -> (Volume, Segmentation) {
    let grid = Grid { size: [40, 40, 10], origin: [0.0; 3], axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 4.0]] };
    let voxels = Array3::from_shape_fn((10, 40, 40), |(k, j, i)| (i + j + k) as f32);
    let mut labels = Array3::zeros((10, 40, 40));
    labels.indexed_iter_mut().filter(|((_, _, i), _)| *i >= 30).for_each(|(_, label)| *label = 2);
    let code = Code::new("12738006", "SCT", "Brain");
    let segment = Segment {
        label: 2,
        name: "Left end".into(),
        category: code.clone(),
        property: code,
        modifier: None,
        region: None,
        region_modifier: None,
        color: [255, 0, 0],
    };
    let algorithm = Algorithm { name: "m".into(), version: "1".into(), manufacturer: "x".into(), digest: "0".into() };
    let segmentation = Segmentation::of_labels(labels, grid.clone(), vec![segment], algorithm);
    (Volume { voxels, grid, sources: vec![] }, segmentation)
}

#[test]
fn tiles_keep_the_anatomys_proportions() {
    let (volume, segmentation) = subject();
    let sheet = Sheet { slices: 3, tile: 80, ..Sheet::default() };
    for word in ["LPS", "LIP", "PIL"] {
        let view = View::new(&volume, &segmentation, word, &sheet).unwrap();
        assert_eq!((view.width, view.height), (80, 80), "{word}: 40 x 40 x 40 mm");
    }
    let axial = View::new(&volume, &segmentation, "LPS", &sheet).unwrap();
    assert_eq!(axial.shown, [1, 5, 8]);
    let sagittal = View::new(&volume, &segmentation, "PIL", &sheet).unwrap();
    assert_eq!(sagittal.shown, [31, 35, 38], "only where the labels are");
}

#[test]
fn the_patients_left_is_on_the_right_and_the_overlay_is_coloured() {
    let (volume, segmentation) = subject();
    let sheet = Sheet { slices: 1, tile: 80, window: Some([0.0, 100.0]), opacity: 0.5, title: "meshnet".into() };
    let picture = contact_sheet(&volume, &segmentation, &sheet).unwrap();
    let at = |x: usize, y: usize| {
        let start = (y * picture.width + x) * 3;
        [picture.pixels[start], picture.pixels[start + 1], picture.pixels[start + 2]]
    };
    let (left, right) = (at(MARGIN + 10, MARGIN + 40), at(MARGIN + 70, MARGIN + 40));
    assert!(left[0] == left[1] && left[1] == left[2], "no overlay at the patient's right: {left:?}");
    assert!(right[0] > right[1] + 100, "red at the patient's left: {right:?}");
    let lines = legend(&segmentation, &sheet);
    let texts: Vec<&str> = lines.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["meshnet", NOTICE, "Left end 16.0 mL"]);
    let png = picture.png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels, picture.pixels);
}

#[test]
fn an_empty_segmentation_shows_the_whole_volume() {
    let (volume, mut segmentation) = subject();
    segmentation.labels.fill(0);
    let picture = contact_sheet(&volume, &segmentation, &Sheet::default()).unwrap();
    assert_eq!(picture.pixels.len(), picture.width * picture.height * 3);
}
