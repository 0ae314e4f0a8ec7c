//! How long each stage of an attempt takes: noted while it goes on, written down with its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Millis};
use crate::ledger::StageTime;

/// The stages of one attempt. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Course {
    clock: Arc<dyn Clock>,
    /// With the time of its beginning; what is entered again is another piece of the same stage.
    entered: Arc<Mutex<Vec<(&'static str, Millis)>>>,
}

impl Course {
    /// Begins with reading.
    pub(super) fn begin(clock: Arc<dyn Clock>) -> Course {
        let entered = Arc::new(Mutex::new(vec![("read", clock.now())]));
        Course { clock, entered }
    }

    /// A stage begins, and the one before it is over.
    pub(super) fn enter(&self, stage: &'static str) {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        if entered.last().is_none_or(|(last, _)| *last != stage) {
            entered.push((stage, self.clock.now()));
        }
    }

    /// Parts of the stage that goes on now were of other stages.
    pub(super) fn set_apart(&self, parts: &[(&'static str, Duration)]) {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((stage, mut at)) = entered.pop() else { return };
        for (part, took) in parts {
            entered.push((part, at));
            at = at.plus(*took).min(self.clock.now());
        }
        entered.push((stage, at));
    }

    /// Each stage once, in the order in which they began.
    pub(super) fn finish(&self) -> Vec<StageTime> {
        let entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = entered.iter().skip(1).map(|(_, at)| *at).chain([self.clock.now()]);
        let mut times: Vec<StageTime> = Vec::new();
        for ((stage, from), to) in entered.iter().zip(ends) {
            // a clock that was set back makes no negative time
            let milliseconds = (to.0 - from.0).max(0).cast_unsigned();
            match times.iter_mut().find(|time| time.stage == *stage) {
                Some(time) => time.milliseconds += milliseconds,
                None => times.push(StageTime { stage: (*stage).to_owned(), milliseconds }),
            }
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    #[test]
    fn each_stage_is_told_once_with_all_its_pieces() {
        let clock = TestClock::at(0);
        let course = Course::begin(Arc::new(clock.clone()));
        let pass = |stage, seconds| {
            course.enter(stage);
            clock.advance(Duration::from_secs(seconds));
        };
        pass("read", 1);
        pass("model", 5);
        pass("model", 5);
        pass("write", 2);
        pass("model", 3);
        pass("send", 4);
        course.set_apart(&[("connect", Duration::from_secs(1))]);
        let told: Vec<_> = course.finish().into_iter().map(|time| (time.stage, time.milliseconds)).collect();
        let expected = [("read", 1000), ("model", 13000), ("write", 2000), ("connect", 1000), ("send", 3000)];
        assert_eq!(told, expected.map(|(stage, time)| (stage.to_owned(), time)));
    }
}
