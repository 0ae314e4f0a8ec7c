//! DICOM's own vocabulary: identifiers, attribute reads, statuses, command sets, plane geometry, codes,
//! and the one table of SOP classes and transfer syntaxes that negotiation, delivery and the conformance
//! statement share.
//!
//! Never does I/O, never reads a clock, imports no other module of this crate.

mod attributes;
mod code;
pub mod command;
mod geometry;
mod status;
pub mod tables;
mod uid;

pub use attributes::{Dataset, decimals, keyword_of, tag_of, text, texts, uid as uid_of};
pub use code::Code;
pub use geometry::{
    GeometryVerdict, Plane, Vec3, add, check_geometry, cross, dot, norm, scale, sort_along_normal, sub,
};
pub use status::StoreStatus;
pub use uid::{AeTitle, AeTitleError, SeriesKey, Uid, UidError};
