//! What an administrator watches: logs and metrics.
//!
//! Lines carry job ids and UIDs, samples the names of destinations, pipelines and states; neither ever holds a patient
//! attribute (invariant 7). Changes nothing and decides nothing.

mod logs;
mod metrics;
mod page;

pub use logs::{LogFormat, start_logs};
pub use metrics::{Figures, metrics};
pub use page::MEDIA_TYPE;
