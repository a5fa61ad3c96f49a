//! A worker: the process inside a slot that hosts the engine. Its life has two
//! parts, which are two files:
//!
//! ```text
//! berth ──────────────────────▶ assignment ── Ended ──▶ the next assignment of the
//! up, in its leaf, engine        limits are written,     same job, or the keeper
//! ready; knows of no job         files given, told       closes its end: gone
//! ```
//!
//! Its keeper holds the time, its leaf cgroup the memory and CPU around the guest.

pub(crate) mod protocol;

pub(crate) mod berth;

mod assignment;
mod deadline;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use rustix::process::Pid;
use stint_sandbox::Berth;

use crate::child::{self, ChildError};
use crate::hearing::Ear;
use crate::jail::Jail;
use berth::Origin;
use protocol::{FromWorker, SPEECH};

/// A worker that was not forked from a zygote, and makes its own engine: of the
/// profile that is the second of `args`, for the keeper whose process id is the first,
/// in the jail that is the third.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    child::exit(work(args))
}

fn work(mut args: impl Iterator<Item = OsString>) -> Result<(), ChildError> {
    let keeper = child::keeper(args.next())?;
    confess_panics();
    let made = berth::make(args.next().as_deref())?;
    let jail = Jail::of_argument(args.next())?;
    match made {
        Ok(mut berth) => live(&mut berth, Origin::Program, keeper, &jail),
        Err(message) => child::say(SPEECH, &FromWorker::Fault { message }),
    }
}

/// The life of a worker of `keeper` whose engine is made.
pub(crate) fn live(
    berth: &mut Berth<'_>,
    origin: Origin<'_>,
    keeper: Pid,
    jail: &Jail,
) -> Result<(), ChildError> {
    confess_panics();
    match berth::take(berth, origin, keeper, jail)? {
        Ok(cell) => assignment::serve(berth, cell, &mut Ear::new(SPEECH)),
        Err(message) => child::say(SPEECH, &FromWorker::Fault { message }),
    }
}

fn confess_panics() {
    child::confess_panics(SPEECH, |message| FromWorker::Fault { message });
}
