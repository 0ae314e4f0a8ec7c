//! The table of findings: a row for each structure, over as many pages as it needs, under the same headings on each.

use super::layout::{GREY, PALE};
use super::line::Style;
use super::page::{Align, Flow, MARGIN};
use super::report::{Report, Row};

const HEADING: Style = Style::new(7.5).bold().color(GREY);
const CELL: Style = Style::new(8.5);
const ABSENT: Style = Style::new(8.5).color(GREY);
const ROW: f32 = 15.0;
const SWATCH: f32 = 8.0;
const STRIPE: [u8; 3] = [246, 247, 249];
/// Of a column of numbers; the last, a range, is wider.
const NUMBER: f32 = 48.0;
const RANGE: f32 = 66.0;

/// Left end and width of the column of names and of those of the numbers.
fn columns(report: &Report, whole: f32) -> Vec<[f32; 2]> {
    let widths = report.columns.iter().map(|heading| if heading.starts_with("5–95") { RANGE } else { NUMBER });
    let widths: Vec<f32> = widths.collect();
    let mut x = MARGIN + whole - widths.iter().sum::<f32>();
    let first = [MARGIN + SWATCH + 9.0, x - MARGIN - SWATCH - 9.0];
    let numbers = widths.into_iter().map(|width| {
        x += width;
        [x - width, width - 5.0]
    });
    std::iter::once(first).chain(numbers).collect()
}

pub(super) fn findings(flow: &mut Flow<'_>, report: &Report) {
    let columns = columns(report, flow.paper.width());
    headings(flow, report, &columns);
    for (number, row) in report.rows.iter().enumerate() {
        let mark = if row.touches_border { " †" } else { "" };
        let style = if row.values.is_empty() { ABSENT } else { CELL };
        let name = flow.setter.wrap(&format!("{}{mark}", row.name), style, columns[0][1] - 4.0);
        let height = ROW + (name.len() - 1) as f32 * style.leading();
        if flow.need(height) {
            headings(flow, report, &columns);
        }
        let top = flow.y;
        if number % 2 == 1 {
            let stripe = [MARGIN, top, flow.paper.width(), height];
            flow.page().area(stripe, STRIPE);
        }
        flow.page().swatch([MARGIN + 3.0, top + 3.5, SWATCH, SWATCH], row.color);
        for (place, line) in name.into_iter().enumerate() {
            flow.page().text(line, columns[0], top + 10.5 + place as f32 * style.leading(), Align::Left);
        }
        numbers(flow, row, &columns[1..], top + 10.5);
        flow.y += height;
    }
    let (y, whole) = (flow.y, flow.whole());
    flow.page().rule(y, whole, PALE);
    flow.y += 7.0;
}

fn numbers(flow: &mut Flow<'_>, row: &Row, columns: &[[f32; 2]], y: f32) {
    let setter = flow.setter;
    for (value, column) in row.values.iter().zip(columns) {
        flow.page().text(setter.set(value, CELL), *column, y, Align::Right);
    }
    if let (true, Some(first)) = (row.values.is_empty(), columns.first()) {
        flow.page().text(setter.set("not found", ABSENT), *first, y, Align::Right);
    }
}

fn headings(flow: &mut Flow<'_>, report: &Report, columns: &[[f32; 2]]) {
    let (setter, top, whole) = (flow.setter, flow.y, flow.whole());
    let texts = std::iter::once(&"Structure\n").chain(&report.columns);
    for (text, column) in texts.zip(columns) {
        let align = if text.starts_with("Structure") { Align::Left } else { Align::Right };
        for (place, part) in text.split('\n').enumerate() {
            let y = top + 8.0 + place as f32 * 9.5;
            flow.page().text(setter.set(part, HEADING), *column, y, align);
        }
    }
    flow.page().rule(top + 22.0, whole, GREY);
    flow.y += 24.0;
}
