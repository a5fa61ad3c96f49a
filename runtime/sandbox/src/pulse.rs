//! The pulse of a guest: that it lives is told by its calls to the host. It costs
//! nothing between two of them, and no more than a look at the clock in each.

use std::time::{Duration, Instant};

/// Of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    every: Duration,
    tell: fn(),
    told: Option<Instant>,
}

impl Pulse {
    /// One that calls `tell` when the guest calls its host, at most once in `every`.
    pub const fn new(every: Duration, tell: fn()) -> Self {
        Self {
            every,
            tell,
            told: None,
        }
    }

    /// The guest calls its host.
    pub(crate) fn beat(&mut self) {
        let now = Instant::now();
        if self.told.is_none_or(|told| now - told >= self.every) {
            self.told = Some(now);
            (self.tell)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    static TOLD: AtomicU32 = AtomicU32::new(0);

    #[test]
    fn it_is_told_at_once_and_not_too_often() {
        let mut pulse = Pulse::new(Duration::from_secs(3_600), || {
            TOLD.fetch_add(1, Ordering::Relaxed);
        });
        pulse.beat();
        pulse.beat();
        assert_eq!(TOLD.load(Ordering::Relaxed), 1);
        pulse.every = Duration::ZERO;
        pulse.beat();
        assert_eq!(TOLD.load(Ordering::Relaxed), 2);
    }
}
