//! What is kept for long enough goes (`[storage]` in node.toml), inputs, results and history each after their own time, and nothing
//! that somebody may still need.

use std::sync::Arc;
use std::time::Duration;

use sagittal::intake::Expired;
use sagittal::ledger::{Delivered, JobFilter, JobKind, JobState, Setback};

use crate::support::balky::objects;
use crate::support::half::Half;
use crate::support::outbox::{Outbox, fill};

const DAY: Duration = Duration::from_hours(24);
const KEEP: &str =
    "[node]\nae_title = \"SAGITTAL\"\n[storage]\ninputs_for = \"2 d\"\nresults_for = \"5 d\"\nhistory_for = \"30 d\"\n";

/// An outbox with the series 1.2.1 delivered, 1.2.2 given up and 1.2.3 waiting, and the receiving half of its node.
fn stand() -> (Outbox, Half) {
    let outbox = Outbox::empty("[destination.out]\nkind = \"folder\"\npath = \"out\"\n");
    let node = std::fs::read_to_string(outbox.site.config().join("node.toml")).unwrap();
    let data = node.lines().find(|line| line.starts_with("data")).unwrap_or_default();
    outbox.site.write("node.toml", &KEEP.replace("[storage]", &format!("{data}\n[storage]")));
    let half = Half::open(&outbox.site, Arc::new(outbox.clock.clone()));
    for (series, object) in (1..=3).zip(objects(3)) {
        fill(&half.ledger, &half.spool, &["out"], &[object], series);
    }
    let claims = half.ledger.claim(JobKind::Deliver, "test", DAY, 2, &[]).unwrap();
    assert!(half.ledger.complete_deliver(&claims[0], Delivered::Confirmed).unwrap());
    assert!(half.ledger.set_back(&claims[1], &Setback::GiveUp { error: "never".to_owned() }).unwrap());
    (outbox, half)
}

fn expired(series: u64, results: u64, history: u64) -> Expired {
    Expired { series, results, history }
}

#[test]
fn inputs_results_and_history_go_each_after_their_time_and_nothing_that_is_needed() {
    let (outbox, half) = stand();
    let held = || half.spool.locations().unwrap().count();
    let after = |days: u32| {
        outbox.clock.advance(DAY * days);
        (half.intake.expire().unwrap(), held())
    };
    assert_eq!(after(1), (expired(0, 0, 0), 6), "too young");
    assert_eq!(after(2), (expired(1, 0, 0), 5), "the inputs of what was delivered");
    assert_eq!(after(3), (expired(0, 1, 0), 4), "its results");
    // its two jobs; the rest waits for somebody, however old it is
    assert_eq!(after(60), (expired(0, 0, 3), 4));
    let left = half.ledger.jobs(&JobFilter::default()).unwrap();
    let states: Vec<_> = left.iter().filter(|job| job.kind == JobKind::Deliver).map(|job| job.state).collect();
    assert!(states.contains(&JobState::Discarded) && states.contains(&JobState::Available), "{states:?}");
    assert!(half.ledger.is_own_result(&objects(3)[0].sop_instance).unwrap(), "what was ours is known for ever");

    let given_up = left.iter().find(|job| job.state == JobState::Discarded).unwrap().id;
    half.ledger.retry_job(given_up).unwrap();
    half.ledger.cancel_job(given_up).unwrap();
    assert_eq!(after(3), (expired(1, 0, 0), 3), "nobody needs it any more");
    assert_eq!(after(3), (expired(0, 1, 0), 2));
    assert_eq!(after(31), (expired(0, 0, 3), 2));
    assert_eq!(half.ledger.jobs(&JobFilter::default()).unwrap().len(), 2, "what waits to be delivered stays");
}

#[test]
fn nothing_goes_where_no_time_is_set() {
    let (outbox, _) = stand();
    let node = std::fs::read_to_string(outbox.site.config().join("node.toml")).unwrap();
    outbox.site.write("node.toml", node.split("[storage]").next().unwrap_or_default());
    let half = Half::open(&outbox.site, Arc::new(outbox.clock.clone()));
    outbox.clock.advance(DAY * 4000);
    assert_eq!(half.intake.expire().unwrap(), expired(0, 0, 0));
}
