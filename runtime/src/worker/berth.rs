//! The first part of a worker's life: it is up, in its leaf, with an engine made,
//! and knows nothing of any job.

use std::ffi::OsString;

use rustix::process::Pid;
use stint_sandbox::{Berth, Profile};

use super::deadline;
use super::protocol::{FromWorker, SPEECH};
use crate::child::{self, ChildError};

/// The argument that names an engine profile.
pub(crate) const fn argument(profile: Profile) -> &'static str {
    match profile {
        Profile::Plain => "plain",
        Profile::Exceptions => "exceptions",
    }
}

/// Makes the engine of the profile that `argument` names; nothing after it said
/// that this cannot be done. Before a fork as well as after one: nothing of it
/// belongs to a process.
pub(crate) fn make(argument: Option<OsString>) -> Result<Option<Berth<'static>>, ChildError> {
    child::confess_panics(SPEECH, |message| FromWorker::Fault { message });
    let named = |profile: &Profile| argument.as_deref() == Some(self::argument(*profile).as_ref());
    let profile = [Profile::Plain, Profile::Exceptions]
        .into_iter()
        .find(named)
        .ok_or(ChildError::Arguments)?;
    let made = deadline::arm(profile)
        .map_err(|error| error.to_string())
        .and_then(|interrupt| Berth::new(interrupt).map_err(|error| error.to_string()));
    match made {
        Ok(berth) => Ok(Some(berth)),
        Err(error) => {
            let message = child::shorten(error, child::MESSAGE_BYTES_MAX);
            child::say(SPEECH, &FromWorker::Fault { message })?;
            Ok(None)
        }
    }
}

/// Makes this process a worker of `keeper`: bound to it, and as poor as it can be
/// before its job is known.
pub(crate) fn take(berth: &mut Berth<'_>, keeper: Pid) -> Result<(), ChildError> {
    child::bind(keeper)?;
    berth.settle();
    // The jail's first stage goes here: identity, namespaces, root, a wide filter.
    Ok(())
}
