//! The ledger: one SQLite file that says what was received, what is to be done and what became of it.
//!
//! All SQL lives here, behind named operations; callers never see a connection. Every operation is one
//! transaction. State transitions are decided by the pure functions of [`state`]. Never touches the
//! spool's bytes, knows no model and no destination kind.
//!
//! Journal: WAL, synchronous FULL, foreign keys on, numbered migrations.

mod rows;

pub use rows::*;
