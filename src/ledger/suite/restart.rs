//! Exercises of losing the process between any two calls (invariant 8).

use super::*;

/// Lets a number of calls pass and then "crashes" by returning `None`.
struct Fuse(u32);

impl Fuse {
    fn burn(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

/// A node's whole day, from what the ledger says and nothing else; `None`: the process died.
fn live(ledger: &Ledger, fuse: &mut Fuse) -> Option<()> {
    fuse.burn()?;
    ledger.rescue_all_running().unwrap();
    // the modality sends again whatever was not acknowledged
    for instance in 1..=2 {
        fuse.burn()?;
        ledger.record_instances(&[arrived(1, instance, "bytes")]).unwrap();
    }
    fuse.burn()?;
    ledger.mark_released(&[series(1)]).unwrap();
    for open in ledger.open_revisions().unwrap().iter().filter(|open| open.instances == 2) {
        fuse.burn()?;
        ledger.close_revision(&closing(open, vec![infer_job(&["pacs", "rest"])])).unwrap();
    }
    work_off(ledger, fuse)
}

fn work_off(ledger: &Ledger, fuse: &mut Fuse) -> Option<()> {
    for kind in [JobKind::Infer, JobKind::Deliver] {
        loop {
            fuse.burn()?;
            let claims = ledger.claim(kind, "w", LEASE, 1, &[]).unwrap();
            let Some(claim) = claims.first() else { break };
            fuse.burn()?;
            assert!(ledger.heartbeat(claim, LEASE).unwrap());
            fuse.burn()?;
            assert!(complete(ledger, claim));
        }
    }
    Some(())
}

fn complete(ledger: &Ledger, claim: &Claim) -> bool {
    match &claim.work {
        Work::Infer { .. } => ledger.complete_infer(claim, &[result(1, "seg")]).unwrap(),
        Work::Deliver { .. } => ledger.complete_deliver(claim, Delivered::Confirmed).unwrap(),
    }
}

pub(super) fn a_crash_after_any_call_loses_and_repeats_nothing(first: Stand) {
    let mut crashes = 0;
    for calls in 0.. {
        let mut stand = first.another();
        let finished = live(&stand.ledger, &mut Fuse(calls)).is_some();
        stand.crash();
        assert!(live(&stand.ledger, &mut Fuse(u32::MAX)).is_some());
        let expected = Counts {
            jobs: [((JobKind::Infer, JobState::Completed), 1), ((JobKind::Deliver, JobState::Completed), 2)].into(),
            open_revisions: 0,
            closed_revisions: 1,
            ..Counts::default()
        };
        assert_eq!(stand.ledger.counts().unwrap(), expected, "crash after {calls} calls");
        assert_eq!(stand.ledger.spool_locations().unwrap().len(), 3, "crash after {calls} calls");
        if finished {
            break;
        }
        crashes += 1;
    }
    assert_eq!(crashes, 16, "the day has as many calls");
}

pub(super) fn a_second_process_sees_what_was_committed(stand: Stand) {
    let other = stand.second_handle();
    let job = stand.close_with(1, vec![infer_job(&["pacs"])])[0];
    let claim = stand.claim_one(JobKind::Infer);
    assert_eq!(other.job(job).unwrap().unwrap().job.state, JobState::Running, "opening rescues nothing");
    assert_eq!(other.cancel_job(job).unwrap(), JobState::Cancelled);
    assert!(!stand.ledger.heartbeat(&claim, LEASE).unwrap());
}
