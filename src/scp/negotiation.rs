//! Association negotiation: the answer to an A-ASSOCIATE-RQ (PS3.8 sections 7.1.1 and 9.3.2 to 9.3.4).
//!
//! Pure: a request, the options and the peer's address in, an acceptance or the reason of a rejection out.
//! dicom-ul's own negotiation is not used: it filters transfer syntaxes by what its registry knows, where this
//! node keeps objects as received, and it cannot say "local limit exceeded".

use std::collections::BTreeMap;
use std::net::IpAddr;

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, RequestorRoles, UserIdentity, UserIdentityType, UserVariableItem,
};

use super::ScpOptions;
use super::refused::Denial;
use crate::config::AeProfile;
use crate::dicom::{services, tables};

const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// Asynchronous Operations Window sub-item (PS3.7 section D.3.3.3), and one operation at a time either way.
const OPERATIONS_WINDOW: u8 = 0x53;
const SYNCHRONOUS: [u8; 4] = [0, 1, 0, 1];
/// User Identity sub-item of an A-ASSOCIATE-AC (PS3.7 section D.3.3.7.2) with a server response of no bytes.
const IDENTITY_ANSWER: u8 = 0x59;
const NO_SERVER_RESPONSE: [u8; 2] = [0, 0];

/// An accepted presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub abstract_syntax: String,
    pub transfer_syntax: String,
    /// May objects be stored in it?
    pub is_storage: bool,
}

/// An accepted association.
#[derive(Debug)]
pub struct Accepted {
    pub answer: AssociationAC,
    pub contexts: BTreeMap<u8, Context>,
    pub calling: String,
    pub called: String,
    pub may_store: bool,
    /// Largest PDU that the peer takes, bytes; 0: any.
    pub peer_max_pdu: u32,
}

/// Answers `request`. An association none of whose contexts is accepted is accepted all the same
/// (PS3.8 section 7.1.1.14): the contexts' results say why.
pub fn answer(request: &AssociationRQ, peer: IpAddr, options: &ScpOptions) -> Result<Accepted, Denial> {
    let calling = trimmed(&request.calling_ae_title);
    let called = trimmed(&request.called_ae_title);
    let profile = permit(request, calling, called, peer, options)?;
    let results: Vec<_> =
        request.presentation_contexts.iter().map(|proposed| result(proposed, request, profile)).collect();
    let accepted = request.presentation_contexts.iter().zip(&results);
    let contexts = accepted
        .filter(|(_, result)| result.reason == PresentationContextResultReason::Acceptance)
        .map(|(proposed, result)| {
            let abstract_syntax = trimmed(&proposed.abstract_syntax).to_owned();
            let (transfer_syntax, is_storage) = (result.transfer_syntax.clone(), profile.stores(&abstract_syntax));
            (proposed.id, Context { abstract_syntax, transfer_syntax, is_storage })
        })
        .collect();
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables: user_variables(request, options, profile),
    };
    let peer_max_pdu = request.user_variables.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    let may_store = profile.may_store(calling);
    let (calling, called) = (calling.to_owned(), called.to_owned());
    Ok(Accepted { answer, contexts, calling, called, may_store, peer_max_pdu: peer_max_pdu.unwrap_or(0) })
}

