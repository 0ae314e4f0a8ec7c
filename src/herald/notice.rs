//! From an event to what recipients are told of it: who, and in which words.
//!
//! The body follows Standard Webhooks 1.0 (type, timestamp, data) and is fixed when it is made, so that every try says the
//! same. It names jobs, rules and UIDs; a patient only where the recipient's `patient_data` allows it.

use serde_json::{Map, Value, json};

use super::{Herald, HeraldError};
use crate::clock::Millis;
use crate::config::{Config, Recipient, Tells};
use crate::ledger::{EventRow, Happened, JobDetail, NewNotice, NoticeRow};
use crate::rules::SeriesSummary;

/// The attributes that name a patient.
const PATIENT: [(&str, &str); 3] = [("id", "0010,0020"), ("name", "0010,0010"), ("accession_number", "0008,0050")];

/// An event with what its notices say.
struct News<'a> {
    row: &'a EventRow,
    tells: Tells,
    job: Option<JobDetail>,
}

impl Herald {
    /// What the recipients in force are to be told of an event.
    pub(super) fn notices(&self, row: &EventRow) -> Result<Vec<NewNotice>, HeraldError> {
        let Some(tells) = kind_of(row.what) else { return Ok(Vec::new()) };
        let config = self.config.load_full();
        let listening: Vec<&Recipient> =
            config.node.recipients.values().filter(|recipient| recipient.tells.contains(&tells)).collect();
        if listening.is_empty() {
            return Ok(Vec::new());
        }
        let job = row.job.map(|job| self.ledger.job(job)).transpose()?.flatten();
        let news = News { row, tells, job };
        let told: Vec<&Recipient> =
            listening.into_iter().filter(|recipient| news.concerns(&config, recipient)).collect();
        let may_know = told.iter().any(|recipient| recipient.patient_data);
        let patient = if may_know { self.patient(&news)? } else { Map::new() };
        let title = config.node.reception.ae_title.as_str();
        let notice = |recipient: &&Recipient| NewNotice {
            message: news.id(),
            recipient: recipient.name.clone(),
            body: news.body(title, if recipient.patient_data { patient.clone() } else { Map::new() }).to_string(),
        };
        Ok(told.iter().map(notice).collect())
    }

    fn patient(&self, news: &News<'_>) -> Result<Map<String, Value>, HeraldError> {
        let summary = match (news.series(), &news.row.study) {
            (Some(series), _) => self.ledger.decisions_of_series(&series)?.pop().map(|decision| decision.summary),
            (None, Some(study)) => self.ledger.study_members(study)?.pop().map(|member| member.summary),
            (None, None) => None,
        };
        let Some(summary) = summary.and_then(|text| serde_json::from_str::<SeriesSummary>(&text).ok()) else {
            return Ok(Map::new());
        };
        let value = |tag: &str| summary.attributes.get(tag)?.agreed()?.first().cloned();
        Ok(PATIENT.iter().filter_map(|(name, tag)| Some(((*name).to_owned(), value(tag)?.into()))).collect())
    }
}

/// What a recipient would have to ask for; `None`: nobody is told.
fn kind_of(what: Happened) -> Option<Tells> {
    match what {
        Happened::Delivered => Some(Tells::Delivered),
        Happened::GivenUp => Some(Tells::Failed),
        Happened::Held | Happened::SeriesHeld => Some(Tells::Held),
        Happened::RuleGaveUp => Some(Tells::GaveUp),
        Happened::Unreachable => Some(Tells::Unreachable),
        Happened::Reachable => Some(Tells::Reachable),
        Happened::Acted | Happened::Rules => None,
    }
}

