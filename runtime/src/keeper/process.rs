//! A zygote, worker or compiler as its keeper sees it: a child process of the same
//! binary, in its leaf cgroup before it is told of any job, with a socket to it
//! and a pidfd for its life and death.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal,
    waitid,
};
use stint_api::time::Span;
use stint_cgroup::{AddError, Leaf, Usage};

use super::jails::Who;
use super::launch::MARK;
use super::limits::chain;
use super::watch::Watched;
use super::wire::{Speech, Wire};

/// This very binary, even if another was put in its place: keeper and workers
/// are always of one version.
pub(crate) const OWN_BINARY: &str = "/proc/self/exe";

/// A child could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// No socket for it.
    #[error("make a socket pair")]
    Socket(#[source] io::Error),
    /// The kernel would not start it.
    #[error("start a process")]
    Spawn(#[source] io::Error),
    /// No handle to it.
    #[error("open a pidfd")]
    Pidfd(#[source] rustix::io::Errno),
    /// It did not get under its limits.
    #[error("put the process into its cgroup")]
    Add(#[source] AddError),
    /// It should have got there by itself.
    #[error("the process is not in its cgroup")]
    Outside,
}

/// A child that was started and not yet reaped.
#[derive(Debug)]
pub(crate) struct Process {
    /// None as long as a zygote is to bear it, and it has not spoken.
    born: Option<Born>,
    /// The other end is the child's standard input.
    pub(crate) wire: Wire,
    /// Where its limits are held.
    pub(crate) leaf: Option<Leaf>,
    /// How the poll loop knows it.
    pub(crate) watched: Watched,
    /// Who it is. Nobody else is that until it is reaped.
    who: Who,
    /// What it had used before it was told of a job.
    before: Used,
}

/// A child as the kernel knows it.
#[derive(Debug)]
struct Born {
    pid: u32,
    /// Readable when the child has ended.
    pidfd: OwnedFd,
}

/// What a child has used.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    cpu: Span,
    throttled: Span,
}

/// How a child ended, and what the kernel counted.
#[derive(Debug)]
pub(crate) struct Death {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// What its leaf counted; none without a leaf.
    pub(crate) counted: Option<Usage>,
    /// CPU time of its main thread; a worker has no other that matters.
    pub(crate) cpu: Option<Span>,
}

impl Death {
    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Whether the kernel killed it at its memory limit.
    pub(crate) fn out_of_memory(&self) -> bool {
        self.signal() == Some(Signal::KILL.as_raw())
            && self.counted.is_some_and(|usage| usage.oom_kills > 0)
    }
}

impl Process {
    /// Starts this binary at a verb, the first of `verb`; the rest are arguments. It waits for its first frame; until that is
    /// sent nothing that is not ours runs in it. If it fails the leaf is gone too.
    pub(crate) fn spawn(
        verb: &[&str],
        speech: Speech,
        leaf: Option<Leaf>,
        who: Who,
    ) -> Result<Self, SpawnError> {
        let started = start(verb, speech).and_then(|(born, wire)| {
            match leaf.as_ref().map_or(Ok(()), |leaf| leaf.add(born.pid)) {
                Ok(()) => Ok((born, wire)),
                Err(error) => {
                    abandon(&born.pidfd);
                    Err(SpawnError::Add(error))
                }
            }
        });
        match started {
            Ok((born, wire)) => Ok(Self {
                born: Some(born),
                wire,
                leaf,
                watched: Watched::default(),
                who,
                before: Used::default(),
            }),
            Err(error) => {
                if let Some(leaf) = leaf {
                    delete(&leaf);
                }
                Err(error)
            }
        }
    }

    /// A child that a zygote is to fork, and that is to be heard on `wire`.
    pub(crate) fn unborn(wire: Wire, leaf: Option<Leaf>, watched: Watched, who: Who) -> Self {
        Self {
            born: None,
            wire,
            leaf,
            watched,
            who,
            before: Used::default(),
        }
    }

    /// It has said that it is the child `pid`: which is right if that is a child of
    /// this keeper, and in its leaf.
    pub(crate) fn bear(&mut self, pid: u32) -> Result<(), SpawnError> {
        let pidfd = child(pid, self.leaf.as_ref())?;
        self.born = Some(Born { pid, pidfd });
        Ok(())
    }

    /// Whether a zygote is to bear it, and it has not spoken yet.
    pub(crate) fn is_unborn(&self) -> bool {
        self.born.is_none()
    }

    /// Lets go of one that was not born: if it comes up all the same, it dies in its
    /// leaf or of its closed socket.
    pub(crate) fn give_up(mut self) {
        // First: who enters the leaf after it was emptied would otherwise stay in it.
        self.wire.close();
        self.leaf.iter().for_each(clear);
    }

    /// Lets what it has used so far count for no job.
    pub(crate) fn count(&mut self) {
        let counted = self.leaf.as_ref().and_then(|leaf| leaf.usage().ok());
        self.before = match counted {
            Some(usage) => Used {
                cpu: Span::from_nanos(usage.cpu_nanos),
                throttled: Span::from_nanos(usage.throttled_nanos),
            },
            None => Used {
                cpu: self.pid().and_then(main_thread_cpu).unwrap_or(Span::ZERO),
                throttled: Span::ZERO,
            },
        };
    }

    /// Who it is.
    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    /// Its process id, once it is born.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.born.as_ref().map(|born| born.pid)
    }

    /// Readable when the child has ended; none before it is born.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.born.as_ref().map(|born| born.pidfd.as_fd())
    }

    /// Sends it a signal, through the pidfd: never to another that took its number.
    /// Who is not born gets none.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pidfd) = self.pidfd()
            && let Err(error) = pidfd_send_signal(pidfd, signal)
        {
            tracing::debug!(pid = self.pid(), %error, "a child could not be signalled");
        }
    }

    /// Looks after the leaf's out-of-memory events: whether the kernel killed in it.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let Some(leaf) = &self.leaf else {
            return false;
        };
        leaf.clear_oom_events();
        leaf.oom_kills().is_ok_and(|kills| kills > 0)
    }

    /// Reaps the child, whose pidfd is readable, and kills what it may have left in
    /// its leaf. The leaf is to be removed when there is time for that.
    pub(crate) fn reap(self) -> io::Result<(Death, Option<Leaf>)> {
        let unknown = || io::Error::other("it was not born");
        let Born { pid, pidfd } = self.born.as_ref().ok_or_else(unknown)?;
        // While it is a zombie its figures can still be read.
        let cpu = match self.leaf {
            None => main_thread_cpu(*pid),
            Some(_) => None,
        };
        let status = wait(pidfd)?;
        let counted = self.leaf.as_ref().and_then(|leaf| {
            if let Err(error) = leaf.kill() {
                tracing::error!(leaf = leaf.name(), error = chain(&error), "not all killed");
            }
            leaf.usage()
                .inspect_err(|error| {
                    tracing::error!(leaf = leaf.name(), error = chain(error), "no usage");
                })
                .ok()
        });
        let Used {
            cpu: own,
            throttled,
        } = self.before;
        let death = Death {
            status,
            counted: counted.map(|usage| Usage {
                cpu_nanos: usage.cpu_nanos.saturating_sub(own.as_nanos()),
                throttled_nanos: (usage.throttled_nanos).saturating_sub(throttled.as_nanos()),
                ..usage
            }),
            cpu: cpu.map(|cpu| cpu - own),
        };
        Ok((death, self.leaf))
    }

    /// Kills the child, waits for it, and leaves nothing of it. For one that runs
    /// nothing of a job; it dies at once.
    pub(crate) fn kill_and_reap(self) {
        self.signal(Signal::KILL);
        self.bury();
    }

    /// Reaps a child that nobody asks about any more, and removes its leaf.
    pub(crate) fn bury(self) {
        let pid = self.pid();
        match self.reap() {
            Ok((_, Some(leaf))) => delete(&leaf),
            Ok((_, None)) => {}
            Err(error) => tracing::error!(?pid, %error, "a child cannot be waited for"),
        }
    }
}

