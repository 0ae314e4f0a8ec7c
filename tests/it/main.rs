//! The integration tests: one binary, behaviour seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::missing_panics_doc)]

mod access;
mod commitment;
mod confirmation;
mod conformance;
mod deliver;
mod fault;
mod fetch;
mod fuzz;
mod infer;
mod kills;
mod large;
mod layers;
mod readme;
mod real;
mod receive;
mod reload;
mod restart;
mod results;
mod retention;
mod rules;
mod series;
mod soak;
mod study;
mod support;
mod tls;
mod waiting;
