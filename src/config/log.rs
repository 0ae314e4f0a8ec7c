//! `[log]` of `node.toml`: how the node's log lines look, and how much is said.

use super::node::{NodeConfig, set};
use super::secret::Surroundings;
use crate::rules::section::Section;

/// How the node logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// One JSON object a line; else text for people.
    pub json: bool,
    /// The least important lines that are written: `error`, `warn`, `info` or `debug`.
    pub level: &'static str,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { json: false, level: "info" }
    }
}

pub(super) const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

pub(super) fn read(config: &mut NodeConfig, section: &Section<'_>, _: &Surroundings<'_>) {
    set(&mut config.log.json, section.get("format").and_then(|e| e.choice(&[("text", false), ("json", true)])));
    set(&mut config.log.level, section.get("level").and_then(|e| e.choice(&LEVELS.map(|level| (level, level)))));
}
