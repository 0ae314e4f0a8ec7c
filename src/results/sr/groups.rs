//! Measurement groups (PS3.16 TID 1411): one segment each, its tracking identifiers, what it is, its numbers, and the
//! segment and images that they were taken from.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;

use super::content::{Item, Relation, code, container, image, number, point, polyline, spot, text, uid};
use super::{Report, dcm, sct};
use crate::dicom::{Code, Dataset};
use crate::results::elements::{put, put_item, reference};
use crate::results::{ResultContext, ResultError, Scale};
use crate::volume::{Measured, Segment, Values};

impl Report<'_> {
    /// The group of one segment, `number` being its segment number in the SEG.
    pub(super) fn group(&self, segment: &Segment, measured: &Measured, number: u16) -> Item {
        let algorithm = &self.finding.algorithm;
        let tracking = self.context.tracking_uid(self.source, algorithm, segment);
        let mut items = vec![
            text(Relation::Context, &dcm("112039", "Tracking Identifier"), &ResultContext::tracking_id(segment))?,
            uid(Relation::Context, &dcm("112040", "Tracking Unique Identifier"), &tracking)?,
            code(Relation::Contains, &dcm("121071", "Finding"), &segment.property)?,
            self.referenced_segment(number)?,
            uid(Relation::Contains, &dcm("121232", "Source series for segmentation"), self.source.series())?,
        ];
        items.extend(site(segment)?);
        items.push(text(Relation::Modifies, &dcm("111001", "Algorithm Name"), &algorithm.name)?);
        items.push(text(Relation::Modifies, &dcm("111003", "Algorithm Version"), &algorithm.version)?);
        items.extend(self.sizes(measured)?);
        if let Some(values) = &measured.values {
            items.extend(self.statistics(values)?);
        }
        if self.source.scale() == Scale::Detector {
            let note = "Lengths and areas are those on the detector (Imager Pixel Spacing): magnified, not calibrated.";
            items.push(text(Relation::Contains, &dcm("121106", "Comment"), note)?);
        }
        if measured.touches_border {
            let note = "The structure reaches the border of the image volume; it may go on outside.";
            items.push(text(Relation::Contains, &dcm("121106", "Comment"), note)?);
        }
        container(Relation::Contains, &dcm("125007", "Measurement Group"), items)
    }

    fn referenced_segment(&self, number: u16) -> Item {
        let mut segment = reference(&self.seg.sop_class, &self.seg.sop_instance);
        put(&mut segment, tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(number));
        image(Relation::Contains, Some(&dcm("121191", "Referenced Segment")), segment)
    }

    fn sizes(&self, measured: &Measured) -> Result<Vec<Dataset>, ResultError> {
        let in_pixels = self.source.scale() == Scale::Pixels;
        let length = |unit: &str, meaning: &str| {
            if in_pixels { ucum("{pixels}", "pixels") } else { ucum(unit, meaning) }
        };
        let mm = length("mm", "millimeter");
        let caliper = &measured.caliper;
        let slice = &self.source.slices()[caliper.slice];
        let line = caliper.ends.map(|voxel| voxel.map(|index| index as f64 + 0.5));
        let on = image(Relation::SelectedFrom, None, slice.reference())?;
        let drawn = polyline(Relation::InferredFrom, &line, on)?;
        let centre = dcm("128138", "Center of Mass");
        let (size, middle) = if let Some(frame) = self.source.frame_of_reference() {
            let unit = ucum("mm3", "cubic millimeter");
            let size = number(&sct("118565006", "Volume"), rounded(measured.volume), &unit, vec![])?;
            (size, point(&centre, measured.centre, frame)?)
        } else {
            // In a projection image there are areas instead of volumes, and places on the image alone.
            let [between_rows, between_columns] = slice.plane.spacing;
            let area = measured.voxels as f64 * between_rows * between_columns;
            let at = [measured.centre[0] / between_columns + 0.5, measured.centre[1] / between_rows + 0.5];
            let on = image(Relation::SelectedFrom, None, slice.reference())?;
            let unit = length("mm2", "square millimeter");
            let size = number(&sct("42798000", "Area"), rounded(area), &unit, vec![])?;
            (size, spot(&centre, at, on)?)
        };
        Ok(vec![
            size,
            number(&sct("103339001", "Long Axis"), rounded(caliper.long), &mm, vec![drawn])?,
            number(&sct("103340004", "Short Axis"), rounded(caliper.short), &mm, vec![])?,
            middle,
        ])
    }

    /// Statistics of the original voxels, where their unit is known.
    fn statistics(&self, values: &Values) -> Result<Vec<Dataset>, ResultError> {
        let (quantity, unit) = match crate::dicom::text(self.source.header(), tags::MODALITY).as_deref() {
            Some("CT") => (dcm("112031", "Attenuation Coefficient"), ucum("[hnsf'U]", "Hounsfield unit")),
            Some("MR") => (dcm("110852", "MR signal intensity"), ucum("1", "no units")),
            _ => return Ok(Vec::new()),
        };
        let derived = [
            (sct("373098007", "Mean"), values.mean),
            (sct("386136009", "Standard Deviation"), values.deviation),
            (sct("255605001", "Minimum"), values.minimum),
            (sct("56851009", "Maximum"), values.maximum),
            (sct("373099004", "Median"), values.median),
        ];
        let item = |(how, value): (Code, f64)| {
            let how = code(Relation::Modifies, &dcm("121401", "Derivation"), &how)?;
            number(&quantity, rounded(value), &unit, vec![how])
        };
        derived.into_iter().map(item).collect()
    }
}

/// Where it was found, and on which side; a side without a region says where the finding itself is.
fn site(segment: &Segment) -> Result<Option<Dataset>, ResultError> {
    let place = segment.region.as_ref().or(segment.modifier.as_ref().map(|_| &segment.property));
    let Some(place) = place else { return Ok(None) };
    let mut site = code(Relation::Modifies, &sct("363698007", "Finding Site"), place)?;
    if let Some(side) = segment.region_modifier.as_ref().or(segment.modifier.as_ref()) {
        let side = code(Relation::Modifies, &sct("272741003", "Laterality"), side)?;
        put_item(&mut site, tags::CONTENT_SEQUENCE, side);
    }
    Ok(Some(site))
}

pub(in crate::results) fn ucum(value: &str, meaning: &str) -> Code {
    Code::new(value, "UCUM", meaning)
}

/// To a ten-thousandth: more digits would pretend to more than voxels can say.
pub(in crate::results) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
