//! Logs: structured lines on standard error, with job ids and UIDs, never a patient attribute (invariant 7).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging. `RUST_LOG` overrides the level; a second call changes nothing.
pub fn start_logs(format: LogFormat, level: &str) {
    // dicom-rs logs attribute values at debug level and parser remarks at warn: keep both out of our logs.
    let default =
        format!("{level},dicom_ul=error,dicom_object=error,dicom_parser=error,dicom_pixeldata=error,ort=warn");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let outcome = match format {
        LogFormat::Json => lines.json().with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    drop(outcome);
}
