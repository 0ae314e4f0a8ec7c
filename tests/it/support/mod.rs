//! What the integration tests share.

pub mod findings;
pub mod phantom;
