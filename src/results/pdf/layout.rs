//! From what a report says to its pages: a letterhead, whose images they are, the result, the table of findings, pictures,
//! the model; and on every page whose it is, which page of how many, and that it is no diagnosis.

use super::line::{Style, Typesetter};
use super::page::{Align, Flow, MARGIN, Page, Paper};
use super::report::{DISCLAIMER, Field, Report, TITLE};
use super::{gallery, table};

pub(super) const GREY: [u8; 3] = [105, 112, 122];
pub(super) const PALE: [u8; 3] = [214, 218, 224];
const ACCENT: [u8; 3] = [24, 78, 119];
const WARNING: [u8; 3] = [150, 60, 10];
const WARNING_GROUND: [u8; 3] = [253, 243, 228];
const RESULT_GROUND: [u8; 3] = [234, 241, 247];

const LABEL: Style = Style::new(7.5).color(GREY);
const VALUE: Style = Style::new(9.5);
/// Between blocks.
const GAP: f32 = 13.0;

/// The pages of `report`. `unshown`: characters of its texts that no font has.
pub(super) fn pages(report: &Report, unshown: usize, setter: &Typesetter<'_>, paper: Paper) -> Vec<Page> {
    let mut flow = Flow::new(setter, paper);
    flow.y = MARGIN;
    title(&mut flow);
    names(&mut flow, report, unshown);
    fields(&mut flow, &report.study, 3);
    fields(&mut flow, &report.series, 3);
    result(&mut flow, report);
    heading(&mut flow, "Findings");
    table::findings(&mut flow, report);
    for note in &report.notes {
        flow.paragraph(note, LABEL, flow.whole());
    }
    flow.y += GAP;
    if let Some(plates) = &report.plates {
        gallery::plates(&mut flow, report, plates);
    }
    heading(&mut flow, "How this was made");
    fields(&mut flow, &report.model, 2);
    let mut pages = flow.pages;
    let count = pages.len();
    for (number, page) in pages.iter_mut().enumerate() {
        frame(page, report, [number + 1, count], setter, paper);
    }
    pages
}

fn title(flow: &mut Flow<'_>) {
    let (setter, whole) = (flow.setter, flow.whole());
    let line = setter.set(TITLE, Style::new(20.0).bold().color(ACCENT));
    let y = flow.y + 20.0;
    flow.page().text(line, whole, y, Align::Left);
    flow.y += 30.0;
    let notice = setter.wrap(DISCLAIMER, Style::new(9.0).bold().color(WARNING), whole[1] - 16.0);
    let height = notice.len() as f32 * 12.5 + 8.0;
    let top = flow.y;
    flow.page().area([whole[0], top, whole[1], height], WARNING_GROUND);
    for (row, line) in notice.into_iter().enumerate() {
        flow.page().text(line, [whole[0] + 8.0, whole[1]], top + 13.5 + row as f32 * 12.5, Align::Left);
    }
    flow.y += height + GAP;
}

/// The patient's name in all its forms, and what is wrong with it.
fn names(flow: &mut Flow<'_>, report: &Report, unshown: usize) {
    let whole = flow.whole();
    flow.paragraph("Patient", LABEL, whole);
    let first = report.names.first().map_or("–", String::as_str);
    flow.paragraph(first, Style::new(15.0), whole);
    for other in report.names.iter().skip(1) {
        flow.paragraph(other, Style::new(12.0), whole);
    }
    if unshown > 0 {
        let warning = format!(
            "Warning: {unshown} characters of this report have no font on this node and stand as \u{fffd}; the DICOM \
             attributes of this object hold them."
        );
        flow.paragraph(&warning, Style::new(8.5).bold().color(WARNING), whole);
    }
    flow.y += 5.0;
}

/// Names and values beside each other in `columns`.
fn fields(flow: &mut Flow<'_>, fields: &[Field], columns: usize) {
    let setter = flow.setter;
    let width = flow.paper.width() / columns as f32;
    for row in fields.chunks(columns) {
        let set = |(label, value): &Field| (setter.set(label, LABEL), setter.wrap(value, VALUE, width - 12.0));
        let cells: Vec<_> = row.iter().map(set).collect();
        let lines = cells.iter().map(|(_, value)| value.len()).max().unwrap_or(1);
        let height = LABEL.leading() + lines as f32 * VALUE.leading() + 4.0;
        flow.need(height);
        let top = flow.y;
        for (place, (label, value)) in cells.into_iter().enumerate() {
            let column = [MARGIN + place as f32 * width, width];
            flow.page().text(label, column, top + LABEL.size, Align::Left);
            for (row, line) in value.into_iter().enumerate() {
                let y = top + LABEL.leading() + VALUE.size + row as f32 * VALUE.leading();
                flow.page().text(line, column, y, Align::Left);
            }
        }
        flow.y += height;
    }
    flow.y += 4.0;
}

fn result(flow: &mut Flow<'_>, report: &Report) {
    let (setter, whole) = (flow.setter, flow.whole());
    flow.y += 4.0;
    let style = Style::new(13.0).bold().color(ACCENT);
    let lines = setter.wrap(&report.verdict, style, whole[1] - 24.0);
    let height = 16.0 + lines.len() as f32 * style.leading() + 9.0;
    flow.need(height);
    let top = flow.y;
    flow.page().area([whole[0], top, whole[1], height], RESULT_GROUND);
    flow.page().area([whole[0], top, 3.0, height], ACCENT);
    flow.page().text(setter.set("Overall result", LABEL), [whole[0] + 12.0, whole[1]], top + 13.0, Align::Left);
    for (row, line) in lines.into_iter().enumerate() {
        let y = top + 17.0 + style.size + row as f32 * style.leading();
        flow.page().text(line, [whole[0] + 12.0, whole[1]], y, Align::Left);
    }
    flow.y += height + GAP;
}

pub(super) fn heading(flow: &mut Flow<'_>, text: &str) {
    // Never the last thing on a page.
    flow.need(70.0);
    let (line, whole) = (flow.setter.set(text, Style::new(11.0).bold().color(ACCENT)), flow.whole());
    let y = flow.y + 11.0;
    flow.page().text(line, whole, y, Align::Left);
    flow.y += 17.0;
}

/// What stands on every page; on the first the title takes the place of the patient's line.
fn frame(page: &mut Page, report: &Report, [number, count]: [usize; 2], setter: &Typesetter<'_>, paper: Paper) {
    let whole = [MARGIN, paper.width()];
    if number > 1 {
        let line = setter.wrap(&report.patient, Style::new(8.5), whole[1] - 110.0).swap_remove(0);
        page.text(line, whole, MARGIN + 9.0, Align::Left);
        page.text(setter.set(TITLE, Style::new(8.5).bold().color(ACCENT)), whole, MARGIN + 9.0, Align::Right);
        page.rule(MARGIN + 16.0, whole, PALE);
    }
    let foot = paper.size()[1] - MARGIN;
    page.rule(foot - 22.0, whole, PALE);
    page.text(setter.set(DISCLAIMER, Style::new(7.5).bold().color(WARNING)), whole, foot - 11.0, Align::Left);
    page.text(setter.set(&format!("Page {number} of {count}"), LABEL), whole, foot - 11.0, Align::Right);
    page.text(setter.set(&report.node, LABEL), whole, foot, Align::Left);
}
