//! The answer to STOW-RS: what was stored and what was not (PS3.18 section 10.5.3, Store Instances Response Module).
//!
//! Written as DICOM JSON (PS3.18 annex F) or as the native XML model (PS3.19 annex A), whichever is asked for.
//! Pure: values in, a status and a text out.

use std::fmt::Write;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::dicom::{Uid, keyword_of, tag_of};

const RETRIEVE_URL: &str = "00081190";
const REFERENCED_SOP_CLASS: &str = "00081150";
const REFERENCED_SOP_INSTANCE: &str = "00081155";
const FAILURE_REASON: &str = "00081197";
const FAILED_SOP_SEQUENCE: &str = "00081198";
const REFERENCED_SOP_SEQUENCE: &str = "00081199";
const OTHER_FAILURES_SEQUENCE: &str = "0008119A";

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
}

impl Form {
    /// The first acceptable form of an Accept header; JSON where there is none, `None` where neither will do.
    pub fn of_accept(accept: Option<&str>) -> Option<Form> {
        let Some(accept) = accept else { return Some(Form::Json) };
        accept.split(',').find_map(|range| match range.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/dicom+json" | "application/json" | "application/*" | "*/*" => Some(Form::Json),
            "application/dicom+xml" => Some(Form::Xml),
            _ => None,
        })
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/dicom+json",
            Form::Xml => "application/dicom+xml",
        }
    }
}

/// What became of the instances of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// SOP class and instance.
    pub stored: Vec<(Uid, Uid)>,
    /// SOP class, instance and Failure Reason (0008,1197).
    pub failed: Vec<(Uid, Uid, u16)>,
    /// Failure reasons of parts that say of no instance which it is.
    pub unnamed: Vec<u16>,
}

