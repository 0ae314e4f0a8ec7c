//! Pages and what lies on them: marks in points from the upper left corner, and a flow that begins a new page where one
//! is full. Knows nothing of what a report says.

use super::layout::GREY;
use super::line::{Line, Style, Typesetter};
use crate::volume::Picture;

/// From the edges of the paper.
pub(super) const MARGIN: f32 = 45.0;
/// What the lines at the head and the foot of every page take.
const HEAD: f32 = 34.0;
const FOOT: f32 = 34.0;

/// Width and height of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paper {
    /// 210 x 297 mm.
    #[default]
    A4,
    /// 8.5 x 11 inches.
    Letter,
}

impl Paper {
    /// In points.
    pub(super) fn size(self) -> [f32; 2] {
        match self {
            Paper::A4 => [595.28, 841.89],
            Paper::Letter => [612.0, 792.0],
        }
    }

    /// Between the margins.
    pub(super) fn width(self) -> f32 {
        self.size()[0] - 2.0 * MARGIN
    }
}

/// A place: left, top, width, height.
pub(super) type Area = [f32; 4];

#[derive(Debug)]
pub(super) enum Mark {
    /// The left end of the baseline.
    Text {
        x: f32,
        y: f32,
        line: Line,
    },
    /// Filled.
    Area {
        area: Area,
        color: [u8; 3],
    },
    /// Only its edge, of this width.
    Frame {
        area: Area,
        color: [u8; 3],
        width: f32,
    },
    Picture {
        area: Area,
        raster: Picture,
    },
}

/// Where text stands within its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

#[derive(Debug, Default)]
pub(super) struct Page {
    pub marks: Vec<Mark>,
}

impl Page {
    /// Text within a column that begins at `x` and is `width` wide, its baseline at `y`.
    pub fn text(&mut self, line: Line, [x, width]: [f32; 2], y: f32, align: Align) {
        let shift = match align {
            Align::Left => 0.0,
            Align::Centre => (width - line.width) / 2.0,
            Align::Right => width - line.width,
        };
        self.marks.push(Mark::Text { x: x + shift, y, line });
    }

    pub fn area(&mut self, area: Area, color: [u8; 3]) {
        self.marks.push(Mark::Area { area, color });
    }

    /// A structure's colour, with an edge: some are as white as the paper.
    pub fn swatch(&mut self, area: Area, color: [u8; 3]) {
        self.area(area, color);
        self.marks.push(Mark::Frame { area, color: GREY, width: 0.3 });
    }

    pub fn rule(&mut self, y: f32, [x, width]: [f32; 2], color: [u8; 3]) {
        self.area([x, y, width, 0.6], color);
    }
}

/// Pages that are being filled from the top.
pub(super) struct Flow<'t> {
    pub setter: &'t Typesetter<'t>,
    pub paper: Paper,
    pub pages: Vec<Page>,
    /// Where the next thing begins on the last page.
    pub y: f32,
}

impl<'t> Flow<'t> {
    pub fn new(setter: &'t Typesetter<'t>, paper: Paper) -> Flow<'t> {
        let mut flow = Flow { setter, paper, pages: Vec::new(), y: 0.0 };
        flow.turn();
        flow
    }

    /// Begins the next page.
    pub fn turn(&mut self) {
        self.pages.push(Page::default());
        self.y = MARGIN + HEAD;
    }

    /// Begins the next page unless this one has `height` left; whether it did.
    pub fn need(&mut self, height: f32) -> bool {
        let full = self.y + height > self.bottom();
        if full {
            self.turn();
        }
        full
    }

    fn bottom(&self) -> f32 {
        self.paper.size()[1] - MARGIN - FOOT
    }

    pub fn page(&mut self) -> &mut Page {
        if self.pages.is_empty() {
            self.pages.push(Page::default());
        }
        let last = self.pages.len() - 1;
        &mut self.pages[last]
    }

    /// A paragraph over the width of `column`, and the space it took.
    pub fn paragraph(&mut self, text: &str, style: Style, column: [f32; 2]) {
        for line in self.setter.wrap(text, style, column[1]) {
            self.need(style.leading());
            let y = self.y + style.size;
            self.page().text(line, column, y, Align::Left);
            self.y += style.leading();
        }
    }

    /// The column between the margins.
    pub fn whole(&self) -> [f32; 2] {
        [MARGIN, self.paper.width()]
    }
}
