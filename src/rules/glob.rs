//! Patterns with `*`, `?`, `[...]` and `{a,b}` as regular expressions: over whole texts, by characters of any
//! language, without regard to case.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    regex: Regex,
}

impl Glob {
    /// # Errors
    /// What is wrong with the pattern.
    pub fn parse(text: &str) -> Result<Glob, String> {
        let mut chars = text.chars().peekable();
        let inner = sequence(&mut chars, 0)?;
        let mut builder = RegexBuilder::new(&format!("^(?:{inner})$"));
        let regex = builder.case_insensitive(true).dot_matches_new_line(true).build();
        let regex = regex.map_err(|_| "the pattern is too large".to_owned())?;
        Ok(Glob { text: text.to_owned(), regex })
    }

    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Up to the end of the pattern or, inside braces, up to the comma or brace that ends an alternative.
fn sequence(chars: &mut Peekable<Chars<'_>>, depth: usize) -> Result<String, String> {
    let mut regex = String::new();
    while let Some(c) = chars.next_if(|c| depth == 0 || !matches!(c, ',' | '}')) {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => regex.push_str(&class(chars)?),
            '{' => regex.push_str(&alternatives(chars, depth + 1)?),
            '\\' => push(&mut regex, chars.next().ok_or("a backslash at the end: \\\\ stands for one")?),
            c => push(&mut regex, c),
        }
    }
    Ok(regex)
}

fn push(regex: &mut String, c: char) {
    regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

fn alternatives(chars: &mut Peekable<Chars<'_>>, depth: usize) -> Result<String, String> {
    if depth > 8 {
        return Err("{...} nested too deep".to_owned());
    }
    let mut regex = "(?:".to_owned();
    loop {
        regex.push_str(&sequence(chars, depth)?);
        match chars.next() {
            Some(',') => regex.push('|'),
            Some(_) => return Ok(regex + ")"),
            None => return Err("{ is not closed".to_owned()),
        }
    }
}

/// The characters of `[...]`; a first `]` is one of them, a first `!` turns the class around.
fn class(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut regex = "[".to_owned();
    if chars.next_if(|c| matches!(c, '!' | '^')).is_some() {
        regex.push('^');
    }
    let mut first = true;
    loop {
        let low = match chars.next().ok_or("[ is not closed")? {
            ']' if !first => return Ok(regex + "]"),
            '\\' => chars.next().ok_or("[ is not closed")?,
            c => c,
        };
        first = false;
        push_in_class(&mut regex, low);
        let mut rest = chars.clone();
        if rest.next() == Some('-') && rest.next().is_some_and(|c| c != ']') {
            chars.next();
            let high = chars.next().unwrap_or(low);
            if high < low {
                return Err(format!("invalid range; '{low}' > '{high}'"));
            }
            regex.push('-');
            push_in_class(&mut regex, high);
        }
    }
}

/// Characters with a meaning inside a class of a regular expression are not all escaped by [`regex::escape`].
fn push_in_class(regex: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(c);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        let check = |glob: &str, text: &str, expected: bool| {
            assert_eq!(Glob::parse(glob).unwrap().matches(text), expected, "{glob} on {text}");
        };
        check("*t1*", "Anat T1w", true);
        check("t1*", "Anat T1w", false);
        check("T?", "T1", true);
        check("T?", "T", false);
        check("sch?del*", "SCHÄDEL mit km", true);
        check("*ä*", "Ä", true);
        check("[0-9]mm", "3mm", true);
        check("[!0-9]mm", "3mm", false);
        check("[]a-]x", "-x", true);
        check("[&&~^]x", "^x", true);
        check("{flair,dwi*}", "DWI b1000", true);
        check("a{b,{c,d}}e", "ADE", true);
        check("(a+b).c|d", "(A+B).C|D", true);
        check("a\\*", "a*", true);
        check("a\\*", "ab", false);
        check("a,b}", "a,b}", true);
        check("", "", true);
    }

    #[test]
    fn broken_patterns_say_why() {
        let check = |glob: &str, expected: &str| assert_eq!(Glob::parse(glob).unwrap_err(), expected, "{glob}");
        check("[a", "[ is not closed");
        check("[", "[ is not closed");
        check("{a,b", "{ is not closed");
        check("[z-a]", "invalid range; 'z' > 'a'");
        check("a\\", "a backslash at the end: \\\\ stands for one");
        check(&"{".repeat(9), "{...} nested too deep");
    }
}
