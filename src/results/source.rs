//! The source series as results need it: what is copied from it, where its slices lie, what they are called.
//!
//! Values are kept as they were read, never normalised: identity, dates and positions go into results
//! character for character. Holds no pixels.

use std::collections::HashSet;
use std::io::Cursor;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use dicom_object::{FileDicomObject, OpenFileOptions};

use super::ResultError;
use super::elements::{legal_decimals, put, reference};
use super::voi::Voi;
use crate::dicom::{
    Dataset, GeometryVerdict, Plane, Uid, Vec3, check_geometry, decimals, dot, frames, norm, scale, sort_along_normal,
    sub, text, texts, uid_of,
};
use crate::volume::{Grid, Slab};

/// A series in volume order: slice `k` here is slice `k` of the label array, an image or a frame of one. Or a single
/// projection image, which lies nowhere in the patient.
#[derive(Debug, Clone)]
pub struct SourceSeries {
    /// The header of slice 0: everything that is the same for the whole series.
    first: Dataset,
    slices: Vec<Slice>,
    study: Uid,
    series: Uid,
    /// `None` of a projection image.
    frame_of_reference: Option<Uid>,
    verdict: GeometryVerdict,
    lossy: Option<Lossy>,
}

/// One source image, or a frame of one.
#[derive(Debug, Clone)]
pub struct Slice {
    pub class: Uid,
    pub instance: Uid,
    /// From 1; `None` where the instance has no other frames.
    pub frame: Option<u32>,
    pub plane: Plane,
    /// ImagePositionPatient as the source writes it (values over 16 characters rounded to fit).
    pub position: Vec<String>,
    /// How it is meant to be shown.
    pub voi: Voi,
    /// Rescale Slope and Rescale Intercept as the source writes them; `None` where it has none.
    pub rescale: Option<[String; 2]>,
}

/// The compression that some source image went through (PS3.3 section C.7.6.1.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lossy {
    pub ratios: Vec<String>,
    pub methods: Vec<String>,
}

