#![allow(clippy::unwrap_used, clippy::expect_used)]

mod infer;
mod real;
mod support;
