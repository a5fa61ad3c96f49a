//! How many workers are to wait at their berths. Pure: what was taken and when it
//! was, in; a number, out.

use stint_api::time::Span;

use super::clock::BootTime;

/// Workers that wait before any was asked for: enough for a first start and one more.
const FIRST: usize = 2;
/// Most that wait, of one engine profile. Each holds one to two MiB of its own, and a
/// core or two cannot use up more than these before the next are born.
pub(crate) const BERTHED_MAX: usize = 16;
/// After so long in which none was missed, one fewer waits.
const COOLING: Span = Span::from_secs(10);
/// After so long without a start nobody waits.
const IDLE: Span = Span::from_secs(60);

/// The demand for workers of one engine profile.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    wanted: usize,
    last_start: BootTime,
    last_change: BootTime,
}

impl Demand {
    /// How many are to wait.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Starts are to be expected.
    pub(crate) fn expect(&mut self, now: BootTime) {
        if self.wanted == 0 {
            self.wanted = FIRST;
            self.last_change = now;
            self.last_start = now;
        }
    }

    /// A start; `left` workers wait after it.
    pub(crate) fn started(&mut self, left: usize, now: BootTime) {
        self.expect(now);
        self.last_start = now;
        if left == 0 {
            // Twice as many, so that a burst is met after a few starts.
            self.wanted = (self.wanted * 2).min(BERTHED_MAX);
            self.last_change = now;
        }
    }

    /// Wants fewer when fewer are used.
    pub(crate) fn tick(&mut self, now: BootTime) {
        if now.since(self.last_start) >= IDLE {
            self.wanted = 0;
        }
        if self.wanted > 1 && now.since(self.last_change) >= COOLING {
            self.wanted -= 1;
            self.last_change = now;
        }
    }

    /// When it wants [`Demand::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        match self.wanted {
            0 => None,
            1 => Some(self.last_start.after(IDLE)),
            _ => Some(
                self.last_start
                    .after(IDLE)
                    .min(self.last_change.after(COOLING)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_wants_more_and_quiet_wants_fewer_until_none() {
        let mut demand = Demand::default();
        let mut now = BootTime::now();
        demand.tick(now);
        assert_eq!((demand.wanted(), demand.wake()), (0, None));
        demand.expect(now);
        assert_eq!(demand.wanted(), FIRST);
        demand.started(1, now);
        assert_eq!(demand.wanted(), FIRST, "it was met");
        for _ in 0..10 {
            demand.started(0, now);
        }
        assert_eq!(demand.wanted(), BERTHED_MAX);
        let mut last = BERTHED_MAX;
        while let Some(wake) = demand.wake() {
            assert!(wake > now);
            now = wake;
            demand.tick(now);
            assert!(demand.wanted() < last, "each wake has a reason");
            last = demand.wanted();
        }
        assert_eq!(demand.wanted(), 0);
        demand.started(0, now);
        assert_eq!(demand.wanted(), 2 * FIRST);
    }
}
