//! Writes a volume as a single-frame MR series (PS3.3 section A.4, PS3.10), one file a slice.
//!
//! For the demo's head, whose source is a NIfTI file without any patient. The same volume gives the same
//! UIDs and the same bytes. Never anonymises and never invents acquisition values: what MR requires and a
//! template cannot know is left empty (type 2).

use std::fs;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use ndarray::{ArrayView2, Axis};
use sha2::{Digest, Sha256};

use crate::dicom::{Uid, Vec3, cross, dot, norm, scale};
use crate::volume::{Volume, VolumeError, read_nifti};

/// Why a volume cannot be written as an MR series.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error("rows and columns of the volume are not perpendicular; a DICOM slice cannot be sheared, resample it first")]
    Sheared,
    #[error("the volume has {0} rows or columns, a DICOM image has 1 to 65535")]
    Size(usize),
    #[error("the volume holds a value that is no finite number")]
    NotFinite,
    #[error("cannot write {}: {reason}", path.display())]
    Write { path: PathBuf, reason: String },
}

/// Reads a NIfTI head and writes it as [`write_series`] does.
pub fn write_head(nifti: &Path, description: &str, folder: &Path) -> Result<Vec<PathBuf>, HeadError> {
    write_series(&read_nifti(nifti)?, description, folder)
}

/// Writes `volume` into `folder` (made when absent) as `0001.dcm` and so on, in slice order, and returns the paths.
///
/// Axes are turned so that indices grow towards Left, Posterior and Superior wherever they lie nearest to these, so an
/// axial volume shows as radiologists expect. Voxels become signed 16-bit integers: as they are
/// where they fit, else scaled to 0..4095 (MR intensities have no unit).
pub fn write_series(volume: &Volume, description: &str, folder: &Path) -> Result<Vec<PathBuf>, HeadError> {
    let volume = turned(volume);
    let plane = Plane::of(&volume)?;
    let (gain, offset) = stored_scale(&volume)?;
    let identity = Identity::of(&volume, description);
    fs::create_dir_all(folder).map_err(|e| HeadError::Write { path: folder.to_owned(), reason: e.to_string() })?;
    let mut paths = Vec::with_capacity(volume.voxels.len_of(Axis(0)));
    for (k, slice) in volume.voxels.outer_iter().enumerate() {
        let path = folder.join(format!("{:04}.dcm", k + 1));
        let stored = stored_pixels(slice, gain, offset);
        let position = volume.grid.position([0.0, 0.0, k as f64]);
        write_file(slice_object(&identity, &plane, k, position, stored), &path)?;
        paths.push(path);
    }
    Ok(paths)
}

/// Reverses every axis that runs against its nearest direction of Left, Posterior, Superior.
fn turned(volume: &Volume) -> Volume {
    let mut turned = volume.clone();
    for axis in 0..3 {
        let step = turned.grid.axes[axis];
        let nearest = step.iter().copied().fold(0.0_f64, |a, b| if b.abs() > a.abs() { b } else { a });
        if nearest < 0.0 {
            let mut corner = [0.0; 3];
            corner[axis] = turned.grid.size[axis] as f64 - 1.0;
            turned.grid.origin = turned.grid.position(corner);
            turned.grid.axes[axis] = scale(step, -1.0);
            turned.voxels.invert_axis(Axis(2 - axis));
        }
    }
    turned
}

/// What all slices share of the image plane module (PS3.3 section C.7.6.2).
struct Plane {
    rows: u16,
    columns: u16,
    /// Distance between rows, between columns, and slice thickness, mm.
    spacing: [f64; 3],
    row: Vec3,
    column: Vec3,
}

impl Plane {
    fn of(volume: &Volume) -> Result<Plane, HeadError> {
        let [i, j, k] = volume.grid.axes;
        let (row, column) = (scale(i, 1.0 / norm(i)), scale(j, 1.0 / norm(j)));
        if dot(row, column).abs() > 1e-4 {
            return Err(HeadError::Sheared);
        }
        let side = |n: usize| u16::try_from(n).ok().filter(|n| *n > 0).ok_or(HeadError::Size(n));
        let thickness = dot(k, cross(row, column)).abs();
        let [columns, rows, _] = volume.grid.size;
        let spacing = [norm(j), norm(i), thickness];
        Ok(Plane { rows: side(rows)?, columns: side(columns)?, spacing, row, column })
    }
}

