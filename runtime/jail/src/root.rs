//! The minimal root: a file system with nothing in it and that takes nothing. The
//! job's directories do not stand in it, see [`tree`](crate::tree); so there is
//! not a single path that means something.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use crate::layer::Layer;
use crate::ledger::{ArmError, Ledger, Named as _, Refusal};
use crate::namespaces::Entered;

/// Makes the root empty: in the mount namespace, where there is one, and for
/// this process in any case.
pub(crate) fn enter(ledger: &mut Ledger, entered: Entered) -> Result<(), ArmError> {
    if !entered.mounts && !ledger.wants(Layer::EmptyRoot) {
        return Ok(());
    }
    let root = match make() {
        Ok(root) => root,
        Err(why) => {
            let again = "no empty root could be made";
            ledger.miss(Layer::MountNamespace, why)?;
            return ledger.miss(Layer::EmptyRoot, Refusal::Without(again));
        }
    };
    if entered.mounts {
        ledger.hold(Layer::MountNamespace, || pivot(&root))?;
    }
    ledger.hold(Layer::EmptyRoot, || change(&root))
}

/// An empty file system that is mounted nowhere.
fn make() -> Result<OwnedFd, Refusal> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).named("open a tmpfs")?;
    // It needs no page and no inode but its own.
    for (key, value) in [("mode", "0555"), ("nr_blocks", "1"), ("nr_inodes", "1")] {
        fsconfig_set_string(fs.as_fd(), key, value).named("set up a tmpfs")?;
    }
    fsconfig_create(fs.as_fd()).named("make a tmpfs")?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).named("mount a tmpfs")
}

/// Puts `root` in the place of all that is mounted in this namespace.
fn pivot(root: &OwnedFd) -> Result<(), Refusal> {
    // What is mounted here is to be seen nowhere else, and the other way round.
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .named("make all mounts private")?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(root.as_fd(), "", CWD, "/", flags).named("mount the empty root")?;
    fchdir(root).named("enter the empty root")?;
    // The old root comes to lie on top of the new one, and is taken off again.
    pivot_root(".", ".").named("change the root")?;
    unmount(".", UnmountFlags::DETACH).named("unmount the old root")?;
    chdir("/").named("enter the empty root")
}

/// Makes `root` this process's own root.
fn change(root: &OwnedFd) -> Result<(), Refusal> {
    fchdir(root).named("enter the empty root")?;
    chroot(".").named("change the own root")?;
    chdir("/").named("enter the empty root")
}
