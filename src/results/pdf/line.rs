//! From text to lines of placed glyphs: reading direction (Unicode UAX 9), font by font, shaped as the script wants it
//! (Arabic joins, Thai stacks), and broken where a column ends.
//!
//! Lengths are points, 1/72 inch.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::{Direction, UnicodeBuffer};
use unicode_bidi::{BidiInfo, Level};

use super::typeface::Typeface;
use crate::results::ResultError;

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    pub size: f32,
    pub bold: bool,
    pub color: [u8; 3],
}

impl Style {
    pub const fn new(size: f32) -> Style {
        Style { size, bold: false, color: [30, 34, 40] }
    }

    pub const fn bold(self) -> Style {
        Style { bold: true, ..self }
    }

    pub const fn color(self, color: [u8; 3]) -> Style {
        Style { color, ..self }
    }

    /// From one baseline to the next.
    pub fn leading(self) -> f32 {
        self.size * 1.35
    }
}

/// A line of text, set.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub width: f32,
    pub style: Style,
    pub runs: Vec<Run>,
}

/// Glyphs of one font that stand beside each other.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// From the left end of the line.
    pub x: f32,
    /// Index of the font.
    pub font: usize,
    pub text: String,
    pub glyphs: Vec<KrillaGlyph>,
}

/// Sets texts in the fonts of a [`Typeface`].
pub(super) struct Typesetter<'t> {
    typeface: &'t Typeface,
    shapers: Vec<rustybuzz::Face<'t>>,
    pub fonts: Vec<Font>,
}

impl<'t> Typesetter<'t> {
    pub fn new(typeface: &'t Typeface) -> Result<Typesetter<'t>, ResultError> {
        let unreadable = || ResultError::Font("one of them cannot be read".into());
        let (mut shapers, mut fonts) = (Vec::new(), Vec::new());
        for file in &typeface.files {
            shapers.push(rustybuzz::Face::from_slice(&file.bytes, file.index).ok_or_else(unreadable)?);
            fonts.push(Font::new(file.bytes.clone().into(), file.index).ok_or_else(unreadable)?);
        }
        Ok(Typesetter { typeface, shapers, fonts })
    }

    /// One line, however long.
    pub fn set(&self, text: &str, style: Style) -> Line {
        let text = self.typeface.showable(text);
        let mut line = Line { width: 0.0, style, runs: Vec::new() };
        let bidi = BidiInfo::new(&text, Some(Level::ltr()));
        let Some(paragraph) = bidi.paragraphs.first() else { return line };
        let (levels, visual) = bidi.visual_runs(paragraph, paragraph.range.clone());
        for range in visual {
            let backwards = levels[range.start].is_rtl();
            let mut parts = self.parts(&text[range], style.bold);
            if backwards {
                parts.reverse();
            }
            for (font, part) in parts {
                let glyphs = self.shape(font, &part, backwards);
                let width: f32 = glyphs.iter().map(|glyph| glyph.x_advance * style.size).sum();
                line.runs.push(Run { x: line.width, font, text: part, glyphs });
                line.width += width;
            }
        }
        line
    }

    /// Broken at spaces, and within words that are longer than `width`.
    pub fn wrap(&self, text: &str, style: Style, width: f32) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut held = String::new();
        for piece in text.split_inclusive(' ').flat_map(|word| self.pieces(word, style, width)) {
            let longer = format!("{held}{piece}");
            if held.is_empty() || self.set(longer.trim_end(), style).width <= width {
                held = longer;
            } else {
                lines.push(self.set(held.trim_end(), style));
                held = piece;
            }
        }
        lines.push(self.set(held.trim_end(), style));
        lines
    }

    /// A word, in characters where it is too long for a line.
    fn pieces(&self, word: &str, style: Style, width: f32) -> Vec<String> {
        if self.set(word.trim_end(), style).width <= width {
            vec![word.to_owned()]
        } else {
            word.chars().map(String::from).collect()
        }
    }

    /// The parts of a text by font, in the order of the text.
    fn parts(&self, text: &str, bold: bool) -> Vec<(usize, String)> {
        let mut parts: Vec<(usize, String)> = Vec::new();
        for c in text.chars() {
            let font = self.typeface.file_of(c, bold, parts.last().map(|(font, _)| *font));
            match parts.last_mut() {
                Some((last, part)) if *last == font => part.push(c),
                _ => parts.push((font, c.to_string())),
            }
        }
        parts
    }

    /// Glyphs from left to right, in shares of the font size.
    fn shape(&self, font: usize, text: &str, backwards: bool) -> Vec<KrillaGlyph> {
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        buffer.set_direction(if backwards { Direction::RightToLeft } else { Direction::LeftToRight });
        let face = &self.shapers[font];
        let shaped = rustybuzz::shape(face, &[], buffer);
        let unit = face.units_per_em() as f32;
        let mut starts: Vec<usize> = shaped.glyph_infos().iter().map(|info| info.cluster as usize).collect();
        starts.sort_unstable();
        let glyph = |(info, at): (&rustybuzz::GlyphInfo, &rustybuzz::GlyphPosition)| {
            let start = info.cluster as usize;
            let end = starts.iter().copied().find(|other| *other > start).unwrap_or(text.len());
            KrillaGlyph::new(
                GlyphId::new(info.glyph_id),
                at.x_advance as f32 / unit,
                at.x_offset as f32 / unit,
                at.y_offset as f32 / unit,
                at.y_advance as f32 / unit,
                start..end,
                None,
            )
        };
        shaped.glyph_infos().iter().zip(shaped.glyph_positions()).map(glyph).collect()
    }
}
