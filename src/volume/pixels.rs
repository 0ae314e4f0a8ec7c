//! Pixel Data of an image, or of one frame of it, as values in the modality's units (PS3.5 section 8, PS3.3 C.7.6.3
//! and C.11.1). Native pixels are read by own code, encapsulated ones by dicom-pixeldata's codecs.
//!
//! MONOCHROME1 is not inverted and Pixel Padding Value is left as it is: both say how to show a pixel,
//! not what it measures. Bits outside Bits Stored (overlays of old) are masked off.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::FileDicomObject;
use dicom_object::mem::InMemElement;
use dicom_pixeldata::PixelDecoder;

use super::VolumeError;
use crate::dicom::frames::{self, FramesError};
use crate::dicom::{Dataset, decimals, text};

/// How an image's pixels are stored, and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PixelLayout {
    pub rows: usize,
    pub columns: usize,
    /// Bits Allocated: 8, 16 or 32.
    allocated: u32,
    stored: u32,
    high: u32,
    signed: bool,
    slope: f64,
    intercept: f64,
}

impl PixelLayout {
    /// Reads and checks the Image Pixel and Modality LUT attributes; `instance` is for messages.
    pub fn of(dataset: &Dataset, instance: &str) -> Result<PixelLayout, VolumeError> {
        let number = |tag| text(dataset, tag).and_then(|t| t.parse::<u32>().ok());
        let needed =
            |tag, attribute| number(tag).ok_or(VolumeError::Attribute { instance: instance.into(), attribute });
        let instance = || instance.to_owned();
        if dataset.get(tags::BITS_ALLOCATED).is_none() && dataset.get(tags::ROWS).is_none() {
            return Err(VolumeError::NoPixelData { instance: instance() });
        }
        let frames = frames::count(dataset);
        if frames > 1 && frames::number(dataset).is_none() {
            return Err(VolumeError::Frames { instance: instance(), source: FramesError::NoGroups { frames } });
        }
        if let Some(samples) = number(tags::SAMPLES_PER_PIXEL).filter(|n| *n != 1) {
            return Err(VolumeError::Colour { instance: instance(), samples: samples as usize });
        }
        if dataset.get(tags::MODALITY_LUT_SEQUENCE).is_some() {
            return Err(VolumeError::ModalityLut { instance: instance() });
        }
        let allocated = needed(tags::BITS_ALLOCATED, "BitsAllocated (0028,0100)")?;
        let stored = number(tags::BITS_STORED).unwrap_or(allocated);
        let high = number(tags::HIGH_BIT).unwrap_or(stored.wrapping_sub(1));
        let fits = (1..=allocated).contains(&stored) && high < allocated && high + 1 >= stored;
        if !matches!(allocated, 8 | 16 | 32) || !fits {
            return Err(VolumeError::BitDepth { instance: instance(), allocated, stored, high });
        }
        let decimal = |tag| decimals(dataset, tag).and_then(|v| v.first().copied());
        Ok(PixelLayout {
            rows: needed(tags::ROWS, "Rows (0028,0010)")? as usize,
            columns: needed(tags::COLUMNS, "Columns (0028,0011)")? as usize,
            allocated,
            stored,
            high,
            signed: number(tags::PIXEL_REPRESENTATION) == Some(1),
            slope: decimal(tags::RESCALE_SLOPE).unwrap_or(1.0),
            intercept: decimal(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
        })
    }

    /// Pixels of the image.
    pub fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// The stored value in a pixel cell.
    fn stored_value(&self, cell: u32) -> i64 {
        let unused = 32 - self.stored;
        let aligned = (cell >> (self.high + 1 - self.stored)) << unused;
        if self.signed { i64::from(aligned.cast_signed() >> unused) } else { i64::from(aligned >> unused) }
    }

    fn rescale(&self, cells: impl Iterator<Item = u32>, out: &mut [f32]) {
        for (value, cell) in out.iter_mut().zip(cells) {
            *value = (self.stored_value(cell) as f64 * self.slope + self.intercept) as f32;
        }
    }

    fn rescale_bytes(&self, bytes: &[u8], cell_bytes: usize, out: &mut [f32]) {
        match cell_bytes {
            1 => self.rescale(bytes.iter().map(|b| u32::from(*b)), out),
            2 => self.rescale(bytes.chunks_exact(2).map(|c| u32::from(u16::from_le_bytes([c[0], c[1]]))), out),
            _ => self.rescale(bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])), out),
        }
    }
}

