//! Synthetic CT and MR series as Part 10 files: any size, orientation, slice order and character set.
//!
//! Everything is derived from the parameters, so the same phantom has the same bytes in every run. The
//! series are clean for `dciodvfy`. Voxels hold an ellipsoid of 1064 in 24.

use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use sagittal::dicom::{Dataset, Uid, Vec3, add, cross, scale};
use sagittal::volume::Grid;

/// A series to be made. Change what matters to the test, then call [`Series::instances`].
#[derive(Debug, Clone)]
pub struct Series {
    pub modality: &'static str,
    pub columns: usize,
    pub rows: usize,
    pub slices: usize,
    /// PixelSpacing: between rows, between columns, mm.
    pub spacing: [f64; 2],
    /// Between slices, mm.
    pub distance: f64,
    /// Centre of the first voxel of the first slice, LPS mm.
    pub origin: Vec3,
    /// Directions of increasing column and row index, unit length.
    pub orientation: [Vec3; 2],
    /// SpecificCharacterSet; `None` leaves it out.
    pub charset: Option<&'static str>,
    pub patient_name: String,
    /// Slices (numbered from 0) that are not made.
    pub missing: Vec<usize>,
    /// Slices run against the normal.
    pub reversed: bool,
    /// Slices lie unevenly, each farther from the one before.
    pub uneven: bool,
    /// Names the study and the series: other names, other UIDs.
    pub study_name: String,
    pub name: String,
    changes: Vec<(Tag, VR, Option<PrimitiveValue>)>,
}

impl Series {
    /// An axial CT of 2.5 mm slices.
    pub fn new(columns: usize, rows: usize, slices: usize) -> Series {
        Series {
            modality: "CT",
            columns,
            rows,
            slices,
            spacing: [1.25, 0.75],
            distance: 2.5,
            origin: [-125.0, -120.5, -100.25],
            orientation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            charset: Some("ISO_IR 192"),
            patient_name: "Müller^Jörg".into(),
            missing: Vec::new(),
            reversed: false,
            uneven: false,
            study_name: "study".into(),
            name: "series".into(),
            changes: Vec::new(),
        }
    }

    /// A T1-weighted MR of the same geometry.
    pub fn mr(columns: usize, rows: usize, slices: usize) -> Series {
        Series { modality: "MR", ..Series::new(columns, rows, slices) }
    }

    /// Turned about two axes, so that no direction is along the patient's.
    pub fn oblique(mut self) -> Series {
        let (s, c) = 0.35_f64.sin_cos();
        let (t, d) = 0.2_f64.sin_cos();
        self.orientation = [[c, s * d, s * t], [-s, c * d, c * t]];
        self
    }

    pub fn reversed(mut self) -> Series {
        self.reversed = true;
        self
    }

    pub fn uneven(mut self) -> Series {
        self.uneven = true;
        self
    }

    pub fn without(mut self, slices: &[usize]) -> Series {
        self.missing = slices.to_vec();
        self
    }

    pub fn charset(mut self, charset: Option<&'static str>, patient_name: &str) -> Series {
        self.charset = charset;
        self.patient_name = patient_name.into();
        self
    }

    /// Other study and series UIDs, derived from these names.
    pub fn named(mut self, study: &str, series: &str) -> Series {
        self.study_name = study.into();
        self.name = series.into();
        self
    }

