//! The processor as a device: one inference at a time, and none that the machine's memory cannot hold.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::InferenceError;

/// How often a waiting or running inference asks whether it was cancelled.
pub(super) const POLL: Duration = Duration::from_millis(200);

/// Hands out one permit.
#[derive(Debug, Default)]
pub(super) struct Device {
    busy: Mutex<bool>,
    freed: Condvar,
}

impl Device {
    /// Waits for the permit; given back when dropped.
    pub fn acquire(&self, cancelled: &dyn Fn() -> bool) -> Result<Permit<'_>, InferenceError> {
        let mut busy = self.lock();
        while *busy {
            if cancelled() {
                return Err(InferenceError::Cancelled);
            }
            busy = self.freed.wait_timeout(busy, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        *busy = true;
        Ok(Permit(self))
    }

    /// Permits in use, and all there are.
    pub fn permits(&self) -> (u64, u64) {
        (u64::from(*self.lock()), 1)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one model.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a Device);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.lock() = false;
        self.0.freed.notify_one();
    }
}

/// Refuses a model that needs more than is free. Where the system does not say what is free, nothing is refused.
pub(super) fn check_memory(model: &str, needed: u64) -> Result<(), InferenceError> {
    let free = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| free_memory(&text));
    match free {
        Some(free) if free < needed => Err(InferenceError::OutOfMemory {
            model: model.to_owned(),
            needed: needed / 1_000_000,
            available: free / 1_000_000,
        }),
        _ => Ok(()),
    }
}

/// Bytes that `/proc/meminfo` calls available, with free swap.
fn free_memory(meminfo: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some((field("MemAvailable")? + field("SwapFree").unwrap_or(0)) * 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_permit_at_a_time() {
        let device = Device::default();
        let held = device.acquire(&|| false).unwrap();
        assert!(matches!(device.acquire(&|| true), Err(InferenceError::Cancelled)));
        drop(held);
        assert!(device.acquire(&|| true).is_ok());
    }

    #[test]
    fn available_memory_and_swap_count() {
        let text = "MemTotal:       16000000 kB\nMemAvailable:   1000 kB\nSwapFree:          24 kB\n";
        assert_eq!(free_memory(text), Some(1024 * 1024));
        assert_eq!(free_memory("MemTotal: 3 kB"), None);
        let error = check_memory("m", u64::MAX);
        assert!(!cfg!(target_os = "linux") || error.is_err_and(|e| e.retryable()));
    }
}
