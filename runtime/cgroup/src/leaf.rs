//! One slot's group: processes go in, counters come out, and in the end it is
//! emptied and removed.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use cgroups_rs::CgroupPid;
use cgroups_rs::fs::Cgroup;
use rustix::io::Errno;

use crate::door::{self, Door};
use crate::kill::{self, KillError};
use crate::limits::{self, LimitError, Limits};
use crate::oom::OomEvents;
use crate::place::{Place, cause};
use crate::usage::{self, Usage, UsageError};
use crate::wait;

/// Processes that were killed are reaped by their parent, which may be busy; a
/// leaf that stays populated longer holds something nobody has killed.
const DELETE_WAIT: Duration = Duration::from_secs(1);

/// A group with limits, below a [`crate::Tree`]. Dropping it leaves the group
/// where it is; [`Leaf::delete`] removes it, and so does the next sweep.
#[derive(Debug)]
pub struct Leaf {
    name: String,
    place: Place,
    group: Cgroup,
    oom: OomEvents,
    peak_seen: AtomicU64,
    limits: Limits,
}

/// Why a process could not be put into a leaf.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// There is no such process (any more).
    #[error("process {pid} is gone and cannot be put into cgroup {leaf}")]
    NoProcess {
        /// The process.
        pid: u32,
        /// The leaf's name.
        leaf: String,
    },
    /// The kernel refused.
    #[error("putting process {pid} into cgroup {leaf} failed")]
    Refused {
        /// The process.
        pid: u32,
        /// The leaf's name.
        leaf: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// The leaf is not there, so nothing can be said about its processes.
#[derive(Debug, thiserror::Error)]
#[error("cgroup {leaf} is gone")]
pub struct EmptyError {
    /// The leaf's name.
    pub leaf: String,
}

/// Why a leaf could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Processes are still in it, a second later.
    #[error("cgroup {leaf} still holds {left} processes; kill them first")]
    Populated {
        /// The leaf's name.
        leaf: String,
        /// How many.
        left: usize,
    },
    /// The kernel refused.
    #[error("removing cgroup {leaf} failed")]
    Refused {
        /// The leaf's name.
        leaf: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Leaf {
    /// The group `name` at `place`, already limited and listened to.
    pub(crate) fn new(
        name: &str,
        place: Place,
        group: Cgroup,
        oom: OomEvents,
        limits: Limits,
    ) -> Leaf {
        Leaf {
            name: name.to_owned(),
            place,
            group,
            oom,
            peak_seen: AtomicU64::new(0),
            limits,
        }
    }

    /// The name it was made with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts other limits on it, in place of those that it has, and reads them back.
    /// Where it fails some of them may be in force.
    pub fn limit(&mut self, limits: &Limits) -> Result<(), LimitError> {
        limits::hold(&self.group, &self.place, Some(&self.limits), limits)?;
        self.limits = *limits;
        Ok(())
    }

    /// Lets its processes run at once, whatever they have used of their CPU limit: so
    /// that one which is to end can take the signal for it, rather than stand still
    /// until its next period.
    pub fn unthrottle(&self) -> Result<(), LimitError> {
        limits::unthrottle(&self.group, &self.place)
    }

    /// How a process of one thread gets into it without being moved by another.
    pub fn door(&self) -> io::Result<Door> {
        door::open(&self.place)
    }

    /// Whether the process is in it, in every hierarchy.
    pub fn holds(&self, pid: u32) -> bool {
        door::holds(&self.place, pid)
    }

    /// Puts a process, all its threads, and what it forks from now on, under the
    /// limits. Memory it holds already stays charged where it was.
    pub fn add(&self, pid: u32) -> Result<(), AddError> {
        let leaf = || self.name.clone();
        let added = self.group.add_task_by_tgid(CgroupPid::from(u64::from(pid)));
        match added.map_err(cause) {
            Ok(()) => Ok(()),
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                Err(AddError::NoProcess { pid, leaf: leaf() })
            }
            Err(source) => Err(AddError::Refused {
                pid,
                leaf: leaf(),
                source,
            }),
        }
    }

    /// What was used so far; stays readable after the last process ended, until
    /// the leaf is deleted.
    pub fn usage(&self) -> Result<Usage, UsageError> {
        usage::read(&self.place, &self.peak_seen)
    }

    /// How often the kernel has killed in it for memory.
    pub fn oom_kills(&self) -> Result<u64, UsageError> {
        usage::oom_kills(&self.place)
    }

    /// Readable when the kernel may have killed for memory: then look at
    /// [`Leaf::oom_kills`] and call [`Leaf::clear_oom_events`]. It can be readable without a
    /// kill (v2 also tells when the limit was only touched; v1 tells before it kills, and when
    /// the leaf is deleted), never the other way round.
    pub fn oom_events(&self) -> BorrowedFd<'_> {
        self.oom.as_fd()
    }

    /// Takes the events that have arrived, so that new ones are seen.
    pub fn clear_oom_events(&self) {
        self.oom.clear();
    }

    /// Kills every process in the leaf and waits until they are gone (not until
    /// they are reaped), for at most a second. A leaf that was killed can be used again.
    pub fn kill(&self) -> Result<(), KillError> {
        kill::kill(&self.group, &self.place)
    }

    /// Whether no process is left; one that ended and was not reaped is not in it.
    pub fn is_empty(&self) -> Result<bool, EmptyError> {
        if !self.group.exists() {
            return Err(EmptyError {
                leaf: self.name.clone(),
            });
        }
        Ok(kill::is_empty(&self.group, &self.place))
    }

    /// Removes the leaf, after waiting at most a second until it is empty. It kills
    /// nothing. Removing what is gone already is not an error.
    pub fn delete(&self) -> Result<(), DeleteError> {
        remove(&self.group, &self.place).map_err(|fault| match fault {
            RemoveFault::Populated(left) => DeleteError::Populated {
                leaf: self.name.clone(),
                left,
            },
            RemoveFault::Refused(source) => DeleteError::Refused {
                leaf: self.name.clone(),
                source,
            },
        })
    }
}

/// Why an empty group did not go.
#[derive(Debug)]
pub(crate) enum RemoveFault {
    Populated(usize),
    Refused(io::Error),
}

/// Removes `group` at `place` once it is empty, from every hierarchy.
pub(crate) fn remove(group: &Cgroup, place: &Place) -> Result<(), RemoveFault> {
    if !group.exists() {
        return Ok(());
    }
    let empty = wait::until(DELETE_WAIT, || {
        Ok::<_, RemoveFault>(kill::is_empty(group, place))
    })?;
    if !empty {
        return Err(RemoveFault::Populated(group.procs().len()));
    }
    let mut last = None;
    let gone = wait::until(DELETE_WAIT, || match group.delete().map_err(cause) {
        Ok(()) => Ok(true),
        Err(error) if !group.exists() => {
            tracing::debug!(%error, "a cgroup went away while it was being removed");
            Ok(true)
        }
        // The kernel lets go of a group a moment after its last process.
        Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
            last = Some(error);
            Ok(false)
        }
        Err(error) => Err(RemoveFault::Refused(error)),
    })?;
    match last {
        Some(error) if !gone => Err(RemoveFault::Refused(error)),
        _ => Ok(()),
    }
}
