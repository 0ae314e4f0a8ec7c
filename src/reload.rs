//! The configuration in force: replaced as one value while the node runs, or not at all.
//!
//! Rules, pipelines and destinations are taken over from the files; `node.toml` waits for the next start. Faulty files
//! change nothing and are told to whoever asks. The files are looked at, not watched: editors rename, and network
//! mounts tell nobody. Rules are in the ledger's history before they decide anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, ConfigFaults, ConfigFiles, Fault};
use crate::ledger::{Ledger, LedgerError, NewRules, RulesSource};

/// How often the files are looked at. What is found changed is read at the next look if it stayed the same, so that no
/// file is taken while an editor writes it.
const LOOK: Duration = Duration::from_millis(500);

/// Why the configuration was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("the configuration stays as it is:\n{0}")]
    Faulty(#[from] ConfigFaults),
    #[error("the configuration stays as it is, the history of the rules cannot be written: {0}")]
    Ledger(#[from] LedgerError),
}

/// What a reload brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// `RuleSet::revision` of the rules in force.
    pub rules_revision: String,
    /// The rules are other ones than before.
    pub rules_changed: bool,
}

/// What is in force, and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub rules_revision: String,
    /// Why the files as they are now are not in force; a line.
    pub refused: Option<String>,
    /// `node.toml` changed since the start.
    pub restart_needed: bool,
}

/// Replaces the configuration. Cheap to clone; one reload at a time.
#[derive(Debug, Clone)]
pub struct Reloader {
    config: Arc<ArcSwap<Config>>,
    ledger: Ledger,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    /// The files as they were when the node started.
    start: Arc<ConfigFiles>,
    in_force: Arc<ConfigFiles>,
    /// The files as they were at the last look.
    last: Arc<ConfigFiles>,
    /// What was refused, and why.
    refused: Option<(Arc<ConfigFiles>, String)>,
}

impl Reloader {
    /// Records the rules that the node starts with.
    pub fn start(config: Arc<ArcSwap<Config>>, ledger: Ledger) -> Result<Reloader, LedgerError> {
        let now = config.load_full();
        record(&ledger, &now, RulesSource::Start, None, "the node started with them")?;
        let files = &now.files;
        let seen = Seen { start: files.clone(), in_force: files.clone(), last: files.clone(), refused: None };
        Ok(Reloader { config, ledger, seen: Arc::new(Mutex::new(seen)) })
    }

    /// Reads the files and puts them in force. `who`: who asked; else the owner of the rules file. Blocking.
    pub fn reload(&self, source: RulesSource, who: Option<&str>, why: &str) -> Result<Reloaded, ReloadError> {
        let mut seen = self.seen();
        let files = ConfigFiles::read(seen.in_force.folder());
        self.take(&mut seen, Arc::new(files), source, who, why)
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        let seen = self.seen();
        Standing {
            rules_revision: self.config.load().rules.revision().to_owned(),
            refused: seen.refused.as_ref().map(|(_, why)| why.clone()),
            restart_needed: seen.last.node_differs(&seen.start),
        }
    }

    /// Looks at the files until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let reloader = self.clone();
            if let Err(fault) = tokio::task::spawn_blocking(move || reloader.look()).await {
                tracing::error!("looking at the configuration failed: {fault}");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn look(&self) {
        let mut seen = self.seen();
        let files = Arc::new(ConfigFiles::read(seen.in_force.folder()));
        let settled = *files == *seen.last;
        seen.last = files.clone();
        if *files == *seen.in_force {
            if seen.refused.take().is_some() {
                tracing::info!("the configuration files are again as they are in force");
            }
            return;
        }
        let known = seen.refused.as_ref().is_some_and(|(refused, _)| **refused == *files);
        if settled && !known {
            // the refusal is logged and kept: there is nobody else to tell
            let _ = self.take(&mut seen, files, RulesSource::File, None, "the file changed");
        }
    }

    fn take(
        &self,
        seen: &mut Seen,
        files: Arc<ConfigFiles>,
        source: RulesSource,
        who: Option<&str>,
        why: &str,
    ) -> Result<Reloaded, ReloadError> {
        seen.last = files.clone();
        let taken = files.check().map_err(ReloadError::from).and_then(|(config, warnings)| {
            config::log_warnings(&warnings);
            // Sockets, folders and limits were made of the old one.
            let config = Config { node: self.config.load().node.clone(), ..config };
            let rules_changed = record(&self.ledger, &config, source, who, why)?;
            let reloaded = Reloaded { rules_revision: config.rules.revision().to_owned(), rules_changed };
            self.config.store(Arc::new(config));
            Ok(reloaded)
        });
        match &taken {
            Ok(reloaded) => {
                tracing::info!(rules = reloaded.rules_revision, changed = reloaded.rules_changed, "configuration read");
                (seen.in_force, seen.refused) = (files, None);
            }
            Err(error) => {
                tracing::error!("{error}");
                seen.refused = Some((files, summary(error)));
            }
        }
        if seen.last.node_differs(&seen.start) {
            tracing::warn!("node.toml changed; it comes into force with the next start");
        }
        taken
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(
    ledger: &Ledger,
    config: &Config,
    source: RulesSource,
    who: Option<&str>,
    why: &str,
) -> Result<bool, LedgerError> {
    let owner = config::rules_owner(config.files.folder());
    let (revision, text) = (config.rules.revision(), config.files.rules());
    ledger.record_rules(&NewRules { revision, source, who: who.unwrap_or(&owner), why, text })
}

/// A refusal in one line, without the folder's path: it is shown to those who need not say who they are.
fn summary(error: &ReloadError) -> String {
    let ReloadError::Faulty(ConfigFaults(faults)) = error else { return error.to_string() };
    let faults: Vec<&Fault> = faults.iter().filter(|fault| !fault.is_warning()).collect();
    let place = |fault: &&Fault| {
        let file = fault.file.rsplit('/').next().unwrap_or_default();
        format!("{file}:{} {}", fault.line, fault.key).trim_end().to_owned()
    };
    let places: Vec<String> = faults.iter().take(3).map(place).collect();
    let more = if faults.len() > places.len() { ", ..." } else { "" };
    let count = if faults.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", faults.len()) };
    format!("{count}: {}{more}", places.join(", "))
}
