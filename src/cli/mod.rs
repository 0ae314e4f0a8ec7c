//! (see ARCHITECTURE.md)

pub mod echo;
pub mod send;
