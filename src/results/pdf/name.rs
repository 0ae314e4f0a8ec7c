//! Person names as a page shows them (PS3.5 section 6.2.1): up to three groups, alphabetic, ideographic and phonetic.

/// The groups of a person name that are filled, each as it is read: `Müller, Dr. Jörg` and `山田 太郎`.
pub(super) fn groups(name: &str) -> Vec<String> {
    let groups = name.split('=').enumerate();
    groups
        .map(|(place, group)| if place == 0 { alphabetic(group) } else { spaced(group) })
        .filter(|g| !g.is_empty())
        .collect()
}

/// Family name, prefix, given and middle name, suffix.
fn alphabetic(group: &str) -> String {
    let part = |index: usize| group.split('^').nth(index).unwrap_or_default().trim();
    let [family, given, middle, prefix, suffix] = [0, 1, 2, 3, 4].map(part);
    let called = [prefix, given, middle].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    // In East Asia the family name stands first, without a comma.
    if family.starts_with(|c| c >= '\u{2e80}') {
        return spaced(group);
    }
    let all = [family, &called, suffix].into_iter().filter(|part| !part.is_empty());
    all.collect::<Vec<_>>().join(", ")
}

fn spaced(group: &str) -> String {
    group.split('^').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_people_write_them() {
        let check = |name: &str, expected: &[&str]| assert_eq!(groups(name), expected, "{name:?}");
        check("Müller^Jörg", &["Müller, Jörg"]);
        check("Adams^John Robert Quincy^^Rev.^B.A. M.Div.", &["Adams, Rev. John Robert Quincy, B.A. M.Div."]);
        check("Yamada^Tarou=山田^太郎=やまだ^たろう", &["Yamada, Tarou", "山田 太郎", "やまだ たろう"]);
        check("=山田^太郎", &["山田 太郎"]);
        check("Morrison-Jones^Susan^^^Ph.D.", &["Morrison-Jones, Susan, Ph.D."]);
        check("山田^太郎", &["山田 太郎"]);
        check("ANONYMOUS", &["ANONYMOUS"]);
        check("^^^", &[]);
        check("", &[]);
    }
}
