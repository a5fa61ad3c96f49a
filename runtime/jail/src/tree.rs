//! The job's directories, as what the worker holds them by: a descriptor of a
//! mount of its own, attached nowhere.
//!
//! So a directory needs no place in the worker's root and no privilege when it
//! comes: a berthed worker gets the descriptor over its socket, and enters it.
//! `..` ends at the mount's root, for it has no parent; what is read-only, holds
//! no device and gives no rights is said once, for whatever is below.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use crate::ledger::{Named as _, Refusal};
use crate::raw;

/// What the worker may do in a directory of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Read, write, make and remove.
    Write,
}

/// A directory of a job, to be brought into the jail.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Where it is, outside; the word of whoever knows the machine's paths.
    pub path: &'a Path,
    /// What is to be done in it.
    pub access: Access,
}

/// A directory of a job, inside.
#[derive(Debug)]
pub struct Tree {
    /// Its root.
    pub dir: OwnedFd,
    /// What is done in it.
    pub access: Access,
    /// Whether it is a mount of its own.
    pub detached: bool,
}

impl Tree {
    /// The directory at `source` as a mount of its own. Who calls must be able to
    /// mount: root, or this user in its own user and mount namespaces.
    ///
    /// # Errors
    /// There is no such directory, or no such right.
    pub fn detached(source: Source<'_>) -> Result<Self, Refusal> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        // Not what is mounted further down: nobody has said that it is the job's.
        let dir = open_tree(CWD, source.path, flags).named("bring a directory")?;
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        if source.access == Access::Read {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        raw::set_mount_attributes(dir.as_fd(), attributes.bits()).named("limit a directory")?;
        Ok(Self {
            dir,
            access: source.access,
            detached: true,
        })
    }

    /// The directory at `source` as it is, where no mount of its own can be had.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn plain(source: Source<'_>) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            dir: open(source.path, flags, Mode::empty())?,
            access: source.access,
            detached: false,
        })
    }
}
