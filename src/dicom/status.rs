//! C-STORE statuses (PS3.4 section B.2.3, PS3.7 annex C).

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