    /// Sets an attribute in every instance.
    pub fn with(mut self, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> Series {
        self.changes.push((tag, vr, Some(value.into())));
        self
    }

    /// Leaves an attribute out of every instance.
    pub fn lacking(mut self, tag: Tag) -> Series {
        self.changes.push((tag, VR::UN, None));
        self
    }

    pub fn study_uid(&self) -> Uid {
        Uid::derived(&["phantom-study", &self.study_name])
    }

    pub fn series_uid(&self) -> Uid {
        Uid::derived(&["phantom-series", &self.study_name, &self.name])
    }

    /// SOP instance UID of slice `k`.
    pub fn instance_uid(&self, k: usize) -> Uid {
        Uid::derived(&["phantom-instance", &self.study_name, &self.name, &k.to_string()])
    }

    /// The slices that are made, in volume order.
    pub fn present(&self) -> Vec<usize> {
        (0..self.slices).filter(|k| !self.missing.contains(k)).collect()
    }

    /// The grid of the slices that are made.
    pub fn grid(&self) -> Grid {
        let present = self.present();
        let [row, column] = self.orientation;
        let steps = present.len().max(2) - 1;
        let whole = self.step() * (present.last().unwrap() - present[0]) as f64;
        let between = if present.len() > 1 { whole / steps as f64 } else { self.distance };
        Grid {
            size: [self.columns, self.rows, present.len()],
            origin: self.position(present[0]),
            axes: [scale(row, self.spacing[1]), scale(column, self.spacing[0]), scale(cross(row, column), between)],
        }
    }

    /// Centre of the first voxel of slice `k`.
    pub fn position(&self, k: usize) -> Vec3 {
        let [row, column] = self.orientation;
        let steps = if self.uneven { k as f64 + (k * k) as f64 * 0.0625 } else { k as f64 };
        add(self.origin, scale(cross(row, column), self.step() * steps))
    }

    fn step(&self) -> f64 {
        if self.reversed { -self.distance } else { self.distance }
    }

    /// Voxel values of slice `k`, row by row, before rescaling.
    pub fn pixels(&self, k: usize) -> Vec<u16> {
        let centred = |index: usize, size: usize| (index as f64 + 0.5) / size as f64 * 2.0 - 1.0;
        let z = centred(k, self.slices);
        let inside =
            |i, j| (centred(i, self.columns) / 0.8).powi(2) + (centred(j, self.rows) / 0.7).powi(2) + z * z < 1.0;
        (0..self.rows * self.columns)
            .map(|p| if inside(p % self.columns, p / self.columns) { 1064 } else { 24 })
            .collect()
    }

    /// The series as Part 10 files in Explicit VR Little Endian, in volume order.
    pub fn instances(&self) -> Vec<Vec<u8>> {
        self.present().into_iter().map(|k| self.instance(k)).collect()
    }

    /// Slice `k` as a Part 10 file.
    pub fn instance(&self, k: usize) -> Vec<u8> {
        let object = self.dataset(k);
        let class = if self.modality == "MR" { uids::MR_IMAGE_STORAGE } else { uids::CT_IMAGE_STORAGE };
        let uid = object.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().into_owned();
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(class)
            .media_storage_sop_instance_uid(uid)
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let mut file = Vec::new();
        object.with_meta(meta).unwrap().write_all(&mut file).unwrap();
        file
    }

    /// Slice `k` as a data set, pixel data included.
    pub fn dataset(&self, k: usize) -> Dataset {
        let mut object = InMemDicomObject::new_empty();
        for (tag, vr, text) in self.texts(k) {
            let parts: Vec<String> = text.split('\\').map(str::to_owned).collect();
            put(&mut object, tag, vr, PrimitiveValue::Strs(parts.into()));
        }
        for (tag, value) in self.shorts() {
            put(&mut object, tag, VR::US, value.into());
        }
        put(&mut object, tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(self.pixels(k).into()));
        for (tag, vr, value) in &self.changes {
            match value {
                Some(value) => put(&mut object, *tag, *vr, value.clone()),
                None => drop(object.take(*tag)),
            }
        }
        object
    }

    fn texts(&self, k: usize) -> Vec<(Tag, VR, String)> {
        let decimals = |values: &[f64]| values.iter().map(|v| decimal(*v)).collect::<Vec<_>>().join("\\");
        let class = if self.modality == "MR" { uids::MR_IMAGE_STORAGE } else { uids::CT_IMAGE_STORAGE };
        let mut all: Vec<(Tag, VR, String)> = vec![
            (
                tags::IMAGE_TYPE,
                VR::CS,
                if self.modality == "MR" { "ORIGINAL\\PRIMARY\\OTHER" } else { "ORIGINAL\\PRIMARY\\AXIAL" }.into(),
            ),
            (tags::SOP_CLASS_UID, VR::UI, class.into()),
            (tags::SOP_INSTANCE_UID, VR::UI, self.instance_uid(k).to_string()),
            (tags::STUDY_INSTANCE_UID, VR::UI, self.study_uid().to_string()),
            (tags::SERIES_INSTANCE_UID, VR::UI, self.series_uid().to_string()),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, Uid::derived(&["phantom-frame", &self.study_name]).to_string()),
            (tags::MODALITY, VR::CS, self.modality.into()),
            (tags::PATIENT_NAME, VR::PN, self.patient_name.clone()),
            (tags::SERIES_NUMBER, VR::IS, "2".into()),
            (tags::INSTANCE_NUMBER, VR::IS, (k + 1).to_string()),
            (tags::IMAGE_POSITION_PATIENT, VR::DS, decimals(&self.position(k))),
            (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, decimals(&self.orientation.concat())),
            (tags::PIXEL_SPACING, VR::DS, decimals(&self.spacing)),
            (tags::SLICE_THICKNESS, VR::DS, decimals(&[self.distance])),
        ];
        all.extend(self.charset.map(|charset| (tags::SPECIFIC_CHARACTER_SET, VR::CS, charset.into())));
        all.extend(SAME_EVERYWHERE.iter().map(|(tag, vr, text)| (*tag, *vr, (*text).into())));
        let own = if self.modality == "MR" { MR } else { CT };
        all.extend(own.iter().map(|(tag, vr, text)| (*tag, *vr, (*text).into())));
        all
    }

