//! `GET /metrics`: what the ledger counts, as Prometheus reads it (text format 0.0.4). No label holds a UID or an attribute.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Server;
use crate::ledger::Counts;

pub(super) async fn show(State(server): State<Arc<Server>>) -> Response {
    let intake = server.intake.clone();
    match tokio::task::spawn_blocking(move || intake.ledger().counts()).await {
        Ok(Ok(counts)) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&counts)).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")).into_response(),
    }
}

fn text(counts: &Counts) -> String {
    let single = [
        ("sagittal_revisions_open", "gauge", "Series that are being received.", counts.open_revisions),
        ("sagittal_revisions_closed_total", "counter", "Series that were finished.", counts.closed_revisions),
        ("sagittal_series_unmatched_total", "counter", "Finished series that no rule wanted.", counts.unmatched),
        ("sagittal_series_held", "gauge", "Series that a rule keeps for an operator.", counts.held),
        ("sagittal_decisions_waiting", "gauge", "Series and studies on which rules wait.", counts.waiting),
    ];
    let mut out = String::new();
    for (name, kind, help, value) in single {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    out.push_str("# HELP sagittal_jobs Jobs by kind and state.\n# TYPE sagittal_jobs gauge\n");
    for ((kind, state), count) in &counts.jobs {
        let _ = writeln!(out, "sagittal_jobs{{kind=\"{kind}\",state=\"{state}\"}} {count}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{JobKind, JobState};

    #[test]
    fn counts_are_written_as_prometheus_reads_them() {
        let counts =
            Counts { jobs: [((JobKind::Infer, JobState::Available), 2)].into(), unmatched: 3, ..Counts::default() };
        let text = text(&counts);
        for line in [
            "# TYPE sagittal_series_unmatched_total counter",
            "sagittal_series_unmatched_total 3",
            "sagittal_series_held 0",
            "sagittal_jobs{kind=\"infer\",state=\"available\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