/// UIDs that follow from the voxels alone.
struct Identity {
    study: Uid,
    series: Uid,
    frame_of_reference: Uid,
    description: String,
    /// Largest stored value's place in grey: window centre and width of all slices.
    window: [f64; 2],
}

impl Identity {
    fn of(volume: &Volume, description: &str) -> Identity {
        let mut hash = Sha256::new();
        volume.voxels.iter().for_each(|v| hash.update(v.to_le_bytes()));
        hash.update(format!("{:?}", volume.grid));
        let digest = hash.finalize().iter().fold(String::new(), |text, b| format!("{text}{b:02x}"));
        let uid = |what| Uid::derived(&["sagittal demo", &digest, what]);
        let description: String = description.chars().take(64).collect();
        let window = window(volume);
        Identity { study: uid("study"), series: uid("series"), frame_of_reference: uid("frame"), description, window }
    }

    fn instance(&self, k: usize) -> Uid {
        Uid::derived(&[self.series.as_str(), &k.to_string()])
    }
}

/// Centre and width that show the head from black to its brighter tissue (fat and vessels saturate).
fn window(volume: &Volume) -> [f64; 2] {
    let Ok((gain, offset)) = stored_scale(volume) else { return [2048.0, 4096.0] };
    let mut bright: Vec<f32> = volume.voxels.iter().copied().filter(|v| *v > 0.0).collect();
    let rank = bright.len().saturating_sub(1) * 99 / 100;
    let top = if bright.is_empty() { 1.0 } else { *bright.select_nth_unstable_by(rank, f32::total_cmp).1 };
    let top = (f64::from(top) * gain + offset).round().max(1.0);
    [top / 2.0, top]
}

/// Gain and offset from a voxel to its stored value.
fn stored_scale(volume: &Volume) -> Result<(f64, f64), HeadError> {
    if volume.voxels.iter().any(|v| !v.is_finite()) {
        return Err(HeadError::NotFinite);
    }
    let (low, high) = volume.voxels.iter().fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    let (low, high) = (f64::from(low), f64::from(high));
    let whole = volume.voxels.iter().all(|v| v.fract() == 0.0);
    if whole && low >= f64::from(i16::MIN) && high <= f64::from(i16::MAX) {
        return Ok((1.0, 0.0));
    }
    let gain = if high > low { 4095.0 / (high - low) } else { 1.0 };
    Ok((gain, -low * gain))
}

fn stored_pixels(slice: ArrayView2<'_, f32>, gain: f64, offset: f64) -> Vec<u16> {
    let stored = |v: &f32| (f64::from(*v) * gain + offset).round() as i16;
    slice.iter().map(|v| stored(v).cast_unsigned()).collect()
}

