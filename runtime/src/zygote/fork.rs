//! Forking a worker. Not by `fork(2)`: the keeper is to be its parent, so that it
//! is the keeper who waits for it and with whom it dies, and it may be born in its cgroup.

#![allow(
    unsafe_code,
    reason = "no library forks so that another becomes the parent; see `fork`"
)]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

/// From the kernel's `sched.h`: the parent of the caller becomes the parent of the child.
const CLONE_PARENT: u64 = 0x0000_8000;
/// From the kernel's `sched.h`: the child is born in the cgroup that is named.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// As the kernel lays it out for `clone3`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that was there before.
    Parent,
    /// The new one.
    Child,
}

/// Makes a copy of this process, which must have one thread: a child of its own
/// parent, in the cgroup `directory` if there is one. Like its sibling, the child
/// sends the signal of a child that ends.
pub(crate) fn fork(directory: Option<BorrowedFd<'_>>) -> Result<Side, Errno> {
    let mut args = CloneArgs {
        flags: CLONE_PARENT,
        ..CloneArgs::default()
    };
    if let Some(directory) = directory {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(directory.as_raw_fd()).map_err(|_| Errno::BADF)?;
    }
    // SAFETY: the arguments outlive the call, which only reads them, and their size
    // is the one that is told. Neither memory nor a stack is shared: the child goes
    // on from here on a copy of everything, as after `fork(2)`. What that does not
    // copy are other threads, which could hold locks for ever; there are none, in a
    // zygote by how it is built, as wherever a process of ours is forked. The C
    // library is not told: what it remembers of a process is its thread's number, of
    // which this version asks the kernel where it matters.
    let forked = unsafe { syscall!(Sysno::clone3, &raw const args, size_of::<CloneArgs>()) };
    match forked {
        Ok(0) => Ok(Side::Child),
        Ok(_) => Ok(Side::Parent),
        Err(errno) => Err(Errno::from_raw_os_error(errno.into_raw())),
    }
}
