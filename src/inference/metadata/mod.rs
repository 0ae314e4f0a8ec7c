//! Descriptions of segments as other tools have them: dcmqi's JSON (`segmentAttributes`) in a file of the package, or
//! nnunet_serve's table within `model.toml`. Read here, so that nobody has to write them again.

mod dcmqi;
mod inline;

use super::labels::Beside;
use super::raw::RawMetadata;
use super::terminology::malformed;
use crate::volume::Segment;

/// What metadata says beside the segments; where it is silent, `model.toml` and the pipeline are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// SegmentAlgorithmName.
    pub algorithm: Option<String>,
    pub version: Option<String>,
    pub manufacturer: Option<String>,
    /// SeriesDescription of results, where the pipeline has no description.
    pub description: Option<String>,
    /// BodyPartExamined, where the source has none.
    pub body_part: Option<String>,
    /// ClinicalTrialSeriesID.
    pub trial_series: Option<String>,
}

/// Segments by ascending label, or everything that is wrong.
pub(super) fn read(raw: RawMetadata, beside: &Beside<'_>) -> Result<(Vec<Segment>, Notes), Vec<String>> {
    let (mut segments, notes) = match &raw.path {
        Some(path) if raw == (RawMetadata { path: Some(path.clone()), ..RawMetadata::default() }) => {
            let plain = std::path::Path::new(path).file_name().is_some_and(|name| name == path.as_str());
            if !plain {
                return Err(vec![format!("path = \"{path}\": give a plain file name in the model's folder")]);
            }
            let text = (beside.read)(path).map_err(|error| vec![format!("{path}: {error}")])?;
            dcmqi::read(&text)
                .map_err(|faults| faults.iter().map(|fault| format!("{path}: {fault}")).collect::<Vec<_>>())?
        }
        Some(_) => return Err(vec!["give path, or the other keys, not both".to_owned()]),
        None => inline::read(raw, beside.terms)?,
    };
    segments.sort_by_key(|segment| segment.label);
    let mut faults: Vec<String> = Vec::new();
    for pair in segments.windows(2).filter(|pair| pair[0].label == pair[1].label) {
        faults.push(format!("label {}: two segments have it", pair[0].label));
    }
    let of_segment = |segment: &Segment| {
        let label = segment.label;
        malformed(segment).into_iter().map(move |fault| format!("label {label}: {fault}")).collect::<Vec<_>>()
    };
    faults.extend(segments.iter().flat_map(of_segment));
    if faults.is_empty() { Ok((segments, notes)) } else { Err(faults) }
}
