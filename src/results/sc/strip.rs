//! The strip below a picture: that it is not for diagnostic use, which model and window, and what the colours mean.

use crate::volume::{NOTICE, Picture, blend};

const INK: [u8; 3] = [230, 230, 230];
/// What lies below the colours of a heatmap's bar.
const BENEATH: [u8; 3] = [96, 96, 96];
const MARGIN: usize = 4;
/// From one line to the next.
const LINE: usize = Picture::TEXT_HEIGHT + 4;
/// From one entry to the next, and from its colour to its name.
const GAP: usize = 8;

/// What a strip says.
pub(super) struct Legend {
    pub model: String,
    /// Center and width.
    pub window: Option<[f64; 2]>,
    /// Colours and opacities from nothing to certain.
    pub heat: Option<Vec<([u8; 3], f32)>>,
    /// Colours and names.
    pub entries: Vec<([u8; 3], String)>,
}

/// How wide a picture must be at least, so that the notice fits.
pub(super) fn least_width(size: usize) -> usize {
    (NOTICE.len() * Picture::TEXT_ADVANCE + 2 * MARGIN) * size
}

impl Legend {
    fn lines(&self) -> [String; 2] {
        let window = self.window.map(|[center, width]| format!("  WC {center} WW {width}")).unwrap_or_default();
        [NOTICE.to_owned(), format!("{}{window}", self.model)]
    }

    /// Line and column of each entry in a strip of `width` pixels, text of size 1.
    fn places(&self, width: usize) -> Vec<[usize; 2]> {
        let (mut line, mut x) = (0, MARGIN);
        let mut places = Vec::with_capacity(self.entries.len());
        for (_, name) in &self.entries {
            let needed = Picture::TEXT_HEIGHT + GAP / 2 + name.chars().count() * Picture::TEXT_ADVANCE;
            if x > MARGIN && x + needed + MARGIN > width {
                (line, x) = (line + 1, MARGIN);
            }
            places.push([line, x]);
            x += needed + GAP;
        }
        places
    }

    /// Height of the strip of a picture `width` wide, pixels.
    pub fn height(&self, width: usize, size: usize) -> usize {
        let entries = match &self.heat {
            Some(_) => 1,
            None => self.places(width / size).last().map_or(0, |[line, _]| line + 1),
        };
        ((self.lines().len() + entries) * LINE + 2 * MARGIN) * size
    }

    /// Draws the strip into `picture` below row `top`.
    pub fn draw(&self, picture: &mut Picture, top: usize, size: usize) {
        let row = |line: usize| top + (MARGIN + line * LINE) * size;
        for (line, text) in self.lines().iter().enumerate() {
            picture.text(MARGIN * size, row(line), text, INK, size);
        }
        let first = self.lines().len();
        if let Some(colors) = &self.heat {
            bar(colors, picture, row(first), size);
            return;
        }
        for ((color, name), [line, x]) in self.entries.iter().zip(self.places(picture.width / size)) {
            let (x, y, side) = (x * size, row(first + line), Picture::TEXT_HEIGHT * size);
            picture.rectangle(x..x + side, y..y + side, *color);
            picture.text(x + side + GAP / 2 * size, y, name, INK, size);
        }
    }
}

/// The colours of a heatmap between their least and greatest.
fn bar(colors: &[([u8; 3], f32)], picture: &mut Picture, y: usize, size: usize) {
    let [low, high] = ["0 %", "100 %"];
    let left = (MARGIN + (low.len() + 1) * Picture::TEXT_ADVANCE) * size;
    picture.text(MARGIN * size, y, low, INK, size);
    for (at, (color, opacity)) in colors.iter().enumerate() {
        let x = left + at * size;
        picture.rectangle(x..x + size, y..y + Picture::TEXT_HEIGHT * size, blend(BENEATH, *color, *opacity));
    }
    picture.text(left + colors.len() * size + Picture::TEXT_ADVANCE * size, y, high, INK, size);
}
