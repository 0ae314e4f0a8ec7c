//! The history of the rules.

use super::*;

fn put(ledger: &Ledger, revision: &str, source: RulesSource) -> bool {
    let text = format!("# {revision}");
    let rules = NewRules { revision, source, who: "uid 7", why: "a test", text: &text };
    ledger.record_rules(&rules).unwrap()
}

pub fn a_text_in_force_is_recorded_once_and_again_when_it_comes_back(mut stand: Stand) {
    assert!(put(&stand.ledger, "aaaaaa1", RulesSource::Start));
    stand.crash();
    assert!(!put(&stand.ledger, "aaaaaa1", RulesSource::Start), "a start with the same rules is no change");
    stand.clock.advance(SECOND);
    assert!(put(&stand.ledger, "bbbbbb1", RulesSource::File));
    stand.clock.advance(SECOND);
    assert!(put(&stand.ledger, "aaaaaa1", RulesSource::Rollback));
    let rows = stand.ledger.rules_history(10).unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.number, row.revision.as_str(), row.source, row.since.0)).collect();
    let start = START.0;
    let expected = [
        (3, "aaaaaa1", RulesSource::Rollback, start + 2000),
        (2, "bbbbbb1", RulesSource::File, start + 1000),
        (1, "aaaaaa1", RulesSource::Start, start),
    ];
    assert_eq!(shown, expected);
    assert_eq!((rows[0].who.as_str(), rows[0].why.as_str(), rows[0].text.as_str()), ("uid 7", "a test", "# aaaaaa1"));
    assert_eq!(stand.ledger.rules_history(1).unwrap().len(), 1);
}

pub fn rules_are_found_by_number_and_by_the_beginning_of_their_revision(stand: Stand) {
    put(&stand.ledger, "123456aa", RulesSource::Start);
    put(&stand.ledger, "223456bb", RulesSource::File);
    let found = |name: &str| -> Vec<i64> {
        stand.ledger.rules_named(name).unwrap().into_iter().map(|row| row.number).collect()
    };
    assert_eq!((found("1"), found("2"), found("3")), (vec![1], vec![2], vec![]));
    assert_eq!((found("123456"), found("223456BB"), found("12345")), (vec![1], vec![2], vec![]));
    assert_eq!((found(""), found("%"), found("1x")), (vec![], vec![], vec![]));
    let before = |number| stand.ledger.rules_before(number).unwrap().map(|row| row.number);
    assert_eq!((before(2), before(1)), (Some(1), None));
}
