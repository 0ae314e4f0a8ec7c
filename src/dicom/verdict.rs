//! What a peer said: of each object that it was brought (PS3.4 section B.2.3), and of the presentation contexts that
//! were proposed to it (PS3.8 section 9.3.3.2). Values only; who asks and who keeps them is elsewhere.

use serde::Serialize;

use super::Uid;

/// The gist of an answer about one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Stored,
    /// Stored, with a remark: coerced elements (B000), elements discarded (B006), no match with the class (B007).
    Warned,
    Refused,
    /// Acknowledged once, and not found when asked for.
    Missing,
    /// Nothing was sent: the destination only says what would have been.
    Reported,
}

impl Answer {
    /// Of the status of a C-STORE; "duplicate SOP instance" means that the peer holds it.
    #[must_use]
    pub fn of_status(status: u16) -> Answer {
        match status {
            0 => Answer::Stored,
            0x0107 | 0x0111 | 0x0116 | 0xb000..=0xbfff => Answer::Warned,
            _ => Answer::Refused,
        }
    }

    /// Has the peer said that it holds the object?
    #[must_use]
    pub fn is_held(self) -> bool {
        matches!(self, Answer::Stored | Answer::Warned)
    }
}

/// What a peer said of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub sop_instance: Uid,
    pub answer: Answer,
    /// A DIMSE status, a failure or warning reason (PS3.18 section 10.5.3), or an HTTP status.
    pub status: Option<u16>,
    /// The peer's own words.
    pub comment: Option<String>,
}

impl Verdict {
    #[must_use]
    pub fn new(sop_instance: &Uid, answer: Answer) -> Verdict {
        Verdict { sop_instance: sop_instance.clone(), answer, status: None, comment: None }
    }
}

/// Whether a peer takes objects of a SOP class in a transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Learned {
    pub sop_class: String,
    pub transfer_syntax: String,
    pub accepted: bool,
}
