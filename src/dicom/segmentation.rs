//! How DICOM stores a segmentation: one bit a voxel and segment, one number a voxel, or a share a voxel and segment
//! (PS3.3 section C.8.20.2, Segmentation Type; the label map is a SOP class of its own, annex A.51.3 of 2024d).

use dicom_dictionary_std::uids;

/// Segmentation Type (0062,0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentationType {
    /// One bit a voxel and segment: what every reader opens.
    #[default]
    Binary,
    /// The number of the voxel's segment: small, for recent readers, without overlap.
    Labelmap,
    /// A share of 255 a voxel and segment: probabilities, or occupancy where the model states none.
    Fractional,
}

impl SegmentationType {
    pub const ALL: [SegmentationType; 3] =
        [SegmentationType::Binary, SegmentationType::Labelmap, SegmentationType::Fractional];

    /// The attribute's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SegmentationType::Binary => "BINARY",
            SegmentationType::Labelmap => "LABELMAP",
            SegmentationType::Fractional => "FRACTIONAL",
        }
    }

    #[must_use]
    pub fn sop_class(self) -> &'static str {
        match self {
            SegmentationType::Binary | SegmentationType::Fractional => uids::SEGMENTATION_STORAGE,
            SegmentationType::Labelmap => uids::LABEL_MAP_SEGMENTATION_STORAGE,
        }
    }
}

/// A segmentation type and whether its frames are run-length encoded (PS3.5 annex G), which BINARY never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegForm {
    pub stored: SegmentationType,
    pub rle: bool,
}
