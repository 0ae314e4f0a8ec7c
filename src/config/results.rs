//! Which DICOM objects a pipeline writes, and in which form: `results`, `[pipeline.<name>.seg]` and `[pipeline.<name>.sc]`.

use crate::dicom::ladder::Form;
use crate::dicom::{CaptureDrawing, CaptureForm, CaptureLayout, SegForm, SegmentationType};
use crate::rules::section::{Entry, Section};

/// A kind of result. The order is the one in which the results of a job are written and sent: what is referred to
/// comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResultKind {
    /// Segmentation Storage, or Label Map Segmentation Storage.
    Seg,
    /// RT Structure Set Storage.
    RtStruct,
    /// Comprehensive 3D SR Storage: measurements.
    Sr,
    /// Key Object Selection Document Storage.
    Ko,
    /// Secondary Capture Image Storage, or its Multi-frame True Color form: pictures.
    Sc,
    /// Grayscale Softcopy Presentation State Storage: outlines.
    Gsps,
    /// Encapsulated PDF Storage: the report that people read.
    Pdf,
}

impl ResultKind {
    pub const ALL: [ResultKind; 7] = [
        ResultKind::Seg,
        ResultKind::RtStruct,
        ResultKind::Sr,
        ResultKind::Ko,
        ResultKind::Sc,
        ResultKind::Gsps,
        ResultKind::Pdf,
    ];

    /// The word for it in `pipelines.toml`, in the ledger and in file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ResultKind::Seg => "seg",
            ResultKind::RtStruct => "rtstruct",
            ResultKind::Sr => "sr",
            ResultKind::Ko => "ko",
            ResultKind::Sc => "sc",
            ResultKind::Gsps => "gsps",
            ResultKind::Pdf => "pdf",
        }
    }
}

/// What may take the place of a segmentation that a destination does not take.
pub(super) const FALLBACKS: &[(&str, Form)] =
    &[("binary", Form::Binary), ("secondary-capture", Form::SecondaryCapture)];

pub(super) const FORMS: &[(&str, SegForm)] = &[
    ("binary", SegForm { stored: SegmentationType::Binary, rle: false }),
    ("labelmap", SegForm { stored: SegmentationType::Labelmap, rle: false }),
    ("labelmap-rle", SegForm { stored: SegmentationType::Labelmap, rle: true }),
    ("fractional", SegForm { stored: SegmentationType::Fractional, rle: false }),
    ("fractional-rle", SegForm { stored: SegmentationType::Fractional, rle: true }),
];

pub(super) const LAYOUTS: &[(&str, CaptureLayout)] =
    &[("slices", CaptureLayout::Slices), ("frames", CaptureLayout::Frames), ("montage", CaptureLayout::Montage)];
pub(super) const DRAWINGS: &[(&str, CaptureDrawing)] = &[
    ("outline", CaptureDrawing::Outline),
    ("fill", CaptureDrawing::Fill),
    ("both", CaptureDrawing::Both),
    ("heatmap", CaptureDrawing::Heatmap),
];
/// Which source images are shown: those on which something was found, or every one.
pub(super) const SHOWN: &[(&str, bool)] = &[("found", false), ("all", true)];

/// `results`, sorted, each kind once.
pub(super) fn read_kinds(entry: &Entry<'_>) -> Option<Vec<ResultKind>> {
    let words = ResultKind::ALL.map(|kind| (kind.name(), kind));
    let items = entry.items();
    if items.is_empty() {
        return entry.refuse("at least one kind of result", None);
    }
    let mut kinds = Vec::with_capacity(items.len());
    for item in &items {
        match item.choice(&words) {
            Some(kind) if kinds.contains(&kind) => {
                item.refuse::<()>("every kind of result once", None);
            }
            Some(kind) => kinds.push(kind),
            None => {}
        }
    }
    kinds.sort_unstable();
    if kinds.contains(&ResultKind::Sr) && !kinds.contains(&ResultKind::Seg) {
        return entry.refuse("\"sr\" together with \"seg\", whose segments it refers to", None);
    }
    (kinds.len() == items.len()).then_some(kinds)
}

/// `[pipeline.<name>.seg]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Seg {
    pub form: SegForm,
    pub fallback: Vec<Form>,
}

/// `[pipeline.<name>.seg]`; an absent table is the default form.
pub(super) fn read_seg(section: &Section<'_>) -> Option<Seg> {
    let Some(entry) = section.get("seg") else { return Some(Seg::default()) };
    let seg = entry.section()?;
    let form = match seg.get("form") {
        Some(form) => form.choice(FORMS),
        None => Some(SegForm::default()),
    };
    let fallback = seg.get("fallback").map(|entry| read_fallback(&entry, form));
    seg.finish();
    let form = form?;
    Some(Seg { form, fallback: fallback.unwrap_or_else(|| Some(usual_fallback(form)))? })
}

/// What few destinations take is not written alone.
fn usual_fallback(form: SegForm) -> Vec<Form> {
    if form.stored == SegmentationType::Labelmap { vec![Form::Binary] } else { Vec::new() }
}

/// `form`: unless it is faulty itself.
fn read_fallback(entry: &Entry<'_>, form: Option<SegForm>) -> Option<Vec<Form>> {
    let items = entry.items();
    let mut forms: Vec<Form> = items.iter().filter_map(|item| item.choice(FALLBACKS)).collect();
    forms.sort_unstable();
    forms.dedup();
    if forms.contains(&Form::Binary) && form.is_some_and(|form| form.stored != SegmentationType::Labelmap) {
        return entry.refuse("\"binary\" only behind the form \"labelmap\": other forms have its SOP class", None);
    }
    (forms.len() == items.len()).then_some(forms)
}

/// `[pipeline.<name>.sc]`; an absent table is the default form.
pub(super) fn read_capture(section: &Section<'_>) -> Option<CaptureForm> {
    let usual = CaptureForm::default();
    let Some(entry) = section.get("sc") else { return Some(usual) };
    let sc = entry.section()?;
    let layout = sc.get("layout").map_or(Some(usual.layout), |entry| entry.choice(LAYOUTS));
    let drawing = sc.get("draw").map_or(Some(usual.drawing), |entry| entry.choice(DRAWINGS));
    let every_slice = sc.get("images").map_or(Some(usual.every_slice), |entry| entry.choice(SHOWN));
    let burn_in = sc.get("burn_in").map_or(Some(usual.burn_in), |entry| entry.boolean());
    let rle = sc.get("rle").map_or(Some(usual.rle), |entry| entry.boolean());
    sc.finish();
    Some(CaptureForm { layout: layout?, drawing: drawing?, every_slice: every_slice?, burn_in: burn_in?, rle: rle? })
}
