//! System calls that no library of ours has, or has as unsafe. Each is here as a
//! function that cannot be called wrongly, or says how it can.

#![allow(
    unsafe_code,
    reason = "bare system calls; each block says why its arguments are good"
)]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;
use rustix::thread::UnshareFlags;
use syscalls::{Sysno, syscall};

/// As the kernel lays it out for `mount_setattr`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// What `syscalls` calls an error, as `rustix` does.
fn errno(error: syscalls::Errno) -> Errno {
    Errno::from_raw_os_error(error.into_raw())
}

/// Moves this process, which must have one thread, into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // The one flag that could leave a descriptor behind on another thread.
    let flags = flags.difference(UnshareFlags::FILES);
    // SAFETY: the descriptor table is not unshared: that flag was just taken away.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Closes every descriptor from `first` to `last`.
///
/// # Safety
/// Nothing in the process may count on one of them being open.
pub(crate) unsafe fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: no memory is touched; what closing means is the caller's promise.
    let done = unsafe { syscall!(Sysno::close_range, first, last, 0) };
    done.map(drop).map_err(errno)
}

/// Gives the mount that `tree` is the root of, and that is nobody else's yet,
/// the attributes of `set`, and takes it out of all propagation.
pub(crate) fn set_mount_attributes(tree: BorrowedFd<'_>, set: u32) -> Result<(), Errno> {
    let attributes = MountAttr {
        set: u64::from(set),
        clear: 0,
        propagation: libc::MS_PRIVATE,
        userns: 0,
    };
    // SAFETY: the path is a constant with its end marked; the attributes outlive
    // the call, which only reads them, and their size is the one that is told.
    let done = unsafe {
        syscall!(
            Sysno::mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttr>()
        )
    };
    done.map(drop).map_err(errno)
}

/// From now on no memory of this process becomes executable that is not, and
/// none is mapped that is both writable and executable.
pub(crate) fn refuse_exec_gain() -> Result<(), Errno> {
    // SAFETY: numbers only; what was mapped before stays as it is.
    let done = unsafe {
        syscall!(
            Sysno::prctl,
            libc::PR_SET_MDWE,
            libc::PR_MDWE_REFUSE_EXEC_GAIN,
            0,
            0,
            0
        )
    };
    done.map(drop).map_err(errno)
}
