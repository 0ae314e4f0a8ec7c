//! The two ways to say no below DIMSE: A-ASSOCIATE-RJ to a request (PS3.8 section 9.3.4) and A-ABORT to what breaks the
//! protocol (section 9.3.8), each with its codes and the words for logs and for the conformance statement.

use dicom_ul::pdu::{
    AbortRQServiceProviderReason, AbortRQSource, AssociationRJ, AssociationRJResult,
    AssociationRJServiceProviderASCEReason, AssociationRJServiceProviderPresentationReason,
    AssociationRJServiceUserReason, AssociationRJSource, Pdu,
};

/// Why an association is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    Called,
    Calling,
    User,
    ApplicationContext,
    ProtocolVersion,
    /// It may try again.
    Crowded,
}

impl Denial {
    pub const ALL: [Denial; 6] = [
        Denial::Called,
        Denial::Calling,
        Denial::User,
        Denial::ApplicationContext,
        Denial::ProtocolVersion,
        Denial::Crowded,
    ];

    #[must_use]
    pub fn when(self) -> &'static str {
        match self {
            Denial::Called => "the called AE title is none of ours",
            Denial::Calling => "the calling AE title or its address is not on the lists (`allow`, `networks`)",
            Denial::User => "no user identity, or not that of a user (`users`)",
            Denial::ApplicationContext => "an application context other than DICOM's",
            Denial::ProtocolVersion => "another version of the protocol",
            Denial::Crowded => {
                "all associations, or all of this address, are taken (`max_associations`, `max_associations_per_peer`)"
            }
        }
    }

    #[must_use]
    pub fn pdu(self) -> Pdu {
        let result = match self {
            Denial::Crowded => AssociationRJResult::Transient,
            _ => AssociationRJResult::Permanent,
        };
        Pdu::AssociationRJ(AssociationRJ { result, source: self.source() })
    }

    fn source(self) -> AssociationRJSource {
        use AssociationRJServiceUserReason as User;
        match self {
            Denial::Called => AssociationRJSource::ServiceUser(User::CalledAETitleNotRecognized),
            Denial::Calling => AssociationRJSource::ServiceUser(User::CallingAETitleNotRecognized),
            Denial::User => AssociationRJSource::ServiceUser(User::NoReasonGiven),
            Denial::ApplicationContext => AssociationRJSource::ServiceUser(User::ApplicationContextNameNotSupported),
            Denial::ProtocolVersion => AssociationRJSource::ServiceProviderASCE(
                AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported,
            ),
            Denial::Crowded => AssociationRJSource::ServiceProviderPresentation(
                AssociationRJServiceProviderPresentationReason::LocalLimitExceeded,
            ),
        }
    }
}

/// What an association is aborted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    UnknownPdu,
    UnexpectedPdu,
    InvalidParameter,
    /// Nobody's fault that the standard has a code for.
    Other,
}

impl Breach {
    pub const ALL: [Breach; 4] = [Breach::UnknownPdu, Breach::UnexpectedPdu, Breach::InvalidParameter, Breach::Other];

    #[must_use]
    pub fn when(self) -> &'static str {
        match self {
            Breach::UnknownPdu => "a PDU of an unknown type",
            Breach::UnexpectedPdu => "a PDU that may not come now, P-DATA before the association among them",
            Breach::InvalidParameter => {
                "a PDU over the length announced, a data value that does not fit its PDU, in a context that was not accepted \
                 or in another one than its message, a data set without command, a command set over 64 KiB or that cannot \
                 be read, a response that nobody asked for"
            }
            Breach::Other => "a time limit is over, or the node stops",
        }
    }

    /// A-ABORT by the service provider.
    #[must_use]
    pub fn pdu(self) -> Pdu {
        let reason = match self {
            Breach::UnknownPdu => AbortRQServiceProviderReason::UnrecognizedPdu,
            Breach::UnexpectedPdu => AbortRQServiceProviderReason::UnexpectedPdu,
            Breach::InvalidParameter => AbortRQServiceProviderReason::InvalidPduParameter,
            Breach::Other => AbortRQServiceProviderReason::ReasonNotSpecified,
        };
        Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) }
    }
}
