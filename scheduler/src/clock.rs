//! The one clock of the scheduler: wall time at its start plus the monotonic
//! time since, so that what the heart is told never goes backwards.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use stint_api::time::{Span, Time};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: Time,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            wall: Time::default() + Span::from(since),
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.wall + Span::from(self.started.elapsed())
    }
}
