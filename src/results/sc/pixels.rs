//! The pictures of one object, made a few at a time and written in order.

use std::io::{self, Write};

use rayon::prelude::*;

use super::drawing::Painter;
use super::strip::least_width;
use crate::results::encode;
use crate::results::seg::rle;
use crate::volume::Picture;

/// The most images that a montage holds.
const TILES: usize = 25;
/// The longest side that a montage may have, pixels, without its strip.
const LONGEST: usize = 2560;

/// The frames of one object.
pub(super) struct Frames<'a> {
    painter: &'a Painter<'a>,
    slices: Vec<usize>,
    montage: Option<Montage>,
    size: [usize; 2],
    /// Rows of the pictures proper; the strip lies below.
    picture_rows: usize,
}

/// How the images of a montage are arranged, row by row.
struct Montage {
    across: usize,
    /// One pixel of a tile is the mean of so many pixels each way.
    reduced: usize,
    /// Columns and rows of a tile.
    tile: [usize; 2],
}

impl<'a> Frames<'a> {
    /// A frame for each slice.
    pub fn of_slices(painter: &'a Painter<'a>, slices: Vec<usize>, size: [usize; 2]) -> Frames<'a> {
        Frames { painter, slices, montage: None, size, picture_rows: painter.size()[1] }
    }

    /// One frame with tiles of `slices`, or, of many, of some that are evenly spread over them.
    pub fn of_montage(painter: &'a Painter<'a>, slices: &[usize]) -> Frames<'a> {
        let count = slices.len().min(TILES);
        let slices: Vec<usize> = (0..count).map(|n| slices[(2 * n + 1) * slices.len() / (2 * count)]).collect();
        let [columns, rows] = painter.size();
        let across = (1..=count).find(|across| across * across >= count).unwrap_or(1);
        let down = count.div_ceil(across);
        let longest = (across * columns).max(down * rows);
        let reduced = longest.div_ceil(LONGEST).clamp(1, columns.min(rows));
        let tile = [columns / reduced, rows / reduced];
        let picture = [across * tile[0], down * tile[1]];
        let size = with_strips(painter, picture, std::iter::once(slices.clone()));
        let montage = Some(Montage { across, reduced, tile });
        Frames { painter, slices, montage, size, picture_rows: picture[1] }
    }

    /// The source images shown, in order.
    pub fn slices(&self) -> &[usize] {
        &self.slices
    }

    /// Columns and rows of a frame.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    fn count(&self) -> usize {
        if self.montage.is_some() { 1 } else { self.slices.len() }
    }

    /// Bytes of native pixel data, padded to even length.
    pub fn native_length(&self) -> u64 {
        (self.count() as u64 * (self.size[0] * self.size[1] * 3) as u64).next_multiple_of(2)
    }

    /// The same bytes every time; no more frames are held than there are threads.
    pub fn write_to(&self, out: &mut dyn Write, is_rle: bool) -> io::Result<()> {
        let all: Vec<usize> = (0..self.count()).collect();
        for batch in all.chunks(rayon::current_num_threads().max(1)) {
            let made: Vec<Vec<u8>> = batch.par_iter().map(|frame| self.encoded(*frame, is_rle)).collect();
            for bytes in made {
                if is_rle {
                    out.write_all(&encode::fragment(bytes.len()))?;
                }
                out.write_all(&bytes)?;
            }
        }
        if is_rle {
            return out.write_all(&encode::end_of_items());
        }
        let is_odd = self.count() * self.size[0] * self.size[1] % 2 == 1;
        out.write_all(if is_odd { &[0] } else { &[] })
    }

    fn encoded(&self, frame: usize, is_rle: bool) -> Vec<u8> {
        let picture = self.frame(frame);
        if is_rle { rle::encode_color(&picture.pixels, picture.width) } else { picture.pixels }
    }

    fn frame(&self, frame: usize) -> Picture {
        let mut picture = Picture::black(self.size[0], self.size[1]);
        let shown = match &self.montage {
            None => {
                paste(&self.painter.slice(self.slices[frame]), &mut picture, [0, 0]);
                &self.slices[frame..=frame]
            }
            Some(montage) => {
                for (at, k) in self.slices.iter().enumerate() {
                    let tile = montage.tile_of(&self.painter.slice(*k));
                    let corner = [at % montage.across * montage.tile[0], at / montage.across * montage.tile[1]];
                    paste(&tile, &mut picture, corner);
                }
                &self.slices[..]
            }
        };
        if let Some(legend) = self.painter.legend(shown) {
            legend.draw(&mut picture, self.picture_rows, self.painter.scale());
        }
        picture
    }
}

/// The size of the pictures of `slices`: of all one, though they be objects of their own.
pub(super) fn size_of_slices(painter: &Painter<'_>, slices: &[usize]) -> [usize; 2] {
    with_strips(painter, painter.size(), slices.iter().map(|k| vec![*k]))
}

/// The size of pictures with strips below them, of which the highest decides.
fn with_strips(painter: &Painter<'_>, picture: [usize; 2], shown: impl Iterator<Item = Vec<usize>>) -> [usize; 2] {
    let size = painter.scale();
    let width = picture[0].max(least_width(size));
    let heights = shown.filter_map(|slices| painter.legend(&slices)).map(|legend| legend.height(width, size));
    match heights.max() {
        Some(strip) => [width, picture[1] + strip],
        None => picture,
    }
}

fn paste(part: &Picture, whole: &mut Picture, corner: [usize; 2]) {
    for (row, line) in part.pixels.chunks_exact(part.width * 3).enumerate() {
        let at = ((corner[1] + row) * whole.width + corner[0]) * 3;
        whole.pixels[at..at + line.len()].copy_from_slice(line);
    }
}

impl Montage {
    /// The mean of each block of pixels; what is left over at the right and below is left out.
    fn tile_of(&self, picture: &Picture) -> Picture {
        if self.reduced == 1 {
            return picture.clone();
        }
        let mut tile = Picture::black(self.tile[0], self.tile[1]);
        let area = self.reduced * self.reduced;
        for (at, pixel) in tile.pixels.iter_mut().enumerate() {
            let (x, y, channel) = (at / 3 % self.tile[0], at / 3 / self.tile[0], at % 3);
            let sum: usize = (0..area)
                .map(|n| {
                    let (column, row) = (x * self.reduced + n % self.reduced, y * self.reduced + n / self.reduced);
                    usize::from(picture.pixels[(row * picture.width + column) * 3 + channel])
                })
                .sum();
            *pixel = ((sum + area / 2) / area) as u8;
        }
        tile
    }
}
