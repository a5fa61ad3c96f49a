//! How many workers are to wait at their berths. Pure: what was taken and when it
//! was, in; a number, out.

use stint_api::time::Span;

use super::clock::BootTime;

/// Workers that wait before any was asked for: enough for a first start and one more.
const FIRST: usize = 2;
/// After so long in which none was missed, one fewer waits.
const COOLING: Span = Span::from_secs(10);
/// After so long without a start nobody waits.
const IDLE: Span = Span::from_secs(60);

/// The demand for workers of one engine profile.
#[derive(Debug)]
pub(crate) struct Demand {
    /// Most that are to wait.
    most: usize,
    /// How many would be, if it were not for that.
    wanted: usize,
    last_start: BootTime,
    last_change: BootTime,
}

impl Demand {
    /// No demand yet, and never more than `most`.
    pub(crate) fn up_to(most: usize) -> Self {
        Self {
            most,
            wanted: 0,
            last_start: BootTime::default(),
            last_change: BootTime::default(),
        }
    }

    /// How many are to wait.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted.min(self.most)
    }

    /// Whether starts are to be expected at all.
    pub(crate) fn is_any(&self) -> bool {
        self.wanted > 0
    }

    /// There is none any more.
    pub(crate) fn end(&mut self) {
        *self = Self::up_to(self.most);
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
            self.wanted = (self.wanted * 2).min(self.most.max(FIRST));
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
    fn where_nobody_may_wait_there_is_demand_all_the_same() {
        let mut demand = Demand::up_to(0);
        let now = BootTime::now();
        demand.expect(now);
        demand.started(0, now);
        assert_eq!((demand.wanted(), demand.is_any()), (0, true));
        demand.tick(now.after(IDLE));
        assert!(!demand.is_any());
    }

    #[test]
    fn a_burst_wants_more_and_quiet_wants_fewer_until_none() {
        const BERTHED_MAX: usize = 16;
        let mut demand = Demand::up_to(BERTHED_MAX);
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
