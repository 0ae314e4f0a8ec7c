//! A comparison as Comprehensive 3D SR (PS3.16 TID 1500): a group for each structure, with both volumes, what changed, and
//! the segments that both were counted from; an earlier study's segmentation is other evidence.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::map::finding;
use super::masks::Masks;
use super::{Comparison, Kind, Row};
use crate::dicom::{Code, Dataset, Uid};
use crate::results::elements::{put, put_item, put_items, put_uid, reference};
use crate::results::sr::content::{Item, Relation, code, container, image, number, text, uid};
use crate::results::sr::{self, dcm, rounded, ucum};
use crate::results::{ResultContext, ResultError, ResultObject, SourceSeries};

/// Writes the comparison of `masks`, the first with the second, over `source`, the images of the second.
pub fn comparison_report(
    source: &SourceSeries,
    comparison: &Comparison,
    masks: [&Masks; 2],
    context: &ResultContext,
) -> Result<ResultObject, ResultError> {
    let nothing = finding(masks, source);
    let (object, mut dataset) = sr::begun(source, &nothing, context)?;
    let (own, others): (Vec<&Masks>, Vec<&Masks>) = masks.into_iter().partition(|m| m.study == *source.study());
    for (tag, masks) in
        [(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, own), (tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, others)]
    {
        if let Some(first) = masks.first() {
            put_item(&mut dataset, tag, evident(&first.study, &masks));
        }
    }
    let groups = comparison.rows.iter().map(|row| group(row, comparison, masks));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    sr::root(&mut dataset, source, &nothing, context, groups)?;
    object.finished(dataset, source)
}

/// One study's evidence: the segmentations.
fn evident(study: &Uid, masks: &[&Masks]) -> Dataset {
    let series = |masks: &&Masks| {
        let mut series = InMemDicomObject::new_empty();
        put_uid(&mut series, tags::SERIES_INSTANCE_UID, &masks.series);
        put_item(&mut series, tags::REFERENCED_SOP_SEQUENCE, reference(&masks.class, &masks.instance));
        series
    };
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::STUDY_INSTANCE_UID, study);
    put_items(&mut item, tags::REFERENCED_SERIES_SEQUENCE, masks.iter().map(series).collect());
    item
}

fn group(row: &Row, comparison: &Comparison, masks: [&Masks; 2]) -> Item {
    let tracked = |side: usize| row.numbers[side].and_then(|number| masks[side].tracking.get(&number)).cloned();
    let derived = || Uid::derived(&["sagittal-compare", masks[1].instance.as_str(), &row.segment.name]);
    let tracking = tracked(1).or_else(|| tracked(0)).unwrap_or_else(derived);
    let mut items = vec![
        text(Relation::Context, &dcm("112039", "Tracking Identifier"), &row.segment.name)?,
        uid(Relation::Context, &dcm("112040", "Tracking Unique Identifier"), &tracking)?,
        code(Relation::Contains, &dcm("121071", "Finding"), &row.segment.property)?,
    ];
    let side = usize::from(row.numbers[1].is_some());
    let number = row.numbers[side].unwrap_or_default();
    items.push(segment(Relation::Contains, masks[side], number, &dcm("121191", "Referenced Segment"))?);
    items.extend(numbers(row, masks)?);
    items.push(text(Relation::Contains, &dcm("121106", "Comment"), &said(comparison, masks))?);
    container(Relation::Contains, &dcm("125007", "Measurement Group"), items)
}

fn segment(relation: Relation, masks: &Masks, label: u8, name: &Code) -> Item {
    let mut referenced = reference(&masks.class, &masks.instance);
    put(&mut referenced, tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(u16::from(label)));
    image(relation, Some(name), referenced)
}

/// Both volumes, told apart by the segments that they were counted from, the second first; what changed, as a volume and in
/// percent of the first; and how far the two agree, for which no code is known.
fn numbers(row: &Row, masks: [&Masks; 2]) -> Result<Vec<Dataset>, ResultError> {
    let mm3 = ucum("mm3", "cubic millimeter");
    let volume = Code::new("118565006", "SCT", "Volume");
    let mut all = Vec::new();
    for side in [1, 0] {
        let counted =
            |number| segment(Relation::InferredFrom, masks[side], number, &dcm("121112", "Source of Measurement"));
        let from = row.numbers[side].map(counted).transpose()?;
        all.push(number(&volume, rounded(row.volumes[side]), &mm3, from.into_iter().collect())?);
    }
    let difference = Code::new("442714003", "SCT", "Difference in size");
    all.push(number(&difference, rounded(row.difference()), &mm3, vec![])?);
    if let Some(percent) = row.percent() {
        let fraction = dcm("125314", "Fractional Change");
        all.push(number(&fraction, rounded(percent), &ucum("%", "Percent"), vec![])?);
    }
    if let Some(dice) = row.overlap.and_then(|overlap| overlap.dice()) {
        let told = format!("Dice similarity coefficient {dice:.4}");
        all.push(text(Relation::Contains, &dcm("121106", "Comment"), &told)?);
    }
    Ok(all)
}

/// What was compared with what, and how.
fn said(comparison: &Comparison, masks: [&Masks; 2]) -> String {
    let [first, second] = masks.map(|masks| format!("{} {}", masks.algorithm.name, masks.algorithm.version));
    match (comparison.kind, comparison.dates[0], comparison.days()) {
        (Kind::SameImages, _, _) => format!("{second} compared with {first}, voxel by voxel on the same images."),
        (Kind::TimePoints, Some(date), Some(days)) => format!(
            "{second} compared with {first} in the study of {date}, {days} days before; by volume, nothing was registered."
        ),
        (Kind::TimePoints, ..) => {
            format!("{second} compared with {first} in another study; by volume, nothing was registered.")
        }
    }
}
