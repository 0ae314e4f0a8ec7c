//! The statuses that this node answers with: of C-STORE (PS3.4 section B.2.3), of N-ACTION and N-EVENT-REPORT for storage
//! commitment (PS3.4 section J.3, PS3.7 annex C).

/// The honest answer to a C-STORE-RQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreStatus {
    Success,
    /// 0110: the node failed for a reason of its own.
    ProcessingFailure,
    /// 0111: another object with this SOP Instance UID is held already.
    DuplicateSopInstance,
    /// 0117: the SOP Instance UID is no UID.
    InvalidObjectInstance,
    /// 0122: the SOP class was not negotiated for this context.
    SopClassNotSupported,
    /// 0124: this peer may not store here.
    NotAuthorized,
    /// A700: no room for the bytes.
    OutOfResources,
    /// A900: command and data set disagree.
    DataSetDoesNotMatchSopClass,
    /// C000: the data set cannot be understood.
    CannotUnderstand,
}

impl StoreStatus {
    pub const ALL: [StoreStatus; 9] = [
        StoreStatus::Success,
        StoreStatus::ProcessingFailure,
        StoreStatus::DuplicateSopInstance,
        StoreStatus::InvalidObjectInstance,
        StoreStatus::SopClassNotSupported,
        StoreStatus::NotAuthorized,
        StoreStatus::OutOfResources,
        StoreStatus::DataSetDoesNotMatchSopClass,
        StoreStatus::CannotUnderstand,
    ];

    /// When it is given, for the conformance statement.
    #[must_use]
    pub fn when(self) -> &'static str {
        match self {
            StoreStatus::Success => "stored durably",
            StoreStatus::ProcessingFailure => "the node failed for a reason of its own",
            StoreStatus::DuplicateSopInstance => {
                "another object with this SOP Instance UID is held, and the first is configured to count"
            }
            StoreStatus::InvalidObjectInstance => "the Affected SOP Instance UID is no UID",
            StoreStatus::SopClassNotSupported => "the presentation context is not one of storage",
            StoreStatus::NotAuthorized => "the calling AE title may verify here and store nothing (`verify_only`)",
            StoreStatus::OutOfResources => {
                "no room on the disk or within the quota, less is free on the disk than is to stay free (`keep_free`), or \
                 the data set is over the limit"
            }
            StoreStatus::DataSetDoesNotMatchSopClass => {
                "the SOP class differs from that of the presentation context or of the data set"
            }
            StoreStatus::CannotUnderstand => "the data set is missing or cannot be understood",
        }
    }

    /// Status (0000,0900).
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            StoreStatus::Success => 0x0000,
            StoreStatus::ProcessingFailure => 0x0110,
            StoreStatus::DuplicateSopInstance => 0x0111,
            StoreStatus::InvalidObjectInstance => 0x0117,
            StoreStatus::SopClassNotSupported => 0x0122,
            StoreStatus::NotAuthorized => 0x0124,
            StoreStatus::OutOfResources => 0xa700,
            StoreStatus::DataSetDoesNotMatchSopClass => 0xa900,
            StoreStatus::CannotUnderstand => 0xc000,
        }
    }
}

/// The honest answer to an N-ACTION-RQ or N-EVENT-REPORT-RQ of storage commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitmentStatus {
    /// 0000
    Success,
    /// 0110
    ProcessingFailure,
    /// 0112
    NoSuchInstance,
    /// 0113: of N-EVENT-REPORT alone.
    NoSuchEvent,
    /// 0115
    InvalidArgument,
    /// 0118
    NoSuchClass,
    /// 0123: of N-ACTION alone.
    NoSuchAction,
    /// 0124: of N-ACTION alone.
    NotAuthorized,
    /// 0213
    ResourceLimitation,
}

impl CommitmentStatus {
    pub const ALL: [CommitmentStatus; 9] = [
        CommitmentStatus::Success,
        CommitmentStatus::ProcessingFailure,
        CommitmentStatus::NoSuchInstance,
        CommitmentStatus::NoSuchEvent,
        CommitmentStatus::InvalidArgument,
        CommitmentStatus::NoSuchClass,
        CommitmentStatus::NoSuchAction,
        CommitmentStatus::NotAuthorized,
        CommitmentStatus::ResourceLimitation,
    ];

    /// Status (0000,0900).
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            CommitmentStatus::Success => 0x0000,
            CommitmentStatus::ProcessingFailure => 0x0110,
            CommitmentStatus::NoSuchInstance => 0x0112,
            CommitmentStatus::NoSuchEvent => 0x0113,
            CommitmentStatus::InvalidArgument => 0x0115,
            CommitmentStatus::NoSuchClass => 0x0118,
            CommitmentStatus::NoSuchAction => 0x0123,
            CommitmentStatus::NotAuthorized => 0x0124,
            CommitmentStatus::ResourceLimitation => 0x0213,
        }
    }

    /// When an N-ACTION is answered so, for the conformance statement; `None`: never.
    #[must_use]
    pub fn when_asked(self) -> Option<&'static str> {
        match self {
            CommitmentStatus::Success => Some("recorded; a report follows"),
            CommitmentStatus::InvalidArgument => Some("the data set is missing, cannot be read or references nothing"),
            CommitmentStatus::NoSuchAction => Some("an action type other than 1"),
            CommitmentStatus::NotAuthorized => Some(StoreStatus::NotAuthorized.when()),
            CommitmentStatus::NoSuchEvent => None,
            _ => Some(self.when()),
        }
    }

    /// When an N-EVENT-REPORT is answered so; `None`: never.
    #[must_use]
    pub fn when_told(self) -> Option<&'static str> {
        match self {
            CommitmentStatus::Success => Some("kept"),
            CommitmentStatus::InvalidArgument => {
                Some("the data set is missing or cannot be read, or nothing waits for a report on this Transaction UID")
            }
            CommitmentStatus::NoSuchEvent => Some("an event type other than 1 and 2"),
            CommitmentStatus::NoSuchAction | CommitmentStatus::NotAuthorized => None,
            _ => Some(self.when()),
        }
    }

    fn when(self) -> &'static str {
        match self {
            CommitmentStatus::NoSuchInstance => "not the well-known SOP instance",
            CommitmentStatus::NoSuchClass => "not in a presentation context of this SOP class",
            CommitmentStatus::ResourceLimitation => "a data set of more than 32 MiB",
            _ => StoreStatus::ProcessingFailure.when(),
        }
    }
}
