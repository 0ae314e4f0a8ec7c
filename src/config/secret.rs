//! Secrets: read from a file or an environment variable, never written in the configuration itself.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rules::Severity;
use crate::rules::section::Section;

/// A text that never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where secrets and relative paths are looked up.
pub struct Surroundings<'s> {
    /// The configuration folder.
    pub folder: &'s Path,
    pub environment: &'s dyn Fn(&str) -> Option<String>,
}

impl Surroundings<'_> {
    /// The names in `rules.toml`, `None` when it cannot be read: that is said where the file is checked.
    pub fn rule_names(&self) -> Option<BTreeSet<String>> {
        let text = std::fs::read_to_string(self.folder.join("rules.toml")).ok()?;
        Some(crate::rules::names_in(&text))
    }
}

/// The password that `password_file` or `password_env` names; the outer `None` stands for a fault.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub fn password(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<Secret>> {
    let (file, variable) = (section.get("password_file"), section.get("password_env"));
    if let (Some(_), Some(variable)) = (&file, &variable) {
        return variable.refuse_key("password_file and password_env", "one of the two", None);
    }
    if let Some(entry) = variable {
        let name = entry.text()?;
        let value = (around.environment)(name).filter(|value| !value.is_empty());
        return value.map(|value| Some(Secret(value))).or_else(|| {
            entry.report(
                Severity::Fault,
                &format!("\"{name}\", which is not set"),
                "an environment variable that holds the password",
                Some(
                    "set it for the service that runs Sagittal, and for this shell when you run `sagittal check`"
                        .into(),
                ),
            );
            None
        });
    }
    let Some(entry) = file else { return Some(None) };
    let path = around.folder.join(entry.text()?);
    let read = std::fs::read_to_string(&path).map_err(|error| error.kind().to_string());
    match read.as_ref().map(|text| text.trim_end_matches(['\r', '\n'])) {
        Ok(text) if !text.is_empty() => Some(Some(Secret(text.to_owned()))),
        Ok(_) => entry.refuse("a file that holds the password, this one is empty", None),
        Err(reason) => entry.refuse(&format!("a readable file that holds the password ({reason})"), None),
    }
}
