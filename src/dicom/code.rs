//! Coded concepts (PS3.3 table 8.8-1, Code Sequence Macro, the attributes that are always there).

use serde::{Deserialize, Serialize};

/// One code: value, coding scheme and meaning, e.g. `("12738006", "SCT", "Brain")`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Code Value (0008,0100), at most 16 characters.
    pub value: String,
    /// Coding Scheme Designator (0008,0102), e.g. `SCT`, `DCM`, `UCUM`.
    pub scheme: String,
    /// Code Meaning (0008,0104), at most 64 characters.
    pub meaning: String,
}

impl Code {
    #[must_use]
    pub fn new(value: &str, scheme: &str, meaning: &str) -> Code {
        Code { value: value.into(), scheme: scheme.into(), meaning: meaning.into() }
    }
}
