//! Audit messages (PS3.15 section A.5.1, derived from RFC 3881) of what happened. Pure: values in, XML out.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::event::{Event, Patient, Peer, Study, Transfer};
use crate::clock::Millis;

/// Who reports.
#[derive(Debug, Clone)]
pub struct Source {
    /// AE titles of the node, the own one first.
    pub titles: Vec<String>,
    pub host: String,
    pub process: u32,
    /// Whether messages name patients.
    pub patients: bool,
}

/// Code, meaning (CID 400 to 405 of PS3.16).
type Code = (&'static str, &'static str);

const APPLICATION_ACTIVITY: Code = ("110100", "Application Activity");
const BEGIN_TRANSFERRING: Code = ("110102", "Begin Transferring DICOM Instances");
const TRANSFERRED: Code = ("110104", "DICOM Instances Transferred");
const SECURITY_ALERT: Code = ("110113", "Security Alert");
const START: Code = ("110120", "Application Start");
const STOP: Code = ("110121", "Application Stop");
const NODE_AUTHENTICATION: Code = ("110126", "Node Authentication");
const SOFTWARE_CONFIGURATION: Code = ("110131", "Software Configuration");
const RESTRICTED_FUNCTION: Code = ("110132", "Use of Restricted Function");
const APPLICATION: Code = ("110150", "Application");
const DESTINATION_ROLE: Code = ("110152", "Destination Role ID");
const SOURCE_ROLE: Code = ("110153", "Source Role ID");
const STUDY_UID: Code = ("110180", "Study Instance UID");
const NODE_ID: Code = ("110182", "Node ID");

/// The message of `event`, one line.
#[must_use]
pub fn message(event: &Event, source: &Source, at: Millis) -> String {
    let body = match event {
        Event::Started => activity(source, at, START),
        Event::Stopped => activity(source, at, STOP),
        Event::TurnedAway { peer, why } => {
            let participants = [node(source, false, None), person(&peer.title, peer.address.as_deref(), true)];
            let alert = identified(SECURITY_ALERT, Some(NODE_AUTHENTICATION), "E", at, Some(why));
            [alert, participants.concat(), reporter(source), alerted(&source.host, why)].concat()
        }
        Event::Acted { who, what } => used(source, at, RESTRICTED_FUNCTION, who, what),
        Event::Configured { who, what } => used(source, at, SOFTWARE_CONFIGURATION, who, what),
        Event::Receiving(transfer) => received(source, at, BEGIN_TRANSFERRING, "E", transfer),
        Event::Received(transfer) => received(source, at, TRANSFERRED, "C", transfer),
        Event::Sent(transfer) => {
            let event = identified(TRANSFERRED, None, "C", at, transfer.failure.as_deref());
            let participants = [node(source, true, Some(SOURCE_ROLE)), other(&transfer.peer, false, DESTINATION_ROLE)];
            [event, participants.concat(), reporter(source), objects(source, transfer)].concat()
        }
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage>{body}</AuditMessage>")
}

fn activity(source: &Source, at: Millis, what: Code) -> String {
    let event = identified(APPLICATION_ACTIVITY, Some(what), "E", at, None);
    [event, node(source, false, Some(APPLICATION)), reporter(source)].concat()
}

fn used(source: &Source, at: Millis, kind: Code, who: &str, what: &str) -> String {
    let event = identified(SECURITY_ALERT, Some(kind), "E", at, None);
    [event, node(source, false, None), person(who, None, true), reporter(source), alerted(&source.host, what)].concat()
}

fn received(source: &Source, at: Millis, what: Code, action: &str, transfer: &Transfer) -> String {
    let event = identified(what, None, action, at, transfer.failure.as_deref());
    let participants = [other(&transfer.peer, true, SOURCE_ROLE), node(source, false, Some(DESTINATION_ROLE))];
    [event, participants.concat(), reporter(source), objects(source, transfer)].concat()
}

/// 0: success; 8: serious failure, and why (section A.5.1.2).
fn identified(id: Code, kind: Option<Code>, action: &str, at: Millis, failure: Option<&str>) -> String {
    let time = at.utc().map(|utc| utc.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)).unwrap_or_default();
    let outcome = if failure.is_some() { 8 } else { 0 };
    let kind = kind.map(|kind| coded("EventTypeCode", kind)).unwrap_or_default();
    let why = failure
        .map(|why| format!("<EventOutcomeDescription>{}</EventOutcomeDescription>", escaped(why)))
        .unwrap_or_default();
    format!(
        "<EventIdentification EventActionCode=\"{action}\" EventDateTime=\"{time}\" EventOutcomeIndicator=\"{outcome}\">\
         {}{kind}{why}</EventIdentification>",
        coded("EventID", id)
    )
}

fn coded(element: &str, (code, meaning): Code) -> String {
    format!("<{element} csd-code=\"{code}\" codeSystemName=\"DCM\" originalText=\"{meaning}\"/>")
}

/// This node (section A.5.2: UserID is the process, AlternativeUserID holds the AE titles).
fn node(source: &Source, requestor: bool, role: Option<Code>) -> String {
    let titles = escaped(&format!("AETITLES={}", source.titles.join(";")));
    let (process, host) = (source.process, escaped(&source.host));
    let role = role.map(|role| coded("RoleIDCode", role)).unwrap_or_default();
    format!(
        "<ActiveParticipant UserID=\"{process}\" AlternativeUserID=\"{titles}\" UserIsRequestor=\"{requestor}\" \
         NetworkAccessPointID=\"{host}\" NetworkAccessPointTypeCode=\"1\">{role}</ActiveParticipant>"
    )
}

