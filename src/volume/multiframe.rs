//! Enhanced multi-frame images as slices: each frame one, wherever it stands in the instance (PS3.3 section C.7.6.16).
//!
//! One instance is held at a time; its frames are decoded in parallel, each into its own place. What lies at one position
//! twice (times, echoes, b-values) is refused by the geometry check, as it is for single-frame series.

use dicom_dictionary_std::tags;
use rayon::prelude::*;

use super::pixels::{PixelLayout, decode_frame};
use super::series::{InstanceSource, Slice, parse, zeros};
use super::{VolumeError, pixels};
use crate::dicom::{Dataset, Plane, frames, text};

/// Every frame of every instance, in their order, and their voxels one after the other.
pub(super) fn read<S: InstanceSource>(instances: &[S]) -> Result<(Vec<Slice>, Vec<f32>), VolumeError> {
    let (mut slices, mut voxels) = (Vec::new(), Vec::new());
    let mut first: Option<PixelLayout> = None;
    for instance in instances {
        let object = parse(instance, false)?;
        let name = text(&object, tags::SOP_INSTANCE_UID).unwrap_or_else(|| instance.name());
        let before_pixels = object.iter().filter(|e| e.header().tag != tags::PIXEL_DATA).cloned();
        let header = Dataset::from_element_iter(before_pixels);
        let headers = frames::split(header).map_err(|source| VolumeError::Frames { instance: name.clone(), source })?;
        let layouts = headers.iter().map(|header| PixelLayout::of(header, &name)).collect::<Result<Vec<_>, _>>()?;
        let Some(own) = layouts.first() else { continue };
        let layout = first.get_or_insert_with(|| own.clone());
        if (own.rows, own.columns) != (layout.rows, layout.columns) {
            return Err(pixels::sizes_differ(name, own, layout));
        }
        let mut decoded = zeros(own, headers.len())?;
        decoded
            .par_chunks_mut(own.pixels().max(1))
            .zip(layouts.par_iter().enumerate())
            .try_for_each(|(out, (frame, layout))| decode_frame(&object, layout, frame, &name, out))?;
        voxels.append(&mut decoded);
        slices.extend((1..).zip(headers).map(|(frame, header)| {
            let name = format!("{name}, frame {frame},");
            Slice { plane: Plane::of(&header), header, name }
        }));
    }
    Ok((slices, voxels))
}
