//! The pictures of a report, two beside each other: the source and what was found in it; a bar of greys for the window,
//! and of colours, or the names of the structures, for what lies over it.

use super::layout::{GREY, heading};
use super::line::Style;
use super::page::{Align, Area, Flow, MARGIN, Mark, Page};
use super::plate::{Overlay, Plate, Plates, heat};
use super::report::Report;
use crate::volume::Picture;

const CAPTION: Style = Style::new(8.0);
const SMALL: Style = Style::new(7.0).color(GREY);
const EDGE: Style = Style::new(8.0).bold().color([255, 214, 10]);
const BETWEEN: f32 = 12.0;
/// A picture's height at most.
const HIGHEST: f32 = 205.0;
/// What stands above and below a pair of pictures.
const ABOVE: f32 = 12.0;
const BELOW: f32 = 40.0;
const BAR: [f32; 2] = [90.0, 6.0];

pub(super) fn plates(flow: &mut Flow<'_>, report: &Report, plates: &Plates) {
    // The heading stays with the first pair.
    flow.need(17.0 + plates.all.first().map_or(0.0, |plate| height(flow, plate)));
    heading(flow, "Images");
    for plate in &plates.all {
        flow.need(height(flow, plate));
        pair(flow, report, plates, plate);
    }
}

fn height(flow: &Flow<'_>, plate: &Plate) -> f32 {
    ABOVE + picture_size(flow, plate)[1] + BELOW
}

/// As large as half the page allows, in the patient's proportions.
fn picture_size(flow: &Flow<'_>, plate: &Plate) -> [f32; 2] {
    let [width, height] = plate.extent.map(|mm| mm as f32);
    let scale = (((flow.paper.width() - BETWEEN) / 2.0) / width).min(HIGHEST / height);
    [width * scale, height * scale]
}

fn pair(flow: &mut Flow<'_>, report: &Report, plates: &Plates, plate: &Plate) {
    let [width, height] = picture_size(flow, plate);
    let half = (flow.paper.width() - BETWEEN) / 2.0;
    let (setter, top) = (flow.setter, flow.y + ABOVE);
    let captions = [
        format!("Image {} of the series", plate.slice + 1),
        match plates.overlay {
            Overlay::Structures => "What was found".to_owned(),
            Overlay::Heat => "Probability of what was found".to_owned(),
        },
    ];
    for (place, (raster, caption)) in [&plate.plain, &plate.marked].into_iter().zip(&captions).enumerate() {
        let left = MARGIN + place as f32 * (half + BETWEEN);
        flow.page().text(setter.set(caption, CAPTION), [left, half], top - 3.5, Align::Left);
        picture(flow, raster, plate, [left, top, width, height]);
    }
    let under = top + height + 5.0;
    let [least, greatest] = plate.voi.span();
    let ends = [least, greatest].map(|value| format!("{value:.0}{}", report.unit.suffix()));
    let grey = |share: f32| [plate.voi.grey((least + f64::from(share) * (greatest - least)) as f32); 3];
    bar(flow, [MARGIN, under], ends.each_ref().map(String::as_str), grey);
    let right = MARGIN + half + BETWEEN;
    match plates.overlay {
        Overlay::Heat => bar(flow, [right, under], ["0 %", "100 %"], heat),
        Overlay::Structures => legend(flow, report, plate, [right, under, half]),
    }
    flow.y = top + height + BELOW;
}

fn picture(flow: &mut Flow<'_>, raster: &Picture, plate: &Plate, area: Area) {
    let setter = flow.setter;
    let [left, top, width, height] = area;
    let page = flow.page();
    page.marks.push(Mark::Picture { area, raster: raster.clone() });
    page.marks.push(Mark::Frame { area, color: GREY, width: 0.4 });
    let set = |edge: char| setter.set(&edge.to_string(), EDGE);
    let [at_left, at_right, at_top, at_bottom] = plate.edges.map(set);
    let (inner, middle) = ([left + 3.0, width - 6.0], top + height / 2.0 + 3.0);
    page.text(at_left, inner, middle, Align::Left);
    page.text(at_right, inner, middle, Align::Right);
    page.text(at_top, inner, top + 10.0, Align::Centre);
    page.text(at_bottom, inner, top + height - 4.0, Align::Centre);
}

/// A bar of colours from the least to the greatest value, which stand beside it.
fn bar(flow: &mut Flow<'_>, [x, y]: [f32; 2], [least, greatest]: [&str; 2], color: impl Fn(f32) -> [u8; 3]) {
    const STEPS: usize = 60;
    let setter = flow.setter;
    let least = setter.set(least, SMALL);
    let start = x + least.width + 4.0;
    let page: &mut Page = flow.page();
    page.text(least, [x, 0.0], y + BAR[1], Align::Left);
    let step = BAR[0] / STEPS as f32;
    for index in 0..STEPS {
        // Steps overlap, so that no viewer shows gaps between them.
        let width = if index + 1 == STEPS { step } else { step * 1.5 };
        page.area([start + index as f32 * step, y, width, BAR[1]], color(index as f32 / (STEPS - 1) as f32));
    }
    page.marks.push(Mark::Frame { area: [start, y, BAR[0], BAR[1]], color: GREY, width: 0.4 });
    page.text(setter.set(greatest, SMALL), [start + BAR[0] + 4.0, 0.0], y + BAR[1], Align::Left);
}

/// The structures of a picture with their colours, in three lines at most.
fn legend(flow: &mut Flow<'_>, report: &Report, plate: &Plate, [left, top, width]: [f32; 3]) {
    let setter = flow.setter;
    let (mut x, mut row) = (left, 0);
    let shown = report.rows.iter().filter(|row| plate.labels.contains(&row.label));
    for (place, structure) in shown.enumerate() {
        let line = setter.set(&structure.name, SMALL);
        let wide = line.width + 16.0;
        if x + wide > left + width && x > left {
            (x, row) = (left, row + 1);
        }
        let y = top + row as f32 * 10.0;
        if row == 2 && x + wide + 60.0 > left + width {
            let rest = plate.labels.len() - place;
            flow.page().text(setter.set(&format!("and {rest} more"), SMALL), [x, 0.0], y + 6.0, Align::Left);
            return;
        }
        flow.page().swatch([x, y, 6.0, 6.0], structure.color);
        flow.page().text(line, [x + 8.0, 0.0], y + 6.0, Align::Left);
        x += wide;
    }
}
