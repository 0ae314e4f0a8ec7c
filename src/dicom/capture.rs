//! How Secondary Captures show a finding (PS3.3 annexes A.8.1 and A.8.5): what is drawn over the source images, and into how
//! many images or frames. Said by the configuration, done by `results`.

use dicom_dictionary_std::uids;

/// Into what the pictures go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaptureLayout {
    /// A single-frame image for each source image: what every viewer opens.
    #[default]
    Slices,
    /// One Multi-frame True Color image, whose frames have places in the patient.
    Frames,
    /// One single-frame image of several source images beside each other.
    Montage,
}

impl CaptureLayout {
    #[must_use]
    pub fn sop_class(self) -> &'static str {
        match self {
            CaptureLayout::Slices | CaptureLayout::Montage => uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            CaptureLayout::Frames => uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
        }
    }
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaptureDrawing {
    /// The border of each segment, in its colour.
    #[default]
    Outline,
    /// Each segment, translucent.
    Fill,
    /// Both of them.
    Both,
    /// The greatest probability of any segment, from red to yellow; without probabilities as [`CaptureDrawing::Fill`].
    Heatmap,
}

/// How Secondary Captures of a finding are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureForm {
    pub layout: CaptureLayout,
    pub drawing: CaptureDrawing,
    /// Source images on which nothing was found are shown, too.
    pub every_slice: bool,
    /// A strip below each picture names colours, model and window and says that it is not for diagnostic use.
    pub burn_in: bool,
    /// Run-length encoded (PS3.5 annex G).
    pub rle: bool,
}

impl Default for CaptureForm {
    fn default() -> CaptureForm {
        CaptureForm {
            layout: CaptureLayout::default(),
            drawing: CaptureDrawing::default(),
            every_slice: false,
            burn_in: true,
            rle: false,
        }
    }
}
