//! What the parts of a running node measure, brought together for metrics.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Millis;
use crate::config::NodeConfig;
use crate::http::Gauges;
use crate::inference::Engine;
use crate::observe::Figures;
use crate::spool::Spool;

use super::ledger_path;

/// What `/metrics` asks for each time.
pub(super) fn gauges(node: &NodeConfig, engine: Arc<Engine>, spool: Arc<Spool>, started_at: Millis) -> Gauges {
    let node = node.clone();
    Gauges(Arc::new(move || {
        let disk = rustix::fs::statvfs(&node.data).ok();
        let (permits_used, permits) = engine.permits();
        Figures {
            started_at: Some(started_at),
            disk_free: disk.as_ref().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            disk_size: disk.as_ref().map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize)),
            keep_free: node.keep_free,
            spool: spool.disk_use(),
            ledger: ledger_files(&ledger_path(&node)),
            memory: std::fs::read_to_string("/proc/self/status").ok().and_then(|text| resident(&text)),
            permits,
            permits_used,
            networks: engine.loaded() as u64,
            ..Figures::default()
        }
    }))
}

/// The database, its journal and the journal's index.
fn ledger_files(path: &Path) -> u64 {
    let beside = |end: &str| std::fs::metadata(format!("{}{end}", path.display())).map_or(0, |file| file.len());
    ["", "-wal", "-shm"].into_iter().map(beside).sum()
}

/// Bytes that `/proc/self/status` calls resident.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_what_the_system_says() {
        assert_eq!(resident("VmHWM:\t    9000 kB\nVmRSS:\t    3 kB\n"), Some(3072));
        assert_eq!(resident("Name: x\n"), None);
    }
}
