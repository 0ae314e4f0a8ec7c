//! The frames of an Enhanced multi-frame image as images of their own (PS3.3 section C.7.6.16): what the shared and the
//! per-frame functional groups say of a frame, said as a single-frame image says it, in the data set itself.
//!
//! The order of frames counts for nothing: where a frame lies is what its groups say. Parts of a concatenation are refused.

use dicom_core::header::Header;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;

use super::attributes::{Dataset, text};
use super::geometry::Plane;

/// The functional groups that say where a frame lies and what its values mean, and what is taken from them.
const GROUPS: &[(Tag, &[Tag])] = &[
    (tags::PLANE_POSITION_SEQUENCE, &[tags::IMAGE_POSITION_PATIENT]),
    (tags::PLANE_ORIENTATION_SEQUENCE, &[tags::IMAGE_ORIENTATION_PATIENT]),
    (tags::PIXEL_MEASURES_SEQUENCE, &[tags::PIXEL_SPACING, tags::SLICE_THICKNESS, tags::SPACING_BETWEEN_SLICES]),
    (tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, &[tags::RESCALE_INTERCEPT, tags::RESCALE_SLOPE, tags::RESCALE_TYPE]),
    (tags::FRAME_VOILUT_SEQUENCE, &[tags::WINDOW_CENTER, tags::WINDOW_WIDTH]),
];
/// What speaks of all frames together, and of none by itself.
const OF_ALL: [Tag; 3] = [
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::DIMENSION_INDEX_SEQUENCE,
];

/// Why a multi-frame image is not taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramesError {
    #[error(
        "is part of a concatenation (ConcatenationUID (0020,9161)): its frames are spread over several instances; have it \
         sent as one"
    )]
    Concatenation,
    #[error(
        "has {frames} frames, but PerFrameFunctionalGroupsSequence (5200,9230) describes {described}; have it sent again"
    )]
    Undescribed { frames: usize, described: usize },
    #[error(
        "has {frames} frames without functional groups: nothing says where they lie; send the single-frame series, or Enhanced \
         multi-frame images"
    )]
    NoGroups { frames: usize },
}

/// How many frames an image says that it has; one where it does not say.
#[must_use]
pub fn count(dataset: &Dataset) -> usize {
    text(dataset, tags::NUMBER_OF_FRAMES).and_then(|frames| frames.parse().ok()).unwrap_or(1)
}

/// Which frame of its instance a data set is, from 1, where it was made by [`split`].
#[must_use]
pub fn number(dataset: &Dataset) -> Option<u32> {
    // A reference within a sequence is something else; beside the image's own attributes only `split` puts one.
    text(dataset, tags::REFERENCED_FRAME_NUMBER)?.parse().ok()
}

/// An image's frames in their order; a single-frame image, and what is a frame already, as it is.
pub fn split(dataset: Dataset) -> Result<Vec<Dataset>, FramesError> {
    let frames = count(&dataset);
    let items = |tag| dataset.get(tag).and_then(|element| element.items()).unwrap_or_default();
    let each = items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if number(&dataset).is_some() || (frames == 1 && each.is_empty()) {
        return Ok(vec![dataset]);
    }
    if each.is_empty() {
        return Err(FramesError::NoGroups { frames });
    }
    let whole = text(&dataset, tags::IN_CONCATENATION_TOTAL_NUMBER).as_deref() == Some("1");
    if dataset.get(tags::CONCATENATION_UID).is_some() && !whole {
        return Err(FramesError::Concatenation);
    }
    if each.len() != frames {
        return Err(FramesError::Undescribed { frames, described: each.len() });
    }
    let shared = items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
    let of_each = dataset.iter().filter(|element| !OF_ALL.contains(&element.tag())).cloned();
    let common = Dataset::from_element_iter(of_each);
    let frame = |(number, own): (u32, &Dataset)| {
        let mut frame = common.clone();
        // What the frame itself says counts more than what is said of all.
        shared.into_iter().chain([own]).for_each(|groups| lift(groups, &mut frame));
        frame.put(DataElement::new(tags::REFERENCED_FRAME_NUMBER, VR::IS, PrimitiveValue::from(number.to_string())));
        frame
    };
    Ok((1..).zip(each).map(frame).collect())
}

