//! (see ARCHITECTURE.md)

pub mod jobs;
