//! A node's own part of the hierarchy: leaves are made in it, and what a keeper
//! that died has left in it is swept.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::Version;
use crate::base::{self, Unavailable};
use crate::leaf::{self, Leaf, RemoveFault};
use crate::limits::{self, LimitError, Limits};
use crate::oom::OomEvents;
use crate::place::{Controller, Place};
use crate::sweep::{self, SweepError};
use crate::v2::{self, DelegateError};

/// Another tree may remove the shared first level while ours is made below it.
const MAX_MAKE_TRIES: usize = 8;
/// As long as a directory name may be.
const MAX_NAME_BYTES: usize = 255;

/// A group of our own, empty of processes, with leaves below it.
#[derive(Debug)]
pub struct Tree {
    base: Place,
    path: String,
    place: Place,
}

/// Why a tree could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no place for it.
    #[error("cgroups are not available")]
    Unavailable(#[from] Unavailable),
    /// The name cannot be a path of groups.
    #[error(
        "{name:?} is no path for a cgroup tree: letters, digits, '-', '_', '.' and '/' between them"
    )]
    Name {
        /// What was asked for.
        name: String,
    },
    /// The group could not be made.
    #[error("making the cgroup {path} below {} failed", base.display())]
    Make {
        /// The tree's path.
        path: String,
        /// Where it should have been (the memory controller's directory).
        base: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// On v2, the levels above could not be made ready.
    #[error("the cgroups above the tree could not be prepared")]
    Delegate(#[from] DelegateError),
}

/// Why a leaf could not be made. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name cannot be a group.
    #[error("{name:?} is no name for a cgroup: letters, digits, '-', '_' and '.'")]
    Name {
        /// What was asked for.
        name: String,
    },
    /// There is one with this name; it was not made for this caller.
    #[error("cgroup {name} exists already")]
    Exists {
        /// The leaf's name.
        name: String,
    },
    /// The group could not be made.
    #[error("making cgroup {name} failed")]
    Make {
        /// The leaf's name.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A limit did not take.
    #[error("limiting cgroup {name} failed")]
    Limit {
        /// The leaf's name.
        name: String,
        /// Which limit, and why.
        #[source]
        source: LimitError,
    },
    /// The kernel would not tell when it kills for memory.
    #[error("listening for out-of-memory events of cgroup {name} failed")]
    Events {
        /// The leaf's name.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Why the tree itself could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Leaves are left in it.
    #[error("cgroup tree {path} still has leaves; sweep it first")]
    NotEmpty {
        /// The tree's path.
        path: String,
    },
    /// The kernel refused.
    #[error("removing cgroup tree {path} failed")]
    Refused {
        /// The tree's path.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Tree {
    /// Opens the tree `parent` (such as `stint/<hash>`), making it where it is not
    /// there yet. The crate's doc says below which group it stands. On v2 this may
    /// move the processes of that group into its child `supervisor`.
    pub fn open(parent: &str) -> Result<Tree, OpenError> {
        if !parent.split('/').all(is_name) {
            return Err(OpenError::Name {
                name: parent.to_owned(),
            });
        }
        Tree::open_below(base::find()?, parent)
    }

    fn open_below(base: Place, parent: &str) -> Result<Tree, OpenError> {
        if base.version == Version::V2 {
            v2::vacate(base.dir(Controller::Memory))?;
            v2::hand_down(base.dir(Controller::Memory))?;
        }
        let mut tries = 0;
        while let Err(source) = base.make(parent) {
            tries += 1;
            if tries == MAX_MAKE_TRIES || source.kind() != io::ErrorKind::NotFound {
                return Err(OpenError::Make {
                    path: parent.to_owned(),
                    base: base.dir(Controller::Memory).to_path_buf(),
                    source,
                });
            }
        }
        let place = base.below(parent);
        if base.version == Version::V2 {
            let mut dir = base.dir(Controller::Memory).to_path_buf();
            for level in parent.split('/') {
                dir.push(level);
                v2::hand_down(&dir)?;
            }
        }
        Ok(Tree {
            base,
            path: parent.to_owned(),
            place,
        })
    }

    /// Which interface of the kernel holds its limits.
    pub fn version(&self) -> Version {
        self.place.version
    }

    /// Makes the leaf `name` with `limits`, reads every limit back, and listens
    /// for out-of-memory events. If any of it fails nothing is left behind.
    pub fn leaf(&self, name: &str, limits: &Limits) -> Result<Leaf, CreateError> {
        let name_of = || name.to_owned();
        if !is_name(name) {
            return Err(CreateError::Name { name: name_of() });
        }
        if self.place.group(name).exists() {
            return Err(CreateError::Exists { name: name_of() });
        }
        let group = self.place.make(name).map_err(|source| CreateError::Make {
            name: name_of(),
            source,
        })?;
        let place = self.place.below(name);
        let held = limits::hold(&group, &place, None, limits)
            .map_err(|source| CreateError::Limit {
                name: name_of(),
                source,
            })
            .and_then(|()| {
                OomEvents::register(&place).map_err(|source| CreateError::Events {
                    name: name_of(),
                    source,
                })
            });
        match held {
            Ok(oom) => Ok(Leaf::new(name, place, group, oom, *limits)),
            Err(error) => {
                if let Err(error) = group.delete() {
                    tracing::warn!(name, %error, "a half-made cgroup could not be removed");
                }
                Err(error)
            }
        }
    }

    /// Kills and removes every leaf in the tree, and whatever was nested in it;
    /// how many leaves there were. Only for a tree whose keeper is known to be dead, or by
    /// a keeper that ends.
    pub fn sweep(&self) -> Result<u32, SweepError> {
        sweep::sweep(&self.place)
    }

    /// Removes the tree, which must have no leaves, and the levels above it that
    /// are empty then.
    pub fn remove(self) -> Result<(), RemoveError> {
        if sweep::list(&self.place).map_or(true, |below| !below.is_empty()) {
            return Err(RemoveError::NotEmpty { path: self.path });
        }
        let removed = leaf::remove(&self.base.group(&self.path), &self.place);
        if let Err(fault) = removed {
            return Err(match fault {
                RemoveFault::Populated(_) => RemoveError::NotEmpty { path: self.path },
                RemoveFault::Refused(source) => RemoveError::Refused {
                    path: self.path,
                    source,
                },
            });
        }
        let mut path = self.path.as_str();
        while let Some((above, _)) = path.rsplit_once('/') {
            // Not through cgroups-rs, which would take other trees with it. Another
            // tree in it, or one just being made, is why this may fail.
            for dir in self.base.below(above).each_dir() {
                if fs::remove_dir(dir).is_err() {
                    return Ok(());
                }
            }
            path = above;
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.starts_with('.')
        && name.bytes().all(ok)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
