//! The life of a job as one pure table: which event moves it from which state to which.
//!
//! Does no I/O, reads no clock, knows no attempt numbers; the callers guard every move by the state and
//! the attempt a job was claimed in (invariant 5).

use std::fmt;

use super::JobState;

/// Something that happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A worker takes it.
    Claim,
    Complete,
    /// An attempt failed and may be repeated; `last`: no attempt is left.
    Fail {
        last: bool,
    },
    /// Not now; the attempt is given back.
    Snooze,
    GiveUp,
    /// The worker found that the result must not leave the house without an operator.
    Park,
    /// Its lease ended, or its process died; `hopeless`: too often already.
    Rescue {
        hopeless: bool,
    },
    /// Operators' events.
    Retry,
    Cancel,
    Hold,
    Release,
}

impl Event {
    /// What an operator may ask for.
    pub const OPERATOR: [Event; 4] = [Event::Retry, Event::Cancel, Event::Hold, Event::Release];

    pub(super) const fn participle(self) -> &'static str {
        match self {
            Event::Claim => "claimed",
            Event::Complete => "completed",
            Event::Fail { .. } => "failed",
            Event::Snooze => "snoozed",
            Event::GiveUp => "given up",
            Event::Park => "parked",
            Event::Rescue { .. } => "rescued",
            Event::Retry => "retried",
            Event::Cancel => "cancelled",
            Event::Hold => "held",
            Event::Release => "released",
        }
    }
}

/// A pair of state and event that the table lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegal {
    pub state: JobState,
    pub event: Event,
}

impl std::error::Error for Illegal {}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is {} and cannot be {}; it can be ", self.state, self.event.participle())?;
        let allowed: Vec<&str> = Event::OPERATOR
            .into_iter()
            .filter(|event| next(self.state, *event).is_ok())
            .map(Event::participle)
            .collect();
        f.write_str(&if allowed.is_empty() { "neither retried nor cancelled".to_owned() } else { allowed.join(" or ") })
    }
}

/// The state that `event` leads to from `state`.
pub fn next(state: JobState, event: Event) -> Result<JobState, Illegal> {
    use JobState::{Available, Cancelled, Completed, Discarded, Held, Retryable, Running};
    let to = match (state, event) {
        (Available | Retryable, Event::Claim) => Running,
        (Running, Event::Complete) => Completed,
        (Running, Event::Fail { last: false }) => Retryable,
        (Running, Event::Fail { last: true } | Event::GiveUp | Event::Rescue { hopeless: true }) => Discarded,
        (Running, Event::Park) | (Available | Retryable, Event::Hold) => Held,
        (Running, Event::Snooze | Event::Rescue { hopeless: false })
        | (Available | Retryable | Discarded | Cancelled | Held, Event::Retry)
        | (Held, Event::Release) => Available,
        (Available | Running | Retryable | Held, Event::Cancel) => Cancelled,
        _ => return Err(Illegal { state, event }),
    };
    Ok(to)
}

/// Whether nothing but an operator moves a job out of `state`, and it has an end time.
#[must_use]
pub const fn is_final(state: JobState) -> bool {
    matches!(state, JobState::Completed | JobState::Discarded | JobState::Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 13] = [
        Event::Claim,
        Event::Complete,
        Event::Fail { last: false },
        Event::Fail { last: true },
        Event::Snooze,
        Event::GiveUp,
        Event::Park,
        Event::Rescue { hopeless: false },
        Event::Rescue { hopeless: true },
        Event::Retry,
        Event::Cancel,
        Event::Hold,
        Event::Release,
    ];

    /// Rows: states in the order of `JobState::ALL`; columns: `EVENTS`; `.`: illegal.
    const TABLE: [(&str, &str); 7] = [
        ("available", "R........AXH."),
        ("running", ".CTDADHAD.X.."),
        ("retryable", "R........AXH."),
        ("completed", "............."),
        ("discarded", ".........A..."),
        ("cancelled", ".........A..."),
        ("held", ".........AX.A"),
    ];

    fn letter(verdict: &Result<JobState, Illegal>) -> char {
        match verdict {
            Err(_) => '.',
            Ok(JobState::Available) => 'A',
            Ok(JobState::Running) => 'R',
            Ok(JobState::Retryable) => 'T',
            Ok(JobState::Completed) => 'C',
            Ok(JobState::Discarded) => 'D',
            Ok(JobState::Cancelled) => 'X',
            Ok(JobState::Held) => 'H',
        }
    }

    #[test]
    fn every_state_and_event_is_as_the_table_says() {
        for (state, (name, row)) in JobState::ALL.iter().zip(TABLE) {
            assert_eq!(state.word(), name);
            let found: String = EVENTS.iter().map(|event| letter(&next(*state, *event))).collect();
            assert_eq!(found, row, "{name}");
        }
    }

    #[test]
    fn a_refusal_names_the_state_and_what_is_allowed() {
        let text = |state, event| next(state, event).map_err(|illegal| illegal.to_string());
        assert_eq!(
            text(JobState::Completed, Event::Retry),
            Err("is completed and cannot be retried; it can be neither retried nor cancelled".to_owned())
        );
        assert_eq!(
            text(JobState::Running, Event::Hold),
            Err("is running and cannot be held; it can be cancelled".to_owned())
        );
    }

    #[test]
    fn a_final_state_is_left_by_no_worker() {
        for state in JobState::ALL.iter().filter(|state| is_final(**state)) {
            let moves = EVENTS.iter().filter(|event| !Event::OPERATOR.contains(event));
            assert_eq!(moves.filter(|event| next(*state, **event).is_ok()).count(), 0, "{state}");
        }
    }
}
