//! Association negotiation: the answer to an A-ASSOCIATE-RQ (PS3.8 sections 7.1.1 and 9.3.2 to 9.3.4).
//!
//! Pure: a request, the options and the peer's address in, an acceptance or the reason of a rejection out.
//! dicom-ul's own negotiation is not used: it filters transfer syntaxes by what its registry knows, where this
//! node keeps objects as received, and it cannot say "local limit exceeded".

use std::collections::BTreeMap;
use std::net::IpAddr;

use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason, AssociationRJSource, AssociationRQ,
    PresentationContextProposed, PresentationContextResult, PresentationContextResultReason, UserVariableItem,
};

use super::ScpOptions;
use crate::dicom::tables;

const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// An accepted presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub abstract_syntax: String,
    pub transfer_syntax: String,
}

/// An accepted association.
#[derive(Debug)]
pub struct Accepted {
    pub answer: AssociationAC,
    pub contexts: BTreeMap<u8, Context>,
    pub calling: String,
    pub called: String,
}

/// Answers `request`. An association none of whose contexts is accepted is accepted all the same
/// (PS3.8 section 7.1.1.14): the contexts' results say why.
pub fn answer(request: &AssociationRQ, peer: IpAddr, options: &ScpOptions) -> Result<Accepted, AssociationRJ> {
    let calling = trimmed(&request.calling_ae_title);
    let called = trimmed(&request.called_ae_title);
    permit(request, calling, called, peer, options).map_err(rejected)?;
    let results: Vec<_> = request.presentation_contexts.iter().map(result).collect();
    let accepted = request.presentation_contexts.iter().zip(&results);
    let contexts = accepted
        .filter(|(_, result)| result.reason == PresentationContextResultReason::Acceptance)
        .map(|(proposed, result)| {
            let abstract_syntax = trimmed(&proposed.abstract_syntax).to_owned();
            (proposed.id, Context { abstract_syntax, transfer_syntax: result.transfer_syntax.clone() })
        })
        .collect();
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables: vec![
            UserVariableItem::MaxLength(options.max_pdu),
            UserVariableItem::ImplementationClassUID(crate::dicom::IMPLEMENTATION_CLASS_UID.to_owned()),
            UserVariableItem::ImplementationVersionName(crate::dicom::IMPLEMENTATION_VERSION_NAME.to_owned()),
        ],
    };
    Ok(Accepted { answer, contexts, calling: calling.to_owned(), called: called.to_owned() })
}

/// The rejection of a peer that comes when all places are taken: it may try again.
#[must_use]
pub fn crowded() -> AssociationRJ {
    let reason = AssociationRJServiceProviderPresentationReason::LocalLimitExceeded;
    AssociationRJ {
        result: AssociationRJResult::Transient,
        source: AssociationRJSource::ServiceProviderPresentation(reason),
    }
}

fn rejected(source: AssociationRJSource) -> AssociationRJ {
    AssociationRJ { result: AssociationRJResult::Permanent, source }
}

fn permit(
    request: &AssociationRQ,
    calling: &str,
    called: &str,
    peer: IpAddr,
    options: &ScpOptions,
) -> Result<(), AssociationRJSource> {
    use AssociationRJServiceUserReason as User;
    // PS3.8 table 9-11: only bit 0 is tested.
    if request.protocol_version & 1 == 0 {
        let reason = AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported;
        return Err(AssociationRJSource::ServiceProviderASCE(reason));
    }
    if trimmed(&request.application_context_name) != APPLICATION_CONTEXT {
        return Err(AssociationRJSource::ServiceUser(User::ApplicationContextNameNotSupported));
    }
    if !options.accept_any_called && called != options.ae_title.as_str() {
        return Err(AssociationRJSource::ServiceUser(User::CalledAETitleNotRecognized));
    }
    let known = if options.allowed_calling.is_empty() {
        options.open || peer.to_canonical().is_loopback()
    } else {
        options.allowed_calling.iter().any(|title| title.as_str() == calling)
    };
    if known { Ok(()) } else { Err(AssociationRJSource::ServiceUser(User::CallingAETitleNotRecognized)) }
}

