//! (see ARCHITECTURE.md)
pub mod demo;