    fn shorts(&self) -> [(Tag, u16); 7] {
        [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, self.rows as u16),
            (tags::COLUMNS, self.columns as u16),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
            (tags::PIXEL_REPRESENTATION, 0),
        ]
    }
}

const SAME_EVERYWHERE: &[(Tag, VR, &str)] = &[
    (tags::STUDY_DATE, VR::DA, "20261101"),
    (tags::SERIES_DATE, VR::DA, "20261101"),
    (tags::ACQUISITION_DATE, VR::DA, "20261101"),
    (tags::CONTENT_DATE, VR::DA, "20261101"),
    (tags::STUDY_TIME, VR::TM, "101500"),
    (tags::SERIES_TIME, VR::TM, "101600"),
    (tags::ACQUISITION_TIME, VR::TM, "101601"),
    (tags::CONTENT_TIME, VR::TM, "101602"),
    (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0100"),
    (tags::ACCESSION_NUMBER, VR::SH, "ACC123"),
    (tags::MANUFACTURER, VR::LO, "Synthetic"),
    (tags::MANUFACTURER_MODEL_NAME, VR::LO, "Phantom"),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Ref^Dr"),
    (tags::STUDY_DESCRIPTION, VR::LO, "Phantom study"),
    (tags::SERIES_DESCRIPTION, VR::LO, "Phantom series"),
    (tags::PATIENT_ID, VR::LO, "PID001"),
    (tags::ISSUER_OF_PATIENT_ID, VR::LO, "HOSP"),
    (tags::PATIENT_BIRTH_DATE, VR::DA, "19600101"),
    (tags::PATIENT_SEX, VR::CS, "M"),
    (tags::PATIENT_AGE, VR::AS, "066Y"),
    (tags::PATIENT_SIZE, VR::DS, "1.8"),
    (tags::PATIENT_WEIGHT, VR::DS, "80"),
    (tags::STUDY_ID, VR::SH, "1"),
    (tags::ACQUISITION_NUMBER, VR::IS, "1"),
    (tags::PATIENT_POSITION, VR::CS, "HFS"),
    (tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
    (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    (tags::WINDOW_CENTER, VR::DS, "40"),
    (tags::WINDOW_WIDTH, VR::DS, "400"),
];

const CT: &[(Tag, VR, &str)] = &[
    (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
    (tags::KVP, VR::DS, "120"),
    (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
    (tags::RESCALE_SLOPE, VR::DS, "1"),
    (tags::RESCALE_TYPE, VR::LO, "HU"),
];

const MR: &[(Tag, VR, &str)] = &[
    (tags::BODY_PART_EXAMINED, VR::CS, "BRAIN"),
    (tags::SCANNING_SEQUENCE, VR::CS, "GR"),
    (tags::SEQUENCE_VARIANT, VR::CS, "SP"),
    (tags::SCAN_OPTIONS, VR::CS, ""),
    (tags::MR_ACQUISITION_TYPE, VR::CS, "3D"),
    (tags::REPETITION_TIME, VR::DS, "2300"),
    (tags::ECHO_TIME, VR::DS, "2.98"),
    (tags::ECHO_TRAIN_LENGTH, VR::IS, "1"),
];

/// At most 16 characters.
fn decimal(value: f64) -> String {
    let text = format!("{value:.10}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn put(object: &mut Dataset, tag: Tag, vr: VR, value: PrimitiveValue) {
    object.put(DataElement::new(tag, vr, Value::from(value)));
}
