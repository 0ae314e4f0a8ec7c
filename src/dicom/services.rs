//! The services besides storage: the presentation contexts proposed for them and accepted in them (PS3.8 section 9.3.2).
//! What the conformance statement says of them is printed from here.

use super::tables::{
    EXPLICIT_LITTLE, IMPLICIT_LITTLE, STORAGE_COMMITMENT, STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE,
    VERIFICATION,
};

/// A presentation context that we propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    pub activity: &'static str,
    pub name: &'static str,
    pub sop_class: &'static str,
    pub transfer_syntaxes: &'static [&'static str],
    /// The SCP role is proposed, and that alone (PS3.7 section D.3.3.4).
    pub as_provider: bool,
}

const BOTH: &[&str] = &[EXPLICIT_LITTLE, IMPLICIT_LITTLE];

pub const ECHO: Proposed = Proposed {
    activity: "ask whether a peer is there",
    name: "Verification",
    sop_class: VERIFICATION,
    transfer_syntaxes: &[IMPLICIT_LITTLE],
    as_provider: false,
};
pub const ASK_COMMITMENT: Proposed = Proposed {
    activity: "ask a destination to commit to results",
    name: "Storage Commitment Push Model",
    sop_class: STORAGE_COMMITMENT,
    transfer_syntaxes: BOTH,
    as_provider: false,
};
pub const REPORT_COMMITMENT: Proposed =
    Proposed { activity: "report to a peer that asked us to commit", as_provider: true, ..ASK_COMMITMENT };
pub const FIND: Proposed = Proposed {
    activity: "confirm a delivery, count a series, look for what is to be fetched",
    name: "Study Root Query/Retrieve Information Model - FIND",
    sop_class: STUDY_ROOT_FIND,
    transfer_syntaxes: &[IMPLICIT_LITTLE],
    as_provider: false,
};
pub const MOVE: Proposed = Proposed {
    activity: "have a PACS send to the node",
    name: "Study Root Query/Retrieve Information Model - MOVE",
    sop_class: STUDY_ROOT_MOVE,
    ..FIND
};
pub const GET: Proposed = Proposed {
    activity: "fetch over our own association",
    name: "Study Root Query/Retrieve Information Model - GET",
    sop_class: STUDY_ROOT_GET,
    ..FIND
};

pub const PROPOSED: [Proposed; 6] = [ECHO, ASK_COMMITMENT, REPORT_COMMITMENT, FIND, MOVE, GET];

/// Services without objects that we provide: SOP class, name, and whether its requestor may be the provider.
pub const PROVIDED: [(&str, &str, bool); 2] =
    [(VERIFICATION, ECHO.name, false), (STORAGE_COMMITMENT, ASK_COMMITMENT.name, true)];

/// Transfer syntaxes accepted in contexts of [`PROVIDED`].
pub const PROVIDED_SYNTAXES: [&str; 2] = [IMPLICIT_LITTLE, EXPLICIT_LITTLE];

/// Is `sop_class` one of [`PROVIDED`]?
#[must_use]
pub fn is_provided(sop_class: &str) -> bool {
    PROVIDED.iter().any(|(known, ..)| *known == sop_class)
}
