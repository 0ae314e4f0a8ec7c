//! (see ARCHITECTURE.md)

pub mod check;
pub mod rules;
