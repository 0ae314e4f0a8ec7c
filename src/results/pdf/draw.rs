//! Pages into a PDF file, with `krilla`, which typst prints with: it embeds of each font the glyphs that are used, with the
//! characters that they stand for, so that readers can search and copy; text is shaped by `rustybuzz`, a port of HarfBuzz.
//!
//! Reads no clock and draws no random number: the same pages are the same bytes. What the file says of itself (XMP) names
//! the DICOM object that it belongs to, so that the referee sees when the two do not.

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::{Document, SerializeSettings};

use super::line::Typesetter;
use super::page::{Area, Mark, Page, Paper};
use super::plate::opaque;
use crate::results::ResultError;

/// What the file says of itself.
pub(super) struct About {
    pub title: String,
    pub description: String,
    pub keywords: Vec<String>,
    /// UID of the object that the file is in.
    pub object: String,
    pub node: String,
}

pub(super) fn draw(
    pages: &[Page],
    setter: &Typesetter<'_>,
    paper: Paper,
    about: About,
) -> Result<Vec<u8>, ResultError> {
    let mut document = Document::new_with(SerializeSettings { xmp_metadata: true, ..SerializeSettings::default() });
    document.set_metadata(
        Metadata::new()
            .title(about.title)
            .description(about.description)
            .keywords(about.keywords)
            .document_id(about.object)
            .creator(about.node)
            .language("en".into()),
    );
    let [width, height] = paper.size();
    let settings = PageSettings::from_wh(width, height).ok_or_else(|| failed("the paper has no size"))?;
    for page in pages {
        let mut sheet = document.start_page_with(settings.clone());
        let mut surface = sheet.surface();
        for mark in &page.marks {
            put(&mut surface, mark, setter);
        }
        surface.finish();
        sheet.finish();
    }
    document.finish().map_err(|error| failed(&format!("{error:?}")))
}

fn failed(what: &str) -> ResultError {
    ResultError::Encode(format!("the report is no PDF: {what}"))
}

fn put(surface: &mut Surface<'_>, mark: &Mark, setter: &Typesetter<'_>) {
    match mark {
        Mark::Text { x, y, line } => {
            surface.set_stroke(None);
            surface.set_fill(Some(fill(line.style.color)));
            for run in &line.runs {
                let start = Point::from_xy(x + run.x, *y);
                let font = setter.fonts[run.font].clone();
                surface.draw_glyphs(start, &run.glyphs, font, &run.text, line.style.size, false);
            }
        }
        Mark::Area { area, color } => {
            surface.set_stroke(None);
            surface.set_fill(Some(fill(*color)));
            rectangle(surface, *area);
        }
        Mark::Frame { area, color, width } => {
            surface.set_fill(None);
            surface.set_stroke(Some(Stroke { paint: ink(*color).into(), width: *width, ..Stroke::default() }));
            rectangle(surface, *area);
        }
        Mark::Picture { area: [x, y, width, height], raster } => {
            let image = Image::from_rgba8(opaque(raster), raster.width as u32, raster.height as u32);
            let Some(size) = Size::from_wh(*width, *height) else { return };
            surface.push_transform(&Transform::from_translate(*x, *y));
            surface.draw_image(image, size);
            surface.pop();
        }
    }
}

fn ink([r, g, b]: [u8; 3]) -> rgb::Color {
    rgb::Color::new(r, g, b)
}

fn fill(color: [u8; 3]) -> Fill {
    Fill { paint: ink(color).into(), opacity: NormalizedF32::ONE, ..Fill::default() }
}

fn rectangle(surface: &mut Surface<'_>, [x, y, width, height]: Area) {
    let Some(rect) = Rect::from_xywh(x, y, width, height) else { return };
    let mut path = PathBuilder::new();
    path.push_rect(rect);
    if let Some(path) = path.finish() {
        surface.draw_path(&path);
    }
}