impl SourceSeries {
    /// From the headers of single-frame images, or of frames as `frames::split` makes them, in volume order; or of
    /// multi-frame images. Pixel data and private attributes are dropped.
    pub fn new(headers: Vec<Dataset>) -> Result<SourceSeries, ResultError> {
        if headers.iter().any(|header| header.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).is_some()) {
            return SourceSeries::sorted(headers);
        }
        let projection = is_projection(&headers);
        let slices =
            headers.iter().enumerate().map(|(k, h)| Slice::of(h, k, projection)).collect::<Result<Vec<_>, _>>()?;
        let lossy = headers.iter().find_map(Lossy::of);
        let Some(first) = headers.first() else { return Err(ResultError::NoSource) };
        let (study, series) =
            (uid_at(first, 0, tags::STUDY_INSTANCE_UID)?, uid_at(first, 0, tags::SERIES_INSTANCE_UID)?);
        for (slice, header) in headers.iter().enumerate() {
            let same = uid_at(header, slice, tags::SERIES_INSTANCE_UID)? == series
                && uid_at(header, slice, tags::STUDY_INSTANCE_UID)? == study;
            if !same {
                return Err(ResultError::MixedSeries { slice });
            }
        }
        let verdict = if projection {
            GeometryVerdict::NoGeometry
        } else {
            check_geometry(&slices.iter().map(|s| Some(s.plane.clone())).collect::<Vec<_>>())
        };
        let frame_of_reference = match verdict {
            GeometryVerdict::NoGeometry => None,
            _ => Some(uid_at(first, 0, tags::FRAME_OF_REFERENCE_UID)?),
        };
        match verdict {
            GeometryVerdict::NoGeometry
            | GeometryVerdict::Regular { .. }
            | GeometryVerdict::SingleSlice
            | GeometryVerdict::MissingSlices { .. }
            | GeometryVerdict::NonUniform { .. } => {}
            _ => return Err(ResultError::Geometry { verdict: verdict.name() }),
        }
        let first = public(first);
        Ok(SourceSeries { first, slices, study, series, frame_of_reference, verdict, lossy })
    }

    /// From one image, which need not have a place in the patient: for documents that are about the series as a whole.
    pub fn heading(header: Dataset) -> Result<SourceSeries, ResultError> {
        let (study, series) =
            (uid_at(&header, 0, tags::STUDY_INSTANCE_UID)?, uid_at(&header, 0, tags::SERIES_INSTANCE_UID)?);
        let nowhere = || Plane {
            position: [0.0; 3],
            row: [1.0, 0.0, 0.0],
            column: [0.0, 1.0, 0.0],
            spacing: [1.0; 2],
            rows: 1,
            columns: 1,
            frame_of_reference: None,
        };
        let slice = Slice {
            class: uid_at(&header, 0, tags::SOP_CLASS_UID)?,
            instance: uid_at(&header, 0, tags::SOP_INSTANCE_UID)?,
            frame: None,
            plane: Plane::of(&header).unwrap_or_else(nowhere),
            position: Vec::new(),
            voi: Voi::of(&header),
            rescale: rescale(&header),
        };
        let frame_of_reference = uid_at(&header, 0, tags::FRAME_OF_REFERENCE_UID).ok();
        let (lossy, verdict) = (Lossy::of(&header), GeometryVerdict::SingleSlice);
        let first = public(&header);
        Ok(SourceSeries { first, slices: vec![slice], study, series, frame_of_reference, verdict, lossy })
    }

    /// From the headers of images in any order.
    pub fn sorted(headers: Vec<Dataset>) -> Result<SourceSeries, ResultError> {
        let split = |(slice, header)| frames::split(header).map_err(|fault| ResultError::Frames { slice, fault });
        let headers = headers.into_iter().enumerate().map(split).collect::<Result<Vec<_>, _>>()?;
        let headers: Vec<Dataset> = headers.into_iter().flatten().collect();
        if is_projection(&headers) {
            return SourceSeries::new(headers);
        }
        let place = |(slice, header): (usize, &Dataset)| {
            Plane::of(header).ok_or(ResultError::Missing { slice, tag: tags::IMAGE_POSITION_PATIENT })
        };
        let planes = headers.iter().enumerate().map(place).collect::<Result<Vec<_>, _>>()?;
        let mut headers: Vec<Option<Dataset>> = headers.into_iter().map(Some).collect();
        let order = sort_along_normal(&planes);
        SourceSeries::new(order.into_iter().filter_map(|slice| headers[slice].take()).collect())
    }

    /// From Part 10 files in memory, in volume order. Reads up to the pixel data.
    pub fn from_part10<B: AsRef<[u8]>>(files: &[B]) -> Result<SourceSeries, ResultError> {
        let read = |(slice, file): (usize, &B)| {
            let object = OpenFileOptions::new().read_until(tags::PIXEL_DATA).from_reader(Cursor::new(file.as_ref()));
            object
                .map(FileDicomObject::into_inner)
                .map_err(|_| ResultError::Missing { slice, tag: tags::SOP_INSTANCE_UID })
        };
        SourceSeries::new(files.iter().enumerate().map(read).collect::<Result<_, _>>()?)
    }

    /// The header of slice 0, without private attributes.
    #[must_use]
    pub fn header(&self) -> &Dataset {
        &self.first
    }

    /// In volume order.
    #[must_use]
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    #[must_use]
    pub fn study(&self) -> &Uid {
        &self.study
    }

    #[must_use]
    pub fn series(&self) -> &Uid {
        &self.series
    }

    /// `None` of a projection image, which lies nowhere in the patient.
    #[must_use]
    pub fn frame_of_reference(&self) -> Option<&Uid> {
        self.frame_of_reference.as_ref()
    }

    /// Every instance once, in the order of its first slice.
    #[must_use]
    pub fn instances(&self) -> Vec<&Slice> {
        let mut seen = HashSet::new();
        self.slices.iter().filter(|slice| seen.insert(&slice.instance)).collect()
    }

    /// What the distances between pixels are.
    #[must_use]
    pub fn scale(&self) -> Scale {
        let positive = |tag| decimals(&self.first, tag).is_some_and(|mm| mm.len() == 2 && mm.iter().all(|v| *v > 0.0));
        match (positive(tags::PIXEL_SPACING), positive(tags::IMAGER_PIXEL_SPACING)) {
            (true, _) => Scale::Patient,
            (false, true) => Scale::Detector,
            (false, false) => Scale::Pixels,
        }
    }

    /// `None` when no source image was compressed with loss.
    #[must_use]
    pub fn lossy(&self) -> Option<&Lossy> {
        self.lossy.as_ref()
    }

    /// Position of slice `k` along the slice normal, mm.
    #[must_use]
    pub fn along_normal(&self, k: usize) -> f64 {
        dot(self.slices[0].plane.normal(), self.slices[k].plane.position)
    }

    /// Slice numbers sorted by position along the normal, ascending.
    #[must_use]
    pub fn ascending(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.slices.len()).collect();
        order.sort_by(|a, b| self.along_normal(*a).total_cmp(&self.along_normal(*b)));
        order
    }

    /// Distance between neighbouring slices, mm; `None` for one slice or uneven spacing.
    #[must_use]
    pub fn slice_distance(&self) -> Option<f64> {
        match self.verdict {
            GeometryVerdict::Regular { .. } => {
                let ends = self.along_normal(self.slices.len() - 1) - self.along_normal(0);
                Some(ends.abs() / (self.slices.len() - 1) as f64)
            }
            GeometryVerdict::MissingSlices { spacing, .. } => Some(spacing),
            _ => None,
        }
    }

    /// How much of the patient each slice stands for along the normal, mm: the distance of the slices where they are evenly
    /// spaced, else half the way to each neighbour. A single slice stands for `single`.
    #[must_use]
    pub fn slabs(&self, single: f64) -> Vec<Slab<'_>> {
        let order = self.ascending();
        let mut thickness = vec![single; self.slices.len()];
        for (at, k) in order.iter().enumerate() {
            let to =
                |other: usize| order.get(other).map(|other| (self.along_normal(*other) - self.along_normal(*k)).abs());
            let (below, above) = (at.checked_sub(1).and_then(to), to(at + 1));
            let half_way = match (below, above) {
                (Some(below), Some(above)) => f64::midpoint(below, above),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => single,
            };
            thickness[*k] = self.slice_distance().unwrap_or(half_way);
        }
        self.slices.iter().zip(thickness).map(|(slice, thickness)| Slab { plane: &slice.plane, thickness }).collect()
    }

    /// Whether `text` can be written in the source's character set.
    pub(super) fn can_write(&self, text: &str) -> bool {
        text.is_ascii() || self.codec().is_some_and(|codec| codec.encode(text).is_ok())
    }

    /// Whether every text of the source was truly decoded, so that it may be written in another character set.
    pub(super) fn can_be_recoded(&self) -> bool {
        let is_ascii = |tag: Tag| texts(&self.first, tag).iter().all(|t| t.is_ascii());
        self.codec().is_some() || self.first.iter().all(|e| is_ascii(e.header().tag))
    }

    /// The codec of a source that declares exactly one character set, and one that is known.
    fn codec(&self) -> Option<SpecificCharacterSet> {
        let declared = texts(&self.first, tags::SPECIFIC_CHARACTER_SET);
        let [only] = declared.as_slice() else { return None };
        SpecificCharacterSet::from_code(only).filter(|_| !only.ends_with("IR 6"))
    }

    /// Checks that voxel `(i, j, k)` of `grid` is pixel `(i, j)` of slice `k`.
    pub(super) fn check_grid(&self, grid: &Grid, shape: [usize; 3]) -> Result<(), ResultError> {
        let refuse = |fault: String| Err(ResultError::GridMismatch { fault });
        let plane = &self.slices[0].plane;
        let size = [plane.columns, plane.rows, self.slices.len()];
        if grid.size != size || shape != [size[2], size[1], size[0]] {
            return refuse(format!("grid {:?}, labels {shape:?}, source {size:?} columns, rows, slices", grid.size));
        }
        let near = |a: Vec3, b: Vec3, tolerance: f64| norm(sub(a, b)) <= tolerance;
        let steps = [scale(plane.row, plane.spacing[1]), scale(plane.column, plane.spacing[0])];
        let in_plane = (0..2).all(|a| near(grid.axes[a], steps[a], 1e-3 * norm(steps[a])));
        if !in_plane {
            return refuse("its rows or columns run otherwise than the image's".into());
        }
        let last = self.slices.len() - 1;
        let reversed = last > 0 && dot(grid.axes[2], sub(self.slices[last].plane.position, plane.position)) <= 0.0;
        if reversed {
            return refuse("its slices run the other way".into());
        }
        let regular = matches!(self.verdict, GeometryVerdict::Regular { .. });
        let tolerance = (0.05 * self.slice_distance().unwrap_or(0.0)).max(0.02);
        let checked = if regular { last + 1 } else { 1 };
        let off = (0..checked)
            .find(|k| !near(grid.position([0.0, 0.0, *k as f64]), self.slices[*k].plane.position, tolerance));
        match off {
            Some(k) => refuse(format!("its slice {k} lies elsewhere than the image")),
            None => Ok(()),
        }
    }
}