impl Outcome {
    /// 200 all stored, 202 some, 409 none (PS3.18 table 10.5.3-1).
    pub fn status(&self) -> StatusCode {
        match (self.stored.is_empty(), self.failed.is_empty() && self.unnamed.is_empty()) {
            (_, true) => StatusCode::OK,
            (false, false) => StatusCode::ACCEPTED,
            (true, false) => StatusCode::CONFLICT,
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Outcome::default()
    }

    pub fn write(&self, form: Form) -> String {
        let set = self.as_json();
        match form {
            Form::Json => Value::Object(set).to_string(),
            Form::Xml => {
                let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                    <NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\">"
                    .to_owned();
                write_xml(&mut text, &set);
                text + "</NativeDicomModel>"
            }
        }
    }

    fn as_json(&self) -> Map<String, Value> {
        let uid = |uid: &Uid| json!({"vr": "UI", "Value": [uid.as_str()]});
        let reason = |code: &u16| json!({"vr": "US", "Value": [code]});
        let named = |class: &Uid, instance: &Uid| {
            Map::from_iter([
                (REFERENCED_SOP_CLASS.to_owned(), uid(class)),
                (REFERENCED_SOP_INSTANCE.to_owned(), uid(instance)),
            ])
        };
        // Nothing can be retrieved from this node: the type 2 attribute is empty.
        let nowhere = || (RETRIEVE_URL.to_owned(), json!({"vr": "UR"}));
        let stored = self.stored.iter().map(|(class, instance)| {
            let mut item = named(class, instance);
            item.extend([nowhere()]);
            Value::Object(item)
        });
        let failed = self.failed.iter().map(|(class, instance, code)| {
            let mut item = named(class, instance);
            item.insert(FAILURE_REASON.to_owned(), reason(code));
            Value::Object(item)
        });
        let unnamed = self.unnamed.iter().map(|code| json!({FAILURE_REASON: reason(code)}));
        let mut set = Map::from_iter([nowhere()]);
        let sequences: [(&str, Vec<Value>); 3] = [
            (FAILED_SOP_SEQUENCE, failed.collect()),
            (REFERENCED_SOP_SEQUENCE, stored.collect()),
            (OTHER_FAILURES_SEQUENCE, unnamed.collect()),
        ];
        let filled = sequences.into_iter().filter(|(_, items)| !items.is_empty());
        set.extend(filled.map(|(tag, items)| (tag.to_owned(), json!({"vr": "SQ", "Value": items}))));
        set
    }
}

/// The attributes of a data set; all values are UIDs and numbers, which need no escaping.
fn write_xml(text: &mut String, set: &Map<String, Value>) {
    for (tag, attribute) in set {
        let vr = attribute["vr"].as_str().unwrap_or_default();
        let keyword = tag_of(&format!("{},{}", &tag[..4], &tag[4..])).map(keyword_of).unwrap_or_default();
        let _ = write!(text, "<DicomAttribute tag=\"{tag}\" vr=\"{vr}\" keyword=\"{keyword}\">");
        for (number, value) in (1..).zip(attribute["Value"].as_array().into_iter().flatten()) {
            if let Value::Object(item) = value {
                let _ = write!(text, "<Item number=\"{number}\">");
                write_xml(text, item);
                text.push_str("</Item>");
            } else {
                let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _ = write!(text, "<Value number=\"{number}\">{plain}</Value>");
            }
        }
        text.push_str("</DicomAttribute>");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    #[test]
    fn the_status_says_whether_all_some_or_none_were_stored() {
        let check = |stored: usize, failed: usize, unnamed: usize, expected: u16| {
            let outcome = Outcome {
                stored: vec![(uid("1.2"), uid("1.3")); stored],
                failed: vec![(uid("1.2"), uid("1.4"), 1); failed],
                unnamed: vec![0xc000; unnamed],
            };
            assert_eq!(outcome.status().as_u16(), expected);
        };
        check(2, 0, 0, 200);
        check(2, 1, 0, 202);
        check(1, 0, 1, 202);
        check(0, 1, 0, 409);
        check(0, 0, 1, 409);
    }

    #[test]
    fn both_forms_say_the_same() {
        let outcome = Outcome {
            stored: vec![(uid("1.2"), uid("1.3"))],
            failed: vec![(uid("1.2"), uid("1.4"), 0xa900)],
            unnamed: vec![0xc000],
        };
        let json: Value = serde_json::from_str(&outcome.write(Form::Json)).unwrap();
        assert_eq!(json["00081199"]["Value"][0]["00081155"]["Value"][0], "1.3");
        assert_eq!(json["00081198"]["Value"][0]["00081197"]["Value"][0], 0xa900);
        assert_eq!(json["0008119A"]["Value"][0]["00081197"]["Value"][0], 0xc000);
        assert_eq!(json["00081190"], json!({"vr": "UR"}));
        let xml = outcome.write(Form::Xml);
        for words in [
            "<DicomAttribute tag=\"00081198\" vr=\"SQ\" keyword=\"FailedSOPSequence\"><Item number=\"1\">",
            "<DicomAttribute tag=\"00081155\" vr=\"UI\" keyword=\"ReferencedSOPInstanceUID\"><Value number=\"1\">1.3</Value>",
            "<Value number=\"1\">43264</Value>",
        ] {
            assert!(xml.contains(words), "{words} not in {xml}");
        }
        assert_eq!(xml.matches("<DicomAttribute").count(), xml.matches("</DicomAttribute>").count());
    }

    #[test]
    fn the_first_acceptable_form_is_taken() {
        let check = |accept: Option<&str>, expected| assert_eq!(Form::of_accept(accept), expected, "{accept:?}");
        check(None, Some(Form::Json));
        check(Some("application/dicom+xml, application/dicom+json"), Some(Form::Xml));
        check(Some("text/html, application/dicom+json;q=0.9"), Some(Form::Json));
        check(Some("*/*"), Some(Form::Json));
        check(Some("text/html"), None);
    }
}
