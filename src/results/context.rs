//! What a result says about the run that made it, and the UIDs that follow from it.
//!
//! Every moment is handed in, so that a retry writes the very same bytes (invariant 4).

use chrono::{DateTime, FixedOffset, Offset, Utc};

use super::SourceSeries;
use super::elements::plain;
use crate::dicom::ladder::Form;
use crate::dicom::{Code, Uid};
use crate::volume::{Algorithm, Segment};

/// The run: one job of one pipeline on one revision of a series. Kept with the job, never recomputed.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultContext {
    /// Name of the pipeline; part of every derived UID.
    pub pipeline: String,
    pub series_number: u32,
    /// SeriesDescription and ContentDescription, at most 64 characters.
    pub series_description: String,
    /// BodyPartExamined, where the source has none.
    pub body_part: Option<String>,
    /// ClinicalTrialSeriesID.
    pub trial_series: Option<String>,
    /// Start of the analysis: SeriesDate, ContentDate.
    pub started_at: DateTime<Utc>,
    /// When the object was made: InstanceCreationDate.
    pub written_at: DateTime<Utc>,
    /// The node's local time, used where the source states no TimezoneOffsetFromUTC.
    pub zone: FixedOffset,
    /// Version of this program.
    pub node_version: String,
    /// PurposeOfReferenceCodeSequence of the algorithm in ContributingEquipmentSequence.
    pub processing: Code,
    /// The segmentation beside which the object is written, where that is not the one in the form that was asked for: it is
    /// another object then.
    pub beside: Option<Form>,
}

impl ResultContext {
    /// A context in UTC, written at the moment the analysis started.
    #[must_use]
    pub fn new(pipeline: &str, series_number: u32, series_description: &str, started_at: DateTime<Utc>) -> Self {
        ResultContext {
            pipeline: pipeline.into(),
            series_number,
            series_description: series_description.into(),
            body_part: None,
            trial_series: None,
            started_at,
            written_at: started_at,
            zone: Utc.fix(),
            node_version: env!("CARGO_PKG_VERSION").into(),
            processing: Code::new("109102", "DCM", "Processing Equipment"),
            beside: None,
        }
    }

    /// The result's own series: one for each source series, pipeline, model and kind of object.
    #[must_use]
    pub fn series_uid(&self, source: &SourceSeries, algorithm: &Algorithm, kind: &str) -> Uid {
        let mut parts = vec!["sagittal-series", kind, source.series().as_str(), &self.pipeline];
        parts.extend([algorithm.name.as_str(), &algorithm.version, &algorithm.digest]);
        parts.extend(self.beside.map(Form::sop_class));
        Uid::derived(&parts)
    }

    /// A UID named `what` within one object, the same whatever order the source's instances came in.
    #[must_use]
    pub fn object_uid(&self, source: &SourceSeries, algorithm: &Algorithm, kind: &str, what: &str) -> Uid {
        self.derived(source, algorithm, [kind, what], self.beside)
    }

    fn derived(
        &self,
        source: &SourceSeries,
        algorithm: &Algorithm,
        [kind, what]: [&str; 2],
        beside: Option<Form>,
    ) -> Uid {
        let mut instances: Vec<&str> = source.slices().iter().map(|s| s.instance.as_str()).collect();
        instances.sort_unstable();
        let mut parts = vec!["sagittal-object", kind, what, &self.pipeline];
        parts.extend([algorithm.name.as_str(), &algorithm.version, &algorithm.digest]);
        parts.extend(beside.map(Form::sop_class));
        parts.extend(instances);
        Uid::derived(&parts)
    }

    /// TrackingUID of a segment: shared by all results of the job, whatever their kind.
    #[must_use]
    pub fn tracking_uid(&self, source: &SourceSeries, algorithm: &Algorithm, segment: &Segment) -> Uid {
        self.derived(source, algorithm, ["tracking", &segment.label.to_string()], None)
    }

    /// TrackingID of a segment.
    #[must_use]
    pub fn tracking_id(segment: &Segment) -> String {
        plain(&format!("{}-{}", segment.name, segment.label), 128)
    }
}
