//! The first part of a worker's life: it is up, in its leaf, with an engine made,
//! and knows nothing of any job.

use std::ffi::OsStr;

use rustix::process::Pid;
use stint_jail::LayerSet;
use stint_sandbox::{Berth, Profile, WarmUp};

use super::protocol::{FromWorker, SPEECH};
use super::{assignment, deadline};
use crate::child::{self, ChildError};
use crate::jail::{Cell, Jail};

/// The argument that names an engine profile.
pub(crate) const fn argument(profile: Profile) -> &'static str {
    match profile {
        Profile::Plain => "plain",
        Profile::Exceptions => "exceptions",
    }
}

/// Makes the engine of the profile that `argument` names, or says why it cannot be
/// made. Nothing of it belongs to a process: that may be forked with it.
pub(crate) fn make(argument: Option<&OsStr>) -> Result<Result<Berth<'static>, String>, ChildError> {
    let named = |profile: &Profile| argument == Some(self::argument(*profile).as_ref());
    let profile = [Profile::Plain, Profile::Exceptions]
        .into_iter()
        .find(named)
        .ok_or(ChildError::Arguments)?;
    let made = deadline::arm(profile)
        .map_err(|error| error.to_string())
        .and_then(|interrupt| Berth::new(interrupt).map_err(|error| error.to_string()));
    Ok(made.map_err(|error| child::shorten(error, child::MESSAGE_BYTES_MAX)))
}

/// What a worker has of the zygote that it was forked from.
#[derive(Debug)]
pub(crate) struct Birthright {
    /// What it runs to warm up.
    pub(crate) warm_up: WarmUp,
    /// The layers of its jail that it is born with.
    pub(crate) layers: LayerSet,
}

/// Where a worker comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// It was started as a program, and has made its engine itself.
    Program,
    /// A zygote forked it, beforehand: it warms up, so that nobody has to wait for that.
    Waits(&'a Birthright),
    /// A zygote forked it for an attempt, which waits for it.
    IsAwaited(&'a Birthright),
}

impl Origin<'_> {
    /// The layers of its jail that it is born with.
    fn layers(self) -> LayerSet {
        match self {
            Self::Program => LayerSet::NONE,
            Self::Waits(birthright) | Self::IsAwaited(birthright) => birthright.layers,
        }
    }
}

/// Makes this process a worker of `keeper`: bound to it, and as poor as it can be
/// before its job is known. One that was forked says that it is there.
pub(crate) fn take(
    berth: &mut Berth<'_>,
    origin: Origin<'_>,
    keeper: Pid,
    jail: &Jail,
) -> Result<Result<Cell, String>, ChildError> {
    child::bind(keeper)?;
    child::name(c"stint-berth");
    berth.settle();
    if let Origin::Waits(birthright) = origin {
        let rehearsed = assignment::rehearse().map_err(|error| error.to_string());
        let warm = berth
            .warm_up(&birthright.warm_up)
            .map_err(|error| error.to_string());
        if let Err(error) = rehearsed.and(warm) {
            return Ok(Err(child::shorten(error, child::MESSAGE_BYTES_MAX)));
        }
    }
    let violation = FromWorker::Violation { call: u32::MAX };
    let inherited = origin.layers();
    let cell = match jail.enter(keeper, inherited, &berth.kept(), SPEECH, &violation) {
        Ok(cell) => cell,
        Err(error) => return Ok(Err(shortened(&error))),
    };
    match origin {
        Origin::Program => {}
        Origin::Waits(_) | Origin::IsAwaited(_) => {
            child::say(SPEECH, &FromWorker::Berthed { pid: child::pid() })?;
        }
    }
    Ok(Ok(cell))
}

fn shortened(error: &dyn std::error::Error) -> String {
    child::shorten(error.to_string(), child::MESSAGE_BYTES_MAX)
}
