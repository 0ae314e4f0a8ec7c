//! How a source image is meant to be shown: from values in the modality's units to grey (PS3.3 section C.11.2, VOI LUT;
//! section C.7.6.3.1.2, MONOCHROME1).
//!
//! Of several windows the first counts, and a window goes before a table.

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;

use super::elements::{decimal_string, put, put_decimals, put_item};
use crate::dicom::{Dataset, decimals, text};

/// The grey scale of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Voi {
    /// `None`: the image does not say.
    curve: Option<Curve>,
    /// Low values are white.
    inverted: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Curve {
    Window { center: f64, width: f64, function: Function },
    Table { first: f64, greys: Vec<u8> },
}

/// VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Linear,
    LinearExact,
    Sigmoid,
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Function::Linear => "LINEAR",
            Function::LinearExact => "LINEAR_EXACT",
            Function::Sigmoid => "SIGMOID",
        }
    }
}

impl Voi {
    /// What the attributes of an image say, or of an item of its Frame VOI LUT Sequence.
    #[must_use]
    pub fn of(dataset: &Dataset) -> Voi {
        let is_inverted = text(dataset, tags::PHOTOMETRIC_INTERPRETATION).as_deref() == Some("MONOCHROME1")
            || text(dataset, tags::PRESENTATION_LUT_SHAPE).as_deref() == Some("INVERSE");
        Voi { curve: Curve::window(dataset).or_else(|| Curve::table(dataset)), inverted: is_inverted }
    }

    /// This, or where the image does not say, from `black` to `white`.
    #[must_use]
    pub fn or_range(&self, [black, white]: [f32; 2]) -> Voi {
        let [black, white] = [f64::from(black), f64::from(white)];
        let width = (white - black).max(f64::MIN_POSITIVE);
        let range = Curve::Window { center: black + width / 2.0, width, function: Function::LinearExact };
        Voi { curve: Some(self.curve.clone().unwrap_or(range)), inverted: self.inverted }
    }

    /// The grey of a value in the modality's units.
    #[must_use]
    pub fn grey(&self, value: f32) -> u8 {
        let grey = self.curve.as_ref().map_or(0, |curve| curve.grey(f64::from(value)));
        if self.inverted { 255 - grey } else { grey }
    }

    /// Center and width, where it is a window.
    #[must_use]
    pub fn window(&self) -> Option<[f64; 2]> {
        match self.curve {
            Some(Curve::Window { center, width, .. }) => Some([center, width]),
            _ => None,
        }
    }

    /// The least and the greatest value between which greys change; of a sigmoid the window, beyond which they hardly do.
    #[must_use]
    pub fn span(&self) -> [f64; 2] {
        match &self.curve {
            Some(Curve::Window { center, width, .. }) => [center - width / 2.0, center + width / 2.0],
            Some(Curve::Table { first, greys }) => [*first, first + (greys.len() - 1) as f64],
            None => [0.0, 0.0],
        }
    }

    /// What an item of the Softcopy VOI LUT Sequence says of it; `None` where the image says nothing.
    pub(super) fn attributes(&self) -> Option<Dataset> {
        let mut item = Dataset::new_empty();
        match self.curve.as_ref()? {
            Curve::Window { center, width, function } => {
                put_decimals(&mut item, tags::WINDOW_CENTER, vec![decimal_string(*center)]);
                put_decimals(&mut item, tags::WINDOW_WIDTH, vec![decimal_string(*width)]);
                if *function != Function::Linear {
                    put(&mut item, tags::VOILUT_FUNCTION, VR::CS, function.name());
                }
            }
            Curve::Table { first, greys } => {
                let mut table = Dataset::new_empty();
                // 65536 entries are counted as 0.
                let descriptor = [greys.len() as u16, *first as u16, 8];
                let entries: Vec<u16> = greys.iter().map(|grey| u16::from(*grey)).collect();
                put(&mut table, tags::LUT_DESCRIPTOR, VR::US, PrimitiveValue::U16(descriptor.as_slice().into()));
                put(&mut table, tags::LUT_DATA, VR::OW, PrimitiveValue::U16(entries.into()));
                put_item(&mut item, tags::VOILUT_SEQUENCE, table);
            }
        }
        Some(item)
    }

    /// Whether the image says nothing about windows.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.curve.is_none()
    }

    #[must_use]
    pub fn is_inverted(&self) -> bool {
        self.inverted
    }
}

