//! Content items of a structured report, one shape a function (PS3.3 section C.17.3).

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::{Code, Dataset, Uid, Vec3};
use crate::results::ResultError;
use crate::results::elements::{code_item, decimal_string, put, put_code, put_item, put_items, put_uid};

/// How a content item belongs to the one it is in (Relationship Type).
#[derive(Debug, Clone, Copy)]
pub(in crate::results) enum Relation {
    Contains,
    Context,
    Modifies,
    InferredFrom,
    SelectedFrom,
}

impl Relation {
    fn name(self) -> &'static str {
        match self {
            Relation::Contains => "CONTAINS",
            Relation::Context => "HAS OBS CONTEXT",
            Relation::Modifies => "HAS CONCEPT MOD",
            Relation::InferredFrom => "INFERRED FROM",
            Relation::SelectedFrom => "SELECTED FROM",
        }
    }
}

pub(in crate::results) type Item = Result<Dataset, ResultError>;

fn item(relation: Relation, value_type: &str, name: Option<&Code>) -> Item {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::RELATIONSHIP_TYPE, VR::CS, relation.name());
    put(&mut item, tags::VALUE_TYPE, VR::CS, value_type);
    if let Some(name) = name {
        put_code(&mut item, tags::CONCEPT_NAME_CODE_SEQUENCE, name, "a concept's name")?;
    }
    Ok(item)
}

pub(in crate::results) fn container(relation: Relation, name: &Code, children: Vec<Dataset>) -> Item {
    let mut item = item(relation, "CONTAINER", Some(name))?;
    put(&mut item, tags::CONTINUITY_OF_CONTENT, VR::CS, "CONTINUOUS");
    put_items(&mut item, tags::CONTENT_SEQUENCE, children);
    Ok(item)
}

pub(in crate::results) fn code(relation: Relation, name: &Code, value: &Code) -> Item {
    let mut item = item(relation, "CODE", Some(name))?;
    put_item(&mut item, tags::CONCEPT_CODE_SEQUENCE, code_item(value, "a report's code")?);
    Ok(item)
}

pub(in crate::results) fn text(relation: Relation, name: &Code, value: &str) -> Item {
    let mut item = item(relation, "TEXT", Some(name))?;
    put(&mut item, tags::TEXT_VALUE, VR::UT, value);
    Ok(item)
}

pub(in crate::results) fn uid(relation: Relation, name: &Code, value: &Uid) -> Item {
    let mut item = item(relation, "UIDREF", Some(name))?;
    put_uid(&mut item, tags::UID, value);
    Ok(item)
}

/// A number with its unit (UCUM), always contained.
pub(in crate::results) fn number(name: &Code, value: f64, unit: &Code, children: Vec<Dataset>) -> Item {
    let mut measured = InMemDicomObject::new_empty();
    put(&mut measured, tags::NUMERIC_VALUE, VR::DS, decimal_string(value));
    put_code(&mut measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit, "a unit")?;
    let mut item = item(Relation::Contains, "NUM", Some(name))?;
    put_item(&mut item, tags::MEASURED_VALUE_SEQUENCE, measured);
    if !children.is_empty() {
        put_items(&mut item, tags::CONTENT_SEQUENCE, children);
    }
    Ok(item)
}

/// A reference to an image: the item of ReferencedSOPSequence, made by the caller.
pub(in crate::results) fn image(relation: Relation, name: Option<&Code>, referenced: Dataset) -> Item {
    let mut item = item(relation, "IMAGE", name)?;
    put_item(&mut item, tags::REFERENCED_SOP_SEQUENCE, referenced);
    Ok(item)
}

/// A line on an image: column and row, 0 being the outer edge of the first voxel (PS3.3 section C.18.6).
pub(super) fn polyline(relation: Relation, points: &[[f64; 2]], image: Dataset) -> Item {
    Ok(drawn(item(relation, "SCOORD", None)?, "POLYLINE", points, image))
}

/// A point on an image, counted alike.
pub(super) fn spot(name: &Code, at: [f64; 2], image: Dataset) -> Item {
    Ok(drawn(item(Relation::Contains, "SCOORD", Some(name))?, "POINT", &[at], image))
}

fn drawn(mut item: Dataset, kind: &str, points: &[[f64; 2]], image: Dataset) -> Dataset {
    put(&mut item, tags::GRAPHIC_TYPE, VR::CS, kind);
    put(&mut item, tags::GRAPHIC_DATA, VR::FL, floats(points.as_flattened()));
    put_item(&mut item, tags::CONTENT_SEQUENCE, image);
    item
}

/// A point in the patient, mm.
pub(super) fn point(name: &Code, at: Vec3, frame_of_reference: &Uid) -> Item {
    let mut item = item(Relation::Contains, "SCOORD3D", Some(name))?;
    put(&mut item, tags::GRAPHIC_TYPE, VR::CS, "POINT");
    put(&mut item, tags::GRAPHIC_DATA, VR::FL, floats(&at));
    put_uid(&mut item, tags::REFERENCED_FRAME_OF_REFERENCE_UID, frame_of_reference);
    Ok(item)
}

fn floats(values: &[f64]) -> PrimitiveValue {
    PrimitiveValue::F32(values.iter().map(|value| *value as f32).collect())
}
