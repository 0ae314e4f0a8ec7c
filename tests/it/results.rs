//! tmp
use crate::support::phantom::Series;
use sagittal::dicom::Code;
use sagittal::results::*;
use sagittal::volume::*;
#[test]
fn dump() {
    let out = std::path::PathBuf::from("/tmp/exp/out");
    for (name, s) in [
        ("ct", Series::new(5, 5, 4)),
        ("mr", Series::mr(127, 127, 6).oblique()),
        ("one", Series::new(64, 32, 1)),
        ("rev", Series::new(33, 17, 5).reversed()),
        ("gap", Series::new(33, 17, 9).without(&[3, 4])),
    ] {
        let d = out.join(name);
        std::fs::create_dir_all(d.join("src")).unwrap();
        let files = s.instances();
        for (k, f) in files.iter().enumerate() {
            std::fs::write(d.join(format!("src/{k:04}.dcm")), f).unwrap();
        }
        let source = SourceSeries::from_part10(&files).unwrap();
        let grid = s.grid();
        let labels = ndarray::Array3::from_shape_fn((grid.size[2], grid.size[1], grid.size[0]), |(k, j, i)| {
            if (i * 7 + j * 3 + k * 5) % 11 < 3 {
                1
            } else if (i + j) % 5 == 0 && k != 2 {
                4
            } else {
                0
            }
        });
        let seg = |label, name: &str| Segment {
            label,
            name: name.into(),
            category: Code::new("123037004", "SCT", "Anatomical Structure"),
            property: Code::new("12738006", "SCT", "Brain"),
            modifier: None,
            region: None,
            color: [220, 20, 60],
        };
        let f = Segmentation {
            labels,
            grid,
            segments: vec![seg(1, "Brain"), seg(3, "None"), seg(4, "Grün")],
            algorithm: Algorithm {
                name: "meshnet".into(),
                version: "1".into(),
                manufacturer: "m".into(),
                digest: "ab".repeat(32),
            },
        };
        let c = ResultContext::new(
            "brain-mri",
            9000,
            "AI brain",
            chrono::DateTime::from_timestamp_millis(1_790_000_000_123).unwrap(),
        );
        let o = segmentation(&source, &f, &c).unwrap();
        std::fs::write(d.join("seg.dcm"), &o.bytes).unwrap();
    }
}