/// What the distances between a source's pixels are (PS3.3 section 10.7.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Millimetres in the patient: Pixel Spacing.
    Patient,
    /// Millimetres on the detector, where everything is larger than in the patient: Imager Pixel Spacing.
    Detector,
    /// Unknown.
    Pixels,
}

/// Whether it is one image without a place in the patient.
fn is_projection(headers: &[Dataset]) -> bool {
    let [only] = headers else { return false };
    let placed = |tag| only.get(tag).is_some();
    !placed(tags::IMAGE_POSITION_PATIENT) && !placed(tags::IMAGE_ORIENTATION_PATIENT)
}

impl Slice {
    /// A reference to the image, and to the frame where it is one.
    pub(super) fn reference(&self) -> Dataset {
        let mut item = reference(&self.class, &self.instance);
        if let Some(frame) = self.frame {
            put(&mut item, tags::REFERENCED_FRAME_NUMBER, VR::IS, frame.to_string());
        }
        item
    }

    fn of(header: &Dataset, slice: usize, projection: bool) -> Result<Slice, ResultError> {
        let missing = |tag| ResultError::Missing { slice, tag };
        let plane = if projection { Plane::projection(header) } else { Plane::of(header) };
        Ok(Slice {
            class: uid_at(header, slice, tags::SOP_CLASS_UID)?,
            instance: uid_at(header, slice, tags::SOP_INSTANCE_UID)?,
            frame: frames::number(header),
            plane: plane.ok_or(missing(tags::IMAGE_POSITION_PATIENT))?,
            position: decimal_texts(header, tags::IMAGE_POSITION_PATIENT),
            voi: Voi::of(header),
            rescale: rescale(header),
        })
    }
}