fn other(peer: &Peer, requestor: bool, role: Code) -> String {
    participant(&peer.title, peer.address.as_deref(), requestor, &coded("RoleIDCode", role))
}

fn person(name: &str, address: Option<&str>, requestor: bool) -> String {
    participant(name, address, requestor, "")
}

fn participant(name: &str, address: Option<&str>, requestor: bool, inside: &str) -> String {
    let is_ip = address.is_some_and(|address| address.parse::<std::net::IpAddr>().is_ok());
    let access = address.map(|address| {
        let (address, kind) = (escaped(address), if is_ip { 2 } else { 1 });
        format!(" NetworkAccessPointID=\"{address}\" NetworkAccessPointTypeCode=\"{kind}\"")
    });
    let (name, access) = (escaped(name), access.unwrap_or_default());
    format!("<ActiveParticipant UserID=\"{name}\" UserIsRequestor=\"{requestor}\"{access}>{inside}</ActiveParticipant>")
}

/// 4: an application server process.
fn reporter(source: &Source) -> String {
    let title = escaped(source.titles.first().map_or("SAGITTAL", String::as_str));
    format!(
        "<AuditSourceIdentification AuditSourceID=\"{title}\"><AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>"
    )
}

/// The subject of a security alert (table A.5.3.11-1): this node, with what happened.
fn alerted(host: &str, what: &str) -> String {
    format!(
        "<ParticipantObjectIdentification ParticipantObjectID=\"{0}\" ParticipantObjectTypeCode=\"2\" \
         ParticipantObjectTypeCodeRole=\"13\">{1}<ParticipantObjectName>{0}</ParticipantObjectName>\
         <ParticipantObjectDetail type=\"Alert Description\" value=\"{2}\"/></ParticipantObjectIdentification>",
        escaped(host),
        coded("ParticipantObjectIDTypeCode", NODE_ID),
        STANDARD.encode(what)
    )
}

fn objects(source: &Source, transfer: &Transfer) -> String {
    let mut text = String::new();
    for study in &transfer.studies {
        text += &study_object(study);
        // the study is required with its patient; without the patient only where it was switched off, or is not known
        if let Some(patient) = study.patient.as_ref().filter(|_| source.patients) {
            text += &patient_object(patient);
        }
    }
    text
}

fn study_object(study: &Study) -> String {
    let mut classes = String::new();
    for (class, count) in &study.classes {
        let _ = write!(classes, "<SOPClass UID=\"{}\" NumberOfInstances=\"{count}\"/>", escaped(class));
    }
    let uid = escaped(&study.uid);
    format!(
        "<ParticipantObjectIdentification ParticipantObjectID=\"{uid}\" ParticipantObjectTypeCode=\"2\" \
         ParticipantObjectTypeCodeRole=\"3\">{}<ParticipantObjectName>{uid}</ParticipantObjectName>\
         <ParticipantObjectDescription>{classes}</ParticipantObjectDescription></ParticipantObjectIdentification>",
        coded("ParticipantObjectIDTypeCode", STUDY_UID)
    )
}

/// Code 2 of RFC 3881: patient number.
fn patient_object(patient: &Patient) -> String {
    format!(
        "<ParticipantObjectIdentification ParticipantObjectID=\"{}\" ParticipantObjectTypeCode=\"1\" \
         ParticipantObjectTypeCodeRole=\"1\"><ParticipantObjectIDTypeCode csd-code=\"2\" codeSystemName=\"RFC-3881\" \
         originalText=\"Patient Number\"/><ParticipantObjectName>{}</ParticipantObjectName></ParticipantObjectIdentification>",
        escaped(&patient.id),
        escaped(&patient.name)
    )
}

/// As text and as an attribute's value; control characters, which XML 1.0 has no place for, are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(patients: bool) -> Source {
        Source { titles: vec!["SAGITTAL".to_owned(), "CT-AI".to_owned()], host: "ai1".to_owned(), process: 7, patients }
    }

    #[test]
    fn texts_of_others_cannot_end_an_element() {
        let event = Event::Acted { who: "a\"<b>&\u{1}".to_owned(), what: "x".to_owned() };
        let text = message(&event, &source(true), Millis(0));
        assert!(text.contains("UserID=\"a&quot;&lt;b&gt;&amp; \""), "{text}");
        assert!(text.contains("EventDateTime=\"1970-01-01T00:00:00.000Z\""), "{text}");
    }

    #[test]
    fn a_patient_is_named_only_where_that_is_wanted() {
        let patient = Patient { id: "4711".to_owned(), name: "Doe^Jane".to_owned() };
        let study = Study { uid: "1.2".to_owned(), patient: Some(patient), classes: vec![("1.2.3".to_owned(), 5)] };
        let peer = Peer { title: "CT1".to_owned(), address: Some("192.0.2.1".to_owned()) };
        let event = Event::Received(Transfer { peer, studies: vec![study], failure: None });
        let [with, without] = [true, false].map(|patients| message(&event, &source(patients), Millis(0)));
        assert!(with.contains("Doe^Jane") && with.contains("4711"), "{with}");
        assert!(!without.contains("Doe") && !without.contains("4711"), "{without}");
        assert!(without.contains("<SOPClass UID=\"1.2.3\" NumberOfInstances=\"5\"/>"), "{without}");
    }
}
