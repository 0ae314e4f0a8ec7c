//! Exercises of what others are told: events of rules and destinations, and the notices made of events.

use super::pending::{closed, held};
use super::*;

fn told(stand: &Stand) -> Vec<(Happened, String, String)> {
    let events = stand.ledger.events(99).unwrap().into_iter();
    events.map(|event| (event.what, event.subject.unwrap_or_default(), event.detail)).collect()
}

pub(super) fn what_rules_and_destinations_come_to_is_an_event_once(mut stand: Stand) {
    let give_up = || NewGiveUp { rule: "brain".to_owned(), reason: "no T2 came".to_owned() };
    let both = |stand: &Stand, n| closed(stand, n, Verdict { gave_up: vec![give_up()], ..held() });
    let revision = both(&stand, 1);
    stand.crash();
    let expected = [(Happened::SeriesHeld, "look", "why"), (Happened::RuleGaveUp, "brain", "no T2 came")]
        .map(|(what, subject, detail)| (what, subject.to_owned(), detail.to_owned()));
    assert_eq!(told(&stand), expected);
    assert_eq!(stand.ledger.events(1).unwrap()[0].series, Some(series(1)));
    let (study, seen) = (series(1).study, stand.ledger.due_studies().unwrap().remove(0).seen);
    let decision = |seen: Millis| StudyDecision {
        study: study.clone(),
        seen,
        explanation: "{}".to_owned(),
        rules_revision: "r".to_owned(),
        jobs: Vec::new(),
        due: None,
        gave_up: vec![give_up()],
    };
    stand.ledger.decide_study(&decision(seen)).unwrap().unwrap();
    both(&stand, 2);
    let again = stand.ledger.due_studies().unwrap().remove(0).seen;
    stand.ledger.decide_study(&decision(again)).unwrap().unwrap();
    let of_study = stand.ledger.events(99).unwrap().into_iter().filter(|event| event.study.is_some()).count();
    assert_eq!(of_study, 1, "a study's rule gives up once");
    assert!(
        stand.ledger.held_revision(series(1).series.as_str()).unwrap().is_some_and(|(held, _)| held.id == revision)
    );

    stand.ledger.hand_on(i64::MAX, &[]).unwrap();
    for _ in 0..=OPENS_AFTER {
        stand.ledger.destination_failed("pacs", "no route", SECOND).unwrap();
    }
    stand.ledger.destination_answered("pacs").unwrap();
    stand.ledger.destination_answered("pacs").unwrap();
    let expected = [(Happened::Unreachable, "pacs", "no route"), (Happened::Reachable, "pacs", "")]
        .map(|(what, subject, detail)| (what, subject.to_owned(), detail.to_owned()));
    assert_eq!(told(&stand), expected);
}

pub(super) fn a_notice_is_due_until_it_was_taken_or_given_up_even_after_a_crash(mut stand: Stand) {
    let notice =
        |recipient: &str| NewNotice { message: "evt_1".into(), recipient: recipient.into(), body: "{}".into() };
    stand.ledger.note_action("amy", "opened the box").unwrap();
    stand.ledger.hand_on(i64::MAX, &[notice("it"), notice("desk"), notice("it")]).unwrap();
    stand.crash();
    assert!(stand.ledger.events(9).unwrap().is_empty());
    assert_eq!(stand.ledger.recipients_due().unwrap(), ["desk", "it"]);
    let due = stand.ledger.notices_due("it", 9).unwrap();
    assert_eq!(due.len(), 1, "the same notice twice is one");
    let id = due[0].id;
    stand.ledger.notices_failed(&[id], "no route", Some(SECOND)).unwrap();
    assert_eq!(stand.ledger.recipients_due().unwrap(), ["desk"]);
    stand.crash();
    stand.clock.advance(SECOND);
    assert_eq!(stand.ledger.notices_due("it", 9).unwrap()[0].attempts, 1);
    stand.ledger.notices_failed(&[id], "no route", None).unwrap();
    stand.ledger.notices_told(&[stand.ledger.notices_due("desk", 9).unwrap()[0].id]).unwrap();
    assert!(stand.ledger.recipients_due().unwrap().is_empty());
    let untold = stand.ledger.notices(NoticeFilter::Untold, 9).unwrap();
    assert_eq!((untold.len(), untold[0].id, untold[0].given_up_at.is_some()), (1, id, true));
    assert_eq!(stand.ledger.queue().unwrap().notices, [("it".to_owned(), "given-up", 1)]);
    assert!(stand.ledger.notice_retry(id).unwrap());
    stand.ledger.notices_told(&[id]).unwrap();
    assert!(!stand.ledger.notice_retry(id).unwrap(), "it was told");
    assert_eq!(stand.ledger.notices(NoticeFilter::All, 9).unwrap().len(), 2);

    stand.clock.advance(Duration::from_hours(31 * 24));
    stand.ledger.hand_on(i64::MAX, &[NewNotice { message: "evt_2".into(), ..notice("it") }]).unwrap();
    assert_eq!(stand.ledger.notices(NoticeFilter::All, 9).unwrap().len(), 1, "old ones are forgotten");
}