/// One slice with all type 1 and 2 attributes of the MR Image IOD; `position` is the centre of its first voxel, LPS mm.
fn slice_object(who: &Identity, plane: &Plane, k: usize, position: Vec3, pixels: Vec<u16>) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let mut set = |tag: Tag, vr: VR, value: PrimitiveValue| {
        object.put(DataElement::new(tag, vr, value));
    };
    let text = |value: &str| PrimitiveValue::from(value);
    let numbers = |values: &[f64]| PrimitiveValue::Strs(values.iter().map(|v| decimal_string(*v)).collect());
    let [row_spacing, column_spacing, thickness] = plane.spacing;

    set(tags::SPECIFIC_CHARACTER_SET, VR::CS, text("ISO_IR 192"));
    set(tags::IMAGE_TYPE, VR::CS, text("DERIVED\\SECONDARY\\OTHER"));
    set(tags::SOP_CLASS_UID, VR::UI, text(uids::MR_IMAGE_STORAGE));
    set(tags::SOP_INSTANCE_UID, VR::UI, text(who.instance(k).as_str()));
    set(tags::MODALITY, VR::CS, text("MR"));
    set(tags::MANUFACTURER, VR::LO, text("Sagittal demo"));
    // A DICOMDIR needs a date; this one is nobody's.
    set(tags::STUDY_DATE, VR::DA, text("20000101"));
    set(tags::STUDY_TIME, VR::TM, text("000000"));
    set(tags::SERIES_DESCRIPTION, VR::LO, text(&who.description));
    set(tags::STUDY_DESCRIPTION, VR::LO, text("Sagittal demo"));
    set(tags::PATIENT_NAME, VR::PN, text("Demo^Head"));
    set(tags::PATIENT_ID, VR::LO, text("SAGITTAL-DEMO"));
    set(tags::BODY_PART_EXAMINED, VR::CS, text("HEAD"));
    set(tags::SCANNING_SEQUENCE, VR::CS, text("RM"));
    set(tags::SEQUENCE_VARIANT, VR::CS, text("NONE"));
    set(tags::MR_ACQUISITION_TYPE, VR::CS, text("3D"));
    set(tags::SLICE_THICKNESS, VR::DS, numbers(&[thickness]));
    set(tags::PATIENT_POSITION, VR::CS, text("HFS"));
    set(tags::STUDY_INSTANCE_UID, VR::UI, text(who.study.as_str()));
    set(tags::SERIES_INSTANCE_UID, VR::UI, text(who.series.as_str()));
    set(tags::STUDY_ID, VR::SH, text("DEMO"));
    set(tags::SERIES_NUMBER, VR::IS, text("1"));
    set(tags::INSTANCE_NUMBER, VR::IS, text(&(k + 1).to_string()));
    set(tags::FRAME_OF_REFERENCE_UID, VR::UI, text(who.frame_of_reference.as_str()));
    set(tags::IMAGE_POSITION_PATIENT, VR::DS, numbers(&position));
    set(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, numbers(&[plane.row, plane.column].concat()));
    set(tags::PIXEL_SPACING, VR::DS, numbers(&[row_spacing, column_spacing]));
    set(tags::SAMPLES_PER_PIXEL, VR::US, PrimitiveValue::from(1_u16));
    set(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, text("MONOCHROME2"));
    set(tags::ROWS, VR::US, PrimitiveValue::from(plane.rows));
    set(tags::COLUMNS, VR::US, PrimitiveValue::from(plane.columns));
    set(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(16_u16));
    set(tags::BITS_STORED, VR::US, PrimitiveValue::from(16_u16));
    set(tags::HIGH_BIT, VR::US, PrimitiveValue::from(15_u16));
    set(tags::PIXEL_REPRESENTATION, VR::US, PrimitiveValue::from(1_u16));
    set(tags::WINDOW_CENTER, VR::DS, numbers(&who.window[..1]));
    set(tags::WINDOW_WIDTH, VR::DS, numbers(&who.window[1..]));
    set(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into()));
    for (tag, vr) in UNKNOWN {
        set(tag, vr, PrimitiveValue::Empty);
    }
    object
}

/// Required to be present, allowed to be empty (type 2): what a template cannot know.
const UNKNOWN: [(Tag, VR); 9] = [
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::SCAN_OPTIONS, VR::CS),
    (tags::REPETITION_TIME, VR::DS),
    (tags::ECHO_TIME, VR::DS),
    (tags::ECHO_TRAIN_LENGTH, VR::IS),
    (tags::POSITION_REFERENCE_INDICATOR, VR::LO),
];

