//! Reading TOML by hand, so that every mistake of a file is found in one run, each with its place.
//!
//! serde stops at the first fault; here a [`Section`] hands out [`Entry`]s, an entry that does not read as
//! asked records a [`Fault`] and gives `None`, and the walk goes on. The rules and the other configuration
//! files are read through this. Never does I/O.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Severity, did_you_mean};

/// A text being read, and the faults found so far.
pub struct Source<'t> {
    file: &'t str,
    text: &'t str,
    faults: RefCell<Vec<(usize, Fault)>>,
    /// Where values may stand that belong to a patient: faults do not repeat them.
    personal: RefCell<Vec<Range<usize>>>,
    /// Some syntax is broken: absent keys may stand in the broken part and are not reported.
    broken: bool,
}

/// Reads `text` with `walk` and gives its result and all faults in the order of the file.
///
/// The walk also runs over what could be recovered of a text with broken syntax; what it finds behind
/// the first error that upsets the structure is not reported.
pub fn read<R>(file: &str, text: &str, walk: impl FnOnce(&Section<'_>) -> R) -> (R, Vec<Fault>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let source =
        Source { file, text, faults: RefCell::default(), personal: RefCell::default(), broken: !errors.is_empty() };
    let (syntax, reliable_until) = syntax_faults(&source, &errors);
    let root = Section::new(&source, table.get_ref(), 0..0, String::new());
    let result = walk(&root);
    root.finish();

    let lines: Vec<usize> = syntax.iter().map(|(_, fault)| fault.line).collect();
    let mut faults = source.faults.into_inner();
    faults.retain(|(at, fault)| *at < reliable_until && !lines.contains(&fault.line));
    faults.extend(syntax);
    faults.sort_by_key(|(at, _)| *at);
    (result, faults.into_iter().map(|(_, fault)| fault).collect())
}

/// Syntax errors as faults, one a line, and the position from which on the recovered table is guesswork.
fn syntax_faults(source: &Source<'_>, errors: &[toml::de::Error]) -> (Vec<(usize, Fault)>, usize) {
    let mut errors: Vec<(Range<usize>, &str)> =
        errors.iter().map(|e| (e.span().unwrap_or_default(), e.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut faults: Vec<(usize, Fault)> = Vec::new();
    for (span, message) in errors {
        let local = message.contains("must be quoted") || message == "duplicate key";
        let fault =
            Fault { hint: Some(syntax_hint(message).to_owned()), ..source.fault_at(&span, "", message, "TOML syntax") };
        if faults.last().is_none_or(|(_, last)| last.line != fault.line) {
            faults.push((span.start, fault));
        }
        if !local {
            return (faults, span.start);
        }
    }
    (faults, usize::MAX)
}

fn syntax_hint(message: &str) -> &'static str {
    match message {
        m if m.contains("must be quoted") => "put the text between double quotes",
        "duplicate key" => "the same key was given above: keep one of the two",
        m if m.contains("basic string") => "the text is not closed: a double quote is missing",
        m if m.contains("key") => "quote a key that holds other than letters, digits, - and _: when.\"0018,0050\"",
        _ => "look for a missing quote, comma or bracket on this line or the one before",
    }
}

impl Source<'_> {
    fn fault_at(&self, span: &Range<usize>, key: &str, found: impl Into<String>, allowed: impl Into<String>) -> Fault {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Fault {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: key.to_owned(),
            ..Fault::of_file(self.file, found, allowed)
        }
    }

    fn record(&self, span: &Range<usize>, fault: Fault) {
        self.faults.borrow_mut().push((span.start, fault));
    }
}

/// A table being read. [`Section::finish`] reports the keys nobody asked for.
pub struct Section<'s> {
    source: &'s Source<'s>,
    table: &'s DeTable<'s>,
    span: Range<usize>,
    path: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'s> Section<'s> {
    fn new(source: &'s Source<'s>, table: &'s DeTable<'s>, span: Range<usize>, path: String) -> Section<'s> {
        Section { source, table, span, path, asked: RefCell::default() }
    }

    /// The same section under another path, for a table that is better called by its name.
    #[must_use]
    pub fn called(mut self, path: String) -> Section<'s> {
        self.path = path;
        self
    }

    /// The entry of `key`, which counts as known from now on.
    #[must_use]
    pub fn get(&self, key: &'static str) -> Option<Entry<'s>> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
        }
        let (name, value) = self.table.get_key_value(key)?;
        Some(self.entry(name.get_ref(), name.span(), value))
    }

    /// The entry of `key`; a fault when it is absent.
    #[must_use]
    pub fn required(&self, key: &'static str, allowed: &str) -> Option<Entry<'s>> {
        let entry = self.get(key);
        if entry.is_none() {
            self.lacks(key, "nothing: the key is required", allowed, None);
        }
        entry
    }

    /// A sub-table that may be absent.
    #[must_use]
    pub fn section(&self, key: &'static str) -> Option<Section<'s>> {
        self.get(key)?.section()
    }

    /// All entries in the order of the file, with their keys; none is reported by [`Section::finish`].
    #[must_use]
    pub fn entries(&self) -> Vec<(&'s str, Entry<'s>)> {
        let mut all: Vec<_> = self.table.iter().collect();
        all.sort_by_key(|(name, _)| name.span().start);
        all.into_iter()
            .map(|(name, value)| (&**name.get_ref(), self.entry(name.get_ref(), name.span(), value)))
            .collect()
    }

    /// Records that `key` is not there though it has to be. Where the syntax of the file is broken this
    /// says nothing: the key may stand in the broken part.
    pub fn lacks(&self, key: &str, found: &str, allowed: &str, hint: Option<String>) {
        if self.source.broken {
            return;
        }
        let fault = self.source.fault_at(&self.span, &join(&self.path, key), found, allowed);
        self.source.record(&self.span, Fault { hint, ..fault });
    }

    /// 1-based line of the section's head.
    #[must_use]
    pub fn line(&self) -> usize {
        self.source.fault_at(&self.span, "", "", "").line
    }

    /// Reports every key that was never asked for.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for (name, entry) in self.entries().into_iter().filter(|(name, _)| !asked.contains(name)) {
            let span = entry.key_span.clone();
            // Where a value was to stand, a key may be one.
            let path = if entry.is_personal() { &self.path } else { &entry.path };
            let mut fault = self.source.fault_at(&span, path, "an unknown key", asked.join(", "));
            fault.hint = if name == "password" {
                Some("no secret stands in a file that is shown: use password_file or password_env".to_owned())
            } else {
                did_you_mean(name, asked.iter().copied())
            };
            self.source.record(&span, fault);
        }
    }

    fn entry(&self, name: &str, key_span: Range<usize>, value: &'s Spanned<DeValue<'s>>) -> Entry<'s> {
        Entry { source: self.source, key_span, value, path: join(&self.path, name) }
    }
}

