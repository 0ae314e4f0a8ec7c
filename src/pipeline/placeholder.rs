//! The placeholder of a job that has no result, from the images it was to run on.

use super::{JobRunner, PipelineError, said};
use crate::clock::Millis;
use crate::dicom::part10;
use crate::ledger::{ResultRow, Unanswered};
use crate::results::{self, Reason, SourceSeries, Stage, verify};
use crate::volume::InstanceSource;

/// Behind the series numbers of all kinds of results.
const SERIES_OF_PLACEHOLDERS: u32 = 9000;

impl JobRunner {
    /// Makes and parks the placeholder; the caller tells the ledger. Blocking.
    pub fn placeholder(&self, job: &Unanswered) -> Result<ResultRow, PipelineError> {
        let parked = self.parked(job.revision)?;
        // any image heads the series, the same one every time
        let first = parked.iter().min_by(|a, b| a.sop_instance.cmp(&b.sop_instance));
        let first = first.ok_or(results::ResultError::NoSource)?;
        let bytes = first.bytes().map_err(|error| results::ResultError::Encode(error.to_string()))?;
        let header =
            part10::parse_header(bytes.as_slice()).map_err(|error| results::ResultError::Encode(error.to_string()))?;
        let source = SourceSeries::heading(header.into_inner())?;
        let config = self.config.load();
        let pipeline = config.pipelines.get(&job.pipeline);
        let description = pipeline.map_or(&job.pipeline, |pipeline| &pipeline.description);
        let index = pipeline.map_or(0, |pipeline| pipeline.index);
        let number = self.analyst.series_number_base + SERIES_OF_PLACEHOLDERS + index * 10;
        let context = said(&job.pipeline, number, &format!("AI result not available: {description}"), job.created_at);
        let instances: Vec<_> = parked.iter().map(|instance| instance.sop_instance.clone()).collect();
        let object = results::placeholder(&source, &instances, &reason(job), &context)?;
        let faults = verify::placeholder(&object.bytes, &source);
        if faults.is_empty() {
            return self.park(object);
        }
        let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let refused = PipelineError::Refused { object: Box::new(object), faults };
        self.quarantine(&refused, &job.pipeline, job.created_at);
        Err(refused)
    }
}

fn reason(job: &Unanswered) -> Reason {
    let after = |at: Millis| std::time::Duration::from_millis((at.0 - job.created_at.0).max(0) as u64);
    match (job.late_at, job.stage.as_deref()) {
        (Some(at), _) => Reason::Late(after(at)),
        (None, Some("model")) => Reason::GivenUp(Stage::Model),
        (None, Some("write")) => Reason::GivenUp(Stage::Writing),
        (None, Some("verify")) => Reason::GivenUp(Stage::Checking),
        (None, _) => Reason::GivenUp(Stage::Reading),
    }
}
