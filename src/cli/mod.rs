//! (see ARCHITECTURE.md)

pub mod models;
