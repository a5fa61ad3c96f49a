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

mod assignment;
mod berth;
mod deadline;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::child::{self, ChildError};
use crate::hearing::Ear;
use protocol::SPEECH;

pub(crate) use berth::argument as berth_argument;

/// Runs what the keeper, whose process id is the first of `args`, tells of, with
/// an engine of the profile that is the second.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    child::exit(work(args))
}

fn work(mut args: impl Iterator<Item = OsString>) -> Result<(), ChildError> {
    let keeper = child::keeper(args.next())?;
    let Some(mut berth) = berth::make(args.next())? else {
        return Ok(());
    };
    berth::take(&mut berth, keeper)?;
    assignment::serve(&berth, &mut Ear::new(SPEECH))
}
