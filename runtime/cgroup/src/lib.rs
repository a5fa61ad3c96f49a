//! cgroups v1 and v2 behind one interface: a node holds one [`Tree`], every slot
//! in it is a [`Leaf`] with CPU, memory and process limits.
//!
//! Groups are made, limited, read and deleted through `cgroups-rs`. Written here
//! is what that crate lacks: events when the kernel kills for memory, killing a
//! whole group on v1, reading every limit back, and the refusal to go on when a
//! controller was not delegated. Only `cpu`, `cpuacct` (v1), `memory` and `pids`
//! are ever touched. A hybrid machine, with its controllers on v1, counts as v1.
//!
//! **Where the tree stands.** Not simply at the root, because jobs would escape
//! the limits of the service or container that runs the node; not simply in the
//! caller's own group either, because a keeper started again from another login
//! must find what the last one left. So [`Tree::open`] starts at the caller's own
//! group and climbs until a group that was delegated to us (systemd's
//! `Delegate=yes`), that carries a memory or CPU limit, or whose parent we may
//! not write. On v2 an inner group cannot hold processes: those found in the
//! chosen group (unless it is the root, where they may stay) are moved into a
//! group `supervisor` beside the tree.

mod base;
mod door;
mod kill;
mod leaf;
mod limits;
mod oom;
mod place;
mod probe;
mod sweep;
mod tree;
mod usage;
mod v2;
mod wait;

pub use base::Unavailable;
pub use door::{Door, ENTER};
pub use kill::KillError;
pub use leaf::{AddError, DeleteError, EmptyError, Leaf};
pub use limits::{LimitError, Limits};
pub use probe::probe;
pub use sweep::SweepError;
pub use tree::{CreateError, OpenError, RemoveError, Tree};
pub use usage::{Usage, UsageError};
pub use v2::DelegateError;

/// Which interface of the kernel holds the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller; hybrid machines too.
    V1,
    /// The unified hierarchy.
    V2,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Version::V1 => "cgroups v1",
            Version::V2 => "cgroups v2",
        })
    }
}
