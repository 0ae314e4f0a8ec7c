//! How long to wait before the next attempt: exponential, capped, with jitter. Pure.
//!
//! The jitter is handed in, so that callers draw the random number and tests need none.

use std::time::Duration;

/// The wait after failed attempt number `attempt` (from 1): `base` doubled for every earlier attempt, at
/// most `cap`, of which `jitter01` (0 to 1) picks a point in the upper half. Jobs that failed together
/// do not return together, and none returns at once.
#[must_use]
pub fn delay(attempt: u32, base: Duration, cap: Duration, jitter01: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let full = base.saturating_mul(1 << doublings).min(cap);
    let jitter = if jitter01.is_finite() { jitter01.clamp(0.0, 1.0) } else { 0.5 };
    full.mul_f64(jitter.mul_add(0.5, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn waits_double_up_to_the_cap() {
        let check = |attempt, expected: u64| {
            assert_eq!(delay(attempt, SECOND, HOUR, 1.0), Duration::from_secs(expected), "attempt {attempt}");
        };
        check(0, 1);
        check(1, 1);
        check(2, 2);
        check(6, 32);
        check(12, 2048);
        check(13, 3600);
        check(u32::MAX, 3600);
    }

    #[test]
    fn jitter_picks_from_the_upper_half() {
        assert_eq!(delay(3, SECOND, HOUR, 0.0), Duration::from_secs(2));
        assert_eq!(delay(3, SECOND, HOUR, 0.5), Duration::from_secs(3));
        assert_eq!(delay(3, SECOND, HOUR, 7.0), Duration::from_secs(4));
        assert_eq!(delay(3, SECOND, HOUR, f64::NAN), Duration::from_secs(3));
    }
}