/// Our side of the user information; what is not in here (extended negotiation) is not supported, which its
/// absence says (PS3.7 section D.3.3.5).
fn user_variables(request: &AssociationRQ, options: &ScpOptions, profile: &AeProfile) -> Vec<UserVariableItem> {
    let mut ours = vec![
        UserVariableItem::MaxLength(options.max_pdu),
        UserVariableItem::ImplementationClassUID(crate::dicom::IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(crate::dicom::IMPLEMENTATION_VERSION_NAME.to_owned()),
    ];
    ours.extend(request.user_variables.iter().filter_map(|item| match item {
        UserVariableItem::Unknown(OPERATIONS_WINDOW, _) => {
            Some(UserVariableItem::Unknown(OPERATIONS_WINDOW, SYNCHRONOUS.to_vec()))
        }
        UserVariableItem::ScuScpRoleSelectionSubItem(class, proposed) if serves(trimmed(class), profile) => {
            // A provider of storage commitment that calls us brings a report of what we asked for.
            let scp = proposed.scp && trimmed(class) == tables::STORAGE_COMMITMENT;
            let roles = RequestorRoles { scu: proposed.scu, scp };
            Some(UserVariableItem::ScuScpRoleSelectionSubItem(trimmed(class).to_owned(), roles))
        }
        UserVariableItem::UserIdentityItem(identity) if answers(identity) => {
            Some(UserVariableItem::Unknown(IDENTITY_ANSWER, NO_SERVER_RESPONSE.to_vec()))
        }
        _ => None,
    }));
    ours
}

/// A positive response is made where it is asked for and needs no ticket of ours: to a name, with or without a
/// passcode. Other identities are accepted without response, as one that is not supported.
fn answers(identity: &UserIdentity) -> bool {
    is_named(identity) && identity.positive_response_requested()
}

fn is_named(identity: &UserIdentity) -> bool {
    matches!(identity.identity_type(), UserIdentityType::Username | UserIdentityType::UsernamePassword)
}

fn serves(class: &str, profile: &AeProfile) -> bool {
    services::is_provided(class) || profile.stores(class)
}

/// Does the requestor give up the role of user, the only one we have use for but in storage commitment (PS3.7
/// section D.3.3.4)?
fn gives_up_user_role(request: &AssociationRQ, class: &str) -> bool {
    let only_user = class != tables::STORAGE_COMMITMENT;
    only_user
        && request.user_variables.iter().any(|item| match item {
            UserVariableItem::ScuScpRoleSelectionSubItem(named, roles) => trimmed(named) == class && !roles.scu,
            _ => false,
        })
}

fn permit<'o>(
    request: &AssociationRQ,
    calling: &str,
    called: &str,
    peer: IpAddr,
    options: &'o ScpOptions,
) -> Result<&'o AeProfile, Denial> {
    // PS3.8 table 9-11: only bit 0 is tested.
    if request.protocol_version & 1 == 0 {
        return Err(Denial::ProtocolVersion);
    }
    if trimmed(&request.application_context_name) != APPLICATION_CONTEXT {
        return Err(Denial::ApplicationContext);
    }
    let profile = options.profile_of(called).ok_or(Denial::Called)?;
    if !profile.admits(calling, peer) {
        return Err(Denial::Calling);
    }
    if !profile.users.is_empty() && !is_known_user(request, profile) {
        return Err(Denial::User);
    }
    Ok(profile)
}

/// Does the user identity of the request (PS3.7 section D.3.3.7) belong to one of the profile's users?
fn is_known_user(request: &AssociationRQ, profile: &AeProfile) -> bool {
    request.user_variables.iter().any(|item| match item {
        UserVariableItem::UserIdentityItem(identity) if is_named(identity) => {
            profile.users.know(&identity.primary_field(), &identity.secondary_field())
        }
        _ => false,
    })
}

fn result(
    proposed: &PresentationContextProposed,
    request: &AssociationRQ,
    profile: &AeProfile,
) -> PresentationContextResult {
    use PresentationContextResultReason as Reason;
    let abstract_syntax = trimmed(&proposed.abstract_syntax);
    let (reason, transfer_syntax) = match chosen_syntax(proposed, abstract_syntax, profile) {
        _ if !serves(abstract_syntax, profile) => (Reason::AbstractSyntaxNotSupported, tables::IMPLICIT_LITTLE),
        _ if gives_up_user_role(request, abstract_syntax) => (Reason::UserRejection, tables::IMPLICIT_LITTLE),
        None => (Reason::TransferSyntaxesNotSupported, tables::IMPLICIT_LITTLE),
        Some(syntax) => (Reason::Acceptance, syntax),
    };
    PresentationContextResult { id: proposed.id, reason, transfer_syntax: transfer_syntax.to_owned() }
}

