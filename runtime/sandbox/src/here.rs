//! The directory that this process is in, left for a moment where the engine takes
//! paths only: it is entered by descriptor, and what is wanted opened from there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

/// A process is in one directory, whatever the thread.
static ENTERING: Mutex<()> = Mutex::new(());

/// Where the process was, to which it must be brought [`Here::back`].
#[derive(Debug)]
pub(crate) struct Here {
    was: OwnedFd,
    _alone: MutexGuard<'static, ()>,
}

impl Here {
    /// Remembers where the process is.
    pub(crate) fn keep() -> io::Result<Self> {
        let alone = ENTERING.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok(Self {
            // By the call that the jail lets through as it is.
            was: openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH)?,
            _alone: alone,
        })
    }

    /// Enters `dir`.
    pub(crate) fn go(&self, dir: impl AsFd) -> io::Result<()> {
        Ok(rustix::process::fchdir(dir)?)
    }

    /// Returns.
    pub(crate) fn back(self) -> io::Result<()> {
        self.go(&self.was)
    }
}
