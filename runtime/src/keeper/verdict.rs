//! The one true reason for an attempt's end, from what the keeper decided, what
//! the worker said, and how it died; in this order.

use std::io;

use rustix::process::Signal;
use stint_api::id::AttemptId;
use stint_api::link::Grant;
use stint_api::outcome::{DeadlineScope, Measured, Outcome, Usage};
use stint_api::quantity::Bytes;
use stint_api::time::{Span, Time};

use super::process::Death;
use super::protocol::Spooled;
use crate::worker::protocol::Said;

/// What was decided and said before a worker was gone.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// What the keeper decided.
    pub(crate) decided: Option<Outcome>,
    /// What the worker said about the attempt.
    pub(crate) said: Option<Box<Said>>,
    /// What the worker said about itself.
    pub(crate) fault: Option<String>,
}

impl Words {
    /// Whether nothing was.
    pub(crate) fn are_none(&self) -> bool {
        self.decided.is_none() && self.said.is_none() && self.fault.is_none()
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The reason.
    pub(crate) outcome: Outcome,
    /// What it used.
    pub(crate) usage: Usage,
    /// Bytes of log beyond what is kept.
    pub(crate) logs_dropped: Bytes,
}

impl Ending {
    /// What is put into the spool of the attempt that ended so.
    pub(crate) fn spooled(
        self,
        attempt: AttemptId,
        grant: Grant,
        started_at: Option<Time>,
        ended_at: Time,
    ) -> Spooled {
        Spooled {
            attempt,
            grant,
            outcome: self.outcome,
            usage: self.usage,
            logs_dropped: self.logs_dropped,
            started_at,
            ended_at,
            passed: None,
        }
    }

    /// The ending of a worker that cannot be waited for.
    pub(crate) fn unreaped(words: Words, error: &io::Error) -> Self {
        Self::uncounted(words.decided, || {
            format!("the worker cannot be waited for: {error}")
        })
    }

    /// The ending of an attempt whose worker was never there.
    pub(crate) fn of_unborn(words: Words) -> Self {
        let unborn = || "no worker could be born for it".to_owned();
        Self::uncounted(words.decided, || words.fault.unwrap_or_else(unborn))
    }