impl Curve {
    fn window(dataset: &Dataset) -> Option<Curve> {
        let first = |tag| decimals(dataset, tag)?.first().copied();
        let (center, width) = (first(tags::WINDOW_CENTER)?, first(tags::WINDOW_WIDTH)?);
        let function = match text(dataset, tags::VOILUT_FUNCTION).as_deref() {
            Some("LINEAR_EXACT") => Function::LinearExact,
            Some("SIGMOID") => Function::Sigmoid,
            _ => Function::Linear,
        };
        let least = if function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE };
        (width >= least).then_some(Curve::Window { center, width, function })
    }

    fn table(dataset: &Dataset) -> Option<Curve> {
        let item = dataset.get(tags::VOILUT_SEQUENCE)?.items()?.first()?;
        let numbers = |tag: Tag| item.get(tag)?.to_multi_int::<i64>().ok();
        let descriptor = numbers(tags::LUT_DESCRIPTOR)?;
        let [_, first, bits] = descriptor.as_slice() else { return None };
        let highest = (1_i64 << (*bits).clamp(1, 16)) - 1;
        // Entries are unsigned, whatever representation they were written in.
        let entries = numbers(tags::LUT_DATA)?;
        let greys: Vec<u8> = entries.iter().map(|entry| ((entry & highest) * 255 / highest) as u8).collect();
        (!greys.is_empty()).then_some(Curve::Table { first: *first as f64, greys })
    }

    fn grey(&self, value: f64) -> u8 {
        match self {
            Curve::Window { center, width, function } => {
                let share = match function {
                    Function::Linear if *width <= 1.0 => {
                        if value > center - 0.5 {
                            1.0
                        } else {
                            0.0
                        }
                    }
                    Function::Linear => (value - (center - 0.5)) / (width - 1.0) + 0.5,
                    Function::LinearExact => (value - center) / width + 0.5,
                    Function::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
                };
                (255.0 * share.clamp(0.0, 1.0)).round() as u8
            }
            Curve::Table { first, greys } => {
                let at = (value - first).round().clamp(0.0, (greys.len() - 1) as f64);
                greys[at as usize]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::value::{DataSetSequence, PrimitiveValue};
    use dicom_core::{DataElement, VR};

    use super::*;

    fn set(texts: &[(Tag, &str)]) -> Dataset {
        let mut set = Dataset::new_empty();
        for (tag, text) in texts {
            set.put(DataElement::new(*tag, VR::CS, PrimitiveValue::from(*text)));
        }
        set
    }

    fn check(texts: &[(Tag, &str)], expected: &[(f32, u8)]) {
        let voi = Voi::of(&set(texts));
        for (value, grey) in expected {
            assert_eq!(voi.grey(*value), *grey, "{value} of {texts:?}");
        }
    }

    /// PS3.3 section C.11.2.1.2.1 and C.11.2.1.3: the functions, and the ends of the window.
    #[test]
    fn windows_follow_their_function() {
        let [center, width, function] = [tags::WINDOW_CENTER, tags::WINDOW_WIDTH, tags::VOILUT_FUNCTION];
        let soft = [(center, "40"), (width, "400")];
        check(&soft, &[(-160.0, 0), (-159.0, 1), (39.5, 128), (239.0, 255), (900.0, 255)]);
        check(&[(center, "0"), (width, "100"), (function, "LINEAR_EXACT")], &[(-50.0, 0), (0.0, 128), (50.0, 255)]);
        check(&[(center, "0"), (width, "100"), (function, "SIGMOID")], &[(0.0, 128), (25.0, 186), (-500.0, 0)]);
        check(&[(center, "10"), (width, "1")], &[(9.5, 0), (9.6, 255)]);
        let inverse = [(center, "40"), (width, "400"), (tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME1")];
        check(&inverse, &[(-160.0, 255), (240.0, 0)]);
        assert_eq!(Voi::of(&set(&inverse)).window(), Some([40.0, 400.0]));
    }

    #[test]
    fn tables_begin_at_their_first_value() {
        let mut item = Dataset::new_empty();
        let shorts = |values: &[u16]| PrimitiveValue::U16(values.into());
        item.put(DataElement::new(tags::LUT_DESCRIPTOR, VR::US, shorts(&[4, 100, 12])));
        item.put(DataElement::new(tags::LUT_DATA, VR::OW, shorts(&[0, 1365, 2730, 4095])));
        let mut image = Dataset::new_empty();
        image.put(DataElement::new(tags::VOILUT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item])));
        let voi = Voi::of(&image);
        assert_eq!(voi.span().map(f64::to_bits), [100.0, 103.0].map(f64::to_bits));
        assert_eq!([0.0, 100.0, 101.0, 102.0, 103.0, 999.0].map(|value| voi.grey(value)), [0, 0, 85, 170, 255, 255]);
    }

    #[test]
    fn an_image_that_does_not_say_is_shown_over_the_range_given() {
        let silent = Voi::of(&set(&[(tags::WINDOW_CENTER, "40"), (tags::WINDOW_WIDTH, "0")]));
        assert_eq!(silent.window(), None);
        assert_eq!(silent.or_range([10.0, 30.0]).span().map(f64::to_bits), [10.0, 30.0].map(f64::to_bits));
        assert_eq!([10.0, 20.0, 30.0].map(|value| silent.or_range([10.0, 30.0]).grey(value)), [0, 128, 255]);
        let own = Voi::of(&set(&[(tags::WINDOW_CENTER, "40"), (tags::WINDOW_WIDTH, "400")]));
        assert_eq!(own.or_range([0.0, 1.0]), own);
    }
}
