//! From one finding to all the results that a pipeline asks for, each refereed before it counts.

use ndarray::Array3;

use super::PipelineError;
use crate::config::{Pipeline, ResultKind};
use crate::results::verify::{self, Fault};
use crate::results::{self, ResultContext, ResultError, ResultObject, SourceSeries};
use crate::volume::{Measured, Segmentation, measure};

/// Results of one kind have series numbers of their own, this far from those of the kind before.
const SERIES_OF_A_KIND: u32 = 1000;

/// What the results of one finding are made from.
pub(super) struct Writing<'a> {
    pub pipeline: &'a Pipeline,
    pub source: &'a SourceSeries,
    pub found: &'a Segmentation,
    /// The source's voxels, where a result needs them.
    pub original: Option<&'a Array3<f32>>,
}

impl Writing<'_> {
    /// All kinds in their order, so that what is referred to is written first. Kinds that cannot say that nothing was
    /// found are left out where that is so.
    pub fn all(&self, context: &ResultContext) -> Result<Vec<ResultObject>, PipelineError> {
        let mut written: Vec<ResultObject> = Vec::with_capacity(self.pipeline.results.len());
        for kind in &self.pipeline.results {
            let series_number = context.series_number + SERIES_OF_A_KIND * (*kind as u32);
            let context = ResultContext { series_number, ..context.clone() };
            let (object, faults) = match self.one(*kind, &written, &context) {
                Err(ResultError::NothingFound) => continue,
                other => other?,
            };
            if !faults.is_empty() {
                let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                return Err(PipelineError::Refused { object: Box::new(object), faults });
            }
            written.push(object);
        }
        Ok(written)
    }

    fn measured(&self) -> Vec<Measured> {
        measure(self.found, self.original, &self.source.slabs(self.found.grid.spacing()[2]))
    }

    /// One result, which may refer to those written before it, and what the referee says of it.
    fn one(
        &self,
        kind: ResultKind,
        written: &[ResultObject],
        context: &ResultContext,
    ) -> Result<(ResultObject, Vec<Fault>), ResultError> {
        let Writing { pipeline, source, found, .. } = self;
        let seg = written.iter().find(|object| object.kind == ResultKind::Seg.name());
        match kind {
            ResultKind::Seg => {
                let object = results::segmentation(source, found, pipeline.seg, context)?;
                let faults = verify::segmentation(&object.bytes, source, Some(found));
                Ok((object, faults))
            }
            ResultKind::RtStruct => {
                let object = results::structure_set(source, found, seg.map(|seg| (seg, pipeline.seg)), context)?;
                let faults = verify::structure_set(&object.bytes, source, Some(found));
                Ok((object, faults))
            }
            ResultKind::Ko => {
                let object = results::key_images(source, found, &self.measured(), context)?;
                let faults = verify::key_images(&object.bytes, source, Some(found));
                Ok((object, faults))
            }
            ResultKind::Sr => {
                let measured = self.measured();
                let numbers = if seg.is_some() { results::segment_numbers(found, pipeline.seg)? } else { Vec::new() };
                let referred = seg.map(|seg| (seg, numbers.as_slice()));
                let object = results::measurement_report(source, found, &measured, referred, context)?;
                let seg = seg.map(|seg| seg.bytes.as_slice());
                let faults = verify::measurement_report(&object.bytes, source, seg, Some(found));
                Ok((object, faults))
            }
        }
    }
}