fn start(verb: &[&str], speech: Speech) -> Result<(Born, Wire), SpawnError> {
    let (verb, arguments) = verb.split_first().unwrap_or((&"", &[]));
    let (ours, theirs) = UnixStream::pair().map_err(SpawnError::Socket)?;
    let wire = Wire::new(ours, speech).map_err(SpawnError::Socket)?;
    // Waited for by its pidfd: what the library has of it is let go.
    let mut child = Command::new(OWN_BINARY)
        .arg0("stint")
        .arg(verb)
        // It dies when this keeper does, and must know whom to look for.
        .arg(std::process::id().to_string())
        .args(arguments)
        // Asked for a backtrace, a process that aborts in its jail would look for
        // its sources, and die of that instead.
        .env_clear()
        .envs(std::env::var_os(MARK).map(|value| (MARK, value)))
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(SpawnError::Spawn)?;
    // It is not reaped before it is waited for, so its number is its own.
    let pid = child.id();
    match open(pid) {
        Ok(pidfd) => Ok((Born { pid, pidfd }, wire)),
        Err(error) => {
            if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
                tracing::error!(pid, %error, "a child that failed to start stays");
            }
            Err(SpawnError::Pidfd(error))
        }
    }
}

fn open(pid: u32) -> Result<OwnedFd, rustix::io::Errno> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
}

