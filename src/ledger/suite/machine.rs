//! Every operation in every state, through the seam: the pure table of `state` is what really happens, and what it lacks
//! changes nothing.

use super::*;
use crate::ledger::state::{self, Event, is_final};

/// A delivery brought into `state`, and the claim that it ran under last.
fn job_in(stand: &Stand, wanted: JobState) -> (i64, Claim) {
    stand.close_with(1, vec![infer_job(&["pacs"])]);
    let infer = stand.claim_one(JobKind::Infer);
    stand.ledger.complete_infer(&infer, &[result(1, "seg")]).unwrap();
    let claim = stand.claim_one(JobKind::Deliver);
    let ledger = &stand.ledger;
    let is_moved = match wanted {
        JobState::Running => true,
        JobState::Available => {
            ledger.set_back(&claim, &Setback::Snooze { reason: "later".into(), after: Duration::ZERO }).unwrap()
        }
        JobState::Retryable => {
            ledger.set_back(&claim, &Setback::Retry { error: "no".into(), after: Duration::ZERO }).unwrap()
        }
        JobState::Completed => ledger.complete_deliver(&claim, Delivered::Confirmed).unwrap(),
        JobState::Discarded => ledger.set_back(&claim, &Setback::GiveUp { error: "never".into() }).unwrap(),
        JobState::Held => ledger.set_back(&claim, &Setback::Hold { error: "wrong".into() }).unwrap(),
        JobState::Cancelled => ledger.cancel_job(claim.job).is_ok(),
    };
    assert!(is_moved, "{wanted}");
    assert_eq!(stand.state(claim.job), wanted);
    (claim.job, claim)
}

/// What a caller can do to a job; `true`: it was done.
type Operation = fn(&Stand, &Claim) -> bool;

const OPERATIONS: [(&str, Event, Operation); 11] = [
    ("claim", Event::Claim, |s, _| !s.ledger.claim(JobKind::Deliver, "w", LEASE, 1, &[]).unwrap().is_empty()),
    ("complete", Event::Complete, |s, c| s.ledger.complete_deliver(c, Delivered::Confirmed).unwrap()),
    ("fail", Event::Fail { last: false }, |s, c| s.ledger.set_back(c, &retry("no")).unwrap()),
    ("snooze", Event::Snooze, |s, c| s.ledger.set_back(c, &snooze()).unwrap()),
    ("give up", Event::GiveUp, |s, c| s.ledger.set_back(c, &Setback::GiveUp { error: "never".into() }).unwrap()),
    ("park", Event::Park, |s, c| s.ledger.set_back(c, &Setback::Hold { error: "wrong".into() }).unwrap()),
    ("rescue", Event::Rescue { hopeless: false }, |s, _| s.ledger.rescue_all_running().unwrap() == 1),
    ("retry", Event::Retry, |s, c| s.ledger.retry_job(c.job).is_ok()),
    ("cancel", Event::Cancel, |s, c| s.ledger.cancel_job(c.job).is_ok()),
    ("hold", Event::Hold, |s, c| s.ledger.hold_job(c.job).is_ok()),
    ("release", Event::Release, |s, c| s.ledger.release_job(c.job).is_ok()),
];

pub(super) fn every_operation_in_every_state_does_what_the_table_says(stand: Stand) {
    let mut illegal = 0;
    for from in JobState::ALL {
        for (name, event, operate) in OPERATIONS {
            let stand = stand.another();
            let (job, claim) = job_in(&stand, *from);
            let before = serde_json::to_string(&stand.detail(job)).unwrap();
            let is_done = operate(&stand, &claim);
            let after = stand.detail(job);
            let what = format!("{name} of a job that is {from}");
            if let Ok(to) = state::next(*from, event) {
                assert_eq!((is_done, after.job.state), (true, to), "{what}");
            } else {
                illegal += 1;
                assert!(!is_done, "{what}");
                assert_eq!(serde_json::to_string(&after).unwrap(), before, "{what}");
            }
            assert_eq!(after.job.finished_at.is_some(), is_final(after.job.state), "{what}");
            let open = after.attempts.iter().filter(|attempt| attempt.outcome.is_none()).count();
            assert_eq!(open, usize::from(after.job.state == JobState::Running), "{what}");
        }
    }
    // 77 pairs, of which the table of `state` has 20
    assert_eq!(illegal, 57);
}
