//! The clock of one machine: off by something, and a little fast or slow.

use stint_api::time::{Span, Time};

/// Parts of a million.
const MILLION: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: Span,
    /// How much it shows in a million units of true time.
    rate: u64,
}

impl Clock {
    /// A clock that runs `drift` parts of a million fast; slow when negative.
    pub(crate) fn new(offset: Span, drift: i64) -> Self {
        let rate = MILLION.saturating_add_signed(drift);
        Self { offset, rate }
    }

    /// What it shows at the true time `now`.
    pub(crate) fn at(&self, now: Time) -> Time {
        let passed = scaled(now.as_nanos(), self.rate, MILLION);
        Time::from_nanos(passed) + self.offset
    }

    /// The true time at which it shows `shown`, or just past it.
    pub(crate) fn when(&self, shown: Time) -> Time {
        let passed = shown.since(Time::default() + self.offset);
        Time::from_nanos(scaled(passed.as_nanos(), MILLION, self.rate) + 2)
    }
}

fn scaled(nanos: u64, by: u64, of: u64) -> u64 {
    let scaled = u128::from(nanos) * u128::from(by) / u128::from(of);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_a_moment_when_it_says_it_does() {
        for drift in [-5_000, 0, 5_000] {
            let clock = Clock::new(Span::from_secs(7), drift);
            let shown = clock.at(Time::from_nanos(123_456_789_012));
            assert!(clock.at(clock.when(shown)) >= shown);
            let late = clock.at(clock.when(shown)).since(shown);
            assert!(late < Span::from_nanos(10), "{late}");
        }
    }
}