impl News<'_> {
    /// An event of a destination concerns whoever asks for it; others concern those whom the rule names.
    fn concerns(&self, config: &Config, recipient: &Recipient) -> bool {
        let Some(rules) = self.rules() else { return true };
        let named = || {
            let named = config.rules.rules().iter().filter(|rule| rule.notify.contains(&recipient.name));
            // several rules of one job stand side by side, "a, b"
            named.into_iter().any(|rule| format!(", {rules}, ").contains(&format!(", {}, ", rule.name)))
        };
        recipient.of_all_rules || named()
    }

    fn rules(&self) -> Option<&str> {
        match self.row.what {
            Happened::Unreachable | Happened::Reachable => None,
            _ => self.job.as_ref().map(|job| job.job.rule.as_str()).or(self.row.subject.as_deref()),
        }
    }

    fn series(&self) -> Option<String> {
        let of_job = self.job.as_ref().map(|job| job.job.series.to_string());
        of_job.or_else(|| self.row.series.as_ref().map(|series| series.series.to_string()))
    }

    /// No two events of a ledger have the same, nor those of one that was made anew.
    fn id(&self) -> String {
        format!("evt_{:x}_{}", self.row.at.0, self.row.id)
    }

    fn kind(&self) -> &'static str {
        match self.row.what {
            Happened::Delivered => "job.delivered",
            Happened::GivenUp => "job.failed",
            Happened::Held => "job.held",
            Happened::SeriesHeld => "series.held",
            Happened::RuleGaveUp => "rule.gave-up",
            Happened::Unreachable => "destination.unreachable",
            Happened::Reachable => "destination.reachable",
            Happened::Acted | Happened::Rules => "node",
        }
    }

    fn body(&self, title: &str, patient: Map<String, Value>) -> Value {
        let mut data = Map::from_iter([("node".to_owned(), Value::from(title))]);
        let mut say = |name: &str, value: Option<Value>| data.extend(value.map(|value| (name.to_owned(), value)));
        let job = self.job.as_ref().map(|detail| &detail.job);
        say("job", job.map(|job| job.id.into()));
        say("kind", job.map(|job| job.kind.word().into()));
        say("rule", self.rules().map(Value::from));
        say("pipeline", job.map(|job| job.pipeline.as_str().into()));
        let destination = match self.tells {
            Tells::Unreachable | Tells::Reachable => self.row.subject.as_deref(),
            _ => job.and_then(|job| job.destination.as_deref()),
        };
        say("destination", destination.map(Value::from));
        let study =
            job.map(|job| &job.study).or(self.row.series.as_ref().map(|key| &key.study)).or(self.row.study.as_ref());
        say("study", study.map(|study| study.as_str().into()));
        say("series", self.series().map(Value::from));
        say("delivered", job.and_then(|job| job.delivered).map(|delivered| delivered.word().into()));
        say("stage", job.and_then(|job| job.stage.as_deref()).map(Value::from));
        say("reason", Some(self.row.detail.as_str()).filter(|text| !text.is_empty()).map(Value::from));
        say(
            "patient",
            Some(Value::Object(patient)).filter(|patient| patient.as_object().is_some_and(|p| !p.is_empty())),
        );
        json!({ "type": self.kind(), "timestamp": timestamp(self.row.at), "text": self.sentence(), "data": data })
    }

    /// For people: what a mail says, and chat services show.
    fn sentence(&self) -> String {
        let subject = self.row.subject.as_deref().unwrap_or_default();
        let job = self.job.as_ref().map(|detail| &detail.job);
        let work = job.map_or_else(
            || "a job".to_owned(),
            |job| match &job.destination {
                Some(destination) => format!("job {}: delivery to {destination} (rule \"{}\")", job.id, job.rule),
                None => format!("job {}: pipeline {} (rule \"{}\")", job.id, job.pipeline, job.rule),
            },
        );
        match self.row.what {
            Happened::Delivered => format!("{work} is done"),
            Happened::GivenUp => format!("{work} was given up: {}", self.row.detail),
            Happened::Held => format!("{work} is held for an operator: {}", self.row.detail),
            Happened::SeriesHeld => format!("rule \"{subject}\" holds a series for an operator: {}", self.row.detail),
            Happened::RuleGaveUp => format!("rule \"{subject}\" waited in vain: {}", self.row.detail),
            Happened::Unreachable => {
                format!("destination {subject} does not answer, what is for it waits: {}", self.row.detail)
            }
            Happened::Reachable => format!("destination {subject} answers again"),
            Happened::Acted | Happened::Rules => self.row.detail.clone(),
        }
    }
}

/// What `sagittal notices test` sends.
pub(super) fn trial(recipient: &str, title: &str, now: Millis) -> NoticeRow {
    let text = format!("a trial of [notify.{recipient}], asked for at the command line");
    let body = json!({ "type": "test", "timestamp": timestamp(now), "text": text, "data": { "node": title } });
    NoticeRow {
        id: 0,
        message: format!("test_{:x}", now.0),
        recipient: recipient.to_owned(),
        body: body.to_string(),
        made_at: now,
        due_at: Some(now),
        attempts: 0,
        told_at: None,
        given_up_at: None,
        last_error: None,
    }
}

fn timestamp(at: Millis) -> String {
    at.utc().map(|utc| utc.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)).unwrap_or_default()
}
