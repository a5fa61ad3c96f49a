//! One worker that a zygote is to bear: from the order to be born to the moment when
//! it waits at its berth, or reads what it was born for.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use stint_api::time::Span;
use stint_cgroup::{Door, Leaf, Limits};

use stint_sandbox::Profile;

use super::clock::BootTime;
use super::hot::Module;
use super::jails::Who;
use super::limits::{Holding, chain};
use super::process::{self, Process};
use super::watch::{Watch, Watched};
use super::wire::{Wire, WireError};
use crate::jail::Jail;
use crate::worker::protocol::{FromWorker, SPEECH, ToWorker};
use crate::zygote::protocol::{Birth, Birthplace, Purpose};

/// Longest from the order until the worker waits. It takes a millisecond; one that
/// takes longer than this on a busy machine is not worth waiting for.
const WITHIN: Span = Span::from_secs(10);

/// A worker that was ordered for a berth and has not spoken.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(crate) process: Process,
    /// When it is given up.
    pub(crate) until: BootTime,
}

/// A worker that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) process: Process,
    /// What it was told to load.
    pub(crate) loaded: Option<Module>,
}

/// A worker that is being born, with what its zygote has to be given.
#[derive(Debug)]
pub(crate) struct Ordered {
    wire: Wire,
    leaf: Option<Leaf>,
    who: Who,
    jail: Jail,
    theirs: UnixStream,
    door: Option<Door>,
}

/// What came of a worker that was ordered.
#[derive(Debug)]
pub(crate) enum Came {
    /// It has not spoken yet.
    NotYet(Coming),
    /// It waits at its berth.
    Berthed(Process),
    /// There will be none.
    Not,
}

/// A worker was not ordered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    /// What it needs could not be made.
    #[error("a worker to be born: {0}")]
    Prepare(String),
    /// The zygote has more to do than its socket holds.
    #[error("the zygote is busy")]
    Busy,
    /// The zygote cannot be told.
    #[error("the zygote cannot be told: {0}")]
    Zygote(String),
}

impl Ordered {
    /// Makes the leaf and the socket of a worker to be born.
    pub(crate) fn new(name: &str, limits: Limits, holding: &Holding) -> Result<Self, OrderError> {
        let leaf = holding
            .leaf(name, limits)
            .map_err(|error| OrderError::Prepare(chain(&error)))?;
        let prepared = || {
            let door = leaf.as_ref().map(Leaf::door).transpose()?;
            let (ours, theirs) = UnixStream::pair()?;
            Ok::<_, std::io::Error>((Wire::new(ours, SPEECH)?, theirs, door))
        };
        let who = holding.jails.somebody();
        match prepared() {
            Ok((wire, theirs, door)) => Ok(Self {
                jail: holding.jails.of(&who),
                wire,
                leaf,
                who,
                theirs,
                door,
            }),
            Err(error) => {
                leaf.iter().for_each(process::clear);
                Err(OrderError::Prepare(error.to_string()))
            }
        }
    }

    /// Orders it from `zygote`; its leaf is gone if that fails.
    pub(crate) fn order(
        self,
        purpose: Purpose,
        zygote: &mut Wire,
        watch: &mut Watch,
    ) -> Result<Process, OrderError> {
        let Self {
            wire,
            leaf,
            who,
            jail,
            theirs,
            door,
        } = self;
        let (place, doors): (Birthplace, Vec<OwnedFd>) = match door {
            None => (Birthplace::Doors, Vec::new()),
            Some(Door::Files(files)) => (Birthplace::Doors, files),
            Some(Door::Directory(directory)) => (Birthplace::Directory, vec![directory]),
        };
        let mut fds: Vec<BorrowedFd<'_>> = vec![theirs.as_fd()];
        fds.extend(doors.iter().map(|door| door.as_fd()));
        let birth = Birth {
            place,
            purpose,
            jail,
        };
        let mut watched = Watched::default();
        // Watched before it is ordered: one that is not heard would be nobody's.
        let ordered = watch
            .hear(&wire, &mut watched)
            .map_err(|error| OrderError::Prepare(error.to_string()))
            .and_then(|()| zygote.give(&birth, &fds).map_err(refused));
        let process = Process::unborn(wire, leaf, watched, who);
        match ordered {
            Ok(()) => Ok(process),
            Err(error) => {
                process.give_up();
                Err(error)
            }
        }
    }
}

fn refused(error: WireError) -> OrderError {
    match error {
        WireError::Socket(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            OrderError::Busy
        }
        WireError::Unread => OrderError::Busy,
        other => OrderError::Zygote(chain(&other)),
    }
}

impl Waiting {
    /// One that knows of no module.
    pub(crate) fn new(process: Process) -> Self {
        Self {
            process,
            loaded: None,
        }
    }

    /// Whether an attempt at `module` may have it: it has that loaded, or nothing.
    pub(crate) fn serves(&self, module: &Module) -> bool {
        self.loaded.as_ref().is_none_or(|loaded| loaded == module)
    }

    /// Tells it to load `module`, whose `artifact` was compared.
    pub(crate) fn load(
        &mut self,
        module: &Module,
        profile: Profile,
        artifact: BorrowedFd<'_>,
    ) -> Result<(), WireError> {
        let entry = module.entry.clone();
        self.loaded = Some(module.clone());
        let load = ToWorker::Load { profile, entry };
        self.process.wire.give(&load, &[artifact])
    }
}

impl Coming {
    /// One that was ordered now.
    pub(crate) fn new(process: Process, now: BootTime) -> Self {
        Self {
            process,
            until: now.after(WITHIN),
        }
    }

    /// Takes what it says, if it says anything.
    pub(crate) fn turn(mut self, watch: &Watch) -> Came {
        self.process.wire.fill();
        match self.process.wire.take() {
            Ok(Some(FromWorker::Berthed { pid })) => return self.berthed(pid, watch),
            Ok(None) if self.process.wire.is_open() => return Came::NotYet(self),
            Ok(None) => tracing::warn!("a worker was not born, or died of it"),
            Ok(Some(other)) => tracing::warn!(?other, "a worker did not come to its berth"),
            Err(error) => tracing::warn!(%error, "a worker did not come to its berth"),
        }
        self.process.give_up();
        Came::Not
    }

    fn berthed(self, pid: u32, watch: &Watch) -> Came {
        let mut process = self.process;
        if let Err(error) = process.bear(pid) {
            tracing::warn!(error = chain(&error), pid, "a worker is not at its berth");
            process.give_up();
            return Came::Not;
        }
        match watch.keep(&process) {
            Ok(()) => {
                process.count();
                Came::Berthed(process)
            }
            Err(error) => {
                tracing::warn!(%error, pid, "a worker cannot be watched");
                process.kill_and_reap();
                Came::Not
            }
        }
    }
}
