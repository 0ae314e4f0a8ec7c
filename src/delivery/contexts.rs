//! Presentation contexts: which ones objects need, and what a peer's answer says about the peer (PS3.8 section
//! 9.3.2.2). No more is proposed than the objects at hand can use.

use super::part10::is_convertible;
use crate::dicom::services::Proposed;
use crate::dicom::{Learned, Uid, tables};

/// Presentation context IDs are the odd numbers up to 255 (PS3.8 section 9.3.2.2).
pub const MAX_CONTEXTS: usize = 128;

/// A presentation context to be proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub abstract_syntax: String,
    pub transfer_syntaxes: Vec<String>,
}

impl Proposal {
    #[must_use]
    pub fn new(abstract_syntax: &str, transfer_syntaxes: &[&str]) -> Proposal {
        let transfer_syntaxes = transfer_syntaxes.iter().map(|&syntax| syntax.to_owned()).collect();
        Proposal { abstract_syntax: abstract_syntax.to_owned(), transfer_syntaxes }
    }

    /// Of a service of the table.
    #[must_use]
    pub fn of(service: &Proposed) -> Proposal {
        Proposal::new(service.sop_class, service.transfer_syntaxes)
    }
}

/// An accepted context: ID and transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub id: u8,
    pub transfer_syntax: String,
}

/// The contexts that objects of these (SOP class, transfer syntax) pairs need: one with their own syntax and,
/// where conversion is possible, one with the syntaxes every peer knows.
#[must_use]
pub fn proposals<'a>(objects: impl IntoIterator<Item = (&'a Uid, &'a Uid)>) -> Vec<Proposal> {
    let mut wanted: Vec<Proposal> = Vec::new();
    let mut add = |class: &Uid, syntaxes: &[&str]| {
        let proposal = Proposal::new(class.as_str(), syntaxes);
        if !wanted.contains(&proposal) {
            wanted.push(proposal);
        }
    };
    for (class, syntax) in objects {
        add(class, &[syntax.as_str()]);
        if is_convertible(syntax.as_str()) {
            add(class, &[tables::EXPLICIT_LITTLE, tables::IMPLICIT_LITTLE]);
        }
    }
    wanted
}

/// What the answer to `proposals` tells; `accepted`: the transfer syntax taken in the context at each place. Of several
/// syntaxes in one context the peer chooses one and says nothing of the others.
#[must_use]
pub fn learned(proposals: &[Proposal], accepted: impl Fn(usize) -> Option<String>) -> Vec<Learned> {
    let mut known: Vec<Learned> = Vec::new();
    for (place, proposal) in proposals.iter().enumerate() {
        let answer = match accepted(place) {
            Some(syntax) => vec![(syntax, true)],
            None => proposal.transfer_syntaxes.iter().map(|syntax| (syntax.clone(), false)).collect(),
        };
        known.extend(answer.into_iter().map(|(transfer_syntax, accepted)| Learned {
            sop_class: proposal.abstract_syntax.clone(),
            transfer_syntax,
            accepted,
        }));
    }
    known.sort();
    known.dedup();
    known
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
    const MPEG2: &str = "1.2.840.10008.1.2.4.100";

    #[test]
    fn contexts_are_proposed_once_and_with_a_way_out() {
        let uid = |text: &str| Uid::parse(text).unwrap();
        let (mr, ct) = (uid("1.2.840.10008.5.1.4.1.1.4"), uid("1.2.840.10008.5.1.4.1.1.2"));
        let (implicit, jpeg, mpeg) = (uid(tables::IMPLICIT_LITTLE), uid(JPEG_LOSSLESS), uid(MPEG2));
        let got = proposals([(&mr, &implicit), (&mr, &implicit), (&ct, &jpeg), (&ct, &mpeg)]);
        let everyones = &[tables::EXPLICIT_LITTLE, tables::IMPLICIT_LITTLE];
        let expected = vec![
            Proposal::new(mr.as_str(), &[tables::IMPLICIT_LITTLE]),
            Proposal::new(mr.as_str(), everyones),
            Proposal::new(ct.as_str(), &[JPEG_LOSSLESS]),
            Proposal::new(ct.as_str(), everyones),
            Proposal::new(ct.as_str(), &[MPEG2]),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn an_answer_tells_what_the_peer_takes() {
        let proposals = [
            Proposal::new("1.2", &[tables::EXPLICIT_LITTLE, tables::IMPLICIT_LITTLE]),
            Proposal::new("1.2", &[JPEG_LOSSLESS]),
        ];
        let known = learned(&proposals, |place| (place == 0).then(|| tables::EXPLICIT_LITTLE.to_owned()));
        let row =
            |syntax: &str, accepted| Learned { sop_class: "1.2".into(), transfer_syntax: syntax.into(), accepted };
        assert_eq!(known, [row(tables::EXPLICIT_LITTLE, true), row(JPEG_LOSSLESS, false)]);
        assert_eq!(learned(&proposals, |_| None).len(), 3);
    }
}
