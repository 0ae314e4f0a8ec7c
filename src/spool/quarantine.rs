//! Where bytes that could not be understood are kept for a person to look at, with the reason beside
//! them. Names come from the network and are made safe here.

use std::fs;
use std::path::{Path, PathBuf};

use super::{SpoolError, durable};

const FOLDER: &str = "quarantine";
const LONGEST: usize = 100;

/// Moves a written file into the quarantine; returns its path there.
pub(super) fn keep(root: &Path, written: &Path, name: &str, reason: &str) -> Result<PathBuf, SpoolError> {
    let folder = root.join(FOLDER);
    durable::make_folders(root, &folder)?;
    let name = free_name(&folder, &sanitized(name));
    // the reason first: bytes without one would tell nobody anything
    durable::write(&reason_path(&folder, &name), &[reason.as_bytes(), b"\n"])?;
    let path = folder.join(&name);
    fs::rename(written, &path).map_err(SpoolError::io("move an object into the quarantine at", &path))?;
    durable::sync_folder(&folder)?;
    Ok(path)
}

fn reason_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.reason.txt"))
}

fn free_name(folder: &Path, name: &str) -> String {
    let mut free = name.to_owned();
    let mut copy = 0_u32;
    while folder.join(&free).exists() || reason_path(folder, &free).exists() {
        copy += 1;
        free = format!("{name}.{copy}");
    }
    free
}

/// Letters, digits, dot, hyphen and underscore stay; the first character is no dot.
fn sanitized(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.trim_start_matches('.').chars().take(LONGEST).map(safe).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_network_become_file_names() {
        let check = |name: &str, expected: &str| assert_eq!(sanitized(name), expected, "{name:?}");
        check("1.2.840.1", "1.2.840.1");
        check("../../etc/passwd", "_.._etc_passwd");
        check("..", "unnamed");
        check("", "unnamed");
        check("a b\0ü", "a_b__");
        assert_eq!(sanitized(&"9".repeat(300)).len(), LONGEST);
    }
}