/// An image of another size than the first of its series.
pub(super) fn sizes_differ(instance: String, own: &PixelLayout, first: &PixelLayout) -> VolumeError {
    VolumeError::SizesDiffer {
        instance,
        columns: own.columns,
        rows: own.rows,
        first_columns: first.columns,
        first_rows: first.rows,
    }
}

/// Writes the image's rescaled values, rows one after the other, into `out` of `layout.pixels()` values.
pub(super) fn decode_into(
    object: &mut FileDicomObject<Dataset>,
    layout: &PixelLayout,
    instance: &str,
    out: &mut [f32],
) -> Result<(), VolumeError> {
    join_fragments(object);
    decode_frame(object, layout, 0, instance, out)
}

/// The same for frame number `frame`, counted from 0, of an image of several.
pub(super) fn decode_frame(
    object: &FileDicomObject<Dataset>,
    layout: &PixelLayout,
    frame: usize,
    instance: &str,
    out: &mut [f32],
) -> Result<(), VolumeError> {
    let Some(element) = object.get(tags::PIXEL_DATA) else {
        return Err(VolumeError::NoPixelData { instance: instance.into() });
    };
    let cell_bytes = layout.allocated as usize / 8;
    let (pixels, expected) = (layout.pixels(), layout.pixels() * cell_bytes * (frame + 1));
    let check = |found: usize| {
        let short = || VolumeError::WrongLength { instance: instance.into(), found, expected };
        (found >= expected).then_some(()).ok_or_else(short)
    };
    match element.value() {
        Value::Primitive(PrimitiveValue::U16(words)) if layout.allocated == 16 => {
            check(words.len() * 2)?;
            layout.rescale(words[frame * pixels..].iter().map(|w| u32::from(*w)), out);
        }
        Value::Primitive(value) => {
            let bytes = value.to_bytes();
            check(bytes.len())?;
            layout.rescale_bytes(&bytes[frame * pixels * cell_bytes..], cell_bytes, out);
        }
        Value::PixelSequence(_) => {
            let bytes = decompress(object, frame, instance)?;
            // 8-bit codestreams are met under 16 bits allocated; the codecs then return one byte a pixel.
            let found = if bytes.len() == pixels { 1 } else { cell_bytes };
            if bytes.len() < pixels * found {
                let (found, expected) = (bytes.len(), pixels * cell_bytes);
                return Err(VolumeError::WrongLength { instance: instance.into(), found, expected });
            }
            layout.rescale_bytes(&bytes, found, out);
        }
        Value::Sequence(_) => return Err(VolumeError::NoPixelData { instance: instance.into() }),
    }
    Ok(())
}

/// Makes one fragment of a frame that was cut in several: not every codec looks beyond the first.
fn join_fragments(object: &mut FileDicomObject<Dataset>) {
    let joined = match object.get(tags::PIXEL_DATA).map(InMemElement::value) {
        Some(Value::PixelSequence(sequence)) if sequence.fragments().len() > 1 => sequence.fragments().concat(),
        _ => return,
    };
    let sequence = PixelFragmentSequence::new_fragments(vec![joined]);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, sequence));
}

/// A frame of encapsulated Pixel Data, counted from 0, decoded, little endian.
pub(super) fn decompress(
    object: &FileDicomObject<Dataset>,
    frame: usize,
    instance: &str,
) -> Result<Vec<u8>, VolumeError> {
    let undecodable = |reason: String| VolumeError::Undecodable {
        instance: instance.to_owned(),
        syntax: object.meta().transfer_syntax().to_owned(),
        reason,
    };
    // Codecs index by what the codestream's own header says and may panic on a damaged one.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        object.decode_pixel_data_frame(frame as u32).map(dicom_pixeldata::DecodedPixelData::into_data)
    }));
    match decoded {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(undecodable(chain(&error))),
        Err(_) => Err(undecodable("the codestream contradicts the image's attributes".into())),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
#[path = "pixels_tests.rs"]
pub(super) mod tests;
