//! `[http]` of `node.toml`: where DICOMweb is served, and by which key it may be used.

use std::net::SocketAddr;

use super::node::NodeConfig;
use super::reception::address;
use super::secret::{self, Secret, Surroundings};
use crate::rules::section::Section;

/// The HTTP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpListener {
    pub listen: SocketAddr,
    /// What a client has to bear; `None` on loopback only.
    pub api_key: Option<Secret>,
}

/// Reads the table; a listener that other machines reach without a key is a fault.
pub(super) fn read(config: &mut NodeConfig, section: &Section<'_>, around: &Surroundings<'_>) {
    let listen = section.required("listen", "an IP address and a port, such as \"127.0.0.1:8080\"");
    let listen = listen.and_then(|entry| address(&entry, "127.0.0.1:8080"));
    let key = secret::api_key(section, around);
    let (Some(listen), Some(api_key)) = (listen, key) else { return };
    if api_key.is_none() && !listen.ip().is_loopback() {
        let found = format!("none, while listen = \"{listen}\" is open to other machines");
        let hint = "put a long random text into a file that only the node may read".to_owned();
        section.lacks(
            "api_key_file",
            &found,
            "the file (or api_key_env, the variable) that holds the API key",
            Some(hint),
        );
    }
    config.http = Some(HttpListener { listen, api_key });
}
