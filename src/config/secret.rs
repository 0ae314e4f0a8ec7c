//! Secrets: read from a file or an environment variable, never written in the configuration itself.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::ConfigFiles;
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
    pub files: &'s ConfigFiles,
    pub environment: &'s dyn Fn(&str) -> Option<String>,
}

impl Surroundings<'_> {
    /// The configuration folder.
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// The names in `rules.toml`, `None` when it cannot be read: that is said where the file is checked.
    pub fn rule_names(&self) -> Option<BTreeSet<String>> {
        self.files.text("rules.toml").1.ok().map(crate::rules::names_in)
    }

    /// Those whom rules name in `notify`, `None` when `rules.toml` cannot be read.
    pub fn notified(&self) -> Option<BTreeSet<String>> {
        self.files.text("rules.toml").1.ok().map(crate::rules::notified_in)
    }
}

/// The keys of a secret in a table, and what the secret is.
struct Place {
    file: &'static str,
    variable: &'static str,
    name: &'static str,
}

/// The password that `password_file` or `password_env` names; the outer `None` stands for a fault.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub fn password(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<Secret>> {
    secret(section, around, &Place { file: "password_file", variable: "password_env", name: "password" })
}

/// As [`password`], the API key that `api_key_file` or `api_key_env` names.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub fn api_key(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<Secret>> {
    secret(section, around, &Place { file: "api_key_file", variable: "api_key_env", name: "API key" })
}

/// As [`password`], the bearer token that `token_file` or `token_env` names.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub fn token(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<Secret>> {
    secret(section, around, &Place { file: "token_file", variable: "token_env", name: "token" })
}

/// As [`password`], what a webhook's requests are signed with, of `secret_file` or `secret_env`.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub fn signing_secret(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<Secret>> {
    secret(section, around, &Place { file: "secret_file", variable: "secret_env", name: "secret" })
}

#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
fn secret(section: &Section<'_>, around: &Surroundings<'_>, place: &Place) -> Option<Option<Secret>> {
    let what = place.name;
    let (file, variable) = (section.get(place.file), section.get(place.variable));
    if let (Some(_), Some(variable)) = (&file, &variable) {
        let found = format!("{} and {}", place.file, place.variable);
        return variable.refuse_key(&found, "one of the two", None);
    }
    if let Some(entry) = variable {
        let name = entry.text()?;
        let value = (around.environment)(name).filter(|value| !value.is_empty());
        return value.map(|value| Some(Secret(value))).or_else(|| {
            let hint = "set it for the service that runs Sagittal, and for this shell when you run `sagittal check`";
            entry.report(
                Severity::Fault,
                &format!("\"{name}\", which is not set"),
                &format!("an environment variable that holds the {what}"),
                Some(hint.into()),
            );
            None
        });
    }
    let Some(entry) = file else { return Some(None) };
    let path = around.folder().join(entry.text()?);
    let read = std::fs::read_to_string(&path).map_err(|error| error.kind().to_string());
    match read.as_ref().map(|text| text.trim_end_matches(['\r', '\n'])) {
        Ok(text) if !text.is_empty() => Some(Some(Secret(text.to_owned()))),
        Ok(_) => entry.refuse(&format!("a file that holds the {what}, this one is empty"), None),
        Err(reason) => entry.refuse(&format!("a readable file that holds the {what} ({reason})"), None),
    }
}
