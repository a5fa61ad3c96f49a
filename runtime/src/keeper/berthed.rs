//! One worker on its way to a berth, and at it: from the order to be born to the
//! moment when a slot takes it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use stint_api::time::Span;
use stint_cgroup::{Door, Leaf, Limits};

use super::clock::BootTime;
use super::jails::Who;
use super::limits::{Holding, chain};
use super::process::{self, Process};
use super::watch::{Watch, Watched};
use super::wire::Wire;
use crate::jail::Jail;
use crate::worker::protocol::{FromWorker, SPEECH};
use crate::zygote::protocol::{Birth, Birthplace};

/// Longest from the order until the worker waits. It takes a millisecond; one that
/// takes longer than this on a busy machine is not worth waiting for.
const WITHIN: Span = Span::from_secs(10);

/// A worker that was ordered and has not spoken.
#[derive(Debug)]
pub(crate) struct Coming {
    wire: Wire,
    leaf: Option<Leaf>,
    who: Who,
    /// How the poll loop knows it.
    pub(crate) watched: Watched,
    /// When it is given up.
    pub(crate) until: BootTime,
}

/// A worker that is being born, with what its zygote has to be given.
#[derive(Debug)]
pub(crate) struct Ordered {
    coming: Coming,
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

impl Ordered {
    /// Makes the leaf and the socket of a worker to be born.
    pub(crate) fn new(
        name: &str,
        limits: Limits,
        holding: &Holding,
        now: BootTime,
    ) -> Result<Self, String> {
        let leaf = holding.leaf(name, limits).map_err(|error| chain(&error))?;
        let prepared = || {
            let door = leaf.as_ref().map(Leaf::door).transpose()?;
            let (ours, theirs) = UnixStream::pair()?;
            Ok::<_, std::io::Error>((Wire::new(ours, SPEECH)?, theirs, door))
        };
        let who = holding.jails.somebody();
        match prepared() {
            Ok((wire, theirs, door)) => Ok(Self {
                jail: holding.jails.of(&who),
                coming: Coming {
                    wire,
                    leaf,
                    who,
                    watched: Watched::default(),
                    until: now.after(WITHIN),
                },
                theirs,
                door,
            }),
            Err(error) => {
                leaf.iter().for_each(process::clear);
                Err(error.to_string())
            }
        }
    }

    /// Orders it from `zygote`; its leaf is gone if that fails.
    pub(crate) fn order(self, zygote: &mut Wire, watch: &mut Watch) -> Result<Coming, String> {
        let Self {
            mut coming,
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
        // Watched before it is ordered: one that is not heard would be nobody's.
        let ordered = watch
            .hear(&coming.wire, &mut coming.watched)
            .map_err(|error| error.to_string())
            .and_then(|()| {
                let given = zygote.give(&Birth { place, jail }, &fds);
                given.map_err(|error| chain(&error))
            });
        match ordered {
            Ok(()) => Ok(coming),
            Err(error) => {
                coming.leaf.iter().for_each(process::clear);
                Err(error)
            }
        }
    }
}

impl Coming {
    /// Takes what it says, if it says anything.
    pub(crate) fn turn(mut self, watch: &Watch) -> Came {
        self.wire.fill();
        match self.wire.take() {
            Ok(Some(FromWorker::Berthed { pid })) => return self.berthed(pid, watch),
            Ok(None) if self.wire.is_open() => return Came::NotYet(self),
            Ok(None) => tracing::warn!("a worker was not born, or died of it"),
            Ok(Some(other)) => tracing::warn!(?other, "a worker did not come to its berth"),
            Err(error) => tracing::warn!(%error, "a worker did not come to its berth"),
        }
        self.give_up();
        Came::Not
    }

    fn berthed(self, pid: u32, watch: &Watch) -> Came {
        let made = Process::forked(pid, self.wire, self.leaf, self.watched, self.who);
        let mut process = match made {
            Ok(process) => process,
            Err(error) => {
                tracing::warn!(error = chain(&error), pid, "a worker is not at its berth");
                return Came::Not;
            }
        };
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

    /// Nothing of it stays: if it was born, it dies in its leaf or of its closed socket.
    pub(crate) fn give_up(mut self) {
        // First: who enters the leaf after it was emptied would otherwise stay in it.
        self.wire.close();
        self.leaf.iter().for_each(process::clear);
    }
}
