//! Segmentations as DICOM SEG: written, refereed, read back.

mod mutations;
mod peers;
mod round_trip;