    fn uncounted(decided: Option<Outcome>, fault: impl FnOnce() -> String) -> Self {
        Self {
            outcome: decided.unwrap_or_else(|| Outcome::EngineFault { message: fault() }),
            usage: Usage::default(),
            logs_dropped: Bytes(0),
        }
    }
}

/// Of an attempt that is stopped: at its deadline, or before it because it was quiet.
pub(crate) fn out_of_time(early: bool) -> Outcome {
    if early {
        return Outcome::Stalled;
    }
    Outcome::Deadline {
        scope: DeadlineScope::Attempt,
    }
}

/// Draws up how an attempt ended whose worker lives on for others; what was counted
/// of that one's leaf is not this attempt's alone.
pub(crate) fn of_parting(said: Option<Box<Said>>, wall: Span) -> Ending {
    let usage = usage(said.as_deref(), None, wall);
    let logs_dropped = said.as_ref().map_or(Bytes(0), |said| said.logs_dropped);
    let outcome = said.map_or_else(
        || Outcome::EngineFault {
            message: "the attempt ended without a word".to_owned(),
        },
        |said| allowed(said.outcome),
    );
    Ending {
        outcome,
        usage,
        logs_dropped,
    }
}

/// Draws up how an attempt ended; `wall` is from when its worker was up.
pub(crate) fn of_attempt(words: Words, death: &Death, wall: Span) -> Ending {
    let Words {
        decided,
        said,
        fault,
    } = words;
    let usage = usage(said.as_deref(), Some(death), wall);
    let logs_dropped = said.as_ref().map_or(Bytes(0), |said| said.logs_dropped);
    let outcome = match (decided, said, fault) {
        (Some(decided), _, _) => decided,
        (None, Some(said), _) => allowed(said.outcome),
        (None, None, _) if death.out_of_memory() => Outcome::CgroupOom,
        (None, None, Some(message)) => Outcome::EngineFault { message },
        (None, None, None) => match death.signal() {
            // Stopped at a call, and kept from saying which.
            Some(signal) if signal == Signal::SYS.as_raw() => Outcome::SandboxViolation {
                syscall: "one that it did not tell".to_owned(),
            },
            Some(signal) => Outcome::WorkerLost { signal },
            None => Outcome::EngineFault {
                message: format!("the worker ended without a word: {}", death.status),
            },
        },
    };
    Ending {
        outcome,
        usage,
        logs_dropped,
    }
}

/// A worker may say how its guest ended; all else is not its to say.
fn allowed(said: Outcome) -> Outcome {
    match said {
        Outcome::Succeeded
        | Outcome::Exited { .. }
        | Outcome::Trapped { .. }
        | Outcome::GuestMemoryLimit { .. }
        | Outcome::AddressSpace
        | Outcome::ScratchFull
        | Outcome::OutputLimit { .. }
        | Outcome::EngineFault { .. }
        | Outcome::StartFailed { .. }
        | Outcome::ModuleRejected { .. }
        | Outcome::InputUnavailable { .. } => said,
        // It traps so when the keeper tells it to, and the keeper would know.
        Outcome::Deadline {
            scope: DeadlineScope::Attempt,
        } => Outcome::EngineFault {
            message: "the worker stopped at a deadline that was not there".to_owned(),
        },
        other => Outcome::EngineFault {
            message: format!("the worker claims `{}`", other.reason()),
        },
    }
}

/// The kernel's figures where there are some, the worker's word for the rest.
fn usage(said: Option<&Said>, death: Option<&Death>, wall: Span) -> Usage {
    let own = said.map_or_else(
        || Usage {
            cpu: death.and_then(|death| death.cpu).unwrap_or(Span::ZERO),
            ..Usage::default()
        },
        |said| Usage {
            cpu: said.cpu,
            peak_memory: said.peak_memory,
            read: said.read,
            written: said.written,
            refused_growth: said.refused_growth,
            ..Usage::default()
        },
    );
    let own = Usage {
        wall,
        measured: Measured::Process,
        ..own
    };
    match death.and_then(|death| death.counted) {
        None => own,
        Some(counted) => Usage {
            cpu: Span::from_nanos(counted.cpu_nanos),
            peak_memory: Bytes(counted.peak_memory_bytes),
            throttled: Span::from_nanos(counted.throttled_nanos),
            measured: Measured::Cgroup,
            ..own
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    fn died(raw_status: i32, oom_kills: u64) -> Death {
        Death {
            status: ExitStatus::from_raw(raw_status),
            counted: Some(stint_cgroup::Usage {
                cpu_nanos: 7,
                oom_kills,
                ..Default::default()
            }),
            cpu: None,
        }
    }

    fn said(outcome: Outcome) -> Words {
        Words {
            said: Some(Box::new(Said {
                outcome,
                cpu: Span::from_secs(1_000),
                wall: Span::ZERO,
                peak_memory: Bytes(1),
                refused_growth: Bytes(0),
                read: Bytes(3),
                written: Bytes(0),
                logs_dropped: Bytes(0),
            })),
            ..Words::default()
        }
    }

    fn outcome(words: Words, death: &Death) -> Outcome {
        of_attempt(words, death, Span::ZERO).outcome
    }

    #[test]
    fn what_the_keeper_decided_stands_against_the_workers_word() {
        let deadline = Outcome::Deadline {
            scope: DeadlineScope::Attempt,
        };
        let words = Words {
            decided: Some(deadline.clone()),
            ..said(Outcome::Succeeded)
        };
        assert_eq!(outcome(words, &died(0, 0)), deadline);
    }

    #[test]
    fn a_word_that_is_not_the_workers_to_say_is_not_taken() {
        for lie in [
            Outcome::Cancelled,
            Outcome::NodeLost,
            Outcome::Drained,
            Outcome::CgroupOom,
        ] {
            let outcome = outcome(said(lie), &died(0, 0));
            assert_eq!(outcome.reason(), "engine-fault");
        }
        assert_eq!(
            outcome(said(Outcome::Exited { code: 3 }), &died(0, 0)),
            Outcome::Exited { code: 3 }
        );
    }

    #[test]
    fn a_silent_death_is_told_by_the_kernel() {
        assert_eq!(outcome(Words::default(), &died(9, 1)), Outcome::CgroupOom);
        assert_eq!(
            outcome(Words::default(), &died(9, 0)),
            Outcome::WorkerLost { signal: 9 }
        );
        assert_eq!(
            outcome(Words::default(), &died(11, 0)),
            Outcome::WorkerLost { signal: 11 }
        );
        assert_eq!(
            outcome(Words::default(), &died(101 << 8, 0)).reason(),
            "engine-fault"
        );
    }

    #[test]
    fn the_cgroups_figures_go_before_the_workers() {
        let ending = of_attempt(said(Outcome::Succeeded), &died(0, 0), Span::from_millis(2));
        assert_eq!(ending.usage.cpu, Span::from_nanos(7));
        assert_eq!(ending.usage.read, Bytes(3));
        assert_eq!(ending.usage.wall, Span::from_millis(2));
        assert_eq!(ending.usage.measured, Measured::Cgroup);
    }
}