/// The planes of an image's frames; `None` for a frame that has none, and for an image that cannot be taken apart.
#[must_use]
pub fn planes(dataset: &Dataset) -> Vec<Option<Plane>> {
    if dataset.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).is_none() {
        return vec![Plane::of(dataset)];
    }
    let frames = split(dataset.clone()).unwrap_or_default();
    if frames.is_empty() { vec![None] } else { frames.iter().map(Plane::of).collect() }
}

fn lift(groups: &Dataset, frame: &mut Dataset) {
    for (group, attributes) in GROUPS {
        let Some(item) = groups.get(*group).and_then(|element| element.items()?.first()) else { continue };
        attributes.iter().filter_map(|tag| item.get(*tag)).for_each(|element| drop(frame.put(element.clone())));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use dicom_core::value::DataSetSequence;

    use super::*;

    fn item(tag: Tag, vr: VR, value: &str) -> Dataset {
        let values = value.split('\\').map(str::to_owned).collect();
        Dataset::from_element_iter([DataElement::new(tag, vr, PrimitiveValue::Strs(values))])
    }

    fn within(tag: Tag, items: Vec<Dataset>) -> Dataset {
        Dataset::from_element_iter([DataElement::new(tag, VR::SQ, DataSetSequence::from(items))])
    }

    fn enhanced(heights: &[&str]) -> Dataset {
        let place = |z: &&str| {
            within(
                tags::PLANE_POSITION_SEQUENCE,
                vec![item(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{z}"))],
            )
        };
        let mut each: Vec<Dataset> = heights.iter().map(place).collect();
        let own = within(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![item(tags::RESCALE_SLOPE, VR::DS, "2")]);
        each[0].extend(own);
        let mut shared = within(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![item(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")],
        );
        shared.extend(within(tags::PIXEL_MEASURES_SEQUENCE, vec![item(tags::PIXEL_SPACING, VR::DS, "1\\2")]));
        shared.extend(within(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![item(tags::RESCALE_SLOPE, VR::DS, "1")]));
        let mut image = within(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, each);
        image.extend(within(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
        image.extend(item(tags::NUMBER_OF_FRAMES, VR::IS, &heights.len().to_string()));
        image.extend(item(tags::ROWS, VR::US, "4"));
        image.extend(item(tags::COLUMNS, VR::US, "4"));
        image
    }

    #[test]
    fn frames_say_what_their_groups_say() {
        let frames = split(enhanced(&["5", "2.5"])).unwrap();
        let said = |tag| frames.iter().map(|frame| text(frame, tag)).collect::<Vec<_>>();
        assert_eq!(said(tags::RESCALE_SLOPE), [Some("2".to_owned()), Some("1".to_owned())]);
        assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), [Some(1), Some(2)]);
        let planes: Vec<Plane> = planes(&enhanced(&["5", "2.5"])).into_iter().map(Option::unwrap).collect();
        assert!((planes[1].position[2] - 2.5).abs() < 1e-12 && planes[1].rows == 4, "{planes:?}");
        assert!((planes[0].spacing[1] - 2.0).abs() < 1e-12, "{planes:?}");
        assert!(frames[0].get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).is_none());
        // What was taken apart once stays as it is.
        assert_eq!(split(frames[1].clone()).unwrap(), [frames[1].clone()]);
    }

    #[test]
    fn what_cannot_be_taken_apart_says_why() {
        let mut part = enhanced(&["1", "2"]);
        part.extend(item(tags::CONCATENATION_UID, VR::UI, "1.2.3"));
        assert_eq!(split(part.clone()), Err(FramesError::Concatenation));
        assert_eq!(planes(&part), [None]);
        part.extend(item(tags::IN_CONCATENATION_TOTAL_NUMBER, VR::US, "1"));
        assert_eq!(split(part).unwrap().len(), 2);
        let mut short = enhanced(&["1", "2"]);
        short.extend(item(tags::NUMBER_OF_FRAMES, VR::IS, "3"));
        assert_eq!(split(short), Err(FramesError::Undescribed { frames: 3, described: 2 }));
        let old = item(tags::NUMBER_OF_FRAMES, VR::IS, "7");
        assert_eq!(split(old), Err(FramesError::NoGroups { frames: 7 }));
        assert_eq!(split(Dataset::new_empty()).unwrap(), [Dataset::new_empty()]);
    }
}