/// A decimal string of at most 16 characters (PS3.5 section 6.2, DS).
fn decimal_string(value: f64) -> String {
    let whole = format!("{:.0}", value.trunc().abs()).len();
    let text = format!("{value:.*}", 13_usize.saturating_sub(whole).min(10));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn write_file(object: InMemDicomObject, path: &Path) -> Result<(), HeadError> {
    let failed = |reason: String| HeadError::Write { path: path.to_owned(), reason };
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let file = object.with_meta(meta).map_err(|e| failed(e.to_string()))?;
    file.write_to_file(path).map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::dicom::{Plane as Read, decimals, sub};
    use crate::volume::Grid;

    /// A volume whose voxels say where they are, on an oblique grid that runs towards Right, Anterior, Superior.
    fn oblique() -> Volume {
        let (c, s) = (0.3_f64.cos(), 0.3_f64.sin());
        let axes = [[-c, -s, 0.0], [1.2 * s, -1.2 * c, 0.0], [0.0, 0.0, 2.0]];
        let grid = Grid { size: [4, 3, 5], origin: [90.0, 125.0, -71.0], axes };
        let voxels = Array3::from_shape_fn((5, 3, 4), |(k, j, i)| (100 * k + 10 * j + i) as f32);
        Volume { voxels, grid, sources: (0..5).collect() }
    }

    #[test]
    fn every_voxel_stays_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let volume = oblique();
        let paths = write_series(&volume, "T1", folder.path()).unwrap();
        assert_eq!(paths.len(), 5);
        let mut seen = 0;
        for path in paths {
            let object = dicom_object::open_file(path).unwrap();
            let plane = Read::of(&object).unwrap();
            let pixels = object.element(tags::PIXEL_DATA).unwrap().to_multi_int::<i16>().unwrap();
            for (n, value) in pixels.iter().enumerate() {
                let (row, column) = ((n / plane.columns) as f64, (n % plane.columns) as f64);
                let step = |a: Vec3, s: f64, b: f64| scale(a, s * b);
                let along = crate::dicom::add(
                    step(plane.row, plane.spacing[1], column),
                    step(plane.column, plane.spacing[0], row),
                );
                let place = crate::dicom::add(plane.position, along);
                let value = f64::from(*value);
                let index = [value % 10.0, (value % 100.0 / 10.0).floor(), (value / 100.0).floor()];
                assert!(norm(sub(place, volume.grid.position(index))) < 1e-6, "voxel {value}");
                seen += 1;
            }
        }
        assert_eq!(seen, 60);
    }

    #[test]
    fn the_same_volume_gives_the_same_bytes() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = (write_series(&oblique(), "T1", a.path()), write_series(&oblique(), "T1", b.path()));
        assert_eq!(fs::read(&first.unwrap()[2]).unwrap(), fs::read(&second.unwrap()[2]).unwrap());
    }

    #[test]
    fn fractions_are_spread_over_twelve_bits() {
        let folder = tempfile::tempdir().unwrap();
        let mut volume = oblique();
        volume.voxels /= 1000.0;
        let paths = write_series(&volume, "T1", folder.path()).unwrap();
        let last = dicom_object::open_file(&paths[4]).unwrap();
        let highest = last.element(tags::PIXEL_DATA).unwrap().to_multi_int::<i16>().unwrap().into_iter().max();
        assert_eq!(highest, Some(4095));
        assert!(decimals(&last, tags::WINDOW_WIDTH).unwrap()[0] > 3000.0);
    }

    #[test]
    fn a_nifti_becomes_one_file_a_slice() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("head.nii.gz");
        crate::volume::write_nifti(&image, &oblique()).unwrap();
        let paths = write_head(&image, "T1", &folder.path().join("series")).unwrap();
        let direct = write_series(&oblique(), "T1", &folder.path().join("direct")).unwrap();
        let position =
            |path: &Path| decimals(&dicom_object::open_file(path).unwrap(), tags::IMAGE_POSITION_PATIENT).unwrap();
        assert_eq!(paths.len(), 5);
        assert!(position(&paths[3]).iter().zip(position(&direct[3])).all(|(a, b)| (a - b).abs() < 1e-4));
        assert!(matches!(write_head(Path::new("absent.nii"), "T1", folder.path()), Err(HeadError::Volume(_))));
    }

    #[test]
    fn a_sheared_volume_is_refused() {
        let mut volume = oblique();
        volume.grid.axes[1] = [0.5, -1.2, 0.0];
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(write_series(&volume, "T1", folder.path()), Err(HeadError::Sheared)));
    }

    #[test]
    fn decimal_strings_fit() {
        let check = |value: f64, expected: &str| assert_eq!(decimal_string(value), expected);
        check(1.0, "1");
        check(-0.000_000_000_01, "0");
        check(-71.5, "-71.5");
        check(0.1 + 0.2, "0.3");
        check(-12_345.678_912_345_67, "-12345.67891235");
        check(100.0, "100");
    }
}
