//! One mistake in a text that people wrote, said so that they can mend it without reading code.

use std::fmt;

use serde::Serialize;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The file cannot be used.
    Fault,
    /// The file can be used, something it names is not there yet.
    Warning,
}

/// A mistake at a place in a file: what was found, what is allowed there, and a hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub severity: Severity,
    /// File name as the reader called it, e.g. `rules.toml`.
    pub file: String,
    /// 1-based; 0 when the fault concerns the file as a whole.
    pub line: usize,
    /// 1-based, in characters; 0 when the fault concerns the file as a whole.
    pub column: usize,
    /// Path of the key, e.g. `rule["brain T1"].when.Modality`; empty for a fault of the syntax.
    pub key: String,
    pub found: String,
    pub allowed: String,
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of the file as a whole, such as one that cannot be read.
    #[must_use]
    pub fn of_file(file: &str, found: impl Into<String>, allowed: impl Into<String>) -> Fault {
        Fault {
            severity: Severity::Fault,
            file: file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            found: found.into(),
            allowed: allowed.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let kind = if self.is_warning() { "warning" } else { "fault" };
        match self.key.as_str() {
            "" => write!(f, ": {kind}")?,
            key => write!(f, ": {kind} in {key}")?,
        }
        write!(f, "\n  found    {}\n  allowed  {}", self.found, self.allowed)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint     {hint}"))
    }
}

/// "did you mean ...?" with the candidate nearest to `word`, `None` when none is near.
#[must_use]
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let distance = |c: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &c.to_lowercase());
    candidates
        .into_iter()
        .map(|c| (distance(c), c))
        .filter(|(d, c)| *d <= (word.len().max(c.len()) / 3).max(1))
        .min()
        .map(|(_, c)| format!("did you mean \"{c}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_candidate_is_offered_and_a_far_one_is_not() {
        let check = |word: &str, expected: Option<&str>| {
            let hint = did_you_mean(word, ["brain", "lung", "brain-mask"]);
            assert_eq!(hint, expected.map(|e| format!("did you mean \"{e}\"?")), "{word}");
        };
        check("brian", Some("brain"));
        check("Brain", Some("brain"));
        check("brain-msk", Some("brain-mask"));
        check("liver", None);
        check("", None);
    }

    #[test]
    fn a_fault_reads_as_one_block() {
        let mut fault = Fault::of_file("node.toml", "nothing", "a file");
        assert_eq!(fault.to_string(), "node.toml: fault\n  found    nothing\n  allowed  a file");
        (fault.line, fault.column, fault.key) = (3, 7, "node.data".into());
        (fault.severity, fault.hint) = (Severity::Warning, Some("make it".into()));
        let expected = "node.toml:3:7: warning in node.data\n  found    nothing\n  allowed  a file\n  hint     make it";
        assert_eq!(fault.to_string(), expected);
    }
}
