//! Killing every process of a group. v2 has a file for it (since 5.14); on v1,
//! and before, the group is first closed to forks by a process limit of zero, so
//! that even a fork bomb is finite, and then each process is signalled through a
//! pidfd, so that a number that was given away meanwhile is never hit.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use cgroups_rs::fs::error::ErrorKind;
use cgroups_rs::fs::pid::PidController;
use cgroups_rs::fs::{Cgroup, MaxValue};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::Version;
use crate::place::{Controller, Place, cause};
use crate::wait;

/// A killed process is gone at once, except where it is throttled (up to one
/// period on old kernels) or stuck in a driver; the keeper has other slots to serve.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// Why a group could not be killed.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// The kernel refused.
    #[error("killing the processes of cgroup {group} failed")]
    Refused {
        /// The leaf's path.
        group: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Everything was signalled, but some processes have not gone yet.
    #[error("{left} processes of cgroup {group} are still there a second after SIGKILL")]
    StillThere {
        /// The leaf's path.
        group: String,
        /// How many.
        left: usize,
    },
}

/// Kills until nothing is left, for at most a second.
pub(crate) fn kill(group: &Cgroup, place: &Place) -> Result<(), KillError> {
    let refused = |source| KillError::Refused {
        group: group.path().to_owned(),
        source,
    };
    let gone = match by_file(group).map_err(refused)? {
        true => wait::until(KILL_WAIT, || Ok(is_empty(group, place))),
        false => by_signals(group, place),
    };
    if gone.map_err(refused)? {
        return Ok(());
    }
    Err(KillError::StillThere {
        group: group.path().to_owned(),
        left: group.procs().len(),
    })
}

/// Whether no process is left in the group, nor below it on v2.
pub(crate) fn is_empty(group: &Cgroup, place: &Place) -> bool {
    if place.version == Version::V2 {
        let events = place.dir(Controller::Memory).join("cgroup.events");
        if let Ok(text) = fs::read_to_string(events) {
            return text.lines().any(|line| line == "populated 0");
        }
    }
    // A process is counted from its fork until it is reaped, so that zero is nobody;
    // to ask each of the hierarchies for a list takes four times as long.
    let counted = fs::read_to_string(place.dir(Controller::Pids).join("pids.current"));
    counted.is_ok_and(|text| text.trim() == "0") || group.procs().is_empty()
}

/// Whether the kernel killed the group through `cgroup.kill`.
fn by_file(group: &Cgroup) -> io::Result<bool> {
    if !group.v2() {
        return Ok(false);
    }
    match group.kill() {
        Ok(()) => Ok(true),
        Err(error) if *error.kind() == ErrorKind::InvalidOperation => Ok(false),
        Err(error) => Err(cause(error)),
    }
}

fn by_signals(group: &Cgroup, place: &Place) -> io::Result<bool> {
    if is_empty(group, place) {
        return Ok(true);
    }
    let pids: Option<&PidController> = group.controller_of();
    let limit = pids.and_then(|pids| pids.get_pid_max().ok());
    if let Some(pids) = pids {
        pids.set_pid_max(MaxValue::Value(0)).map_err(cause)?;
    }
    let gone = wait::until(KILL_WAIT, || {
        signal_each(group)?;
        Ok::<_, io::Error>(is_empty(group, place))
    })?;
    // A group that was killed can be used again, as on v2.
    if let (Some(pids), Some(limit)) = (pids, limit) {
        pids.set_pid_max(limit).map_err(cause)?;
    }
    Ok(gone)
}

fn signal_each(group: &Cgroup) -> io::Result<()> {
    let opened: Vec<(u64, OwnedFd)> = group
        .procs()
        .into_iter()
        .filter_map(|listed| {
            let number = i32::try_from(listed.pid).ok()?;
            let fd = rustix::process::pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty());
            Some((listed.pid, fd.ok()?))
        })
        .collect();
    // Listed again after it was opened: what the pidfd means is in the group.
    let still = group.procs();
    for (number, fd) in opened {
        if !still.iter().any(|listed| listed.pid == number) {
            continue;
        }
        match rustix::process::pidfd_send_signal(&fd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
