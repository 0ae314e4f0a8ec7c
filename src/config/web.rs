//! A destination that is reached by HTTP: its URL, who we are there, and what the connection is secured with.

use super::secret::{Secret, Surroundings, password, token};
use super::tls;
use crate::rules::Severity;
use crate::rules::section::{Entry, Section};
use crate::tls::ClientFiles;

/// Where a web service is and how it is entered.
#[derive(Debug, Clone)]
pub struct WebPeer {
    /// Without a slash at its end.
    pub url: String,
    pub login: Login,
    /// The authority that signs the peer's certificate, and our own one; `None`: the system's authorities.
    pub tls: Option<ClientFiles>,
}

/// Who we are to a web service.
#[derive(Debug, Clone)]
pub enum Login {
    Nobody,
    Basic {
        username: String,
        password: Secret,
    },
    /// Bearer token (RFC 6750).
    Token(Secret),
}

/// Reads `url`, the login and the TLS keys of a destination; `example` is a URL for the message.
pub(super) fn read(section: &Section<'_>, around: &Surroundings<'_>, example: &str) -> Option<WebPeer> {
    let entry = section.required("url", example);
    let url = entry.as_ref().and_then(url);
    let login = login(section, around);
    let parsed = url.as_deref().and_then(|text| reqwest::Url::parse(text).ok());
    let tls = tls::of_web(section, parsed.as_ref(), around.folder());
    Some(WebPeer { url: url?, login: login?, tls: tls? })
}

fn login(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Login> {
    let (username, password) = (username(section), password(section, around));
    let token = token(section, around)?;
    if !matches!(username, Some(None)) && token.is_some() {
        section.lacks("token_file", "a username beside a token", "one of the two", None);
        return None;
    }
    match (user(section, username?, password?)?, token) {
        (None, None) => Some(Login::Nobody),
        (None, Some(token)) => Some(Login::Token(token)),
        (Some((username, password)), _) => Some(Login::Basic { username, password }),
    }
}

/// A user with its password, where `username` is given; the outer `None` stands for a fault.
#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
pub(super) fn basic(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<(String, Secret)>> {
    let (username, password) = (username(section), password(section, around));
    user(section, username?, password?)
}

#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
fn username(section: &Section<'_>) -> Option<Option<String>> {
    match section.get("username") {
        Some(entry) => entry.text().map(|text| Some(text.to_owned())),
        None => Some(None),
    }
}

#[allow(clippy::option_option, reason = "absent and faulty are two answers")]
fn user(section: &Section<'_>, username: Option<String>, password: Option<Secret>) -> Option<Option<(String, Secret)>> {
    match (username, password) {
        (None, None) => Some(None),
        (Some(username), Some(password)) => Some(Some((username, password))),
        (Some(_), None) => {
            section.lacks("password_file", "a username without a password", "password_file or password_env", None);
            None
        }
        (None, Some(_)) => {
            section.lacks("username", "a password without a username", "username and password", None);
            None
        }
    }
}

fn url(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let allowed = "a URL that starts with http:// or https://";
    let Ok(url) = reqwest::Url::parse(text) else { return entry.refuse(allowed, None) };
    if !url.username().is_empty() || url.password().is_some() {
        // The value is not repeated: it holds the password.
        let hint = "use username with password_file or password_env".to_owned();
        entry.report(Severity::Fault, "a URL with a user name or password in it", "a URL alone", Some(hint));
        return None;
    }
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return entry.refuse(allowed, None);
    }
    Some(text.trim().trim_end_matches('/').to_owned())
}
