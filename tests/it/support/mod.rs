//! What the integration tests share.

pub mod models;
pub mod onnx;
