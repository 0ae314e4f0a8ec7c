//! The four files of the configuration folder as they were at one moment.
//!
//! They are read once: what is checked, what is compared with the next look and what the history keeps are the
//! same bytes. The rules alone are ever written, and only as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::secret::Surroundings;
use super::{Config, ConfigFaults, Fault, NodeConfig};

const NODE: &str = "node.toml";
const RULES: &str = "rules.toml";
const NAMES: [&str; 4] = [NODE, "destinations.toml", "pipelines.toml", RULES];

/// What the files say; two of them are equal when all their bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFiles {
    folder: PathBuf,
    /// In the order of `NAMES`; why a file cannot be read.
    texts: [Result<String, String>; 4],
}

impl ConfigFiles {
    /// Reads the files of `folder`; one that cannot be read becomes a fault when they are checked.
    #[must_use]
    pub fn read(folder: &Path) -> ConfigFiles {
        let text = |name| fs::read_to_string(folder.join(name)).map_err(|error| error.kind().to_string());
        ConfigFiles { folder: folder.to_owned(), texts: NAMES.map(text) }
    }

    /// The same files with other rules, such as a draft.
    #[must_use]
    pub fn with_rules(mut self, text: &str) -> ConfigFiles {
        if let Some(slot) = NAMES.iter().position(|name| *name == RULES) {
            self.texts[slot] = Ok(text.to_owned());
        }
        self
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text of the rules; empty when it cannot be read.
    #[must_use]
    pub fn rules(&self) -> &str {
        self.text(RULES).1.unwrap_or_default()
    }

    /// The path of the cases beside the rules as reported, and what they say now, if there are any. The node does
    /// without them.
    pub(super) fn cases(&self) -> (String, Option<Result<String, String>>) {
        let path = self.folder.join("rules.test.toml");
        let read = path.exists().then(|| fs::read_to_string(&path).map_err(|error| error.kind().to_string()));
        (path.display().to_string(), read)
    }

    /// The path as reported, and the text or why it cannot be read.
    pub(super) fn text(&self, name: &str) -> (String, Result<&str, &str>) {
        let path = self.folder.join(name).display().to_string();
        let text = NAMES.iter().position(|known| *known == name).map(|at| &self.texts[at]);
        (path, text.map_or(Err("no file of the configuration"), |text| text.as_deref().map_err(String::as_str)))
    }

    /// Whether `node.toml` says something else than in `other`.
    #[must_use]
    pub fn node_differs(&self, other: &ConfigFiles) -> bool {
        self.text(NODE).1 != other.text(NODE).1
    }

    /// The checked configuration, and the warnings.
    ///
    /// # Errors
    /// All faults of all files, and the warnings.
    pub fn check(&self) -> Result<(Config, Vec<Fault>), ConfigFaults> {
        let environment = |name: &str| std::env::var(name).ok();
        super::read(&Surroundings { files: self, environment: &environment })
    }

    /// What `node.toml` says, whatever the other files are like: enough to find the ledger.
    ///
    /// # Errors
    /// The faults of `node.toml`.
    pub fn check_node(&self) -> Result<NodeConfig, ConfigFaults> {
        let environment = |name: &str| std::env::var(name).ok();
        let (around, mut faults) = (Surroundings { files: self, environment: &environment }, Vec::new());
        let node = super::read_file(&around, NODE, &mut faults, |root| NodeConfig::read(root, &around)).flatten();
        node.filter(|_| faults.iter().all(Fault::is_warning)).ok_or(ConfigFaults(faults))
    }
}

/// Replaces `rules.toml` in `folder` by `text`: a reader sees the old file or the new one, also after a power cut.
pub fn replace_rules(folder: &Path, text: &str) -> io::Result<()> {
    let (path, draft) = (folder.join(RULES), folder.join(".rules.toml.new"));
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(&path) {
        file.set_permissions(old.permissions())?;
    }
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}

/// Who owns the rules file: as near as a file comes to saying who wrote it.
#[must_use]
pub fn rules_owner(folder: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder.join(RULES)).map_or_else(|_| "unknown".to_owned(), |found| format!("uid {}", found.uid()))
}
