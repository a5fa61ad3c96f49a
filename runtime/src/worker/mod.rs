//! A worker: the process inside a slot that hosts the engine. It runs one
//! attempt, says how that ended, and exits; its keeper holds the time, its leaf
//! cgroup the memory and CPU around the guest.

pub(crate) mod protocol;

mod deadline;

use std::ffi::OsString;
use std::process::ExitCode;

use rustix::time::{ClockId, clock_gettime};
use stint_api::quantity::Bytes;
use stint_api::time::Span;
use stint_sandbox::{Plan, Ran, run};

use crate::child::{self, ChildError};
use protocol::{FromWorker, SPEECH, Said};

/// Runs the one attempt that the keeper, whose process id is the first of `args`, tells of.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    child::exit(work(args))
}

fn work(args: impl Iterator<Item = OsString>) -> Result<(), ChildError> {
    child::bind(args)?;
    child::confess_panics(SPEECH, |message| FromWorker::Fault { message });
    let plan: Plan = child::hear(SPEECH.channel)?;
    let interrupt = match deadline::arm(plan.profile) {
        Ok(interrupt) => interrupt,
        Err(error) => {
            let message = child::shorten(error.to_string(), child::MESSAGE_BYTES_MAX);
            return child::say(SPEECH, &FromWorker::Fault { message });
        }
    };
    child::say(SPEECH, &FromWorker::Running)?;
    let said = said(run(&plan, interrupt));
    child::say(SPEECH, &FromWorker::Ended(Box::new(said)))
}

/// What is said of an attempt: the guest's account, and this process's clock.
fn said(ran: Ran) -> Said {
    Said {
        outcome: ran.outcome,
        cpu: cpu(),
        peak_memory: ran.peak_guest_memory,
        refused_growth: ran.refused_growth,
        read: ran.read,
        written: ran.written,
        logs_dropped: Bytes(ran.logs_dropped_bytes),
    }
}

/// CPU time of this process since it began: what the attempt cost, its start too.
fn cpu() -> Span {
    let clock = clock_gettime(ClockId::ProcessCPUTime);
    let positive = |part: i64| u64::try_from(part).unwrap_or(0);
    Span::from_secs(positive(clock.tv_sec)) + Span::from_nanos(positive(clock.tv_nsec))
}
