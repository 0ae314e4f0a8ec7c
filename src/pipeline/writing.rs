//! From one finding to all the results that a pipeline asks for, each refereed before it counts.

use ndarray::Array3;

use super::PipelineError;
use crate::config::{Pipeline, ResultKind};
use crate::dicom::ladder::Form;
use crate::dicom::{CaptureForm, CaptureLayout, SegForm, SegmentationType};
use crate::results::verify::{self, Fault};
use crate::results::{self, Letterhead, ReportMatter, ResultContext, ResultError, ResultObject, SourceSeries};
use crate::volume::{Measured, Segmentation, measure};

/// What is a segmentation or refers to one: written anew for each of its forms.
const BOUND: [ResultKind; 3] = [ResultKind::Seg, ResultKind::RtStruct, ResultKind::Sr];

/// Results of one kind have series numbers of their own, this far from those of the kind before.
const SERIES_OF_A_KIND: u32 = 1000;

/// What the results of one finding are made from.
pub(super) struct Writing<'a> {
    pub pipeline: &'a Pipeline,
    pub source: &'a SourceSeries,
    pub found: &'a Segmentation,
    /// The source's voxels, where a result needs them.
    pub original: Option<&'a Array3<f32>>,
    pub letterhead: &'a Letterhead,
}

impl Writing<'_> {
    /// All kinds in their order, so that what is referred to is written first; then the other forms of the segmentation that
    /// are kept for destinations, each with what refers to it.
    pub fn all(&self, context: &ResultContext) -> Result<Vec<ResultObject>, PipelineError> {
        let Pipeline { results, seg, fallback, .. } = self.pipeline;
        if self.pipeline.tells_nothing_found && self.found.is_empty() && !results.contains(&ResultKind::Sr) {
            let kinds: Vec<ResultKind> = results.iter().copied().chain([ResultKind::Sr]).collect();
            return self.kinds(&kinds, *seg, context);
        }
        let mut written = self.kinds(results, *seg, context)?;
        let has_forms = !fallback.is_empty() && written.iter().any(|object| object.kind == ResultKind::Seg.name());
        if !has_forms {
            return Ok(written);
        }
        let bound: Vec<ResultKind> = results.iter().copied().filter(|kind| BOUND.contains(kind)).collect();
        for object in written.iter_mut().filter(|object| bound.iter().any(|kind| kind.name() == object.kind)) {
            object.form = Some(Form::of(seg.stored));
        }
        for form in fallback {
            let more = self.in_form(*form, &bound, &ResultContext { beside: Some(*form), ..context.clone() })?;
            written.extend(more.into_iter().map(|object| ResultObject { form: Some(*form), ..object }));
        }
        Ok(written)
    }

    fn in_form(
        &self,
        form: Form,
        bound: &[ResultKind],
        context: &ResultContext,
    ) -> Result<Vec<ResultObject>, PipelineError> {
        let stored = match form {
            Form::Labelmap => SegmentationType::Labelmap,
            Form::Binary => SegmentationType::Binary,
            Form::SecondaryCapture => {
                // nothing is there that a report's groups could refer to
                let kinds = bound.iter().copied().filter(|kind| *kind == ResultKind::RtStruct);
                let kinds: Vec<ResultKind> = kinds.chain([ResultKind::Sc]).collect();
                return self.kinds(&kinds, self.pipeline.seg, context);
            }
        };
        self.kinds(bound, SegForm { stored, rle: false }, context)
    }

    /// Kinds that cannot say that nothing was found are left out where that is so.
    fn kinds(
        &self,
        kinds: &[ResultKind],
        seg: SegForm,
        context: &ResultContext,
    ) -> Result<Vec<ResultObject>, PipelineError> {
        let mut written: Vec<ResultObject> = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let series_number = context.series_number + SERIES_OF_A_KIND * (*kind as u32);
            // a segmentation is the same object whatever else is written
            let beside = context.beside.filter(|_| *kind != ResultKind::Seg);
            let context = ResultContext { series_number, beside, ..context.clone() };
            let refereed = match self.of_kind(*kind, seg, &written, &context) {
                Err(ResultError::NothingFound) => continue,
                other => other?,
            };
            if let Some((object, faults)) = refereed.iter().find(|(_, faults)| !faults.is_empty()) {
                let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                return Err(PipelineError::Refused { object: Box::new(object.clone()), faults });
            }
            written.extend(refereed.into_iter().map(|(object, _)| object));
        }
        Ok(written)
    }

    fn measured(&self) -> Vec<Measured> {
        measure(self.found, self.original, &self.source.slabs(self.found.grid.spacing()[2]))
    }

    /// The results of one kind, which may refer to those written before it, and what the referee says of each.
    fn of_kind(
        &self,
        kind: ResultKind,
        form: SegForm,
        written: &[ResultObject],
        context: &ResultContext,
    ) -> Result<Vec<(ResultObject, Vec<Fault>)>, ResultError> {
        let Writing { source, found, .. } = self;
        let seg = written.iter().find(|object| object.kind == ResultKind::Seg.name());
        let only = match kind {
            ResultKind::Seg => {
                let object = results::segmentation(source, found, form, context)?;
                let faults = verify::segmentation(&object.bytes, source, Some(found));
                (object, faults)
            }
            ResultKind::RtStruct => {
                let object = results::structure_set(source, found, seg.map(|seg| (seg, form)), context)?;
                let faults = verify::structure_set(&object.bytes, source, Some(found));
                (object, faults)
            }
            ResultKind::Ko => {
                let object = results::key_images(source, found, &self.measured(), context)?;
                let faults = verify::key_images(&object.bytes, source, Some(found));
                (object, faults)
            }
            ResultKind::Pdf => self.report(written, context)?,
            ResultKind::Sr => {
                let measured = self.measured();
                let numbers = if seg.is_some() { results::segment_numbers(found, form)? } else { Vec::new() };
                let referred = seg.map(|seg| (seg, numbers.as_slice()));
                let object = results::measurement_report(source, found, &measured, referred, context)?;
                let seg = seg.map(|seg| seg.bytes.as_slice());
                let faults = verify::measurement_report(&object.bytes, source, seg, Some(found));
                (object, faults)
            }
            ResultKind::Sc => return self.captures(seg.map(|seg| (seg, form)), context),
            ResultKind::Gsps => return self.outlines(context),
        };
        Ok(vec![only])
    }

    fn outlines(&self, context: &ResultContext) -> Result<Vec<(ResultObject, Vec<Fault>)>, ResultError> {
        let Writing { source, found, original, .. } = *self;
        let judged = |object: ResultObject| {
            let faults = verify::presentation_state(&object.bytes, source, Some(found));
            (object, faults)
        };
        Ok(results::presentation_states(source, found, original, context)?.into_iter().map(judged).collect())
    }

    /// Pictures, which go to every destination: they name the segmentation where every destination gets the same.
    fn captures(
        &self,
        seg: Option<(&ResultObject, SegForm)>,
        context: &ResultContext,
    ) -> Result<Vec<(ResultObject, Vec<Fault>)>, ResultError> {
        let Writing { pipeline, source, found, .. } = self;
        let Some(voxels) = self.original else { return Ok(Vec::new()) };
        let is_fallback = context.beside == Some(Form::SecondaryCapture);
        // who takes no segmentations may know but the oldest class of pictures
        let layout = if is_fallback { CaptureLayout::Slices } else { pipeline.sc.layout };
        let (form, seg) =
            (CaptureForm { layout, ..pipeline.sc }, seg.filter(|_| !is_fallback && pipeline.fallback.is_empty()));
        let objects = results::secondary_captures(source, voxels, found, seg, form, context)?;
        let expected = verify::Drawn { finding: found, voxels, form };
        let judged = |object: ResultObject| {
            let faults = verify::secondary_capture(&object.bytes, source, Some(&expected));
            (object, faults)
        };
        Ok(objects.into_iter().map(judged).collect())
    }

    /// The report for people, which goes to every destination as pictures do.
    fn report(
        &self,
        written: &[ResultObject],
        context: &ResultContext,
    ) -> Result<(ResultObject, Vec<Fault>), ResultError> {
        let Writing { pipeline, source, found, original, letterhead } = *self;
        let beside = if pipeline.fallback.is_empty() { written } else { &[] };
        let matter = ReportMatter { finding: found, measured: &self.measured(), voxels: original, beside };
        let report = results::report(source, &matter, letterhead, context)?;
        if report.unshown > 0 {
            tracing::warn!(report.unshown, "characters of a report have no font: see [results] fonts in node.toml");
        }
        let faults = verify::report(&report.object.bytes, source, Some(found));
        Ok((report.object, faults))
    }
}
