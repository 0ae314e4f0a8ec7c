//! E-mail: all notices that are due to a recipient in one message, plain text, over SMTP (RFC 5321).

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};
use serde_json::Value;

use super::HeraldError;
use crate::config::{Mail, Security};
use crate::ledger::NoticeRow;

/// Sends one message about `notices`; `Ok`: the mail server has it. Blocking.
pub(super) fn send(mail: &Mail, title: &str, timeout: Duration, notices: &[NoticeRow]) -> Result<(), HeraldError> {
    let failed = |reason: String| HeraldError::Unreached { receiver: format!("{}:{}", mail.host, mail.port), reason };
    let message = compose(mail, title, notices).map_err(|error| failed(error.to_string()))?;
    let security = security(mail)?;
    let mut builder = SmtpTransport::builder_dangerous(&mail.host).port(mail.port).timeout(Some(timeout)).tls(security);
    if let Some((username, password)) = &mail.login {
        builder = builder.credentials(Credentials::new(username.clone(), password.reveal().to_owned()));
    }
    builder.build().send(&message).map(drop).map_err(|error| failed(said(&error)))
}

fn compose(mail: &Mail, title: &str, notices: &[NoticeRow]) -> Result<Message, lettre::error::Error> {
    let bodies: Vec<Value> =
        notices.iter().map(|notice| serde_json::from_str(&notice.body).unwrap_or_default()).collect();
    let subject = match bodies.as_slice() {
        [one] => format!("{title}: {}", first_line(&text(one, "text"))),
        several => format!("{title}: {} notices", several.len()),
    };
    let paragraphs: Vec<String> = notices.iter().zip(&bodies).map(|(notice, body)| paragraph(notice, body)).collect();
    let closing = format!("-- \nSagittal {title}. `sagittal jobs list` and `sagittal series held` show what waits.\n");
    // the first notice's: a message that is sent again is known by it
    let id = notices.first().map(|notice| format!("<{}@{}>", notice.message, mail.from.email.domain()));
    let mut message = Message::builder().from(mail.from.clone()).subject(subject).message_id(id);
    for to in &mail.to {
        message = message.to(to.clone());
    }
    message.header(ContentType::TEXT_PLAIN).body(format!("{}\n\n{closing}", paragraphs.join("\n\n")))
}

/// A notice for people: the sentence, and the facts behind it, one a line.
fn paragraph(notice: &NoticeRow, body: &Value) -> String {
    let mut lines = vec![text(body, "text"), format!("  at       {}", text(body, "timestamp"))];
    let facts = body["data"].as_object().into_iter().flatten();
    for (name, value) in facts.filter(|(name, _)| !matches!(name.as_str(), "node" | "reason")) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        lines.push(format!("  {name:<8} {value}"));
    }
    lines.push(format!("  notice   {}", notice.message));
    lines.join("\n")
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_default().to_owned()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(120).collect()
}

fn security(mail: &Mail) -> Result<Tls, HeraldError> {
    if mail.security == Security::None {
        return Ok(Tls::None);
    }
    let failed = |reason: String| HeraldError::Unreached { receiver: format!("{}:{}", mail.host, mail.port), reason };
    let mut parameters = TlsParameters::builder(mail.host.clone());
    if let Some(ca) = &mail.ca {
        parameters = parameters.certificate_store(CertificateStore::None);
        for certificate in crate::tls::certificates(ca).map_err(|error| failed(error.to_string()))? {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| failed(error.to_string()))?;
            parameters = parameters.add_root_certificate(certificate);
        }
    }
    let parameters = parameters.build_rustls().map_err(|error| failed(error.to_string()))?;
    Ok(if mail.security == Security::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

/// What the server said, or why there was none.
fn said(error: &lettre::transport::smtp::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let text = format!("{error}");
    if text.ends_with(&cause) { text } else { format!("{text}{cause}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Millis;

    fn notice(id: i64, text: &str) -> NoticeRow {
        let body =
            serde_json::json!({ "text": text, "timestamp": "now", "data": { "node": "N", "job": 7, "reason": "r" } });
        NoticeRow {
            id,
            message: format!("evt_{id}"),
            recipient: "desk".into(),
            body: body.to_string(),
            made_at: Millis(0),
            due_at: None,
            attempts: 0,
            told_at: None,
            given_up_at: None,
            last_error: None,
        }
    }

    #[test]
    fn what_is_due_is_told_in_one_message() {
        let mail = Mail {
            host: "localhost".into(),
            port: 25,
            security: Security::None,
            ca: None,
            login: None,
            from: "sagittal@hospital.example".parse().unwrap(),
            to: vec!["Desk <desk@hospital.example>".parse().unwrap(), "it@hospital.example".parse().unwrap()],
            every: Duration::ZERO,
        };
        let text =
            |notices: &[NoticeRow]| String::from_utf8(compose(&mail, "N", notices).unwrap().formatted()).unwrap();
        let one = text(&[notice(1, "no\nmore")]);
        assert!(one.contains("Subject: N: no\r\n") && one.contains("Message-ID: <evt_1@hospital.example>"), "{one}");
        assert!(one.contains("To: Desk <desk@hospital.example>, it@hospital.example"), "{one}");
        let two = text(&[notice(1, "first"), notice(2, "second")]);
        assert!(two.contains("Subject: N: 2 notices"), "{two}");
        assert!(two.contains("first\r\n") && two.contains("second\r\n") && two.contains("  job      7\r\n"), "{two}");
    }
}
