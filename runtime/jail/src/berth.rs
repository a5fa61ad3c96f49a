//! Stage one: what can be taken from a process before anything of a job is known.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use rustix::time::{ClockId, clock_gettime};

use crate::identity::{self, Identity};
use crate::layer::{Layer, LayerSet, Layers};
use crate::ledger::{ArmError, Ledger, Named as _, Refusal};
use crate::trap::{self, Confession};
use crate::tree::{Source, Tree};
use crate::{bounds, descriptors, filter, namespaces, root};

/// How a process is berthed. It must have one thread, and own no descriptor that
/// is to be used again and is not named in `keep`.
#[derive(Debug)]
pub struct Berth<'a> {
    /// The layers to put up, of both stages.
    pub want: LayerSet,
    /// Those without which the process must not go on.
    pub need: LayerSet,
    /// Those that it was born with: its parent had put them up before it forked.
    pub inherited: LayerSet,
    /// Who it is to be; only root can give it.
    pub identity: Option<Identity>,
    /// Whose death is its own.
    pub parent: Option<Pid>,
    /// Directories of the job, if it is known already.
    pub sources: &'a [Source<'a>],
    /// Descriptors that stay open, beside the standard streams.
    pub keep: &'a [BorrowedFd<'a>],
    /// The most descriptors that it may have open.
    pub descriptors_max: u64,
    /// What it says when it makes a call that it may not.
    pub confession: Option<Confession>,
}

/// A process in its berth.
#[derive(Debug)]
pub struct Berthed {
    ledger: Ledger,
    /// The directories that were named, in their order.
    pub trees: Vec<Tree>,
}

impl Berth<'_> {
    /// Puts up the layers of stage one.
    ///
    /// # Errors
    /// A layer that is needed is not to be had, or the parent is gone. The
    /// process is in no defined state then, and must end.
    pub fn enter(self) -> Result<Berthed, ArmError> {
        look_around();
        let mut ledger = Ledger::new(self.want, self.need, self.inherited);
        let entered = namespaces::enter(&mut ledger)?;
        // While what they stand in is still to be seen, and with the right to mount.
        let trees = bring(&mut ledger, self.sources)?;
        root::enter(&mut ledger, entered)?;
        identity::change(&mut ledger, self.identity)?;
        if let Some(parent) = self.parent {
            die_with(parent)?;
        }
        identity::seal(&mut ledger)?;
        ledger.hold(Layer::ResourceLimits, || bounds::set(self.descriptors_max))?;
        ledger.hold(Layer::ClosedDescriptors, || {
            let trees = trees.iter().map(|tree| tree.dir.as_fd());
            let keep: Vec<BorrowedFd<'_>> = self.keep.iter().copied().chain(trees).collect();
            descriptors::close_all_but(&keep)
        })?;
        trap::install(self.confession).map_err(ArmError::Step)?;
        ledger.hold(Layer::WideFilter, filter::install_wide)?;
        Ok(Berthed { ledger, trees })
    }
}

impl Berthed {
    /// Which layers are in force so far.
    pub fn layers(&self) -> &Layers {
        &self.ledger.layers
    }

    pub(crate) fn into_parts(self) -> (Ledger, Vec<Tree>) {
        (self.ledger, self.trees)
    }
}

/// Lets the library of system calls find out once what it asks a process about
/// itself: it remembers, and has no file to ask later.
fn look_around() {
    let _now = clock_gettime(ClockId::Monotonic);
}

/// The job's directories as mounts of their own, or as they are where that is not to be had.
fn bring(ledger: &mut Ledger, sources: &[Source<'_>]) -> Result<Vec<Tree>, ArmError> {
    let plain = |source: &Source<'_>| {
        Tree::plain(*source)
            .named("open a directory")
            .map_err(ArmError::Step)
    };
    if ledger.wants(Layer::DetachedTrees) {
        let detached: Result<Vec<Tree>, Refusal> = sources
            .iter()
            .map(|source| Tree::detached(*source))
            .collect();
        match detached {
            Ok(trees) => return Ok(trees),
            Err(why) => ledger.miss(Layer::DetachedTrees, why)?,
        }
    }
    sources.iter().map(plain).collect()
}

/// Dies when `parent` does. A change of the user makes the kernel forget that.
fn die_with(parent: Pid) -> Result<(), ArmError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .named("die with the parent")
        .map_err(ArmError::Step)?;
    // Asked after it is set: one that died before is no longer the parent.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(ArmError::Orphan)
    }
}