/// The first transfer syntax of the requestor's list that we take: the requestor knows how its objects lie.
fn result(proposed: &PresentationContextProposed) -> PresentationContextResult {
    use PresentationContextResultReason as Reason;
    let abstract_syntax = trimmed(&proposed.abstract_syntax);
    let taken = |syntax: &&str| match abstract_syntax {
        tables::VERIFICATION | tables::STORAGE_COMMITMENT => {
            matches!(*syntax, tables::IMPLICIT_LITTLE | tables::EXPLICIT_LITTLE)
        }
        _ => tables::is_storage_syntax(syntax),
    };
    let is_service = matches!(abstract_syntax, tables::VERIFICATION | tables::STORAGE_COMMITMENT);
    let known = is_service || tables::is_storage_class(abstract_syntax);
    let chosen = proposed.transfer_syntaxes.iter().map(|syntax| trimmed(syntax)).find(taken);
    let (reason, transfer_syntax) = match (known, chosen) {
        (false, _) => (Reason::AbstractSyntaxNotSupported, tables::IMPLICIT_LITTLE),
        (true, None) => (Reason::TransferSyntaxesNotSupported, tables::IMPLICIT_LITTLE),
        (true, Some(syntax)) => (Reason::Acceptance, syntax),
    };
    PresentationContextResult { id: proposed.id, reason, transfer_syntax: transfer_syntax.to_owned() }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(['\0', ' '])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::dicom::AeTitle;
    use std::time::Duration;

    const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
    const FAR: &str = "10.0.0.7";

    fn options() -> ScpOptions {
        ScpOptions {
            ae_title: AeTitle::parse("SAGITTAL").unwrap(),
            allowed_calling: vec![AeTitle::parse("MODALITY").unwrap()],
            open: false,
            accept_any_called: false,
            max_pdu: 16384,
            max_associations: 1,
            max_object: 1,
            idle_timeout: Duration::from_secs(1),
            artim_timeout: Duration::from_secs(1),
        }
    }

    fn request(contexts: &[(u8, &str, &[&str])]) -> AssociationRQ {
        let proposed = |(id, class, syntaxes): &(u8, &str, &[&str])| PresentationContextProposed {
            id: *id,
            abstract_syntax: (*class).to_owned(),
            transfer_syntaxes: syntaxes.iter().map(|s| (*s).to_owned()).collect(),
        };
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "MODALITY".into(),
            called_ae_title: "SAGITTAL".into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: contexts.iter().map(proposed).collect(),
            user_variables: Vec::new(),
        }
    }

    #[test]
    fn contexts_get_the_first_syntax_that_is_known() {
        use PresentationContextResultReason as Reason;
        let check = |context: (&str, &[&str]), expected: (Reason, &str)| {
            let accepted = answer(&request(&[(5, context.0, context.1)]), FAR.parse().unwrap(), &options()).unwrap();
            let (reason, syntax) = expected;
            let result = PresentationContextResult { id: 5, reason, transfer_syntax: syntax.to_owned() };
            assert_eq!(accepted.answer.presentation_contexts, vec![result], "{context:?}");
        };
        let implicit = tables::IMPLICIT_LITTLE;
        check((MR, &["1.2.840.10008.1.2.4.203", implicit]), (Reason::Acceptance, "1.2.840.10008.1.2.4.203"));
        check((MR, &["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2\0"]), (Reason::Acceptance, implicit));
        check(("1.2.840.10008.1.1", &["1.2.840.10008.1.2.4.50"]), (Reason::TransferSyntaxesNotSupported, implicit));
        check(("1.2.840.10008.1.1\0", &[implicit]), (Reason::Acceptance, implicit));
        check((MR, &[]), (Reason::TransferSyntaxesNotSupported, implicit));
        check(("1.2.3", &[implicit]), (Reason::AbstractSyntaxNotSupported, implicit));
    }

    #[test]
    fn access_follows_titles_and_addresses() {
        use AssociationRJServiceUserReason as User;
        let check = |change: &dyn Fn(&mut AssociationRQ, &mut ScpOptions), peer: &str, expected: Option<User>| {
            let (mut request, mut options) = (request(&[]), options());
            change(&mut request, &mut options);
            let rejection = answer(&request, peer.parse().unwrap(), &options).err().map(|rejection| rejection.source);
            assert_eq!(rejection, expected.map(AssociationRJSource::ServiceUser));
        };
        check(&|_, _| (), FAR, None);
        check(&|r, _| r.calling_ae_title = "OTHER".into(), FAR, Some(User::CallingAETitleNotRecognized));
        check(&|r, _| r.called_ae_title = "OTHER".into(), FAR, Some(User::CalledAETitleNotRecognized));
        check(&|_, o| o.allowed_calling.clear(), FAR, Some(User::CallingAETitleNotRecognized));
        check(&|_, o| o.allowed_calling.clear(), "127.0.0.1", None);
        check(&|_, o| o.allowed_calling.clear(), "::ffff:127.0.0.1", None);
        let wrong_application = |r: &mut AssociationRQ, _: &mut ScpOptions| r.application_context_name = "1.2".into();
        check(&wrong_application, FAR, Some(User::ApplicationContextNameNotSupported));
    }
}
