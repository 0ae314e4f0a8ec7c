//! Writes one result of a label map, and says what it cost: for `make bench-results`.
//!
//! `resultload KIND LABELS SOURCE OUT`: KIND is a form of SEG (binary, labelmap, labelmap-rle, fractional) or rtstruct;
//! LABELS an .npy of bytes, `[k][j][i]`; SOURCE a folder of single-frame images named in volume order. Prints one JSON
//! object: CPU and wall seconds from the label map in memory to the closed file, its bytes, and the peak memory.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a tool for benches"
)]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use ndarray::Array3;
use sagittal::dicom::{Code, SegForm, SegmentationType, part10};
use sagittal::results::{ResultContext, SegDraft, SourceSeries, structure_set};
use sagittal::volume::{Algorithm, Grid, Segment, Segmentation};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, labels, folder, out] = arguments.as_slice() else { panic!("usage: resultload KIND LABELS SOURCE OUT") };
    let source = source(Path::new(folder));
    let finding = finding(Path::new(labels), &source);
    let started = chrono::DateTime::from_timestamp_millis(1_794_000_000_123).expect("a moment");
    let context = ResultContext::new("bench", 9001, "Bench", started);
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    write(kind, &source, &finding, &context, Path::new(out));
    println!(
        "{{\"cpu_s\": {:.4}, \"wall_s\": {:.4}, \"bytes\": {}, \"labels_mb\": {:.1}, \"peak_mb\": {:.1}}}",
        cpu_seconds() - cpu,
        wall.elapsed().as_secs_f64(),
        std::fs::metadata(out).expect("the result").len(),
        finding.labels.len() as f64 / 1e6,
        peak_megabytes(),
    );
}

fn write(kind: &str, source: &SourceSeries, finding: &Segmentation, context: &ResultContext, out: &Path) {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(out).expect("a file"));
    let stored = match kind {
        "rtstruct" => None,
        "labelmap" | "labelmap-rle" => Some(SegmentationType::Labelmap),
        "fractional" => Some(SegmentationType::Fractional),
        _ => Some(SegmentationType::Binary),
    };
    match stored {
        None => file.write_all(&structure_set(source, finding, None, context).expect("a structure set").bytes),
        Some(stored) => {
            let form = SegForm { stored, rle: kind.ends_with("-rle") };
            SegDraft::new(source, finding, form, context).expect("a segmentation").write_to(&mut file)
        }
    }
    .and_then(|()| file.flush())
    .expect("written");
}

fn source(folder: &Path) -> SourceSeries {
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|f| f.expect("a file").path()).collect();
    files.sort();
    let header = |path: &std::path::PathBuf| {
        part10::parse_header(std::fs::File::open(path).expect("a file")).expect("an image").into_inner()
    };
    SourceSeries::new(files.iter().map(header).collect()).expect("a series")
}

/// One segment for each label, on the source's grid.
fn finding(path: &Path, source: &SourceSeries) -> Segmentation {
    let mut file = std::fs::read(path).expect("an .npy");
    let header = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let (first, slices) = (&source.slices()[0].plane, source.slices().len());
    assert_eq!(file.len() - header, slices * first.rows * first.columns, "one byte a voxel of the source");
    file.drain(..header);
    let labels = Array3::from_shape_vec((slices, first.rows, first.columns), file).expect("the source's shape");
    let last = &source.slices()[slices - 1].plane;
    let step = [0, 1, 2].map(|a| (last.position[a] - first.position[a]) / (slices - 1) as f64);
    let grid = Grid {
        size: [first.columns, first.rows, slices],
        origin: first.position,
        axes: [first.row.map(|v| v * first.spacing[1]), first.column.map(|v| v * first.spacing[0]), step],
    };
    let segment = |label: u8| Segment {
        label,
        name: format!("Structure {label}"),
        category: Code::new("91723000", "SCT", "Anatomical Structure"),
        property: Code::new("10200004", "SCT", "Liver"),
        modifier: None,
        region: None,
        region_modifier: None,
        color: [label.wrapping_mul(37), label.wrapping_mul(91), 200],
    };
    let highest = labels.iter().copied().max().unwrap_or(0);
    let text = |what: &str| what.to_owned();
    let algorithm =
        Algorithm { name: text("bench"), version: text("1"), manufacturer: text("bench"), digest: text("0") };
    Segmentation::of_labels(labels, grid, (1..=highest).map(segment).collect(), algorithm)
}

/// Of all threads that live: those of the pool do.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let spent = |task: std::io::Result<std::fs::DirEntry>| -> f64 {
        let text = std::fs::read_to_string(task.expect("a task").path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.map(spent).sum::<f64>() / 1e9
}

fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("kB") / 1000.0
}
