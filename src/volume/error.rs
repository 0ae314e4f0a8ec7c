//! What can go wrong between stored instances and a volume. Messages name the SOP Instance UID (or the
//! source's name until it is known) and the remedy; never a patient attribute's value.

use std::io;
use std::path::PathBuf;

use crate::dicom::Part10Error;
use crate::dicom::frames::FramesError;

/// Why a series or file is no volume.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("the series has no instances")]
    Empty,
    #[error("cannot read instance {instance}: {source}")]
    Io { instance: String, source: io::Error },
    #[error("instance {instance} is not readable as DICOM Part 10: {source}; have it sent again, uncompressed")]
    NotDicom { instance: String, source: Part10Error },
    #[error("instance {instance} has no or no usable {attribute}, so it cannot be part of a volume")]
    Attribute { instance: String, attribute: &'static str },
    #[error("instance {instance} has no PixelData (7FE0,0010); exclude such objects from the rule")]
    NoPixelData { instance: String },
    #[error("instance {instance} {source}")]
    Frames { instance: String, source: FramesError },
    #[error("instance {instance} has {samples} samples a pixel; only grey-scale images form a volume")]
    Colour { instance: String, samples: usize },
    #[error("instance {instance} has a Modality LUT Sequence (0028,3000), which is not applied; send rescaled images")]
    ModalityLut { instance: String },
    #[error("instance {instance} declares {allocated} bits allocated, {stored} stored, high bit {high}: not supported")]
    BitDepth { instance: String, allocated: u32, stored: u32, high: u32 },
    #[error(
        "instance {instance} holds {found} bytes of pixels where {expected} are declared; it is truncated, have it sent again"
    )]
    WrongLength { instance: String, found: usize, expected: usize },
    #[error(
        "instance {instance}: pixels in transfer syntax {syntax} cannot be decoded: {reason}; have it sent uncompressed"
    )]
    Undecodable { instance: String, syntax: String, reason: String },
    #[error(
        "instance {instance} is {columns}x{rows} pixels, the series' first is {first_columns}x{first_rows}; route them apart"
    )]
    SizesDiffer { instance: String, columns: usize, rows: usize, first_columns: usize, first_rows: usize },
    #[error(
        "instances {first} and {second} lie at the same position; the series holds two acquisitions, route them apart"
    )]
    SamePosition { first: String, second: String },
    #[error(
        "{slices} slices of {columns}x{rows} pixels do not fit in memory; give the node more or route the series elsewhere"
    )]
    TooLarge { columns: usize, rows: usize, slices: usize },
    #[error(
        "instance {instance} has no image plane ({missing} is missing or unusable), so nothing says where it lies: the geometry \
         is no-geometry. A series of slices needs planes; a single projection image (CR, DX) is taken where the pipeline's \
         `accept` has \"no-geometry\""
    )]
    NoPlane { instance: String, missing: &'static str },
    #[error(
        "the series has {images} images without planes; models see one such image at a time, so have them sent in series of \
         their own"
    )]
    Projections { images: usize },
    #[error("the slices' geometry is {verdict}, the pipeline accepts {accepted}; see the pipeline's `accept`")]
    Geometry { verdict: &'static str, accepted: String },
    #[error("{path}: {reason}", path = path.display())]
    Nifti { path: PathBuf, reason: String },
    #[error("{0:?} is no orientation: three letters, one of each pair L/R, P/A, S/I, e.g. RAS or LIA")]
    Orientation(String),
    #[error("the grid's axes span no volume")]
    FlatGrid,
    #[error("cannot encode the picture as PNG: {0}")]
    Png(#[from] png::EncodingError),
}
