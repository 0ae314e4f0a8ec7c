//! The pieces of `sagittal demo`: a head that becomes a DICOM series, and the closing words.
//!
//! Everything here works on values and folders; the node itself is started by the command. The series is
//! synthetic in all but its voxels: no patient, no date of a real visit.

pub mod head;
pub mod summary;

pub use head::{HeadError, write_head, write_series};
pub use summary::{Kept, Part, Summary};
