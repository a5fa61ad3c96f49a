//! A worker or compiler as its keeper sees it: a child process of the same
//! binary, in its leaf cgroup before it is told anything, with a socket to it
//! and a pidfd for its life and death.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use stint_api::time::Span;
use stint_cgroup::{AddError, Leaf, Usage};

use super::limits::chain;
use super::watch::Watched;
use super::wire::{Speech, Wire};

/// This very binary, even if another was put in its place: keeper and workers
/// are always of one version.
const OWN_BINARY: &str = "/proc/self/exe";

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
}

/// A child that was started and not yet reaped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Readable when the child has ended.
    pub(crate) pidfd: OwnedFd,
    /// The other end is the child's standard input.
    pub(crate) wire: Wire,
    /// Where its limits are held.
    pub(crate) leaf: Option<Leaf>,
    /// How the poll loop knows it.
    pub(crate) watched: Watched,
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
        std::os::unix::process::ExitStatusExt::signal(&self.status)
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
    ) -> Result<Self, SpawnError> {
        let started = start(verb, speech).and_then(|(mut child, pidfd, wire)| {
            match leaf.as_ref().map_or(Ok(()), |leaf| leaf.add(child.id())) {
                Ok(()) => Ok((child, pidfd, wire)),
                Err(error) => {
                    abandon(&mut child);
                    Err(SpawnError::Add(error))
                }
            }
        });
        match started {
            Ok((child, pidfd, wire)) => Ok(Self {
                child,
                pidfd,
                wire,
                leaf,
                watched: Watched::default(),
            }),
            Err(error) => {
                if let Some(leaf) = leaf {
                    delete(&leaf);
                }
                Err(error)
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, through the pidfd: never to another that took its number.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(&self.pidfd, signal) {
            tracing::debug!(pid = self.pid(), %error, "a child could not be signalled");
        }
    }

    /// Looks after the leaf's out-of-memory events: whether the kernel killed in it.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let Some(leaf) = &self.leaf else {
            return false;
        };
        leaf.clear_oom_events();
        leaf.usage().is_ok_and(|usage| usage.oom_kills > 0)
    }

    /// Reaps the child, whose pidfd is readable, kills what it may have left in
    /// its leaf, and removes the leaf.
    pub(crate) fn reap(mut self) -> io::Result<Death> {
        // While it is a zombie its figures can still be read.
        let cpu = main_thread_cpu(self.pid());
        let status = self.child.wait()?;
        let counted = self.leaf.as_ref().and_then(|leaf| {
            if let Err(error) = leaf.kill() {
                tracing::error!(leaf = leaf.name(), error = chain(&error), "not all killed");
            }
            let usage = leaf.usage();
            delete(leaf);
            usage
                .inspect_err(|error| {
                    tracing::error!(leaf = leaf.name(), error = chain(error), "no usage");
                })
                .ok()
        });
        Ok(Death {
            status,
            counted,
            cpu,
        })
    }
}

fn start(verb: &[&str], speech: Speech) -> Result<(Child, OwnedFd, Wire), SpawnError> {
    let (verb, arguments) = verb.split_first().unwrap_or((&"", &[]));
    let (ours, theirs) = UnixStream::pair().map_err(SpawnError::Socket)?;
    let wire = Wire::new(ours, speech).map_err(SpawnError::Socket)?;
    let mut child = Command::new(OWN_BINARY)
        .arg0("stint")
        .arg(verb)
        // It dies when this keeper does, and must know whom to look for.
        .arg(std::process::id().to_string())
        .args(arguments)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(SpawnError::Spawn)?;
    // It is not reaped before `wait`, so its number is its own.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let opened = pid
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    match opened {
        Ok(pidfd) => Ok((child, pidfd, wire)),
        Err(error) => {
            abandon(&mut child);
            Err(SpawnError::Pidfd(error))
        }
    }
}

/// Ends a child that was told nothing yet.
fn abandon(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
        tracing::error!(pid = child.id(), %error, "a child that failed to start stays");
    }
}

fn delete(leaf: &Leaf) {
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
