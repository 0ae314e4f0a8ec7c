//! An RGB picture in memory: pixels, rectangles, and a line of small text. For contact sheets and for images with an
//! overlay; knows nothing of what it shows.

use std::ops::Range;

use super::VolumeError;
use super::font::{self, glyph};

/// What every picture of a result says of itself.
pub const NOTICE: &str = "AI result - not for diagnostic use";

/// An RGB picture, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Height of a line of text of size 1, pixels.
    pub const TEXT_HEIGHT: usize = font::HEIGHT;
    /// From one character to the next in text of size 1, pixels.
    pub const TEXT_ADVANCE: usize = font::WIDTH + 1;

    #[must_use]
    pub fn black(width: usize, height: usize) -> Picture {
        Picture { width, height, pixels: vec![0; width * height * 3] }
    }

    /// What lies outside is not drawn.
    pub fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.pixels[at..at + 3].copy_from_slice(&color);
        }
    }

    pub fn rectangle(&mut self, x: Range<usize>, y: Range<usize>, color: [u8; 3]) {
        for row in y {
            x.clone().for_each(|column| self.set(column, row, color));
        }
    }

    /// A line of text with its upper left corner at `x`, `y`; each dot of a character is `size` pixels wide and high.
    pub fn text(&mut self, x: usize, y: usize, text: &str, color: [u8; 3], size: usize) {
        for (at, character) in text.chars().enumerate() {
            let left = x + at * Picture::TEXT_ADVANCE * size;
            for (row, bits) in glyph(character).into_iter().enumerate() {
                let lit = (0..font::WIDTH).filter(|column| bits >> (font::WIDTH - 1 - column) & 1 == 1);
                for column in lit {
                    let (dot_x, dot_y) = (left + column * size, y + row * size);
                    self.rectangle(dot_x..dot_x + size, dot_y..dot_y + size, color);
                }
            }
        }
    }

    /// The picture as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, VolumeError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// `below` under a layer of `color`, which has the share `opacity` (0 to 1) of the result.
#[must_use]
pub fn blend(below: [u8; 3], color: [u8; 3], opacity: f32) -> [u8; 3] {
    let mix = |at: usize| (f32::from(below[at]) * (1.0 - opacity) + f32::from(color[at]) * opacity).round() as u8;
    [mix(0), mix(1), mix(2)]
}