/// The best of those the profile prefers, else the first of the requestor's list that we take: the requestor
/// knows how its objects lie.
fn chosen_syntax<'p>(
    proposed: &'p PresentationContextProposed,
    abstract_syntax: &str,
    profile: &AeProfile,
) -> Option<&'p str> {
    let is_provided = services::is_provided(abstract_syntax);
    let taken = |syntax: &&str| {
        if is_provided { services::PROVIDED_SYNTAXES.contains(syntax) } else { tables::is_storage_syntax(syntax) }
    };
    let offered = || proposed.transfer_syntaxes.iter().map(|syntax| trimmed(syntax)).filter(taken);
    let preferred = profile.prefer.iter().find_map(|best| offered().find(|syntax| *syntax == best.as_str()));
    preferred.or_else(|| offered().next())
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(['\0', ' '])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::dicom::AeTitle;

    const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
    const FAR: &str = "10.0.0.7";

    fn title(text: &str) -> AeTitle {
        AeTitle::parse(text).unwrap()
    }

    fn options() -> ScpOptions {
        let profile = AeProfile { allow: vec![title("MODALITY")], ..AeProfile::default() };
        ScpOptions { profile, ..ScpOptions::loopback(title("SAGITTAL")) }
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
    fn a_profile_says_which_classes_and_which_syntax_first() {
        use PresentationContextResultReason as Reason;
        let uid = |text: &str| crate::dicom::Uid::parse(text).unwrap();
        let profile = AeProfile {
            allow: vec![title("MODALITY")],
            classes: Some([uid(MR)].into()),
            private_classes: [uid("1.2.3")].into(),
            prefer: vec![uid(tables::EXPLICIT_LITTLE)],
            ..AeProfile::default()
        };
        let options = ScpOptions { profile, ..options() };
        let check = |class: &str, syntaxes: &[&str], expected: (Reason, &str)| {
            let accepted = answer(&request(&[(5, class, syntaxes)]), FAR.parse().unwrap(), &options).unwrap();
            let result = &accepted.answer.presentation_contexts[0];
            assert_eq!((result.reason.clone(), result.transfer_syntax.as_str()), expected, "{class} {syntaxes:?}");
        };
        let (implicit, explicit, jpeg) = (tables::IMPLICIT_LITTLE, tables::EXPLICIT_LITTLE, "1.2.840.10008.1.2.4.70");
        check(MR, &[implicit, jpeg, explicit], (Reason::Acceptance, explicit));
        check(MR, &[jpeg, implicit], (Reason::Acceptance, jpeg));
        check("1.2.3", &[implicit], (Reason::Acceptance, implicit));
        check("1.2.840.10008.5.1.4.1.1.2", &[implicit], (Reason::AbstractSyntaxNotSupported, implicit));
        check(tables::VERIFICATION, &[implicit], (Reason::Acceptance, implicit));
    }

    #[test]
    fn access_follows_titles_and_addresses() {
        let check = |change: &dyn Fn(&mut AssociationRQ, &mut ScpOptions), peer: &str, expected: Option<Denial>| {
            let (mut request, mut options) = (request(&[]), options());
            change(&mut request, &mut options);
            assert_eq!(answer(&request, peer.parse().unwrap(), &options).err(), expected);
        };
        check(&|_, _| (), FAR, None);
        check(&|r, _| r.calling_ae_title = "OTHER".into(), FAR, Some(Denial::Calling));
        check(&|r, _| r.called_ae_title = "OTHER".into(), FAR, Some(Denial::Called));
        check(&|_, o| o.profile.allow.clear(), FAR, Some(Denial::Calling));
        check(&|_, o| o.profile.allow.clear(), "127.0.0.1", None);
        check(&|_, o| o.profile.allow.clear(), "::ffff:127.0.0.1", None);
        let other = |r: &mut AssociationRQ, o: &mut ScpOptions| {
            r.called_ae_title = "CT-AI".into();
            o.profiles.insert(title("CT-AI"), AeProfile { allow: vec![title("CT1")], ..AeProfile::default() });
        };
        check(&other, FAR, Some(Denial::Calling));
        let known = |r: &mut AssociationRQ, o: &mut ScpOptions| {
            other(r, o);
            r.calling_ae_title = "CT1".into();
        };
        check(&known, FAR, None);
        check(
            &|r, o| {
                r.called_ae_title = "OTHER".into();
                o.accept_any_called = true;
            },
            FAR,
            None,
        );
        let wrong_application = |r: &mut AssociationRQ, _: &mut ScpOptions| r.application_context_name = "1.2".into();
        check(&wrong_application, FAR, Some(Denial::ApplicationContext));
    }
}