fn join(path: &str, key: &str) -> String {
    let bare = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if bare { key.to_owned() } else { format!("\"{key}\"") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A value being read, with its place and the path of its key.
#[derive(Clone)]
pub struct Entry<'s> {
    source: &'s Source<'s>,
    key_span: Range<usize>,
    value: &'s Spanned<DeValue<'s>>,
    path: String,
}

impl<'s> Entry<'s> {
    #[must_use]
    pub fn value(&self) -> &'s DeValue<'s> {
        self.value.get_ref()
    }

    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands here may belong to a patient: no fault repeats it.
    pub fn mark_personal(&self) {
        self.source.personal.borrow_mut().push(self.value.span());
    }

    #[must_use]
    pub fn is_personal(&self) -> bool {
        let span = self.value.span();
        self.source.personal.borrow().iter().any(|marked| marked.start <= span.start && span.end <= marked.end)
    }

    /// Records that the value is not what is allowed; always `None`, for a tail call.
    pub fn refuse<T>(&self, allowed: &str, hint: Option<String>) -> Option<T> {
        let found = if self.is_personal() { kind_of(self.value()).to_owned() } else { describe(self.value()) };
        self.report(Severity::Fault, &found, allowed, hint);
        None
    }

    /// Records that the key itself is not allowed here.
    pub fn refuse_key<T>(&self, found: &str, allowed: &str, hint: Option<String>) -> Option<T> {
        let fault = self.source.fault_at(&self.key_span, &self.path, found, allowed);
        self.source.record(&self.key_span, Fault { hint, ..fault });
        None
    }

    /// Records a fault or a warning at the value in the caller's words.
    pub fn report(&self, severity: Severity, found: &str, allowed: &str, hint: Option<String>) {
        let span = self.value.span();
        let fault = self.source.fault_at(&span, &self.path, found, allowed);
        self.source.record(&span, Fault { severity, hint, ..fault });
    }

    /// Text that is not empty.
    #[must_use]
    pub fn text(&self) -> Option<&'s str> {
        match self.value() {
            DeValue::String(text) if !text.trim().is_empty() => Some(text),
            _ => self.refuse("text between quotes", None),
        }
    }

    /// Text that `parse` understands; its error says what is allowed.
    #[must_use]
    pub fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        parse(self.text()?).map_or_else(|allowed| self.refuse(&allowed, None), Some)
    }

    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        self.value().as_bool().or_else(|| self.refuse("true or false", None))
    }

    /// Any finite number.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        number_of(self.value()).or_else(|| self.refuse("a number", None))
    }

    /// A whole number from `least` to `most`.
    #[must_use]
    pub fn whole(&self, least: u64, most: u64) -> Option<u64> {
        let integer = self.value().as_integer();
        integer
            .and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok())
            .filter(|n| (least..=most).contains(n))
            .or_else(|| self.refuse(&format!("a whole number from {least} to {most}"), None))
    }

    /// One of `words`, each standing for a value.
    #[must_use]
    pub fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let allowed = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let DeValue::String(text) = self.value() else { return self.refuse(&allowed, None) };
        let hit = words.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        hit.or_else(|| self.refuse(&allowed, did_you_mean(text, words.iter().map(|(word, _)| *word))))
    }

    /// The items of a list; a single value reads as a list of one.
    #[must_use]
    pub fn items(&self) -> Vec<Entry<'s>> {
        match self.value() {
            DeValue::Array(array) => array.iter().map(|value| Entry { value, ..self.clone() }).collect(),
            _ => vec![self.clone()],
        }
    }

    #[must_use]
    pub fn section(&self) -> Option<Section<'s>> {
        match self.value() {
            DeValue::Table(table) => Some(Section::new(self.source, table, self.value.span(), self.path.clone())),
            _ => self.refuse("a table", None),
        }
    }
}

/// The number a TOML value holds, `None` for other values and for `nan` and `inf`.
#[must_use]
pub fn number_of(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok().map(|n| n as f64),
        DeValue::Float(f) => f.as_str().parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

/// The value as it is written; lists and tables by their kind.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if !text.is_empty() => format!("\"{text}\""),
        DeValue::Integer(i) => i.as_str().to_owned(),
        DeValue::Float(f) => f.as_str().to_owned(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => d.to_string(),
        _ => kind_of(value).to_owned(),
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(text) if text.is_empty() => "\"\"",
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(items) if items.is_empty() => "an empty list",
        DeValue::Array(_) => "a list",
        DeValue::Table(table) if table.is_empty() => "an empty table",
        DeValue::Table(_) => "a table",
    }
}
