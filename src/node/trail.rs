//! The audit trail of a node, where it is wanted.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::observe::audit::{Source, Trail};

/// `None`: `node.toml` has no `[audit]`.
pub(super) fn start(node: &NodeConfig, clock: Arc<dyn Clock>) -> Option<Trail> {
    let settings = node.audit.as_ref()?;
    let others = node.reception.profiles.keys().map(ToString::to_string);
    let titles = std::iter::once(node.reception.ae_title.to_string()).chain(others).collect();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim().to_owned()).filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".to_owned());
    let source = Source { titles, host, process: std::process::id(), patients: settings.patients };
    Some(Trail::start(settings, source, clock))
}
