//! What an administrator watches: logs and metrics; and the audit trail.
//!
//! Log lines carry job ids and UIDs, samples the names of destinations, pipelines and states; neither ever holds a patient
//! attribute (invariant 7). Only the audit trail names patients, as its standard asks. Changes nothing and decides nothing.

pub mod audit;
mod logs;
mod metrics;
mod page;

pub use logs::{LogFormat, start_logs};
pub use metrics::{Figures, metrics};
pub use page::MEDIA_TYPE;
