//! The two clocks of a keeper: one that people read, one that leases and
//! deadlines are held by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};
use stint_api::time::{Span, Time};

const NANOS_IN_SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the machine booted, time asleep included: a laptop that
/// sleeps past its lease has lost it. The same for every process of a machine.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    /// The moment `nanos` nanoseconds after the boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// This moment.
    pub fn now() -> Self {
        Self(nanos_of(clock_gettime(ClockId::Boottime)))
    }

    /// The moment `span` later.
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.as_nanos()))
    }

    /// For a timer on the boot clock, to which a time of zero means never.
    pub(crate) fn to_timer(self) -> Timespec {
        let nanos = self.0.max(1);
        Timespec {
            tv_sec: i64::try_from(nanos / NANOS_IN_SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanos % NANOS_IN_SECOND).unwrap_or(0),
        }
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos_of(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(NANOS_IN_SECOND)
        .saturating_add(nanos)
}

/// Tells the time of day without ever going backwards: the wall clock when it
/// was made, plus what the boot clock counted since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: Time,
    boot: BootTime,
}

impl Clock {
    /// A clock that agrees with the wall clock now.
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            wall: Time::from_nanos(Span::from(wall).as_nanos()),
            boot: BootTime::now(),
        }
    }

    /// The time of day at `moment`.
    pub(crate) fn time_at(&self, moment: BootTime) -> Time {
        self.wall + moment.since(self.boot)
    }
}
