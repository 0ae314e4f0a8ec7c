//! DICOM's own vocabulary: identifiers, attribute reads, statuses, command sets, plane geometry, codes,
//! and the one table of SOP classes and transfer syntaxes that negotiation, delivery and the conformance
//! statement share.
//!
//! Never does I/O, never reads a clock, imports no other module of this crate.

mod attributes;
mod capture;
mod code;
pub mod color;
pub mod command;
pub mod commitment;
mod digest;
mod extent;
pub mod frames;
mod geometry;
pub mod ladder;
pub mod message;
pub mod part10;
mod repertoire;
mod segmentation;
pub mod services;
mod status;
pub mod tables;
mod uid;
mod verdict;

pub use attributes::{Dataset, decimals, keyword_of, tag_of, text, texts, uid as uid_of};
pub use capture::{CaptureDrawing, CaptureForm, CaptureLayout};
pub use code::Code;
pub use digest::{hexadecimal, sha256};
pub use extent::ExtentError;
pub use geometry::{
    GeometryVerdict, Plane, Vec3, add, check_geometry, cross, dot, meaning_of, norm, scale, sort_along_normal, sub,
};
pub use part10::{Meta, Part10Error, part10_head};
pub use repertoire::readable;
pub use segmentation::{SegForm, SegmentationType};
pub use status::{CommitmentStatus, StoreStatus};
pub use uid::{AeTitle, AeTitleError, SeriesKey, Uid, UidError};
pub use verdict::{Answer, Learned, Verdict};

/// Implementation Class UID (0002,0012) of everything this software writes or negotiates: `Uid::derived(&["sagittal", "implementation"])`.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.255929190214718887164932969142124647075";

/// Implementation Version Name (0002,0013), at most 16 characters.
pub const IMPLEMENTATION_VERSION_NAME: &str =
    concat!("SAGITTAL_", env!("CARGO_PKG_VERSION_MAJOR"), "_", env!("CARGO_PKG_VERSION_MINOR"));
