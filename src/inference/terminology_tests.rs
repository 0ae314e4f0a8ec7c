//! The shipped table: every code well formed, every SNOMED CT identifier with its check digit, no structure twice.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;

fn shipped() -> Terminology {
    Terminology::shipped().unwrap()
}

/// Every code of the table.
fn codes(terms: &Terminology) -> Vec<&Code> {
    let mut all: Vec<&Code> = terms.categories.values().chain(terms.sides.values()).collect();
    for structure in terms.structures.values() {
        all.extend([&structure.property, &structure.category]);
        all.extend([&structure.modifier, &structure.region, &structure.region_modifier].into_iter().flatten());
    }
    all
}

#[test]
fn label_sets_are_those_of_the_models() {
    let terms = shipped();
    let check = |set: &str, count: usize, label: u8, name: &str| {
        let segments = terms.set(set).unwrap();
        assert_eq!(segments.len(), count, "{set}");
        assert!(segments.is_sorted_by_key(|segment| segment.label), "{set}");
        let segment = segments.iter().find(|segment| segment.label == label).unwrap();
        assert_eq!(segment.name, name, "{set} {label}");
    };
    check("totalsegmentator-ct", 117, 1, "Spleen");
    check("totalsegmentator-ct", 117, 117, "Costal cartilages");
    check("totalsegmentator-mr", 50, 20, "Intervertebral discs");
    check("totalsegmentator-mr", 50, 50, "Brain");
    check("maisi", 125, 23, "Lung tumor");
    check("maisi", 125, 132, "Airway");
    check("maisi", 125, 200, "Body");
    check("meshnet-structures", 17, 17, "Ventral diencephalon");
    check("chest-nih14", 14, 14, "Hernia");
    check("chest-torchxrayvision", 18, 18, "Enlarged cardiomediastinum");
    assert_eq!(terms.set("nobody's"), None);
    assert!(terms.unknown("set", "totalsegmentator").contains("did you mean totalsegmentator-"));
}

#[test]
fn codes_are_sound() {
    let terms = shipped();
    for (key, structure) in terms.structures() {
        assert_eq!(malformed(structure), Vec::<String>::new(), "{key}");
    }
    for code in codes(&terms) {
        match code.scheme.as_str() {
            "SCT" => assert!(is_concept(&code.value), "{code:?}"),
            "DCM" => assert!(code.value.len() >= 5 && code.value.bytes().all(|b| b.is_ascii_digit()), "{code:?}"),
            "99SAGITTAL" => assert!(code.value.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'), "{code:?}"),
            other => panic!("{other}: {code:?}"),
        }
    }
}

#[test]
fn nothing_is_there_twice() {
    let terms = shipped();
    let mut seen = BTreeSet::new();
    for (key, s) in terms.structures() {
        let value = |code: &Option<Code>| code.as_ref().map(|code| code.value.clone());
        let meant = (s.property.value.clone(), value(&s.modifier), value(&s.region), value(&s.region_modifier));
        assert!(seen.insert(meant), "{key}: another structure has its codes");
    }
    // One meaning a code, whoever uses it.
    let mut meanings = std::collections::BTreeMap::new();
    for code in codes(&terms) {
        let known = meanings.entry((&code.scheme, &code.value)).or_insert(&code.meaning);
        assert_eq!(*known, &code.meaning, "{code:?}");
    }
    for set in terms.sets.keys() {
        let colors: BTreeSet<[u8; 3]> = terms.set(set).unwrap().iter().map(|segment| segment.color).collect();
        assert_eq!(colors.len(), terms.sets[set].len(), "{set}: two labels have one colour");
    }
}

#[test]
fn own_files_add_and_replace() {
    let mut terms = shipped();
    let own = r#"
        [structure]
        spleen = { code = { value = "78961009", scheme = "SCT", meaning = "Spleen" }, color = [1, 2, 3] }
        cyst_right = { category = "abnormality", code = { value = "367643001", scheme = "SCT", meaning = "Cyst" }, modifier = "right", color = [4, 5, 6] }
        [set.ours]
        7 = "cyst_right"
        1 = "spleen"
    "#;
    terms.add(own, Path::new("own.toml")).unwrap();
    assert_eq!(terms.structure("spleen", 3).unwrap().color, [1, 2, 3]);
    let ours: Vec<_> = terms.set("ours").unwrap().into_iter().map(|s| (s.label, s.name)).collect();
    assert_eq!(ours, [(1, "Spleen".into()), (7, "Cyst right".into())]);
    let faulty = "[structure]\na = { category = \"bone\", code = { value = \"\", scheme = \"SCT\", meaning = \"x\" }, modifier = \"up\", color = [0, 0, 0] }\n\
                  b = { code = { value = \"1\", scheme = \"SCT\", meaning = \"\" }, region_modifier = \"left\", color = [0, 0, 0] }\n\
                  [set.s]\n0 = \"spleen\"\n1 = \"splen\"\n";
    let told = terms.add(faulty, Path::new("own.toml")).unwrap_err().to_string();
    for expected in [
        "own.toml:2: a: category = \"bone\": give one of abnormality, anatomy, tissue",
        "own.toml:2: a: modifier = \"up\"",
        "own.toml:3: b: code `1`",
        "own.toml:3: b: region_modifier",
        "own.toml:5: set s, label 0",
        "own.toml:6: set s, label 1: there is no structure \"splen\"; did you mean spleen",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

/// Verhoeff's permutation, applied once for each place.
const TURN: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];

/// A SNOMED CT identifier of a concept: 6 to 18 digits, partition 00 or 10, and Verhoeff's check digit
/// (SNOMED CT Technical Implementation Guide, SCTID).
fn is_concept(value: &str) -> bool {
    let digits: Vec<usize> = value.bytes().filter(u8::is_ascii_digit).map(|b| usize::from(b - b'0')).collect();
    let partition = value.get(value.len().saturating_sub(3)..value.len().saturating_sub(1));
    let length = digits.len() == value.len() && (6..=18).contains(&digits.len()) && digits[0] > 0;
    // The dihedral group of order ten.
    let product = |a: usize, b: usize| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let turned = |digit: usize, times: usize| (0..times % 8).fold(digit, |digit, _| TURN[digit]);
    let check = digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| product(sum, turned(*digit, place)));
    length && matches!(partition, Some("00" | "10")) && check == 0
}

#[test]
fn the_check_digit_finds_a_wrong_digit() {
    assert!(is_concept("12738006") && is_concept("10200004") && is_concept("1078209008"));
    for place in 0..8 {
        let mut wrong = "12738006".as_bytes().to_vec();
        wrong[place] = b'0' + (wrong[place] - b'0' + 1) % 10;
        assert!(!is_concept(std::str::from_utf8(&wrong).unwrap()), "place {place}");
    }
}