/// The child `pid` of this keeper, if it is one, and is in `leaf`.
fn child(pid: u32, leaf: Option<&Leaf>) -> Result<OwnedFd, SpawnError> {
    let pidfd = open(pid).map_err(SpawnError::Pidfd)?;
    let is_inside = leaf.is_none_or(|leaf| leaf.holds(pid));
    // It fails for who is no child of ours, and finds nothing while it lives.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let ended = waitid(WaitId::PidFd(pidfd.as_fd()), options).map_err(SpawnError::Pidfd)?;
    // Who has done its work already is shown in no group, and can do nothing outside of one.
    if is_inside || ended.is_some() {
        return Ok(pidfd);
    }
    abandon(&pidfd);
    Err(SpawnError::Outside)
}

/// Waits for a child that has ended, or is about to.
fn wait(pidfd: &OwnedFd) -> io::Result<ExitStatus> {
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => return Ok(exit_status(&status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// In the one form that the library knows; the kernel has two.
fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    const EXIT_CODE_SHIFT: u32 = 8;
    const CORE_DUMPED: i32 = 0x80;
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code << EXIT_CODE_SHIFT,
        (None, Some(signal)) if status.dumped() => signal | CORE_DUMPED,
        (None, signal) => signal.unwrap_or(0),
    };
    ExitStatus::from_raw(raw)
}

/// Ends a child that was told nothing yet.
fn abandon(pidfd: &OwnedFd) {
    let ended = pidfd_send_signal(pidfd, Signal::KILL).map_err(io::Error::from);
    if let Err(error) = ended.and_then(|()| wait(pidfd).map(drop)) {
        tracing::error!(%error, "a child that failed to start stays");
    }
}

/// Kills what is in a leaf that nobody uses, and removes it.
pub(crate) fn clear(leaf: &Leaf) {
    // To end takes CPU time too, and the leaf is not gone before.
    if let Err(error) = leaf.unthrottle() {
        tracing::debug!(leaf = leaf.name(), error = chain(&error), "it may end late");
    }
    if let Err(error) = leaf.kill() {
        tracing::error!(leaf = leaf.name(), error = chain(&error), "not all killed");
    }
    delete(leaf);
}

/// Removes an empty leaf.
pub(crate) fn delete(leaf: &Leaf) {
    if let Err(error) = leaf.delete() {
        // The next keeper sweeps it.
        tracing::error!(leaf = leaf.name(), error = chain(&error), "a leaf stays");
    }
}

/// From `schedstat`, whose first number is nanoseconds on a CPU; kernels without it have none.
fn main_thread_cpu(pid: u32) -> Option<Span> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Span::from_nanos(nanos))
}