impl Lossy {
    fn of(header: &Dataset) -> Option<Lossy> {
        (text(header, tags::LOSSY_IMAGE_COMPRESSION).as_deref() == Some("01")).then(|| Lossy {
            ratios: decimal_texts(header, tags::LOSSY_IMAGE_COMPRESSION_RATIO),
            methods: texts(header, tags::LOSSY_IMAGE_COMPRESSION_METHOD),
        })
    }
}

/// Slope and intercept; one of them alone says nothing.
fn rescale(header: &Dataset) -> Option<[String; 2]> {
    let first = |tag| decimal_texts(header, tag).into_iter().next();
    Some([first(tags::RESCALE_SLOPE)?, first(tags::RESCALE_INTERCEPT)?])
}

/// The values of a decimal string attribute as they stand, without the padding at the end.
pub(super) fn decimal_texts(dataset: &Dataset, tag: Tag) -> Vec<String> {
    let values = dataset.get(tag).and_then(|e| e.value().to_multi_str().ok());
    let mut values: Vec<String> = values.map(|v| v.iter().cloned().collect()).unwrap_or_default();
    if let Some(last) = values.last_mut() {
        last.truncate(last.trim_end_matches([' ', '\0']).len());
    }
    legal_decimals(&values)
}

/// Without private attributes, overlays and pixels.
fn public(header: &Dataset) -> Dataset {
    let mut header = header.clone();
    header.retain(|e| e.header().tag.group() % 2 == 0 && e.header().tag.group() < 0x5000);
    header
}

fn uid_at(header: &Dataset, slice: usize, tag: Tag) -> Result<Uid, ResultError> {
    uid_of(header, tag).map_err(|fault| ResultError::BadUid { slice, tag, fault })
}
