//! What the integration tests share.

pub mod modality;
pub mod models;
pub mod onnx;
pub mod pacs;
pub mod phantom;
pub mod site;
